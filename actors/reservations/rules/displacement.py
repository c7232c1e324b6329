"""Clears a room of its bookings: guests who have not arrived get other rooms of its type, or it is said who cannot."""

from dataclasses import replace

from innkeeper.actors.reservations.rules.allocation import AllocationRequest, allocate
from innkeeper.actors.reservations.rules.calendar import HORIZON, Calendar, Claimed
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, RoomSegment
from innkeeper.protocol.reservations.events import RoomMoved
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.refusals import DisplacedBooking, RoomNeeded


def held_from(state: HotelState, room: str, first: int, until: int) -> list[Booking]:
    """The bookings that hold the room on a night of [first, until), in the order of their arrival."""
    kind, position = state.rooms[room]
    held = dict.fromkeys(booking for _, _, booking in state.calendars[kind].overlapping(position, first, until))
    return [state.bookings[booking] for booking in held if booking in state.bookings]


def in_house_in(state: HotelState, room: str) -> list[Booking]:
    """The bookings whose guests are in the room now."""
    return [state.bookings[state.occupants[room]]] if room in state.occupants else []


def displaced(booking: Booking, room: str) -> DisplacedBooking:
    """A booking that needs the room (none where it is empty), and why it cannot have another one."""
    if booking.status is BookingStatus.IN_HOUSE:
        obstacle = "in_house"
    elif booking.status is BookingStatus.CHECKED_OUT:
        obstacle = "left"
    elif booking.pinned:
        obstacle = "pinned"
    else:
        obstacle = "divided" if len(booking.rooms) > 1 else "no_room"
    return DisplacedBooking(
        booking.id, booking.locator, booking.status, room, booking.arrival, booking.departure, obstacle
    )


def clear_room(
    state: HotelState, room: str, first: int, until: int, reason: MoveReason, closure: str | None = None
) -> tuple[RoomMoved, ...]:
    """The moves after which no booking holds the room on the nights [first, until): the closure holds them, or where
    that is None the room is given up. Refuses with the bookings that cannot have another room. While no room is pinned
    or out of order a plan is found whenever there is one, as for a new booking: see `allocation`."""
    kind, position = state.rooms[room]
    held = held_from(state, room, first, until)
    calendar = state.calendars[kind].copy()
    refused = sum(1 << state.rooms[one][1] for one in state.refused_rooms if state.rooms[one][0] == kind)
    calendar = replace(calendar, all_rooms=calendar.all_rooms & ~(refused if closure else refused | 1 << position))
    stuck = [booking for booking in held if not state.movable(booking.id)]
    leaving = [booking for booking in held if state.movable(booking.id)]
    places: dict[str, int] = {}
    for booking in leaving:
        calendar.vacate(position, booking.id)
    if closure is not None:
        calendar.vacate(position, closure)
        calendar.claim(position, first, until, closure)
    for booking in leaving:
        stay = (booking.arrival.toordinal(), booking.departure.toordinal(), booking.id)
        plan = allocate(calendar, AllocationRequest(stay, calendar.all_rooms, state.movable))
        if plan is None:
            stuck.append(booking)
        else:
            _apply(calendar, plan.moves, state)
            calendar.claim(plan.room, *stay)
            places |= {one: there for one, (_, there) in plan.moves.items()} | {booking.id: plan.room}
    if not stuck:
        stuck = _left_without(state, calendar, kind, first, until)
    if stuck:
        ordered = sorted(stuck, key=lambda booking: (booking.arrival, booking.id))
        raise Refused(RoomNeeded(room, tuple(displaced(booking, room) for booking in ordered)))
    moves = ((state.bookings[booking], calendar.numbers[there]) for booking, there in places.items())
    return tuple(_moved(booking, there, reason) for booking, there in moves if booking.room != there)


def _left_without(state: HotelState, after: Calendar, kind: str, first: int, until: int) -> list[Booking]:
    """The bookings without a room that could have one on these nights now, but not after it."""
    before = state.calendars[kind]
    lost = [
        booking
        for booking in before.waiting
        for night in range(max(booking[0], first), min(booking[1], until, first + HORIZON))
        if after.lacking(night) > before.lacking(night)
    ]
    return [state.bookings[booking] for booking in dict.fromkeys(booking for _, _, booking in lost)]


def _apply(calendar: Calendar, moves: dict[str, tuple[int, int]], state: HotelState) -> None:
    for booking, (here, _) in moves.items():
        calendar.vacate(here, booking)
    for booking, (_, there) in moves.items():
        stay: Claimed = _nights(state.bookings[booking])
        calendar.claim(there, *stay)


def _nights(booking: Booking) -> Claimed:
    return booking.arrival.toordinal(), booking.departure.toordinal(), booking.id


def _moved(booking: Booking, there: str, reason: MoveReason) -> RoomMoved:
    rooms = (RoomSegment(there, booking.arrival, booking.departure),)  # who has not arrived has one room
    return RoomMoved(booking.id, booking.room, there, rooms, reason)
