"""The rules of who is physically in a room: check-in, check-out, and how both are undone.

A room is occupied from check-in to check-out, whatever the calendar says. The hotel refuses to let a second party in,
and the room itself refuses it again.
"""

from datetime import timedelta

from innkeeper.actors.reservations.rules.housekeeping import is_not_clean
from innkeeper.actors.reservations.rules.pricing import checked_out
from innkeeper.actors.reservations.rules.rooming import RoomingRequest, find_rooms
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import BookedStay, Booking
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.refusals import NoRoomAssigned, RoomOccupied, RoomTaken


def check_in(
    state: HotelState, booking: Booking, command: commands.CheckInGuest, envelope: Envelope
) -> tuple[Event, ...]:
    """Lets the guest into the room of the business date. Refuses a room with another party in it, and one that is not
    clean."""
    today = state.opened().business_date
    room = booking.room_on(today)
    if room is None:
        raise Refused(NoRoomAssigned(booking.room_type, free_rooms(state, booking)))
    check_vacant(state, room, booking)
    check_open(state, room)
    not_clean = is_not_clean(state, room, booking, accepted=command.accept_not_clean)
    return (events.GuestCheckedIn(booking.id, room, today, not_clean),)


def undo_check_in(
    state: HotelState, booking: Booking, command: commands.UndoCheckIn, envelope: Envelope
) -> tuple[Event, ...]:
    """The guest had not arrived. The nights stay the booking's."""
    return (events.CheckInUndone(booking.id, booking.room, command.reason),)


def check_out(
    state: HotelState, booking: Booking, command: commands.CheckOutGuest, envelope: Envelope
) -> tuple[Event, ...]:
    """Ends the stay. A guest who leaves on the day of arrival has used the room for the day, or leaves early, or has
    not been here: the command must say which."""
    today = state.opened().business_date
    arrived = max(booking.arrival, booking.checked_in_on or booking.arrival)
    reason, departure = command.reason_code, min(booking.departure, max(today, booking.arrival))
    if today > arrived or booking.departure <= today:
        if reason is DepartureReason.DAY_USE:
            raise invalid("reason_code", "day_use", f"the guest has been here since {arrived}, and has slept")
        reason = DepartureReason.EARLY if today < booking.departure else DepartureReason.DUE
    elif reason is DepartureReason.EARLY:
        departure = min(booking.departure, arrived + timedelta(days=1))
    elif reason is not DepartureReason.DAY_USE:
        raise invalid(
            "reason_code",
            "required",
            'the guest arrived today: say "day_use" (the first night is charged, and the room is free tonight) or '
            '"early" (the first night stays the guest\'s), or undo the check-in with undo-check-in',
        )
    return (checked_out(booking, departure, today, reason),)


def undo_check_out(
    state: HotelState, booking: Booking, command: commands.UndoCheckOut, envelope: Envelope
) -> tuple[Event, ...]:
    """The guest had not left. Refuses where the room has another party in it by now, or nights of the stay are sold."""
    if not state.has_room(booking.room):
        raise Refused(ActionNotAllowed("undo-check-out", f"room {booking.room} is retired", ()))
    today = state.opened().business_date
    stay = booking.booked or BookedStay(booking.departure, booking.rooms, booking.lines)
    check_vacant(state, booking.room, booking)
    roomings = [
        RoomingRequest(
            booking.id, max(part.first, today), part.until, state.rooms[part.room][0], room=part.room, present=booking
        )
        for part in stay.rooms
        if part.room is not None
    ]
    moved = find_rooms(state, roomings)
    undone = events.CheckOutUndone(booking.id, booking.room, stay.departure, stay.rooms, stay.lines, command.reason)
    return (*moved, undone)


def check_vacant(state: HotelState, room: str, booking: Booking, *, leaving: str = "") -> None:
    """Refuses a room with another party in it than this booking's, or the one that is `leaving` it."""
    inside = state.occupants.get(room)
    if inside is not None and inside not in (booking.id, leaving):
        raise Refused(RoomOccupied(room, inside, state.bookings[inside].locator, free_rooms(state, booking)))


def check_open(state: HotelState, room: str) -> None:
    """Refuses a room that is out of order today. Of a guest who leaves today no night is left that says so."""
    today = state.opened().business_date
    if room in state.upkeep.out_of_order(today):
        raise Refused(RoomTaken(room, (today,)))


def free_rooms(state: HotelState, booking: Booking) -> tuple[str, ...]:
    """The rooms of the booking's type that are vacant, and free on the nights that are left of its stay."""
    today = state.opened().business_date
    calendar = state.calendars[booking.room_type]
    free = calendar.free_for(max(booking.arrival, today).toordinal(), booking.departure.toordinal())
    vacant = free & ~calendar.occupied
    return tuple(number for position, number in enumerate(calendar.numbers) if vacant >> position & 1)
