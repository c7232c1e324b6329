"""The night audit, and what is due without a command: holds that expire, offers to guests on the waitlist when a room
comes free, and audits at a fixed time. Dates are closed one after the other, each once."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from innkeeper.actors.reservations.rules.business_day import (
    audit_after,
    early_at,
    local_date,
    over_at,
)
from innkeeper.actors.reservations.rules.housekeeping import is_dirty
from innkeeper.actors.reservations.rules.overstays import assignment_events, overstay_events
from innkeeper.actors.reservations.rules.pricing import no_show, turned_away
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.actors.reservations.rules.waitlist import lapse_events, offer_events
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import Refused, invalid
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.night_audit import (
    AuditedBooking,
    AuditList,
    AuditPreview,
    ClosedDate,
    NightReport,
)
from innkeeper.protocol.reservations.refusals import ClockInDoubt, DayNotOver, OverstaysOpen
from innkeeper.protocol.reservations.replies import NightAuditReply
from innkeeper.protocol.reservations.transitions import NOT_ARRIVED
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.instants import instant

_DAY = timedelta(days=1)
_LISTED: dict[type[Event], str] = {
    events.GuestNoShow: "no_shows",
    events.GuestOverstayed: "overstays",
    events.RoomUnassigned: "unassigned",
    events.HoldExpired: "holds_expired",
}
_DOUBT_MICROSECONDS = 60_000_000  # so often is looked whether the clock is right again, or the guests have left
_EVENING_MICROSECONDS = 6 * 3_600_000_000
_LATE_MICROSECONDS = 3_600_000_000


def close_events(state: HotelState, at: int, early: bool = False) -> tuple[Event, ...]:
    """Closes the business date and opens the next one. Guests who were due in become no-shows, holds for the night
    expire, guests who were due out and are still in house stay on, and waitlist entries for the date lapse."""
    today = state.opened().business_date
    to = today + _DAY
    due_in = (one for one in state.bookings.values() if one.arrival < to and one.status in NOT_ARRIVED)
    settled = [event for booking in _by_id(due_in) if (event := _settle(state, booking, to)) is not None]
    overstays = [*overstay_events(state, to, at, {event.booking for event in settled})]
    lapsed = lapse_events(state, to)
    report = _report(state, (*settled, *overstays), len(lapsed))
    return (*settled, *overstays, *lapsed, events.BusinessDateRolled(today, to, early, report))


def _by_id(bookings: Iterable[Booking]) -> list[Booking]:
    return sorted(bookings, key=lambda booking: booking.id)


def _settle(state: HotelState, booking: Booking, to: date) -> events.HoldExpired | events.GuestNoShow | None:
    if booking.status is BookingStatus.HELD and booking.arrival < to:
        return events.HoldExpired(booking.id)
    if booking.status is BookingStatus.CONFIRMED and booking.arrival < to:
        return turned_away(booking) if _has_no_room(state, booking) else no_show(booking, to)
    return None


def _has_no_room(state: HotelState, booking: Booking) -> bool:
    """Whether the hotel has no room to give tonight: another guest is in the booking's, and no other is vacant."""
    today = state.opened().business_date
    room = booking.room_on(today)
    if room is not None and state.occupants.get(room) in (None, booking.id):
        return False
    calendar = state.calendars[booking.room_type]
    tonight = today.toordinal()
    return not calendar.free_for(tonight, tonight + 1) & ~calendar.occupied


def _report(state: HotelState, settled: Iterable[Event], lapsed: int) -> NightReport:
    lists: dict[str, list[Booking]] = defaultdict(list)
    for event in settled:
        if isinstance(event, events.BookingEvent) and (name := _LISTED.get(type(event))) is not None:
            booking = state.bookings[event.booking]
            if isinstance(event, events.GuestNoShow) and event.kept_until <= booking.arrival:
                name = "unassigned"  # no night was kept: the guest was turned away
            lists[name].append(booking)
    return NightReport(waitlist_lapsed=lapsed, **{name: _list(found) for name, found in lists.items()})


def _list(bookings: list[Booking]) -> AuditList:
    first = bookings[: limits.audit_list_bookings_max]
    return AuditList(len(bookings), tuple(AuditedBooking(one.id, one.locator, one.room) for one in first))


def audit(state: HotelState, command: commands.RollBusinessDate, at: int) -> NightAuditReply | None:
    """Checks whether the audit may close the business date now: returns None, or the reply where nothing is to be
    closed. Raises `Refused`."""
    hotel = state.opened()
    today = hotel.business_date
    if command.to is not None:
        return _check_to(state, command.to)
    if command.day is not None and command.day < today:
        return _closed_before(state, command.day)
    day = command.day or today
    if (day - today).days > limits.night_audit_days_max:
        raise invalid("date", "next", f"dates are closed one after the other; the next one is {today}")
    if hotel.clock is HotelClock.SIMULATED and day == today:
        _check_overstays(state)
        return None
    possible_at = early_at(hotel, day) if command.early else over_at(hotel, day)
    if state.server.doubt and hotel.clock is HotelClock.WALL:
        raise Refused(ClockInDoubt(state.server.doubt))
    if possible_at > at or hotel.clock is HotelClock.SIMULATED:
        local = instant(possible_at).astimezone(ZoneInfo(hotel.timezone)).replace(tzinfo=None)
        raise Refused(DayNotOver(day, instant(possible_at), local.isoformat(timespec="minutes")))
    if day != today:
        raise invalid("date", "next", f"dates are closed one after the other; the next one is {today}")
    _check_overstays(state)
    return None


def _check_to(state: HotelState, to: date) -> NightAuditReply | None:
    hotel = state.opened()
    if hotel.clock is not HotelClock.SIMULATED:
        raise invalid("to", "simulated_clock", "only a hotel with a simulated clock can be rolled to a date; give date")
    if (to - hotel.business_date).days > limits.night_audit_days_max:
        most = limits.night_audit_days_max
        raise invalid("to", "days_max", f"expected at most {most} days after the business date, {hotel.business_date}")
    if to <= hotel.business_date:
        return NightAuditReply(hotel.id, hotel.business_date)
    _check_overstays(state)
    return None


def _check_overstays(state: HotelState) -> None:
    """Refuses to close the date while somebody who was due out is in house, where the hotel wants that."""
    if state.opened().overstays_block_audit and (found := _overstaying(state)):
        raise Refused(OverstaysOpen(_list(found).bookings))


def _overstaying(state: HotelState) -> list[Booking]:
    """The guests in house who were due out by the end of the business date."""
    today = state.opened().business_date
    inside = map(state.bookings.__getitem__, state.occupants.values())
    return _by_id(one for one in inside if one.departure <= today)


def _closed_before(state: HotelState, day: date) -> NightAuditReply:
    """The reply that was given when this date was closed. Refuses a date on which the hotel was not open yet."""
    if day < state.opened().opened_on:
        raise invalid("date", "before_opening", f"the hotel was opened on {state.opened().opened_on}")
    closed = tuple(one for one in state.closed if one.day == day)
    return NightAuditReply(state.opened().id, day + _DAY, closed, known=bool(closed))


def closes_more(state: HotelState, command: commands.RollBusinessDate, at: int, closed: tuple[ClosedDate, ...]) -> bool:
    """Whether the command closes the date after the last one of these too."""
    if not closed or closed[-1].day != state.opened().business_date:
        return False  # nothing was closed now
    hotel, day = state.opened(), closed[-1].day + _DAY
    if hotel.overstays_block_audit and any(state.bookings[one].departure <= day for one in state.occupants.values()):
        return False
    if command.to is not None:
        return day < command.to
    if command.day is not None or hotel.clock is HotelClock.SIMULATED:
        return False
    return len(closed) < limits.night_audit_dates_max and over_at(hotel, day) <= at


def preview(state: HotelState, day: date | None, at: int, early: bool = False) -> NightAuditReply:
    """What the audit would do that closes the open business date; for any other day what it answers. Raises
    `Refused`."""
    hotel = state.opened()
    if day not in (None, hotel.business_date):
        answered = audit(state, commands.RollBusinessDate(hotel.id, None, day), at)
        assert answered is not None
        return answered
    rolled = close_events(state, at, early)[-1]
    assert isinstance(rolled, events.BusinessDateRolled)
    in_house = (one for one in state.bookings.values() if one.status is BookingStatus.IN_HOUSE)
    unposted = _list(_by_id(one for one in in_house if one.arrival <= hotel.business_date))
    arriving = (one for one in state.bookings.values() if one.status in NOT_ARRIVED and one.arrival == rolled.opened)
    not_clean = _list(_by_id(one for one in arriving if one.room and is_dirty(state, one.room)))
    more = AuditPreview(over_at(hotel, hotel.business_date), unposted, not_clean)
    closed = ClosedDate(rolled.closed, rolled.early, rolled.report)
    return NightAuditReply(hotel.id, rolled.opened, (closed,), preview=more)


def due_events(state: HotelState, at: int) -> tuple[str, tuple[Event, ...]]:
    """The events that are due, and their cause: holds first, then offers, then an audit. After they are applied, more
    may be due. The cause is what fell due, and when (of several holds, the first); that of an offer is the command that
    made the waitlist's entry. Where an audit waits, sets when it is looked at again."""
    expired = sorted(
        (booking.expires_at, booking.id)
        for booking in (state.bookings.get(booking) for _, booking in _expiries_until(state, at))
        if booking is not None and booking.expires_at is not None and booking.expires_at <= at
    )
    if expired:
        lapsed = tuple(events.HoldExpired(booking) for _, booking in dict.fromkeys(expired))
        return f"due:hold-expiry:{_rfc_3339(expired[0][0])}", lapsed
    if state.roomless and state.freed:
        booking, assigned = assignment_events(state)
        if assigned:
            return f"due:room-assignment:{booking}", assigned
    if state.waitlist and state.freed:
        return offer_events(state, at)
    state.freed.clear()
    if state.audit_at is None or state.audit_at > at:
        return "", ()
    waits_until = _waits_until(state, at)
    if waits_until is not None:
        state.audit_at = waits_until
        return "", ()
    return f"due:night-audit:{_rfc_3339(state.audit_at)}", close_events(state, at)


def _waits_until(state: HotelState, at: int) -> int | None:
    """Until when the automatic audit waits that is due; None where it is carried out. It waits while the clock is in
    doubt, where the date is so long ago that a person has to look, and after a downtime in which arrivals could not be
    checked in: until the next audit time."""
    hotel, server = state.opened(), state.server
    if hotel.clock is HotelClock.WALL and server.doubt:
        return at + _DOUBT_MICROSECONDS
    if hotel.overstays_block_audit and _overstaying(state):
        return at + _DOUBT_MICROSECONDS
    behind = local_date(hotel.timezone, at) - hotel.business_date
    if behind.days > limits.automatic_audit_days_max:
        return audit_after(hotel, at)
    due = over_at(hotel, hotel.business_date)
    if server.down_from <= due <= server.down_until:
        was_short = server.down_from >= due - _EVENING_MICROSECONDS and server.down_until <= due + _LATE_MICROSECONDS
        next_time = audit_after(hotel, server.down_until)
        if at < next_time and not was_short and _has_arrivals(state):
            return next_time
    return None


def _has_arrivals(state: HotelState) -> bool:
    """Whether closing the business date would make a no-show."""
    today = state.opened().business_date
    return any(one.status is BookingStatus.CONFIRMED and one.arrival <= today for one in state.bookings.values())


def _rfc_3339(at: int) -> str:
    return instant(at).isoformat().replace("+00:00", "Z")


def _expiries_until(state: HotelState, at: int) -> list[tuple[int, str]]:
    return [expiry for expiry in state.expiries if expiry[0] <= at]
