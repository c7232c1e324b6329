"""Finds a room for a stay: the checks, the plan, and the moves of other guests as events."""

from dataclasses import replace
from datetime import date

import msgspec
from innkeeper.actors.reservations.rules.allocation import AllocationRequest, allocate
from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.refusals import Refused, invalid
from innkeeper.protocol.reservations.booking import Booking, RoomSegment
from innkeeper.protocol.reservations.events import RoomMoved
from innkeeper.protocol.reservations.hotel import RoomType
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.refusals import NoSingleRoom, RoomTaken, SoldOut
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.sentences import counted


class RoomingRequest(msgspec.Struct, frozen=True, gc=False):
    """A stay that needs a room of one type: `room` if set, else `prefer` if that is free, else any. `present` is the
    booking as it is now, whose nights count as free."""

    booking: str
    arrival: date
    departure: date
    room_type: str
    room: str | None = None
    prefer: str | None = None
    present: Booking | None = None


def find_room(state: HotelState, rooming: RoomingRequest) -> tuple[str, tuple[RoomMoved, ...]]:
    """The room, and the moves of other guests. Refuses with the nights that are sold out or taken."""
    calendar = state.calendars[rooming.room_type]
    if rooming.present is not None or state.refused_rooms:
        calendar = _trial_calendar(state, rooming)
    arrival, departure = rooming.arrival.toordinal(), rooming.departure.toordinal()
    if rooming.prefer is not None and rooming.room is None:
        kind, position = state.rooms[rooming.prefer]
        if kind == rooming.room_type and calendar.free_for(arrival, departure) >> position & 1:
            return rooming.prefer, ()
    rooms = calendar.all_rooms if rooming.room is None else 1 << state.rooms[rooming.room][1] & calendar.all_rooms
    free = calendar.free_for(arrival, departure) & rooms
    if free:
        if calendar.out_of_service or arrival <= calendar.origin:
            free = calendar.preferred(free, arrival, departure)
        return calendar.numbers[calendar.best_fit(free, arrival, departure)], ()
    plan = allocate(calendar, AllocationRequest((arrival, departure, rooming.booking), rooms, state.movable))
    if plan is None:
        raise Refused(_why_none(state, calendar, rooming))
    moved = tuple(
        _moved(state.bookings[booking], calendar.numbers[here], calendar.numbers[there], rooming.booking)
        for booking, (here, there) in plan.moves.items()
    )
    return calendar.numbers[plan.room], moved


def _moved(booking: Booking, here: str, there: str, for_booking: str) -> RoomMoved:
    rooms = (RoomSegment(there, booking.arrival, booking.departure),)  # who has not arrived has one room
    return RoomMoved(booking.id, here, there, rooms, MoveReason.RESHUFFLE, for_booking)


def in_room(booking: Booking, room: str, first: date) -> tuple[RoomSegment, ...]:
    """The rooms of a booking that is in this one from a night on, and before it where it was."""
    earlier = [RoomSegment(one.room, one.first, min(one.until, first)) for one in booking.rooms]
    kept = [one for one in earlier if one.first < one.until]
    if kept and (kept[-1].room, kept[-1].until) == (room, first):
        first = kept.pop().first
    return (*kept, RoomSegment(room, first, booking.departure))


def _trial_calendar(state: HotelState, rooming: RoomingRequest) -> Calendar:
    """The calendar without the nights of the present booking and without the rooms that refused a claim."""
    calendar = state.calendars[rooming.room_type].copy()
    if rooming.present is not None:
        kind, position = state.rooms[rooming.present.room]
        if kind == rooming.room_type:
            calendar.vacate(position, rooming.present.id)
    refused = sum(
        1 << state.rooms[room][1] for room in state.refused_rooms if state.rooms[room][0] == rooming.room_type
    )
    return replace(calendar, all_rooms=calendar.all_rooms & ~refused)


def _why_none(state: HotelState, calendar: Calendar, rooming: RoomingRequest) -> SoldOut | RoomTaken | NoSingleRoom:
    arrival, departure = rooming.arrival.toordinal(), rooming.departure.toordinal()
    nights = calendar.sold_out(arrival, departure)
    if nights:
        return SoldOut(rooming.room_type, tuple(map(date.fromordinal, nights)))
    if rooming.room is None:
        return NoSingleRoom(rooming.room_type)
    position = state.rooms[rooming.room][1]
    held = [night for night in range(arrival, departure) if not calendar.free_for(night, night + 1) >> position & 1]
    return RoomTaken(rooming.room, tuple(map(date.fromordinal, held)))


def room_type_of(state: HotelState, code: str) -> RoomType:
    """The room type of this code. Refuses a code that the hotel does not have."""
    kind = state.room_types.get(code)
    if kind is None:
        known = ", ".join(kind.code for kind in state.opened().room_types)
        raise invalid("room_type", "unknown", f"this hotel has no room type {code!r}; it has {known}")
    return kind


def check_arrival(state: HotelState, arrival: date) -> None:
    """Refuses an arrival before the business date, or too far ahead."""
    today = state.opened().business_date
    if arrival < today:
        raise invalid("arrival", "not_past", f"{arrival} is before the business date, {today}")
    if (arrival - today).days > limits.arrival_days_ahead_max:
        most = limits.arrival_days_ahead_max
        raise invalid("arrival", "days_ahead_max", f"expected at most {most:,} days after the business date, {today}")


def check_reminder(state: HotelState, day: date, arrival: date) -> None:
    """Refuses a day for the reminder that is in the past or after the arrival."""
    today = state.opened().business_date
    if not today <= day <= arrival:
        raise invalid("reminder_on", "before_arrival", f"expected a date from {today} to the arrival, {arrival}")


def check_guests(kind: RoomType, adults: int, children: tuple[int, ...], field: str | None = None) -> None:
    """Refuses more guests than the room type takes: in `field`, or where that is None in `adults` or `children`."""
    guests = adults + len(children)
    if guests > kind.max_guests:
        wrong = field or ("adults" if adults > kind.max_guests else "children")
        raise invalid(
            wrong, "max_guests", f"{kind.code} takes at most {counted(kind.max_guests, 'guest')}, not {guests}"
        )


def check_room(state: HotelState, room: str, room_type: str | None = None) -> None:
    """Refuses a room that the hotel does not have, or that is of another type."""
    if not state.has_room(room):
        raise invalid("room", "unknown", f"this hotel has no room {room!r}")
    kind = state.rooms[room][0]
    if room_type is not None and kind != room_type:
        raise invalid("room", "room_type", f"room {room} is of type {kind}, not {room_type}")


def rate_of(state: HotelState, requested: Money) -> int:
    """The requested rate per night, in minor units. Refuses another currency than the hotel's."""
    currency = state.opened().currency
    if requested.currency != currency:
        raise invalid("rate.currency", "currency", f"rates of this hotel are in {currency}")
    return requested.minor_units()
