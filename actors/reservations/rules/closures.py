"""The rules by which a room is out of order or out of service for some nights.

A room that is out of order cannot be sold: the closure holds its nights like a booking, in the calendar and in the room
itself. Guests who have not arrived get other rooms; where one cannot, the closure is refused. A room that is out of
service can be sold, but is given last. When the business date reaches its end a closure is over by itself.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from innkeeper.actors.reservations.rules.displacement import clear_room
from innkeeper.actors.reservations.rules.house import HouseRuling, check_version
from innkeeper.actors.reservations.rules.room_details import rooms_reply
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import NotFound, Refused, invalid
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.refusals import RoomClosedAlready
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomClosed, RoomClosureChanged, RoomReopened
from innkeeper.protocol.values import limits
from msgspec import UNSET


def _close(state: HotelState, command: commands.CloseRoom, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    room, request, today = command.room, command.request, state.opened().business_date
    if not state.has_room(room):
        raise Refused(NotFound("room", room))
    first = today if request.first is None else request.first
    if first < today:
        raise invalid("first", "not_past", f"{first} is before the business date, {today}")
    if sum(other.room == room for other in state.upkeep.closures.values()) >= limits.closures_per_room_max:
        most = limits.closures_per_room_max
        raise invalid("room", "closures_max", f"a room has at most {most} closures that are not over")
    closure = Closure(envelope.id, room, request.kind, first, request.until, request.reason)
    moved = _moved(state, closure)
    done = RoomClosed(closure.id, room, closure.kind, first, closure.until, closure.reason)
    return (*moved, done), _reply(state, closure)


def _change(state: HotelState, command: commands.ChangeClosure, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    was, change, today = _known(state, command.room, command.closure), command.change, state.opened().business_date
    first = was.first if change.first is UNSET else change.first
    until = was.until if change.until is UNSET else change.until
    reason = was.reason if change.reason is UNSET else change.reason
    if first != was.first and was.first <= today:
        raise invalid("first", "begun", f"the closure has begun on {was.first}")
    if first != was.first and first < today:
        raise invalid("first", "not_past", f"{first} is before the business date, {today}")
    if until <= today:
        raise invalid("until", "not_past", f"expected a date after the business date, {today}; or reopen the room")
    closure = Closure(was.id, was.room, was.kind, first, until, reason)
    if closure == was:
        return (), _reply(state, closure)
    moved = _moved(state, closure)
    return (*moved, RoomClosureChanged(closure.id, first, until, reason)), _reply(state, closure)


def _reopen(state: HotelState, command: commands.ReopenRoom, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    closure = _known(state, command.room, command.closure)
    return (RoomReopened(closure.id),), _reply(state, closure)


def _known(state: HotelState, room: str, closure: str) -> Closure:
    if room not in state.rooms:
        raise Refused(NotFound("room", room))
    known = state.upkeep.closures.get(closure)
    if known is None or known.room != room:
        raise Refused(NotFound("closure", closure))
    return known


def _moved(state: HotelState, closure: Closure) -> tuple[Event, ...]:
    """The moves of the bookings that a closure displaces. Refuses nights that cannot be closed."""
    today, first, until = state.opened().business_date, closure.first, closure.until
    if until <= first:
        raise invalid("until", "after_first", f"expected a date after first, {first}")
    if (until - today).days > limits.arrival_days_ahead_max:
        most = limits.arrival_days_ahead_max
        raise invalid("until", "days_ahead_max", f"expected at most {most:,} days after the business date, {today}")
    for other in state.upkeep.closures.values():
        if other.room == closure.room and other.id != closure.id and other.first < until and first < other.until:
            raise Refused(RoomClosedAlready(closure.room, other.id))
    if closure.kind is ClosureKind.OUT_OF_SERVICE:
        return ()
    nights = max(first, today).toordinal(), until.toordinal()
    return clear_room(state, closure.room, *nights, MoveReason.ROOM_CLOSED, closure.id)


def _reply(state: HotelState, closure: Closure) -> Any:
    return rooms_reply(state, state.opened(), (closure.room,), closure)


def give_way(state: HotelState, room: str, until: date) -> Iterator[Event]:
    """The events by which closures leave the nights before `until` to a guest who is in the room and stays on."""
    for closure in state.upkeep.closures.values():
        if closure.room == room and closure.kind is ClosureKind.OUT_OF_ORDER and closure.first < until:
            if closure.until <= until:
                yield RoomReopened(closure.id)
            else:
                yield RoomClosureChanged(closure.id, until, closure.until, closure.reason)


CLOSURE_RULES: dict[type[Command], Callable[[HotelState, Any, Envelope], HouseRuling]] = {
    commands.CloseRoom: _close,
    commands.ChangeClosure: _change,
    commands.ReopenRoom: _reopen,
}
