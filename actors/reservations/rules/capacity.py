"""How many guests a room takes. What counts is the room that is given, which may be of another type than was sold."""

from datetime import date
from typing import Any

from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations.booking import Booking, RoomSegment
from innkeeper.protocol.reservations.hotel import RoomType
from innkeeper.protocol.values.sentences import counted


def check_guests(
    state: HotelState, kind: RoomType, adults: int, children: tuple[int, ...], field: str | None = None
) -> None:
    """Refuses more guests than the room type takes: in `field`, or where that is None in `adults` or `children`.
    Infants are not counted as guests, but need a cot each, where the type has a number of cots."""
    below = state.opened().infants_below
    infants = sum(age < below for age in children) if below and children else 0
    guests = adults + len(children) - infants
    if guests > kind.max_guests:
        wrong = field or ("adults" if adults > kind.max_guests else "children")
        raise invalid(
            wrong, "max_guests", f"{kind.code} takes at most {counted(kind.max_guests, 'guest')}, not {guests}"
        )
    if kind.max_adults is not None and adults > kind.max_adults:
        raise invalid(
            field or "adults",
            "max_adults",
            f"{kind.code} takes at most {counted(kind.max_adults, 'adult')}, not {adults}",
        )
    if kind.cots is not None and infants > kind.cots:
        raise invalid(
            field or "children", "cots", f"{kind.code} has {counted(kind.cots, 'cot')}, not {infants}, for infants"
        )


def check_change(state: HotelState, booking: Booking, terms: dict[str, Any], today: date) -> None:
    """Refuses a change of a booking after which a room that it is given from the business date on is too small. Where
    neither the guests nor the types of its rooms change, the booking keeps what it has."""
    was = _types(state, booking.rooms, booking.room_type, today)
    given = _types(state, terms["rooms"], terms["room_type"], today)
    if (terms["adults"], terms["children"]) != (booking.adults, booking.children):
        for kind in sorted(given):
            check_guests(state, state.known_type(kind), terms["adults"], terms["children"])
        return
    field = "room" if terms["room_type"] == booking.room_type else "room_type"
    for kind in sorted(given - was):
        check_guests(state, state.known_type(kind), terms["adults"], terms["children"], field)


def _types(state: HotelState, rooms: tuple[RoomSegment, ...], sold: str, today: date) -> set[str]:
    """The types of the rooms that are given from the business date on; where none is given yet, the one that was
    sold."""
    parts = [part for part in rooms if part.until > today] or rooms[-1:]
    return {sold if part.room is None else state.rooms[part.room][0] for part in parts}
