"""A room for a stay: the checks, the plan, and the moves of other guests as events."""

from dataclasses import replace
from datetime import date

import msgspec
from innkeeper.actors.reservations.rules.allocation import Wanted, allocate
from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.refusals import Refused, invalid
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.events import RoomMoved
from innkeeper.protocol.reservations.hotel import RoomType
from innkeeper.protocol.reservations.refusals import NoSingleRoom, RoomTaken, SoldOut
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money


class Rooming(msgspec.Struct, frozen=True, gc=False):
    """A stay looking for a room of one type: exactly `room` if said, rather `prefer` if that is free. `present` is the
    booking as it is now, whose nights count as free; `excluded_rooms` are rooms that refused a claim."""

    booking: str
    arrival: date
    departure: date
    room_type: str
    room: str | None = None
    prefer: str | None = None
    present: Booking | None = None
    excluded_rooms: frozenset[str] = frozenset()


def find_room(state: HotelState, rooming: Rooming) -> tuple[str, tuple[RoomMoved, ...]]:
    """The room, and who moves for it. Refuses with the nights that are sold out, or with who stands in the way."""
    calendar = _calendar(state, rooming)
    arrival, departure = rooming.arrival.toordinal(), rooming.departure.toordinal()
    if rooming.prefer is not None and rooming.room is None:
        kind, position = state.rooms[rooming.prefer]
        if kind == rooming.room_type and calendar.free_for(arrival, departure) >> position & 1:
            return rooming.prefer, ()
    rooms = calendar.everyone if rooming.room is None else 1 << state.rooms[rooming.room][1] & calendar.everyone
    plan = allocate(calendar, Wanted((arrival, departure, rooming.booking), rooms, state.movable))
    if plan is None:
        raise Refused(_why_none(calendar, rooming))
    moved = tuple(
        RoomMoved(booking, calendar.numbers[here], calendar.numbers[there], "reshuffle", rooming.booking)
        for booking, (here, there) in plan.moves.items()
    )
    return calendar.numbers[plan.room], moved


def _calendar(state: HotelState, rooming: Rooming) -> Calendar:
    calendar = state.calendars[rooming.room_type]
    if rooming.present is None and not rooming.excluded_rooms:
        return calendar
    calendar = calendar.sketch()
    if rooming.present is not None:
        kind, position = state.rooms[rooming.present.room]
        if kind == rooming.room_type:
            calendar.vacate(position, rooming.present.id)
    excluded_rooms = sum(
        1 << state.rooms[room][1] for room in rooming.excluded_rooms if state.rooms[room][0] == rooming.room_type
    )
    return replace(calendar, everyone=calendar.everyone & ~excluded_rooms)


def _why_none(calendar: Calendar, rooming: Rooming) -> SoldOut | RoomTaken | NoSingleRoom:
    arrival, departure = rooming.arrival.toordinal(), rooming.departure.toordinal()
    nights = calendar.sold_out(arrival, departure)
    if nights:
        return SoldOut(rooming.room_type, tuple(map(date.fromordinal, nights)))
    if rooming.room is None:
        return NoSingleRoom(rooming.room_type)
    position = calendar.numbers.index(rooming.room)
    held = [night for night in range(arrival, departure) if not calendar.free_for(night, night + 1) >> position & 1]
    return RoomTaken(rooming.room, tuple(map(date.fromordinal, held)))


def room_type_of(state: HotelState, code: str) -> RoomType:
    """The room type, which must be one of the hotel's."""
    kind = state.room_types.get(code)
    if kind is None:
        known = ", ".join(kind.code for kind in state.opened().room_types)
        raise invalid("room_type", "unknown", f"this hotel has no room type {code!r}; it has {known}")
    return kind


def check_arrival(state: HotelState, arrival: date) -> None:
    """Refuse an arrival before the business date, or too far ahead."""
    today = state.opened().business_date
    if arrival < today:
        raise invalid("arrival", "not_past", f"arrival {arrival} is before the business date, {today}")
    if (arrival - today).days > limits.arrival_days_ahead_max:
        raise invalid(
            "arrival", "days_ahead_max", f"arrival is more than {limits.arrival_days_ahead_max} days after {today}"
        )


def check_guests(kind: RoomType, adults: int, children: tuple[int, ...]) -> None:
    """Refuse more guests than the type takes."""
    guests = adults + len(children)
    if guests > kind.max_guests:
        raise invalid(
            "adults", "max_guests", f"{guests} guests are more than the {kind.max_guests} that {kind.code} takes"
        )


def check_room(state: HotelState, room: str, room_type: str | None = None) -> None:
    """Refuse a room that the hotel does not have, or that is of another type."""
    if room not in state.rooms:
        raise invalid("room", "unknown", f"this hotel has no room {room!r}")
    kind = state.rooms[room][0]
    if room_type is not None and kind != room_type:
        raise invalid("room", "room_type", f"room {room} is of type {kind}, not {room_type}")


def rate_of(state: HotelState, kind: RoomType, asked: Money | None) -> int:
    """The rate per night in minor units: the one that staff asked for, or the type's own."""
    if asked is None:
        return kind.rate
    currency = state.opened().currency
    if asked.currency != currency:
        raise invalid("rate.currency", "currency", f"rates of this hotel are in {currency}")
    return asked.minor_units()
