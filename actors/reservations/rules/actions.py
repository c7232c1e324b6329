"""The rules of the actions on a booking.

`ACTION_RULES` maps each command to its rule, which gets the state, the booking, the command and its envelope, and
returns events, or raises `Refused`. That the booking's status, version and dates allow the action is checked
before.
"""

from collections.abc import Callable
from typing import Any

from innkeeper.actors.reservations.rules.business_day import hold_until
from innkeeper.actors.reservations.rules.changes import change, terms_of
from innkeeper.actors.reservations.rules.moves import move, swap
from innkeeper.actors.reservations.rules.occupancy import check_in, check_out, undo_check_in, undo_check_out
from innkeeper.actors.reservations.rules.pricing import cancellation_fee, no_show, reinstated
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_guests,
    find_room,
    known_type,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.refusals import NoRoomAssigned


def _confirm(
    state: HotelState, booking: Booking, command: commands.ConfirmBooking, envelope: Envelope
) -> tuple[Event, ...]:
    return (events.BookingConfirmed(**terms_of(booking)),)


def _release(
    state: HotelState, booking: Booking, command: commands.ReleaseHold, envelope: Envelope
) -> tuple[Event, ...]:
    return (events.HoldReleased(booking.id, command.reason_code),)


def _extend(state: HotelState, booking: Booking, command: commands.ExtendHold, envelope: Envelope) -> tuple[Event, ...]:
    expires_at = hold_until(state.opened(), booking.arrival, envelope.at, command.hold_seconds)
    if booking.expires_at is not None and expires_at <= booking.expires_at:
        return ()  # the hold already lasts longer
    return (events.HoldExtended(booking.id, expires_at),)


def _cancel(
    state: HotelState, booking: Booking, command: commands.CancelBooking, envelope: Envelope
) -> tuple[Event, ...]:
    fee, waived = cancellation_fee(state.opened(), booking, envelope.at), 0
    if command.waive_fee:
        fee, waived = 0, fee
    return (events.BookingCancelled(booking.id, fee, command.reason, command.reason_code, waived),)


def _reinstate(
    state: HotelState, booking: Booking, command: commands.ReinstateBooking, envelope: Envelope
) -> tuple[Event, ...]:
    kind, had = booking.room_type, booking.room or None
    if had is not None and state.has_room(had) and (booking.pinned or state.rooms[had][0] == kind):
        kind, _position = state.rooms[had]
    else:
        had = None
    check_guests(state, known_type(state, kind), booking.adults, booking.children, "room")
    today = state.opened().business_date
    if booking.departure <= today:  # the guest arrives in the morning, after the last night was closed
        room = _room_until_noon(state, kind, had)
        return (reinstated(state.opened(), booking, room),)
    arrival = max(booking.arrival, today)
    rooming = RoomingRequest(
        booking.id, arrival, booking.departure, kind,
        room=had if booking.pinned else None, prefer=had
    )  # fmt: skip
    room, moved = find_room(state, rooming)
    return (*moved, reinstated(state.opened(), booking, room))


def _room_until_noon(state: HotelState, kind: str, had: str | None) -> str:
    """The room that the booking had, or where somebody is in it, or it is out of order, another one of the type."""
    out_of_order = state.upkeep.out_of_order(state.opened().business_date)
    rooms: tuple[str, ...] = (*(() if had is None else (had,)), *known_type(state, kind).rooms)
    vacant = [room for room in rooms if room not in state.occupants and room not in out_of_order]
    if not vacant:
        raise Refused(NoRoomAssigned(kind, ()))
    return vacant[0]


def _no_show(
    state: HotelState, booking: Booking, command: commands.MarkNoShow, envelope: Envelope
) -> tuple[Event, ...]:
    return (no_show(booking, state.opened().business_date, command.reason, command.waive_fee),)


def _pin(state: HotelState, booking: Booking, command: commands.PinBooking, envelope: Envelope) -> tuple[Event, ...]:
    return (events.BookingPinned(booking.id, booking.room),)


def _unpin(
    state: HotelState, booking: Booking, command: commands.UnpinBooking, envelope: Envelope
) -> tuple[Event, ...]:
    return (events.BookingUnpinned(booking.id),)


ACTION_RULES: dict[type[Command], Callable[[HotelState, Booking, Any, Envelope], tuple[Event, ...]]] = {
    commands.ChangeBooking: change,
    commands.ConfirmBooking: _confirm,
    commands.ReleaseHold: _release,
    commands.ExtendHold: _extend,
    commands.CancelBooking: _cancel,
    commands.ReinstateBooking: _reinstate,
    commands.CheckInGuest: check_in,
    commands.CheckOutGuest: check_out,
    commands.UndoCheckIn: undo_check_in,
    commands.UndoCheckOut: undo_check_out,
    commands.MarkNoShow: _no_show,
    commands.MoveBooking: move,
    commands.SwapRooms: swap,
    commands.PinBooking: _pin,
    commands.UnpinBooking: _unpin,
}
