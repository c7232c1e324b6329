"""What notifications keeps of hotels and bookings, and which notices follow from an event.

A guest gets one notice of each event that matters to guests: none of reshuffled rooms, notes or pins. Besides notices
that are sent at once, a booking has at most one that is scheduled: a hold the warning before it expires, a confirmed
booking the reminder before arrival. Each event of the booking withdraws the scheduled notice, and makes a new one with
the current facts.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel, changed_hotel, named_type, opened_hotel
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.events import PaymentRecorded
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient, StayFacts
from innkeeper.protocol.notifications.unsent import RefusedAddress
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.transitions import status_after
from innkeeper.protocol.values.contexts import DELIVERY
from innkeeper.protocol.values.instants import microseconds
from innkeeper.protocol.values.limits import notice_useful_seconds_max

_MINUTE = 60 * 1_000_000
_WARNED_HOLD_MIN = 120 * _MINUTE  # a shorter one expires before most guests read their mail again
_WARNING_MIN = 30 * _MINUTE


class NoticeDecision(NamedTuple):
    """What follows from an event. A hotel or a booking that is None is still unknown: nothing is to be kept.
    `withdrawn` are the ids of notices that must not be sent, unless they have been sent already. Of a guest who is
    `forgotten`, nothing is kept, and no notice is sent any more. Where `marks_guest`, all bookings of the guest at the
    same address are marked as this one is."""

    hotel: KnownHotel | None
    booking: KnownBooking | None
    notices: tuple[Notice, ...] = ()
    withdrawn: tuple[str, ...] = ()
    forgotten: str | None = None
    marks_guest: bool = False


class UnknownGuest(Exception):
    """A payment is for a booking whose guest is not known."""


def handle(hotel: KnownHotel | None, booking: KnownBooking | None, record: RecordedEvent) -> NoticeDecision:
    """What notifications keeps after an event, and the notices that follow. `booking` is the one that the event is
    about; None is one that is not known yet. Raises `UnknownGuest` for a payment of such a booking, because its receipt
    must not be lost."""
    event = record.event
    rule = NOTICE_RULES[type(event)]
    if rule is None:
        return NoticeDecision(hotel, booking)
    is_unknown = hotel is None or (booking is None and not isinstance(event, events.StayEvent))
    if is_unknown and isinstance(event, events.BookingEvent) and rule is not _paid:
        return NoticeDecision(hotel, booking)  # the first events of the hotel or booking were dropped
    return rule(hotel, booking, record, event)


def _opened(_: KnownHotel | None, __: None, record: RecordedEvent, event: events.HotelOpened) -> NoticeDecision:
    return NoticeDecision(opened_hotel(record.hotel, event), None)


def _hotel_changed(hotel: KnownHotel | None, _: None, __: RecordedEvent, event: events.HotelChanged) -> NoticeDecision:
    return NoticeDecision(hotel and changed_hotel(hotel, event), None)


def _type_named(
    hotel: KnownHotel | None, _: None, __: RecordedEvent, event: events.RoomTypeAdded | room_events.RoomTypeChanged
) -> NoticeDecision:
    return NoticeDecision(hotel and named_type(hotel, event), None)


def _held(
    hotel: KnownHotel, was: KnownBooking | None, record: RecordedEvent, event: events.BookingHeld
) -> NoticeDecision:
    now = _known(hotel, was, event, record.at, event.expires_at)
    return _notify(hotel, was, now, record, NoticeKind.WAITLIST_OFFER if event.from_waitlist else NoticeKind.HOLD)


def _confirmed(
    hotel: KnownHotel, was: KnownBooking | None, record: RecordedEvent, event: events.BookingConfirmed
) -> NoticeDecision:
    return _notify(hotel, was, _known(hotel, was, event), record, NoticeKind.CONFIRMATION)


def _modified(
    hotel: KnownHotel, was: KnownBooking | None, record: RecordedEvent, event: events.BookingModified
) -> NoticeDecision:
    """When only the address changed, sends the notice of the booking's status again, to the new address."""
    if was is None:
        return _notify(hotel, None, _known(hotel, None, event), record)
    now = _known(hotel, was, event, was.held_at, was.expires_at)
    if now.stay != was.stay:
        return _notify(hotel, was, now, record, NoticeKind.CHANGE, before=was.stay)
    if now.email == was.email:
        return NoticeDecision(hotel, was)
    return _notify(hotel, was, now, record, _NOTICE_OF_STATUS.get(now.status))


_NOTICE_OF_STATUS = {BookingStatus.HELD: NoticeKind.HOLD, BookingStatus.CONFIRMED: NoticeKind.CONFIRMATION}


def _guest_changed(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.GuestChanged
) -> NoticeDecision:
    """What is sent from now on goes to the new address; nothing is sent again."""
    details = event.guest.details
    if details is None or (details.name, details.email) == (was.stay.guest, was.email):
        return NoticeDecision(hotel, was)
    stay = msgspec.structs.replace(was.stay, guest=details.name)
    refused = was.refused if details.email == was.email else None
    return _notify(hotel, was, msgspec.structs.replace(was, stay=stay, email=details.email, refused=refused), record)


def _address_refused(
    hotel: KnownHotel | None, was: KnownBooking | None, record: RecordedEvent, event: events.GuestAddressRefused
) -> NoticeDecision:
    """The hotel gets a letter, where it has an address, when the guest's address refuses the first one."""
    if hotel is None or was is None or was.email is None or was.refused is not None:
        return NoticeDecision(hotel, was)
    now = msgspec.structs.replace(was, refused=RefusedAddress(record.at, event.letter, event.reply))
    notices: tuple[Notice, ...] = ()
    if hotel.terms.email is not None:
        to = Recipient(hotel.facts.name, hotel.terms.email)
        kind = NoticeKind.ADDRESS_REFUSED
        notices = (notice(kind, hotel, now, record.id, record.at, recipient=to, reason=event.reply),)
    return NoticeDecision(hotel, now, notices, marks_guest=True)


def _address_accepted(
    hotel: KnownHotel | None, was: KnownBooking | None, _: RecordedEvent, __: events.GuestAddressAccepted
) -> NoticeDecision:
    if was is None or was.refused is None:
        return NoticeDecision(hotel, was)
    return NoticeDecision(hotel, msgspec.structs.replace(was, refused=None), marks_guest=True)


def _guest_forgotten(
    hotel: KnownHotel | None, _: None, __: RecordedEvent, event: events.GuestForgotten
) -> NoticeDecision:
    return NoticeDecision(hotel, None, forgotten=event.guest)


def _extended(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.HoldExtended
) -> NoticeDecision:
    now = msgspec.structs.replace(
        was, status=status_after(was.status, type(event)), held_at=record.at, expires_at=event.expires_at
    )  # fmt: skip
    return _notify(hotel, was, now, record)


def _reminder_changed(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.ReminderChanged
) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)), reminder_on=event.reminder_on)
    return _notify(hotel, was, now, record)


def _cancelled(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.BookingCancelled
) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)))
    return _notify(hotel, was, now, record, NoticeKind.CANCELLATION, fee=event.fee, reason=event.reason)


def _paid(
    hotel: KnownHotel | None, was: KnownBooking | None, record: RecordedEvent, event: PaymentRecorded
) -> NoticeDecision:  # fmt: skip
    if hotel is None or was is None:
        raise UnknownGuest(f"{event.booking} of {record.hotel}")
    if was.email is None:
        return NoticeDecision(hotel, was)
    receipt = notice(NoticeKind.RECEIPT, hotel, was, record.id, record.at, amount=-event.line.amount)
    return NoticeDecision(hotel, was, (receipt,))


_StayEnd = events.GuestCheckedOut | events.CheckOutUndone | events.GuestOverstayed


def _stay_ended(hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: _StayEnd) -> NoticeDecision:
    prices = tuple(line.total for line in event.lines)
    stay = msgspec.structs.replace(was.stay, departure=event.departure, prices=prices)
    return _notify(
        hotel, was, msgspec.structs.replace(was, status=status_after(was.status, type(event)), stay=stay), record
    )


def _status_changed(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.BookingEvent
) -> NoticeDecision:
    return _notify(hotel, was, msgspec.structs.replace(was, status=status_after(was.status, type(event))), record)


def _reinstated(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.BookingReinstated
) -> NoticeDecision:
    stay = msgspec.structs.replace(was.stay, prices=tuple(line.total for line in event.lines))
    now = msgspec.structs.replace(
        was, status=status_after(was.status, type(event)), stay=stay, late_fee=event.late_fee,
        no_show_fee=event.no_show_fee
    )  # fmt: skip
    return _notify(hotel, was, now, record, NoticeKind.CONFIRMATION)


NOTICE_RULES = EventTable[Callable[[Any, Any, RecordedEvent, Any], NoticeDecision]](
    "notifications",
    handles={
        events.HotelOpened: _opened,
        events.HotelChanged: _hotel_changed,
        events.RoomTypeAdded: _type_named,
        room_events.RoomTypeChanged: _type_named,
        events.BookingHeld: _held,
        events.BookingConfirmed: _confirmed,
        events.BookingModified: _modified,
        events.HoldExtended: _extended,
        events.HoldExpired: _status_changed,
        events.HoldReleased: _status_changed,
        events.BookingCancelled: _cancelled,
        events.BookingReinstated: _reinstated,
        events.GuestCheckedIn: _status_changed,
        events.CheckInUndone: _status_changed,
        events.GuestCheckedOut: _stay_ended,
        events.CheckOutUndone: _stay_ended,
        events.GuestOverstayed: _stay_ended,
        events.GuestNoShow: _status_changed,
        events.GuestChanged: _guest_changed,
        events.GuestForgotten: _guest_forgotten,
        events.GuestAddressRefused: _address_refused,
        events.GuestAddressAccepted: _address_accepted,
        events.ReminderChanged: _reminder_changed,
        PaymentRecorded: _paid,
    },
    ignores=(
        events.WaitlistChanged, events.RoomUnassigned, events.RoomAssigned,
        room_events.RoomTypeRetired, room_events.RoomRetired, room_events.RoomClosed, room_events.RoomClosureChanged,
        room_events.RoomReopened, room_events.RoomConditionChanged,
        events.TermsOfSaleChanged, events.RoomAdded, events.RoomMoved, events.BookingPinned, events.BookingUnpinned,
        events.WaitlistJoined, events.WaitlistLeft, events.BusinessDateRolled, events.TimelineBegun,
        billing_events.LedgerTimelineBegun, billing_events.LedgerBookingsLost, billing_events.LedgerOpened,
        billing_events.LedgerDayOpened, billing_events.LedgerTermsOfSaleChanged, billing_events.LedgerRenamed,
        billing_events.BillingTermsChanged, billing_events.FolioOpened,
        billing_events.FolioTermsChanged, billing_events.BuyerChanged,
        billing_events.LedgerGuestForgotten, billing_events.ChargePosted,
        billing_events.ChargeReversed, billing_events.PaymentStarted, billing_events.PaymentAuthorised,
        billing_events.PaymentActionRequired, billing_events.PaymentOperationRequested,
        billing_events.PaymentOperationRefused, billing_events.PaymentChargedBack,
        billing_events.PaymentChargebackClosed, billing_events.PaymentReturned, billing_events.PaymentNewsKept,
        billing_events.PaymentFailed, billing_events.PaymentVoided, billing_events.PaymentRefunded,
        billing_events.PaymentMoved,
        billing_events.BookingPaid, billing_events.InvoiceIssued, billing_events.DepositInvoiceIssued,
        billing_events.CreditNoteIssued,
    ),
    not_followed=(DELIVERY,),
)  # fmt: skip
"""What notifications does with the events of reservations and billing. It subscribes to those that it handles."""


def _known(
    hotel: KnownHotel, was: KnownBooking | None, event: events.StayEvent, held_at: int = 0, expires_at: int = 0
) -> KnownBooking:
    guest = event.guest
    email = None if guest.details is None else guest.details.email
    stay = StayFacts(
        guest=guest.name,
        room_type=next((name for code, name in hotel.room_types if code == event.room_type), event.room_type),
        arrival=event.arrival,
        departure=event.departure,
        adults=event.adults,
        prices=tuple(line.total for line in event.lines),
        children=event.children,
    )
    return KnownBooking(
        id=event.booking,
        locator=event.locator,
        stay=stay,
        status=status_after(None if was is None else was.status, type(event)),
        guest=guest.id,
        email=email,
        refused=was.refused if was is not None and was.email == email else None,
        free_until=event.free_until,
        late_fee=event.late_fee,
        no_show_fee=event.no_show_fee,
        held_at=held_at,
        expires_at=expires_at,
        reminder_on=event.reminder_on,
    )


def forgotten(booking: KnownBooking) -> KnownBooking:
    """What is kept of a booking of a guest who is forgotten."""
    stay = msgspec.structs.replace(booking.stay, guest="")
    return msgspec.structs.replace(booking, stay=stay, email=None, refused=None, waiting="")


def _notify(
    hotel: KnownHotel,
    was: KnownBooking | None,
    now: KnownBooking,
    record: RecordedEvent,
    kind: NoticeKind | None = None,
    **more: Any,
) -> NoticeDecision:
    """Sends a notice of this kind at once (`more` are its further fields), and replaces the scheduled notice."""
    notices: tuple[Notice, ...] = ()
    if now.email is not None:
        if kind is not None:
            notices = (notice(kind, hotel, now, record.id, record.at, **more),)
        scheduled = _scheduled(hotel, now, record)
        if scheduled is not None:
            notices = (*notices, scheduled)
            return NoticeDecision(hotel, msgspec.structs.replace(now, waiting=scheduled.id), notices, _replaced(was))
    if now.waiting:
        now = msgspec.structs.replace(now, waiting="")
    return NoticeDecision(hotel, now, notices, _replaced(was))


def _replaced(was: KnownBooking | None) -> tuple[str, ...]:
    return () if was is None or not was.waiting else (was.waiting,)


def _scheduled(hotel: KnownHotel, booking: KnownBooking, record: RecordedEvent) -> Notice | None:
    """The notice to schedule; None where its time has passed, or where the status has none."""
    if booking.status is BookingStatus.CONFIRMED:
        kind, due_at = NoticeKind.REMINDER, reminder_due_at(hotel, booking.stay.arrival, booking.reminder_on)
    elif booking.status is BookingStatus.HELD:
        kind, due_at = NoticeKind.HOLD_EXPIRING, warning_due_at(booking.held_at, booking.expires_at)
    else:
        return None
    return notice(kind, hotel, booking, record.id, due_at, due_at=due_at) if due_at > record.at else None


def reminder_due_at(hotel: KnownHotel, arrival: date, reminder_on: date | None = None) -> int:
    """When to remind the guest (microseconds since 1970 UTC): on the booking's own day, or so many days before arrival,
    at the hotel's local time of day, also across a change of clocks."""
    day, days_before = (arrival, hotel.terms.reminder_days) if reminder_on is None else (reminder_on, 0)
    return _instant_of(day, days_before, hotel.terms.reminder_at, hotel.facts.timezone)


def warning_due_at(held_at: int, expires_at: int) -> int:
    """When to warn that a hold expires: a tenth of its duration before the end, and at least half an hour. 0, which is
    never, for a hold of less than two hours: the notice of the hold itself has just said when it ends."""
    held = expires_at - held_at
    return expires_at - max(held // 10, _WARNING_MIN) if held >= _WARNED_HOLD_MIN else 0


def notice(kind: NoticeKind, hotel: KnownHotel, booking: KnownBooking, event: str, read_at: int, **more: Any) -> Notice:
    """A notice about a booking that follows from the event with this id. It is read no sooner than `read_at`
    (microseconds since 1970 UTC), so free cancellation that ends before is left out. `more` are further fields."""
    assert booking.email is not None
    stay, expires_at = booking.stay, 0
    free_until, useful_until = 0, read_at + notice_useful_seconds_max * 1_000_000
    if booking.status is BookingStatus.HELD and kind is not NoticeKind.RECEIPT:
        expires_at = useful_until = booking.expires_at
    else:
        free_until = booking.free_until
        if kind is NoticeKind.REMINDER:
            useful_until = _instant_of(stay.arrival, -1, "00:00", hotel.facts.timezone)
    fields: dict[str, Any] = {
        "useful_until": useful_until, "expires_at": expires_at, "recipient": Recipient(stay.guest, booking.email),
    } | more  # fmt: skip
    return Notice(
        id=f"{event}:{kind.value}",
        kind=kind,
        hotel=hotel.facts,
        booking=booking.id,
        locator=booking.locator,
        guest=booking.guest,
        stay=stay,
        language=hotel.terms.language,
        free_until=free_until if free_until >= read_at else 0,
        late_fee=booking.late_fee,
        no_show_fee=booking.no_show_fee,
        **fields,
    )


@lru_cache(maxsize=10_000)
def _instant_of(day: date, days_before: int, clock_time: str, timezone: str) -> int:
    """A local time so many days before a day. Of a time that the change of clocks repeats, the first is taken."""
    local = datetime.combine(day - timedelta(days=days_before), time.fromisoformat(clock_time), ZoneInfo(timezone))
    return microseconds(local.astimezone(UTC))
