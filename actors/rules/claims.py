"""What a decision asks of the rooms: per room, whose nights it gives back and whose it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from innkeeper.actors.rules.calendar import Claimed
from innkeeper.actors.rules.lifecycle import HOLDS_NIGHTS
from innkeeper.actors.rules.state import HotelState
from innkeeper.protocol.booking import Booking
from innkeeper.protocol.events import BookingEvent
from innkeeper.protocol.record import Recorded, after


@dataclass(frozen=True, slots=True)
class RoomChange:
    """One room's part: bookings that leave it, and stays that come to it, all at once."""

    gives: list[str] = field(default_factory=list)
    takes: list[Claimed] = field(default_factory=list)


def held_by(booking: Booking) -> tuple[str, Claimed] | None:
    """The room and the nights that a booking holds, if any."""
    if booking.status not in HOLDS_NIGHTS:
        return None
    return booking.room, (booking.arrival.toordinal(), booking.departure.toordinal(), booking.id)


def room_changes(state: HotelState, records: Sequence[Recorded]) -> dict[str, RoomChange]:
    """What these records, not yet evolved, change for each room."""
    latest: dict[str, Booking] = {}
    for record in records:
        if isinstance(record.event, BookingEvent):
            booking = record.event.booking
            was = latest.get(booking) or state.bookings.get(booking)
            latest[booking] = after(was, record, state.opened().currency)
    changes: dict[str, RoomChange] = {}
    for booking, now in latest.items():
        known = state.bookings.get(booking)
        left, taken = held_by(known) if known else None, held_by(now)
        if left == taken:
            continue
        if left:
            changes.setdefault(left[0], RoomChange()).gives.append(booking)
        if taken:
            changes.setdefault(taken[0], RoomChange()).takes.append(taken[1])
    return changes
