"""The night audit, and what is due without a command: holds that expire, offers to guests on the waitlist when a room
comes free, and audits at a fixed time."""

from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

from innkeeper.actors.reservations.rules.overstays import assignment_events, overstay_events
from innkeeper.actors.reservations.rules.pricing import no_show
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.actors.reservations.rules.waitlist import lapse_events, offer_events
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.values.instants import instant


def roll_events(state: HotelState, to: date, at: int) -> tuple[Event, ...]:
    """Closes the business date and opens `to`. Guests who were due in become no-shows, holds for past nights expire,
    guests who were due out and are still in house stay on, and waitlist entries for past arrivals lapse. There
    are no events where `to` is open already."""
    today = state.opened().business_date
    if to <= today:
        return ()
    settled = [event for booking in _by_id(state) if (event := _settle(booking, to)) is not None]
    overstays = overstay_events(state, to, at, {event.booking for event in settled})
    return (*settled, *overstays, *lapse_events(state, to), events.BusinessDateRolled(today, to))


def _by_id(state: HotelState) -> list[Booking]:
    return sorted(state.bookings.values(), key=lambda booking: booking.id)


def _settle(booking: Booking, to: date) -> events.HoldExpired | events.GuestNoShow | None:
    if booking.status is BookingStatus.HELD and booking.arrival < to:
        return events.HoldExpired(booking.id)
    if booking.status is BookingStatus.CONFIRMED and booking.arrival < to:
        return no_show(booking, to)
    return None


def due_events(state: HotelState, at: int) -> tuple[str, tuple[Event, ...]]:
    """The events that are due, and their cause: holds first, then offers, then an audit. After they are applied, more
    may be due. The cause is what fell due, and when (of several holds, the first); that of an offer is the command that
    made the waitlist's entry."""
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
    return f"due:night-audit:{_rfc_3339(state.audit_at)}", roll_events(state, _open_date(state, at), at)


def _rfc_3339(at: int) -> str:
    return instant(at).isoformat().replace("+00:00", "Z")


def _expiries_until(state: HotelState, at: int) -> list[tuple[int, str]]:
    return [expiry for expiry in state.expiries if expiry[0] <= at]


def _open_date(state: HotelState, at: int) -> date:
    """The business date that should be open at this instant: the local date from its audit time on."""
    hotel = state.opened()
    local = instant(at).astimezone(ZoneInfo(hotel.timezone))
    audited = local.time() >= time.fromisoformat(hotel.night_audit)
    open_date = local.date() if audited else local.date() - timedelta(days=1)
    return max(open_date, hotel.business_date + timedelta(days=1))
