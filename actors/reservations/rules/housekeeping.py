"""The rules of housekeeping: what is said of a room, and that guests are let into clean ones.

A check-out makes a room dirty, and so does each night with a guest in it; the fold of the state does that. Where the
hotel keeps no housekeeping, no check-in asks whether the room is clean.
"""

from collections.abc import Callable
from typing import Any

from innkeeper.actors.reservations.rules.house import HouseRuling, check_version
from innkeeper.actors.reservations.rules.room_details import rooms_reply
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.refusals import RoomNotClean
from innkeeper.protocol.reservations.room_events import RoomCondition, RoomConditionChanged


def _change_room(state: HotelState, command: commands.ChangeRoom, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    room, condition = command.room, command.change.condition
    if not state.has_room(room):
        raise Refused(NotFound("room", room))
    reply = rooms_reply(state, state.opened(), (room,), condition=condition)
    if condition is state.upkeep.condition(room):
        return (), reply
    return (RoomConditionChanged(room, condition),), reply


def is_not_clean(state: HotelState, room: str, booking: Booking, *, accepted: bool) -> bool:
    """Whether a guest is let into a room that is not clean, which somebody `accepted`. Refuses it otherwise, with
    the clean rooms of the booking's type that are vacant and free for the rest of the stay."""
    if not is_dirty(state, room):
        return False
    if accepted:
        return True
    raise Refused(RoomNotClean(room, RoomCondition.DIRTY.value, clean_rooms(state, booking)))


def is_dirty(state: HotelState, room: str) -> bool:
    """Whether no guest is let into the room before it is cleaned."""
    return state.opened().housekeeping and state.upkeep.condition(room) is RoomCondition.DIRTY


def clean_rooms(state: HotelState, booking: Booking) -> tuple[str, ...]:
    """The rooms of the booking's type that are clean, vacant, and free on the nights that are left of its stay."""
    today = state.opened().business_date
    calendar = state.calendars[booking.room_type]
    free = calendar.free_for(max(booking.arrival, today).toordinal(), booking.departure.toordinal())
    ready = free & ~(calendar.occupied | calendar.not_clean)
    return tuple(number for position, number in enumerate(calendar.numbers) if ready >> position & 1)


HOUSEKEEPING_RULES: dict[type[Command], Callable[[HotelState, Any, Envelope], HouseRuling]] = {
    commands.ChangeRoom: _change_room,
}
