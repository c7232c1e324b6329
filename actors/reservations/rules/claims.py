"""The claims that a decision makes on rooms: for each room, the bookings that leave it and the stays it takes."""

from collections.abc import Sequence

import msgspec
from innkeeper.actors.reservations.rules.calendar import Claimed
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.projection import apply_event
from innkeeper.protocol.reservations.transitions import HOLDS_NIGHTS


class RoomChange(msgspec.Struct, frozen=True):
    """The change of one room: bookings that leave it, and stays that it takes, all at once."""

    releases: list[str] = []
    claims: list[Claimed] = []


def held_by(booking: Booking) -> tuple[str, Claimed] | None:
    """The room and the nights that a booking holds, if any."""
    if booking.status not in HOLDS_NIGHTS:
        return None
    return booking.room, (booking.arrival.toordinal(), booking.departure.toordinal(), booking.id)


def preview(state: HotelState, records: Sequence[RecordedEvent]) -> list[Booking | None]:
    """The booking after each record; None for a record that is not about a booking."""
    latest: dict[str, Booking] = {}
    previewed: list[Booking | None] = []
    for record in records:
        if isinstance(record.event, BookingEvent):
            booking = record.event.booking
            was = latest.get(booking) or state.bookings.get(booking)
            latest[booking] = apply_event(was, record, state.opened().currency)
            previewed.append(latest[booking])
        else:
            previewed.append(None)
    return previewed


def room_changes(state: HotelState, previewed: Sequence[Booking | None]) -> dict[str, RoomChange]:
    """The change of each room when the bookings become the previewed ones."""
    changes: dict[str, RoomChange] = {}
    for booking, now in {later.id: later for later in previewed if later is not None}.items():
        known = state.bookings.get(booking)
        left, taken = held_by(known) if known else None, held_by(now)
        if left == taken:
            continue
        if left:
            changes.setdefault(left[0], RoomChange()).releases.append(booking)
        if taken:
            changes.setdefault(taken[0], RoomChange()).claims.append(taken[1])
    return changes
