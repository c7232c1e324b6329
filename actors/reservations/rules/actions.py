"""The rules of the actions on a booking.

`ACTION_RULES` maps each command to its rule, which gets the state, the booking, the command and its envelope, and
returns events, or raises `Refused`. That the booking's status, version and dates allow the action is checked
before.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from innkeeper.actors.reservations.rules.changes import change, terms_of
from innkeeper.actors.reservations.rules.pricing import cancellation_fee, checked_out, no_show, reinstated
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_guests,
    check_room,
    find_room,
    in_room,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, RoomSegment
from innkeeper.protocol.reservations.reasons import MoveReason


def _confirm(
    state: HotelState, booking: Booking, command: commands.ConfirmBooking, envelope: Envelope
) -> tuple[Event, ...]:
    return (events.BookingConfirmed(**terms_of(booking)),)


def _release(
    state: HotelState, booking: Booking, command: commands.ReleaseHold, envelope: Envelope
) -> tuple[Event, ...]:
    return (events.HoldReleased(booking.id, command.reason_code),)


def _extend(state: HotelState, booking: Booking, command: commands.ExtendHold, envelope: Envelope) -> tuple[Event, ...]:
    expires_at = envelope.at + command.hold_seconds * 1_000_000
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
    kind, _position = state.rooms[booking.room]
    today = state.opened().business_date
    if booking.departure <= today:  # the guest arrives in the morning, after the last night was closed
        rooms = (RoomSegment(_room_until_noon(state, booking), booking.arrival, booking.departure),)
        return (reinstated(booking, rooms, today),)
    arrival = max(booking.arrival, today)
    rooming = RoomingRequest(
        booking.id, arrival, booking.departure, kind,
        room=booking.room if booking.pinned else None, prefer=booking.room
    )  # fmt: skip
    room, moved = find_room(state, rooming)
    return (*moved, reinstated(booking, in_room(booking, room, arrival), today))


def _room_until_noon(state: HotelState, booking: Booking) -> str:
    """The booking's own room, or where somebody is in it another one of its type in which nobody is."""
    occupied = {other.room for other in state.bookings.values() if other.status is BookingStatus.IN_HOUSE}
    kind, _position = state.rooms[booking.room]
    rooms = (booking.room, *state.room_types[kind].rooms)
    return next((room for room in rooms if room not in occupied), booking.room)


def _check_in(
    state: HotelState, booking: Booking, command: commands.CheckInGuest, envelope: Envelope
) -> tuple[Event, ...]:
    return (events.GuestCheckedIn(booking.id, booking.room),)


def _check_out(
    state: HotelState, booking: Booking, command: commands.CheckOutGuest, envelope: Envelope
) -> tuple[Event, ...]:
    slept_until = max(state.opened().business_date, booking.arrival + timedelta(days=1))
    return (checked_out(booking, min(booking.departure, slept_until)),)


def _no_show(
    state: HotelState, booking: Booking, command: commands.MarkNoShow, envelope: Envelope
) -> tuple[Event, ...]:
    return (no_show(booking, state.opened().business_date, command.reason, command.waive_fee),)


def _move(state: HotelState, booking: Booking, command: commands.MoveBooking, envelope: Envelope) -> tuple[Event, ...]:
    check_room(state, command.room)
    if command.room == booking.room:
        return ()
    kind, _position = state.rooms[command.room]
    check_guests(state.room_types[kind], booking.adults, booking.children, "room")
    arrival = max(booking.arrival, state.opened().business_date)
    if booking.departure <= arrival:
        raise invalid("room", "nights_left", "the guest is due out today: no night is left to move")
    rooming = RoomingRequest(
        booking.id, arrival, booking.departure, kind, room=command.room, present=booking
    )  # fmt: skip
    _room, moved = find_room(state, rooming)
    reason = MoveReason.REQUEST if kind == booking.room_type else MoveReason.UPGRADE
    rooms = in_room(booking, command.room, arrival)
    move = events.RoomMoved(booking.id, booking.room, command.room, rooms, reason)
    done: list[Event] = [*moved, move]
    if reason is MoveReason.UPGRADE and not booking.pinned and booking.status is not BookingStatus.IN_HOUSE:
        done.append(events.BookingPinned(booking.id, command.room))
    return tuple(done)


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
    commands.CheckInGuest: _check_in,
    commands.CheckOutGuest: _check_out,
    commands.MarkNoShow: _no_show,
    commands.MoveBooking: _move,
    commands.PinBooking: _pin,
    commands.UnpinBooking: _unpin,
}
