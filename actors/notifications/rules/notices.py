"""What notifications keeps of hotels and bookings, and which notices follow from an event.

A guest gets one notice of each event that matters to guests, the end of every promise among them: none of reshuffled
rooms, notes or pins.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import (
    KnownHotel,
    billing_on,
    changed_hotel,
    named_type,
    on_next_day,
    opened_hotel,
    selling_on,
    with_ledger,
    with_renamed_ledger,
)
from innkeeper.actors.notifications.rules.scheduling import (
    NOTICE_OF_STATUS,
    NoticeDecision,
    notice,
    notify,
    notify_of_change,
    sent_now,
)
from innkeeper.actors.notifications.rules.stays import stay_facts, with_price
from innkeeper.actors.notifications.rules.waitlist import left, waits
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.events import (
    BillingTermsChanged,
    LedgerOpened,
    LedgerRenamed,
    PaymentChargebackClosed,
    PaymentChargedBack,
    PaymentMoved,
    PaymentRecorded,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentReturned,
)
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient
from innkeeper.protocol.notifications.unsent import RefusedAddress
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.transitions import status_after
from innkeeper.protocol.values.contexts import DELIVERY

_OF_A_BOOKING = (events.BookingEvent, events.WaitlistJoined, events.WaitlistChanged, events.WaitlistLeft)
_WITH_ALL_TERMS = (events.StayEvent, events.WaitlistJoined, events.WaitlistChanged)


def of_each_booking(record: RecordedEvent) -> tuple[RecordedEvent, ...]:
    """The event; of a payment that was moved, also as the booking sees it to which it was moved."""
    event = record.event
    if not isinstance(event, PaymentMoved):
        return (record,)
    arrived = msgspec.structs.replace(event, booking=event.to.booking, line=event.moved)
    return record, msgspec.structs.replace(record, event=arrived)


class UnknownGuest(Exception):
    """A payment is for a booking whose guest is not known."""


def handle(hotel: KnownHotel | None, booking: KnownBooking | None, record: RecordedEvent) -> NoticeDecision:
    """What notifications keeps after an event, and the notices that follow. `booking` is the one that the event is
    about, or the entry of the waitlist; None is one that is not known yet. Raises `UnknownGuest` for a payment of such
    a booking, because its receipt must not be lost."""
    event = record.event
    rule = NOTICE_RULES[type(event)]
    if rule is None:
        return NoticeDecision(hotel, booking)
    is_unknown = hotel is None or (booking is None and not isinstance(event, _WITH_ALL_TERMS))
    if is_unknown and isinstance(event, _OF_A_BOOKING) and rule not in (_paid, _refunded, _refund_failed):
        return NoticeDecision(hotel, booking)  # the first events of the hotel or booking were dropped
    return rule(hotel, booking, record, event)


def _opened(_: KnownHotel | None, __: None, record: RecordedEvent, event: events.HotelOpened) -> NoticeDecision:
    return NoticeDecision(opened_hotel(record.hotel, event), None)


def _of_hotel(change: Callable[[KnownHotel, Any], KnownHotel]) -> Callable[..., NoticeDecision]:
    """The rule of an event that changes what is known of a hotel."""
    return lambda hotel, _, __, event: NoticeDecision(hotel and change(hotel, event), None)


def _held(
    hotel: KnownHotel, was: KnownBooking | None, record: RecordedEvent, event: events.BookingHeld
) -> NoticeDecision:
    now = _known(hotel, was, event, record.at, event.expires_at, event.from_waitlist)
    return notify(hotel, was, now, record, NoticeKind.WAITLIST_OFFER if event.from_waitlist else NoticeKind.HOLD)


def _confirmed(
    hotel: KnownHotel, was: KnownBooking | None, record: RecordedEvent, event: events.BookingConfirmed
) -> NoticeDecision:
    return notify(hotel, was, _known(hotel, was, event), record, NoticeKind.CONFIRMATION)


def _modified(
    hotel: KnownHotel, was: KnownBooking | None, record: RecordedEvent, event: events.BookingModified
) -> NoticeDecision:
    """When only the address changed, sends the notice of the booking's status again, to the new address."""
    if was is None:
        return notify(hotel, None, _known(hotel, None, event), record)
    now = _known(hotel, was, event, was.held_at, was.expires_at, was.from_waitlist)
    if now.stay != was.stay:
        return notify_of_change(hotel, was, now, record)
    if now.email == was.email:
        return NoticeDecision(hotel, was) if now.language == was.language else notify(hotel, was, now, record)
    return notify(hotel, was, now, record, NOTICE_OF_STATUS.get(now.status))


def _guest_changed(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.GuestChanged
) -> NoticeDecision:
    """What is sent from now on goes to the new address; nothing is sent again."""
    details = event.guest.details
    if details is None:
        return NoticeDecision(hotel, was)
    language = details.language or ""
    if (details.name, details.email, language) == (was.stay.guest, was.email, was.language):
        return NoticeDecision(hotel, was)
    stay = msgspec.structs.replace(was.stay, guest=details.name)
    refused = was.refused if details.email == was.email else None
    now = msgspec.structs.replace(was, stay=stay, email=details.email, language=language, refused=refused)
    return notify(hotel, was, now, record)


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
        more = {"recipient": to, "reason": event.reply, "language": hotel.terms.language}
        notices = (notice(kind, hotel, now, record.id, record.at, **more),)
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
    return notify(hotel, was, now, record)


def _reminder_changed(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.ReminderChanged
) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)), reminder_on=event.reminder_on)
    return notify(hotel, was, now, record)


def _cancelled(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.BookingCancelled
) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)))
    return notify(hotel, was, now, record, NoticeKind.CANCELLATION, fee=event.fee, reason=event.reason_code.value)


def _released(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.HoldReleased
) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)))
    return notify(hotel, was, now, record, NoticeKind.HOLD_RELEASED, reason=event.reason_code.value)


def _expired(hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.HoldExpired) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)))
    kind = NoticeKind.WAITLIST_OFFER_EXPIRED if was.from_waitlist else NoticeKind.HOLD_EXPIRED
    return notify(hotel, was, now, record, kind)


def _no_show(hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.GuestNoShow) -> NoticeDecision:
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)))
    return notify(hotel, was, now, record, NoticeKind.NO_SHOW, fee=event.fee)


def _paid(
    hotel: KnownHotel | None, was: KnownBooking | None, record: RecordedEvent, event: PaymentRecorded
) -> NoticeDecision:
    return _money_moved(hotel, was, record, event.line.amount, NoticeKind.RECEIPT)


def _refunded(
    hotel: KnownHotel | None, was: KnownBooking | None, record: RecordedEvent, event: PaymentRefunded
) -> NoticeDecision:
    return _money_moved(hotel, was, record, event.line.amount, NoticeKind.REFUND)


def _refund_failed(
    hotel: KnownHotel | None, was: KnownBooking | None, record: RecordedEvent, event: PaymentRefundFailed
) -> NoticeDecision:
    """The guest has a letter about the refund only where it had counted."""
    if event.line is None:
        return NoticeDecision(hotel, was)
    return _money_moved(hotel, was, record, event.line.amount, NoticeKind.REFUND_FAILED)


def _money_moved(
    hotel: KnownHotel | None,
    was: KnownBooking | None,
    record: RecordedEvent,
    raised: int,
    kind: NoticeKind,
) -> NoticeDecision:
    if hotel is None or was is None:
        raise UnknownGuest(f"{record.id} of {record.hotel}")
    now = msgspec.structs.replace(was, paid=was.paid - raised)
    if now.email is None:
        return NoticeDecision(hotel, now)
    now, earlier, withdrawn = sent_now(hotel, was, now, record)
    return NoticeDecision(
        hotel, now, (*earlier, notice(kind, hotel, now, record.id, record.at, amount=abs(raised))), withdrawn
    )


def _payment_taken(
    hotel: KnownHotel | None,
    was: KnownBooking | None,
    _: RecordedEvent,
    event: PaymentChargedBack | PaymentChargebackClosed | PaymentReturned | PaymentMoved,
) -> NoticeDecision:
    """A payment was taken back, given back, or moved to or from another booking: later letters count what is paid."""
    if was is None or event.line is None:
        return NoticeDecision(hotel, was)
    return NoticeDecision(hotel, msgspec.structs.replace(was, paid=was.paid - event.line.amount))


_StayEnd = events.GuestCheckedOut | events.CheckOutUndone | events.GuestOverstayed


def _stay_ended(hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: _StayEnd) -> NoticeDecision:
    stay = msgspec.structs.replace(was.stay, departure=event.departure)
    now = msgspec.structs.replace(was, status=status_after(was.status, type(event)), stay=stay)
    return notify(hotel, was, with_price(hotel, now, event.lines), record)


def _status_changed(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.BookingEvent
) -> NoticeDecision:
    return notify(hotel, was, msgspec.structs.replace(was, status=status_after(was.status, type(event))), record)


def _reinstated(
    hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.BookingReinstated
) -> NoticeDecision:
    now = msgspec.structs.replace(
        was, status=status_after(was.status, type(event)), late_fee=event.late_fee, no_show_fee=event.no_show_fee
    )
    return notify(hotel, was, with_price(hotel, now, event.lines), record, NoticeKind.CONFIRMATION)


NOTICE_RULES = EventTable[Callable[[Any, Any, RecordedEvent, Any], NoticeDecision]](
    "notifications",
    handles={
        events.HotelOpened: _opened,
        events.HotelChanged: _of_hotel(changed_hotel),
        events.TermsOfSaleChanged: _of_hotel(lambda hotel, event: selling_on(hotel, event.terms)),
        events.BusinessDateRolled: _of_hotel(on_next_day),
        events.RoomTypeAdded: _of_hotel(named_type),
        room_events.RoomTypeChanged: _of_hotel(named_type),
        events.BookingHeld: _held,
        events.BookingConfirmed: _confirmed,
        events.BookingModified: _modified,
        events.HoldExtended: _extended,
        events.HoldExpired: _expired,
        events.HoldReleased: _released,
        events.BookingCancelled: _cancelled,
        events.BookingReinstated: _reinstated,
        events.GuestCheckedIn: _status_changed,
        events.CheckInUndone: _status_changed,
        events.GuestCheckedOut: _stay_ended,
        events.CheckOutUndone: _stay_ended,
        events.GuestOverstayed: _stay_ended,
        events.GuestNoShow: _no_show,
        events.GuestChanged: _guest_changed,
        events.GuestForgotten: _guest_forgotten,
        events.GuestAddressRefused: _address_refused,
        events.GuestAddressAccepted: _address_accepted,
        events.ReminderChanged: _reminder_changed,
        events.WaitlistJoined: waits,
        events.WaitlistChanged: waits,
        events.WaitlistLeft: left,
        LedgerOpened: _of_hotel(with_ledger),
        LedgerRenamed: _of_hotel(with_renamed_ledger),
        BillingTermsChanged: _of_hotel(lambda hotel, event: billing_on(hotel, event.terms)),
        PaymentRecorded: _paid,
        PaymentRefunded: _refunded,
        PaymentRefundFailed: _refund_failed,
        PaymentChargedBack: _payment_taken,
        PaymentChargebackClosed: _payment_taken,
        PaymentReturned: _payment_taken,
        PaymentMoved: _payment_taken,
    },
    ignores=(
        events.RoomUnassigned, events.RoomAssigned,
        room_events.RoomTypeRetired, room_events.RoomRetired, room_events.RoomClosed, room_events.RoomClosureChanged,
        room_events.RoomReopened, room_events.RoomConditionChanged,
        events.RoomAdded, events.RoomMoved, events.BookingPinned, events.BookingUnpinned,
        events.TimelineBegun,
        billing_events.LedgerTimelineBegun, billing_events.LedgerBookingsLost,
        billing_events.LedgerDayOpened, billing_events.LedgerTermsOfSaleChanged, billing_events.FolioOpened,
        billing_events.FolioTermsChanged, billing_events.BuyerChanged,
        billing_events.LedgerGuestForgotten, billing_events.ChargePosted,
        billing_events.ChargeReversed, billing_events.PaymentStarted, billing_events.PaymentAuthorised,
        billing_events.PaymentActionRequired, billing_events.PaymentOperationRequested,
        billing_events.PaymentOperationRefused, billing_events.PaymentNewsKept,
        billing_events.PaymentFailed, billing_events.PaymentVoided,
        billing_events.BookingPaid, billing_events.InvoiceIssued, billing_events.DepositInvoiceIssued,
        billing_events.CreditNoteIssued,
    ),
    not_followed=(DELIVERY,),
)  # fmt: skip
"""What notifications does with the events of reservations and billing. It subscribes to those that it handles."""


def _known(
    hotel: KnownHotel,
    was: KnownBooking | None,
    event: events.StayEvent,
    held_at: int = 0,
    expires_at: int = 0,
    from_waitlist: bool = False,
) -> KnownBooking:
    guest = event.guest
    email = None if guest.details is None else guest.details.email
    booked_on = hotel.business_date if was is None or was.status is None else was.booked_on
    return KnownBooking(
        id=event.booking,
        locator=event.locator,
        stay=stay_facts(hotel, event, event.lines, event.terms, booked_on),
        status=status_after(None if was is None else was.status, type(event)),
        guest=guest.id,
        email=email,
        language="" if guest.details is None else guest.details.language or "",
        refused=was.refused if was is not None and was.email == email else None,
        free_until=event.free_until,
        late_fee=event.late_fee,
        no_show_fee=event.no_show_fee,
        held_at=held_at,
        expires_at=expires_at,
        from_waitlist=from_waitlist,
        reminder_on=event.reminder_on,
        booked_on=booked_on,
        terms=event.terms,
        paid=0 if was is None else was.paid,
    )


def forgotten(booking: KnownBooking) -> KnownBooking:
    """What is kept of a booking of a guest who is forgotten."""
    stay = msgspec.structs.replace(booking.stay, guest="")
    return msgspec.structs.replace(booking, stay=stay, email=None, refused=None, waiting="", pending=None)
