"""The rules by which a booking gets another room: moves from a night on, and swaps of two bookings.

A move changes the nights from one on; earlier nights stay where they were slept. A guest in house who moves from the
business date on is in the new room at once; a later move is a plan, which another `move` on its day carries out.
"""

from datetime import date

from innkeeper.actors.reservations.rules.housekeeping import is_not_clean
from innkeeper.actors.reservations.rules.occupancy import check_open, check_vacant
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_guests,
    check_room,
    find_rooms,
    in_room,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, RoomSegment
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.transitions import NOT_ENDED


def move(state: HotelState, booking: Booking, command: commands.MoveBooking, envelope: Envelope) -> tuple[Event, ...]:
    """Gives the booking another room from a night on."""
    check_room(state, command.room)
    kind, _position = state.rooms[command.room]
    check_guests(state, state.room_types[kind], booking.adults, booking.children, "room")
    today = state.opened().business_date
    first = _first_night(booking, command.from_, today)
    moves_in = _moves_in(booking, first, today)
    not_clean = False
    if moves_in:
        check_vacant(state, command.room, booking)
        if command.room != booking.room:
            not_clean = is_not_clean(state, command.room, booking, accepted=command.accept_not_clean)
    moved: tuple[Event, ...] = ()
    rooms = booking.rooms
    if first < booking.departure:
        if any(part.room != command.room for part in booking.rooms if part.until > first):
            moved = find_rooms(state, [_rooming(state, booking, first, command.room)])
            rooms = _rooms_from(booking, command.room, first, today)
    elif booking.status is not BookingStatus.IN_HOUSE:
        raise invalid("from", "nights_left", f"the stay ends on {booking.departure}: no night is left to move")
    elif command.room != booking.room:
        check_open(state, command.room)
    if rooms == booking.rooms and (not moves_in or booking.room == command.room):
        return ()
    was = booking.room_on(first)
    if was is None:
        return (*moved, events.RoomAssigned(booking.id, command.room, rooms))
    upgrade = kind != booking.room_type
    reason = MoveReason.UPGRADE if upgrade else MoveReason.REQUEST
    from_room = booking.room if moves_in else was
    given = events.RoomMoved(booking.id, from_room, command.room, rooms, reason, None, moves_in, not_clean)
    done: list[Event] = [*moved, given]
    if upgrade and not booking.pinned and booking.status is not BookingStatus.IN_HOUSE:
        done.append(events.BookingPinned(booking.id, command.room))
    return tuple(done)


def _moves_in(booking: Booking, first: date, today: date) -> bool:
    """Whether the guest is in house and changes rooms now, not on a later day."""
    return booking.status is BookingStatus.IN_HOUSE and first <= max(booking.arrival, today)


def _rooms_from(booking: Booking, room: str, first: date, today: date) -> tuple[RoomSegment, ...]:
    """The rooms of the booking with this one from a night on. Who has not arrived has slept nowhere before."""
    if booking.status is not BookingStatus.IN_HOUSE and first <= today:
        first = booking.arrival
    return in_room(booking, room, first)


def _first_night(booking: Booking, wanted: date | None, today: date) -> date:
    """The first night of a move; where none is given, the business date, or the arrival after it."""
    earliest = max(booking.arrival, today)
    if wanted is None:
        return earliest
    if not earliest <= wanted < booking.departure:
        raise invalid("from", "in_stay", f"expected a night from {earliest} to the one before {booking.departure}")
    return wanted


def swap(state: HotelState, booking: Booking, command: commands.SwapRooms, envelope: Envelope) -> tuple[Event, ...]:
    """Exchanges the rooms of two bookings from a night on, all or nothing, also where no other room is free."""
    other = state.bookings.get(command.with_)
    if other is None:
        raise invalid("with", "unknown", f"there is no booking {command.with_!r} that can still change")
    if other.status not in NOT_ENDED:
        raise Refused(ActionNotAllowed("swap", f"booking {other.id} has ended", ()))
    if other.id == booking.id:
        raise invalid("with", "other", "expected another booking")
    today = state.opened().business_date
    pair = (booking, other)
    first = [_first_night(one, command.from_, today) for one in pair]
    now = [_moves_in(one, night, today) for one, night in zip(pair, first, strict=True)]
    here, there = (
        one.room if moves_in else one.room_on(night) for one, night, moves_in in zip(pair, first, now, strict=True)
    )
    if here is None or there is None:
        raise invalid("with", "no_room", "one of the bookings has no room on that night; use move")
    if here == there:
        return ()
    _check_swap(state, booking, there, moves_in=now[0], leaving=other.id if now[1] else "")
    _check_swap(state, other, here, moves_in=now[1], leaving=booking.id if now[0] else "")
    moved = find_rooms(state, [_rooming(state, booking, first[0], there), _rooming(state, other, first[1], here)])
    for room, moves_in in ((there, now[0]), (here, now[1])):
        if moves_in:
            check_open(state, room)
    return (*moved, _swapped(booking, other, first[0], today, there), _swapped(other, booking, first[1], today, here))


def _check_swap(state: HotelState, booking: Booking, room: str, *, moves_in: bool, leaving: str) -> None:
    """Refuses a room that is too small, or that somebody is in who does not leave it now."""
    kind, _position = state.rooms[room]
    check_guests(state, state.room_types[kind], booking.adults, booking.children, "with")
    if moves_in:
        check_vacant(state, room, booking, leaving=leaving)


def _rooming(state: HotelState, booking: Booking, first: date, room: str) -> RoomingRequest:
    kind, _position = state.rooms[room]
    return RoomingRequest(
        booking.id, first, booking.departure, kind, room=room, present=booking, kept_until=first
    )  # fmt: skip


def _swapped(booking: Booking, other: Booking, first: date, today: date, room: str) -> events.RoomMoved:
    moves_in = _moves_in(booking, first, today)
    rooms: tuple[RoomSegment, ...] = booking.rooms
    if first < booking.departure:
        rooms = _rooms_from(booking, room, first, today)
    was = booking.room if moves_in else booking.room_on(first)
    assert was is not None
    return events.RoomMoved(booking.id, was, room, rooms, MoveReason.SWAP, other.id, moves_in)
