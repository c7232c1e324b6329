"""Makes the notices about a booking: those that are sent at once, and the one that is scheduled.

A booking has at most one scheduled notice: a hold the warning before it expires, a confirmed booking the reminder
before arrival. Each event of the booking withdraws it, and makes a new one with the current facts. Besides, a notice
about changes waits for further ones.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking, PendingChange
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import PAYMENT_KINDS, Notice, NoticeKind, Recipient
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.transitions import NOT_ENDED
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
    """Sends a notice of this kind at once (`more` are its further fields), and replaces the scheduled notice. It says
    all of the booking, so that it also replaces the one about changes that still waits. Without a kind that one goes
    on waiting, with the current facts."""
    pending = None if was is None else _open_change(was, record.at)
    if kind is None and pending is not None and now.status in NOT_ENDED:
        return _decide(hotel, was, now, record, (NoticeKind.CHANGE, {"before": pending.before}), pending.due_at)
    return _decide(hotel, was, now, record, None if kind is None else (kind, more), 0)


def notify_of_change(hotel: KnownHotel, was: KnownBooking, now: KnownBooking, record: RecordedEvent) -> NoticeDecision:
    """Sends a notice about the change of a stay when it has waited for further changes, counted from the first one;
    none where the stay ends as it began. It is sent sooner where the hold would be over, or the reminder come first."""
    pending = _open_change(was, record.at)
    before = was.stay if pending is None else pending.before
    if now.stay == before:
        kind = None if now.email == was.email else NOTICE_OF_STATUS.get(now.status)
        return _decide(hotel, was, now, record, None if kind is None else (kind, {}), 0)
    delay = hotel.terms.change_delay_seconds * 1_000_000
    due_at = pending.due_at if pending is not None else record.at + delay
    if not delay or (now.status is BookingStatus.HELD and now.expires_at <= due_at):
        due_at = 0
    return _decide(hotel, was, now, record, (NoticeKind.CHANGE, {"before": before}), due_at)


def sent_now(
    hotel: KnownHotel, was: KnownBooking, now: KnownBooking, record: RecordedEvent
) -> tuple[KnownBooking, tuple[Notice, ...], tuple[str, ...]]:
    """The booking without a notice about changes that waits; that notice, to be sent at once in front of another one;
    and the id of the one that is withdrawn for it."""
    pending = _open_change(was, record.at)
    if pending is None or now.email is None:
        return now, (), ()
    more = {"sequence": pending.sequence, "before": pending.before}
    sent = notice(NoticeKind.CHANGE, hotel, now, record.id, record.at, **more)
    return msgspec.structs.replace(now, pending=None), (sent,), (pending.notice,)


NOTICE_OF_STATUS: dict[BookingStatus | None, NoticeKind] = {
    BookingStatus.HELD: NoticeKind.HOLD,
    BookingStatus.CONFIRMED: NoticeKind.CONFIRMATION,
}
"""The notice that says all of a booking in this status."""


def _open_change(booking: KnownBooking, at: int) -> PendingChange | None:
    """The notice about changes that is not due yet."""
    return booking.pending if booking.pending is not None and at < booking.pending.due_at else None


def _decide(
    hotel: KnownHotel,
    was: KnownBooking | None,
    now: KnownBooking,
    record: RecordedEvent,
    wanted: tuple[NoticeKind, dict[str, Any]] | None,
    due_at: int,
) -> NoticeDecision:
    """Sends a notice of this kind, with these fields, when it is due: 0 is at once."""
    withdrawn: tuple[str, ...] = ()
    if was is not None:
        replaced = _open_change(was, record.at)
        withdrawn = (*((was.waiting,) if was.waiting else ()), *((replaced.notice,) if replaced is not None else ()))
    notices: tuple[Notice, ...] = ()
    waiting, pending = "", None
    if now.email is not None:
        scheduled = scheduled_notice(hotel, now, record)
        reminds_now = scheduled is None and _asks_for_today(hotel, was, now, record.at)
        if wanted is not None:
            kind, more = wanted
            due_at = 0 if reminds_now else due_at
            if due_at:
                due_at = due_at if scheduled is None else min(due_at, scheduled.due_at)
                more |= {"due_at": due_at}
            notices = (notice(kind, hotel, now, record.id, due_at or record.at, sequence=record.hotel_seq, **more),)
            if due_at:
                pending = PendingChange(notices[0].id, notices[0].before or now.stay, due_at, record.hotel_seq)
        if scheduled is not None:
            notices = (*notices, scheduled)
            waiting = scheduled.id
        elif reminds_now:
            notices = (*notices, notice(NoticeKind.REMINDER, hotel, now, record.id, record.at))
    if now.waiting != waiting or now.pending is not pending:
        now = msgspec.structs.replace(now, waiting=waiting, pending=pending)
    return NoticeDecision(hotel, now, notices, withdrawn)


def scheduled_notice(hotel: KnownHotel, booking: KnownBooking, record: RecordedEvent) -> Notice | None:
    """The notice to schedule; None where its time has passed, or where the status has none."""
    if booking.status is BookingStatus.CONFIRMED:
        kind, due_at = NoticeKind.REMINDER, reminder_due_at(hotel, booking.stay.arrival, booking.reminder_on)
    elif booking.status is BookingStatus.HELD:
        kind, due_at = NoticeKind.HOLD_EXPIRING, warning_due_at(booking.held_at, booking.expires_at)
    else:
        return None
    return notice(kind, hotel, booking, record.id, due_at, due_at=due_at) if due_at > record.at else None


def _asks_for_today(hotel: KnownHotel, was: KnownBooking | None, now: KnownBooking, at: int) -> bool:
    """Whether a reminder is asked for on the day that it is now, after the hour of reminders: it is sent at once."""
    if now.reminder_on is None or now.status is not BookingStatus.CONFIRMED:
        return False
    if was is not None and (was.status, was.reminder_on) == (now.status, now.reminder_on):
        return False
    return at < _instant_of(now.reminder_on, -1, "00:00", hotel.facts.timezone)


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
