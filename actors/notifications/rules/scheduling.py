"""Makes the notices about a booking: those that are sent at once, and the one that is scheduled.

A booking has at most one scheduled notice: a hold the warning before it expires, a confirmed booking the reminder
before arrival. Each event of the booking withdraws it, and makes a new one with the current facts.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import PAYMENT_KINDS, Notice, NoticeKind, Recipient
from innkeeper.protocol.reservations.booking import BookingStatus
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


def notify(
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
            notices = (notice(kind, hotel, now, record.id, record.at, sequence=record.hotel_seq, **more),)
        scheduled = scheduled_notice(hotel, now, record)
        if scheduled is not None:
            notices = (*notices, scheduled)
            return NoticeDecision(hotel, msgspec.structs.replace(now, waiting=scheduled.id), notices, _replaced(was))
    if now.waiting:
        now = msgspec.structs.replace(now, waiting="")
    return NoticeDecision(hotel, now, notices, _replaced(was))


def _replaced(was: KnownBooking | None) -> tuple[str, ...]:
    return () if was is None or not was.waiting else (was.waiting,)


def scheduled_notice(hotel: KnownHotel, booking: KnownBooking, record: RecordedEvent) -> Notice | None:
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
    if booking.status is BookingStatus.HELD and kind not in PAYMENT_KINDS:
        expires_at = useful_until = booking.expires_at
    else:
        free_until = booking.free_until
        if kind is NoticeKind.REMINDER:
            useful_until = _instant_of(stay.arrival, -1, "00:00", hotel.facts.timezone)
    fields: dict[str, Any] = {
        "useful_until": useful_until, "expires_at": expires_at, "recipient": Recipient(stay.guest, booking.email),
        "language": booking.language or hotel.terms.language, "paid": booking.paid,
    } | more  # fmt: skip
    return Notice(
        id=f"{event}:{kind.value}",
        kind=kind,
        hotel=hotel.facts,
        booking=booking.id,
        locator=booking.locator,
        guest=booking.guest,
        stay=stay,
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
