"""The events of a ledger that follow from events of reservations.

Each event is applied once, in order: what follows is recorded with its id as the cause, and the ledger ignores events
up to the last cause that it has recorded. An event without consequences leaves no record. It has none when it comes
again either, because its consequences depend on the event alone, or would have changed the recorded terms of the stay.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import msgspec
from innkeeper.actors.billing.rules.folios import (
    current_lines,
    fee_line,
    left_of,
    night_line,
    reversal,
)
from innkeeper.actors.billing.rules.lookups import line_numbers
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.events import (
    BuyerChanged,
    ChargePosted,
    ChargeReversed,
    FolioOpened,
    FolioTermsChanged,
    LedgerGuestForgotten,
)
from innkeeper.protocol.billing.folio import CHARGED, Bill, LineKind, LinePosition, ReversalReason, StayTerms
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.booking import BookingStatus, RoomSegment
from innkeeper.protocol.reservations.transitions import status_after
from innkeeper.protocol.values.contexts import BILLING, DELIVERY
from innkeeper.protocol.values.guests import Guest, GuestDetails, new_guest
from innkeeper.protocol.values.taxes import fee_taxes

Events = Iterator[Event]
StayChange = events.GuestCheckedOut | events.CheckOutUndone | events.GuestOverstayed


def derive_events(state: LedgerState, record: RecordedEvent, salt: bytes) -> tuple[Event, ...]:
    """The events that follow from an event of reservations. Never refuses, because that has happened already. The salt
    is for the details of a buyer."""
    event = record.event
    rule = BILLING_RULES[type(event)]
    if rule is None or record.hotel_seq <= state.applied_seq:
        return ()
    if state.ledger is None and not isinstance(event, events.HotelOpened):
        return ()
    bill = state.bills.get(event.booking) if isinstance(event, events.BookingEvent) else None
    if bill is None and isinstance(event, events.BookingEvent) and not isinstance(event, events.StayEvent):
        return ()
    return tuple(_with_version(state, record.hotel, one, salt) for one in rule(state, bill, event))


def _with_version(state: LedgerState, hotel: str, event: Event, salt: bytes) -> Event:
    """The event with its buyer, if it has one, as a new version of the details. At most one of them has one."""
    if not isinstance(event, FolioOpened | BuyerChanged) or event.buyer.details is None:
        return event
    buyer = new_guest(hotel, event.buyer.id, state.seq + 1, event.buyer.details, salt)
    return msgspec.structs.replace(event, buyer=buyer)


def _opened(state: LedgerState, _: None, event: events.HotelOpened) -> Events:
    yield billing_events.LedgerOpened(event.title, event.currency, event.business_date, event.terms)


def _hotel_changed(state: LedgerState, _: None, event: events.HotelChanged) -> Events:
    if event.title != state.opened().title:
        yield billing_events.LedgerRenamed(event.title)


def _terms_of_sale_changed(state: LedgerState, _: None, event: events.TermsOfSaleChanged) -> Events:
    yield billing_events.LedgerTermsOfSaleChanged(event.terms)


def _terms(state: LedgerState, bill: Bill | None, event: events.StayEvent) -> Events:
    stay = StayTerms(
        locator=event.locator,
        status=status_after(None if bill is None else bill.stay.status, type(event)),
        booked_on=state.opened().business_date if bill is None else bill.stay.booked_on,
        arrival=event.arrival,
        departure=event.departure,
        lines=event.lines,
        terms=event.terms,
        room_type=event.room_type,
        rooms=event.rooms if bill is not None and bill.stay.rooms else (),
    )
    if bill is None:
        yield FolioOpened(booking=event.booking, folio=1, buyer=_buyer(event.guest), stay=stay)
        return
    if stay != bill.stay:
        yield FolioTermsChanged(event.booking, stay)
    yield from _guest_changed(state, bill, event)


def _guest_changed(state: LedgerState, bill: Bill, event: events.StayEvent | events.GuestChanged) -> Events:
    buyer = _buyer(event.guest)
    if buyer.details not in (None, bill.folios[0].buyer.details):
        yield BuyerChanged(event.booking, 1, buyer)


def _buyer(guest: Guest) -> Guest:
    """The guest as a buyer, whose version is not made yet; without details where the guest is forgotten by now."""
    known = guest.details
    details = known and GuestDetails(known.name, address=known.address, language=known.language)
    return Guest(guest.id, 0, b"", details)


def _checked_in(state: LedgerState, bill: Bill, event: events.GuestCheckedIn) -> Events:
    """Notes the room from the check-in on: before it, rooms change without consequences for a bill."""
    stay = bill.stay
    yield from _status_changed(state, bill, event, rooms=(RoomSegment(event.room, stay.arrival, stay.departure),))


def _room_moved(state: LedgerState, bill: Bill, event: events.RoomMoved) -> Events:
    status = status_after(bill.stay.status, type(event))
    stay = msgspec.structs.replace(bill.stay, status=status, rooms=event.rooms if bill.stay.rooms else ())
    if stay != bill.stay:
        yield FolioTermsChanged(bill.booking, stay)


def _check_in_undone(state: LedgerState, bill: Bill, event: events.CheckInUndone) -> Events:
    """Reverses the nights that were charged until now: they were of a no-show who came late, and is not here after all.
    No other can be, because a check-in is undone on its own business date."""
    yield from _status_changed(state, bill, event, rooms=())
    posted = _nights_charged(bill, bill.stay.arrival)
    yield from _reverse(state, posted, ReversalReason.CHECK_IN_UNDONE, line_numbers(state))


def _guest_forgotten(state: LedgerState, _: None, event: events.GuestForgotten) -> Events:
    if any(bill.guest_id == event.guest for bill in state.bills.values()):
        yield LedgerGuestForgotten(event.guest)


def _status_changed(state: LedgerState, bill: Bill, event: events.BookingEvent, **more: Any) -> Events:
    status = status_after(bill.stay.status, type(event))
    yield FolioTermsChanged(bill.booking, msgspec.structs.replace(bill.stay, status=status, **more))


def _not_arriving(state: LedgerState, bill: Bill, event: events.BookingCancelled | events.GuestNoShow) -> Events:
    yield from _status_changed(state, bill, event)
    if event.fee > 0:
        text = "No-show fee" if isinstance(event, events.GuestNoShow) else "Cancellation fee"
        ledger = state.opened()
        taxes = fee_taxes(ledger.terms_of(bill.stay).taxes, event.fee, ledger.business_date)
        line = fee_line(next(line_numbers(state)), ledger.business_date, text, event.fee, taxes)
        yield ChargePosted(bill.booking, 1, line)


def _reinstated(state: LedgerState, bill: Bill, event: events.BookingReinstated) -> Events:
    """Reverses the fee, on whichever folio it is now. An invoice with the fee is not changed, but corrected later."""
    yield from _status_changed(state, bill, event, lines=event.lines)
    if bill.fee is not None:
        yield from _reverse(
            state, [LinePosition(bill.booking, 1, bill.fee)], ReversalReason.REINSTATED, line_numbers(state)
        )


def _checked_out(state: LedgerState, bill: Bill, event: events.GuestCheckedOut) -> Events:
    """Charges the nights slept that no audit has posted yet, and reverses those after an early departure."""
    numbers = line_numbers(state)
    yield from _stay_changed(state, bill, event)
    until = event.lines[-1].night + timedelta(days=1) if event.lines else event.departure
    yield from _nights(state, bill, until, state.opened().business_date, numbers)
    yield from _reverse(state, _nights_charged(bill, until), ReversalReason.EARLY_DEPARTURE, numbers)


def _check_out_undone(state: LedgerState, bill: Bill, event: events.CheckOutUndone) -> Events:
    """Reverses the nights that the check-out charged before they were over."""
    yield from _stay_changed(state, bill, event)
    posted = _nights_charged(bill, state.opened().business_date)
    yield from _reverse(state, posted, ReversalReason.CHECK_OUT_UNDONE, line_numbers(state))


def _stay_changed(state: LedgerState, bill: Bill, event: StayChange) -> Events:
    yield from _status_changed(
        state, bill, event, departure=event.departure, lines=event.lines, rooms=event.rooms or bill.stay.rooms
    )


def _rolled(state: LedgerState, _: None, event: events.BusinessDateRolled) -> Events:
    """Charges the night of each guest in house when its day closes."""
    numbers = line_numbers(state)
    for booking in sorted(state.in_house):
        bill = state.bills[booking]
        yield from _nights(state, bill, min(bill.stay.departure, event.opened), event.closed, numbers)
    yield billing_events.LedgerDayOpened(event.opened)


def _timeline_begun(state: LedgerState, _: None, event: events.TimelineBegun) -> Events:
    """Cancels the bills of lost bookings, and reverses their charges. Payments stay as they are: they have happened."""
    numbers = line_numbers(state)
    lost = tuple(booking for booking in event.lost_bookings if booking in state.bills)
    for booking in lost:
        bill = state.bills[booking]
        yield FolioTermsChanged(booking, msgspec.structs.replace(bill.stay, status=BookingStatus.CANCELLED))
        charged = [
            LinePosition(booking, folio.number, line.id)
            for folio in bill.folios
            for line in folio.lines
            if line.kind in CHARGED and line.moved_from is None
        ]
        yield from _reverse(state, charged, ReversalReason.BOOKING_LOST, numbers)
    if lost:
        yield billing_events.LedgerBookingsLost(lost)


def _nights(state: LedgerState, bill: Bill, until: date, today: date, numbers: Iterator[int]) -> Events:
    """Charges the nights before `until` that are not posted yet, each on its own date, or on the business date where
    its day is closed already."""
    posted_until = bill.posted_until or bill.stay.arrival
    for price in bill.stay.lines:
        if posted_until <= price.night < until:
            line = night_line(next(numbers), max(price.night, today), price, _room_of(bill.stay, price.night))
            yield ChargePosted(bill.booking, 1, line)


def _nights_charged(bill: Bill, first: date) -> list[LinePosition]:
    """Where the nights from `first` on were charged, also those that were moved or reversed since."""
    return [
        LinePosition(bill.booking, 1, line.id)
        for line in bill.folios[0].lines
        if line.night is not None and line.night >= first and line.kind is LineKind.CHARGE and line.moved_from is None
    ]


def _room_of(stay: StayTerms, night: date) -> str:
    """The room of a night: that of the first one for a day use, which has none; empty where no room is known."""
    rooms = [segment.room for segment in stay.rooms if segment.first <= night < segment.until] or [
        segment.room for segment in stay.rooms
    ]
    return (rooms[0] if rooms else None) or ""


def _reverse(state: LedgerState, charged: list[LinePosition], reason: ReversalReason, numbers: Iterator[int]) -> Events:
    today = state.opened().business_date
    for first in charged:
        for place, line in current_lines(state, first):
            left = left_of(state.folio(place.booking, place.folio), line)
            yield ChargeReversed(place.booking, place.folio, reversal(next(numbers), today, left, reason))


BILLING_RULES = EventTable[Callable[[LedgerState, Any, Any], Events]](
    "billing",
    handles={
        events.HotelOpened: _opened,
        events.HotelChanged: _hotel_changed,
        events.TermsOfSaleChanged: _terms_of_sale_changed,
        events.BookingHeld: _terms,
        events.BookingConfirmed: _terms,
        events.BookingModified: _terms,
        events.HoldExpired: _status_changed,
        events.HoldReleased: _status_changed,
        events.BookingCancelled: _not_arriving,
        events.BookingReinstated: _reinstated,
        events.GuestCheckedIn: _checked_in,
        events.CheckInUndone: _check_in_undone,
        events.RoomMoved: _room_moved,
        events.GuestCheckedOut: _checked_out,
        events.CheckOutUndone: _check_out_undone,
        events.GuestOverstayed: _stay_changed,
        events.GuestNoShow: _not_arriving,
        events.GuestChanged: _guest_changed,
        events.GuestForgotten: _guest_forgotten,
        events.BusinessDateRolled: _rolled,
        events.TimelineBegun: _timeline_begun,
    },
    ignores=(
        events.WaitlistChanged,
        room_events.RoomTypeChanged, room_events.RoomTypeRetired, room_events.RoomRetired, room_events.RoomClosed,
        room_events.RoomClosureChanged, room_events.RoomReopened, room_events.RoomConditionChanged,
        events.RoomUnassigned, events.RoomAssigned,
        events.RoomTypeAdded, events.RoomAdded, events.HoldExtended, events.BookingPinned,
        events.BookingUnpinned, events.ReminderChanged, events.WaitlistJoined, events.WaitlistLeft,
        events.GuestAddressRefused, events.GuestAddressAccepted,
    ),
    not_followed=(BILLING, DELIVERY),
)  # fmt: skip
"""What billing does with the events of reservations. It subscribes to those that it handles."""
