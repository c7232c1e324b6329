"""Whether a changed booking fits its rooms: those that it is given, which may be of another type than was sold."""

from datetime import date
from typing import Any

from innkeeper.actors.reservations.rules.rooming import (
    check_guests,
    known_type,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.reservations.booking import Booking, RoomSegment


def check_change(state: HotelState, booking: Booking, terms: dict[str, Any], today: date) -> None:
    """Refuses a change of a booking after which a room that it is given from the business date on is too small. Where
    neither the guests nor the types of its rooms change, the booking keeps what it has."""
    was = _types(state, booking.rooms, booking.room_type, today)
    given = _types(state, terms["rooms"], terms["room_type"], today)
    if (terms["adults"], terms["children"]) != (booking.adults, booking.children):
        for kind in sorted(given):
            check_guests(state, known_type(state, kind), terms["adults"], terms["children"])
        return
    field = "room" if terms["room_type"] == booking.room_type else "room_type"
    for kind in sorted(given - was):
        check_guests(state, known_type(state, kind), terms["adults"], terms["children"], field)


def _types(state: HotelState, rooms: tuple[RoomSegment, ...], sold: str, today: date) -> set[str]:
    """The types of the rooms that are given from the business date on; where none is given yet, the one that was
    sold."""
    parts = [part for part in rooms if part.until > today] or rooms[-1:]
    return {sold if part.room is None else state.rooms[part.room][0] for part in parts}
