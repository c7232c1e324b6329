"""Finds a room for a stay: the checks, the plan, and the moves of other guests as events."""

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import msgspec
from innkeeper.actors.reservations.rules.allocation import AllocationRequest, allocate
from innkeeper.actors.reservations.rules.business_day import hotel_instant, local_date
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
    booking as it is now, whose nights count as free, but for those before `kept_until`."""

    booking: str
    arrival: date
    departure: date
    room_type: str
    room: str | None = None
    prefer: str | None = None
    present: Booking | None = None
    kept_until: date = date.min


def find_room(
    state: HotelState, rooming: RoomingRequest, calendar: Calendar | None = None, placed: Container[str] = ()
) -> tuple[str, tuple[RoomMoved, ...]]:
    """The room, and the moves of other guests. Refuses with the nights that are sold out or taken. `calendar` is one in
    which other stays, `placed`, have been given rooms that they keep."""
    if calendar is None:
        calendar = state.calendars[rooming.room_type]
        if rooming.present is not None or state.refused_rooms:
            calendar = _trial_calendar(state, rooming.room_type, (rooming,))
    arrival, departure = rooming.arrival.toordinal(), rooming.departure.toordinal()
    if calendar.waiting and calendar.sold_out(arrival, departure):
        raise Refused(_why_none(state, calendar, rooming))
    if rooming.prefer is not None and rooming.room is None:
        kind, position = state.rooms[rooming.prefer]
        if kind == rooming.room_type and calendar.free_for(arrival, departure) >> position & 1:
            return rooming.prefer, ()
    rooms = calendar.all_rooms if rooming.room is None else 1 << state.rooms[rooming.room][1] & calendar.all_rooms
    free = calendar.free_for(arrival, departure) & rooms
    if free:
        return calendar.numbers[calendar.best_fit(free, arrival, departure)], ()

    def movable(booking: str) -> bool:
        return booking not in placed and state.movable(booking)

    plan = allocate(calendar, AllocationRequest((arrival, departure, rooming.booking), rooms, movable))
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
    return with_room(booking, room, first, booking.departure)


def find_rooms(state: HotelState, roomings: Sequence[RoomingRequest]) -> tuple[RoomMoved, ...]:
    """The moves of other guests after which each of several stays has the room that it asks for. Refuses like
    `find_room`."""
    wanted = [rooming for rooming in roomings if rooming.arrival < rooming.departure]
    calendars = {rooming.room_type: _trial_calendar(state, rooming.room_type, roomings) for rooming in wanted}
    for rooming in wanted:  # a guest who makes room for one stay must not get the room of another one
        _claim(state, calendars[rooming.room_type], _reserved(rooming), _stay_in(rooming, rooming.room))
    done: list[RoomMoved] = []
    placed = {rooming.booking for rooming in roomings}
    for rooming in wanted:
        calendar = calendars[rooming.room_type]
        assert rooming.room is not None
        calendar.vacate(state.rooms[rooming.room][1], _reserved(rooming))
        room, moved = find_room(state, rooming, calendar, placed)
        for one in moved:
            _claim(state, calendar, one.booking, one.rooms[0], state.rooms[one.from_room][1])
        _claim(state, calendar, rooming.booking, _stay_in(rooming, room))
        done += moved
    return tuple(done)


def _reserved(rooming: RoomingRequest) -> str:
    """What holds the room of a stay in a trial calendar until the stay is placed: no booking has this id."""
    return f"reserved for {rooming.booking}"


def _stay_in(rooming: RoomingRequest, room: str | None) -> RoomSegment:
    return RoomSegment(room, rooming.arrival, rooming.departure)


def _claim(state: HotelState, calendar: Calendar, booking: str, part: RoomSegment, leaves: int | None = None) -> None:
    if leaves is not None:
        calendar.vacate(leaves, booking)
    assert part.room is not None
    calendar.claim(state.rooms[part.room][1], part.first.toordinal(), part.until.toordinal(), booking)


def with_room(booking: Booking, room: str | None, first: date, until: date) -> tuple[RoomSegment, ...]:
    """The rooms of a booking that is in this one, or in none, on the nights [first, until), else as before."""
    before = [RoomSegment(part.room, part.first, min(part.until, first)) for part in booking.rooms]
    after = [RoomSegment(part.room, max(part.first, until), part.until) for part in booking.rooms]
    parts = [part for part in (*before, RoomSegment(room, first, until), *after) if part.first < part.until]
    merged: list[RoomSegment] = []
    for part in parts:
        if merged and merged[-1].room == part.room:
            part = RoomSegment(part.room, merged.pop().first, part.until)
        merged.append(part)
    return tuple(merged)


def prolonged(booking: Booking, room: str, until: date) -> tuple[RoomSegment, ...]:
    """The rooms of a booking that stays longer, in this room."""
    *earlier, last = booking.rooms
    if last.room == room:
        return (*earlier, RoomSegment(room, last.first, until))
    return (*booking.rooms, RoomSegment(room, last.until, until))


def divided(state: HotelState, rooming: RoomingRequest) -> tuple[RoomSegment, ...]:
    """The stay in several rooms of the type, with as few changes as possible: always the room that is free for longest.
    Each night has a room left."""
    calendar = state.calendars[rooming.room_type]
    departure = rooming.departure.toordinal()
    parts: list[RoomSegment] = []
    first = rooming.arrival.toordinal()
    while first < departure:
        until = first + 1
        free = calendar.free_for(first, until)
        while until < departure and (longer := free & calendar.free_for(until, until + 1)):
            free, until = longer, until + 1
        number = calendar.numbers[calendar.best_fit(free, first, until)]
        parts.append(RoomSegment(number, date.fromordinal(first), date.fromordinal(until)))
        first = until
    return tuple(parts)


def _trial_calendar(state: HotelState, room_type: str, roomings: Sequence[RoomingRequest]) -> Calendar:
    """The calendar without the nights of the bookings that get other rooms, and without the rooms that refused a
    claim."""
    calendar = state.calendars[room_type].copy()
    for rooming in roomings:
        if rooming.present is not None:
            _take_out(state, calendar, room_type, rooming.present, rooming.kept_until)
    refused = sum(1 << state.rooms[room][1] for room in state.refused_rooms if state.rooms[room][0] == room_type)
    return replace(calendar, all_rooms=calendar.all_rooms & ~refused)


def _take_out(state: HotelState, calendar: Calendar, room_type: str, booking: Booking, kept_until: date) -> None:
    calendar.wait_no_more(booking.id)
    parts = [part for part in booking.rooms if part.room is not None and state.rooms[part.room][0] == room_type]
    for room in {part.room for part in parts if part.room is not None}:
        calendar.vacate(state.rooms[room][1], booking.id)
    for part in parts:
        kept = RoomSegment(part.room, part.first, min(part.until, kept_until))
        if kept.first < kept.until:
            _claim(state, calendar, booking.id, kept)


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


def known_type(state: HotelState, code: str) -> RoomType:
    """The room type of a booking, which may be retired."""
    return state.room_types.get(code) or next(kind for kind in state.opened().retired_types if kind.code == code)


def room_type_of(state: HotelState, code: str, known: str | None = None) -> RoomType:
    """The room type of this code. Refuses a code that the hotel does not have, unless it is `known`: that of a booking,
    whose type may be retired."""
    kind = known_type(state, code) if code == known else state.room_types.get(code)
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


def check_reminder(state: HotelState, day: date, arrival: date, at: int) -> None:
    """Refuses a day for the reminder that is over, by the business date or at this instant by the hotel's calendar, or
    is after the arrival."""
    hotel = state.opened()
    today = max(hotel.business_date, local_date(hotel.timezone, hotel_instant(hotel, at)))
    if not today <= day <= arrival:
        raise invalid("reminder_on", "before_arrival", f"expected a date from {today} to the arrival, {arrival}")


def check_guests(
    state: HotelState, kind: RoomType, adults: int, children: tuple[int, ...], field: str | None = None
) -> None:
    """Refuses more guests than the room type takes: in `field`, or where that is None in `adults` or `children`."""
    excess = excess_of(kind, adults, children, state.opened().infants_below)
    if excess is not None:
        raise invalid(field or excess.field, excess.rule, excess.text)


class Excess(NamedTuple):
    """Why a party is too large for a room type: the field that is too large, the rule, and the text."""

    field: str
    rule: str
    text: str


def excess_of(kind: RoomType, adults: int, children: tuple[int, ...], infants_below: int) -> Excess | None:
    """Returns why the party is too large for the room type, if it is. Infants are not counted as guests, but need a
    cot each, where the type has a number of cots."""
    infants = sum(age < infants_below for age in children) if infants_below and children else 0
    guests = adults + len(children) - infants
    if guests > kind.max_guests:
        field = "adults" if adults > kind.max_guests else "children"
        text = f"{kind.code} takes at most {counted(kind.max_guests, 'guest')}, not {guests}"
        return Excess(field, "max_guests", text)
    if kind.max_adults is not None and adults > kind.max_adults:
        text = f"{kind.code} takes at most {counted(kind.max_adults, 'adult')}, not {adults}"
        return Excess("adults", "max_adults", text)
    if kind.cots is not None and infants > kind.cots:
        return Excess("children", "cots", f"{kind.code} has {counted(kind.cots, 'cot')}, not {infants}, for infants")
    return None


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
