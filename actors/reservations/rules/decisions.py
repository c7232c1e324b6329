"""The decisions of a hotel: a command leads to events or to a refusal. They do not change the state.

`_DECISIONS` and `_ACTIONS` map each command to its rule. A rule gets the state, the command and its context (instant,
id, rooms that have refused a claim); it returns the events and the reply once they are applied, or raises `Refused`.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
from innkeeper.actors.reservations.rules.lifecycle import allowed, why_not
from innkeeper.actors.reservations.rules.locators import locator
from innkeeper.actors.reservations.rules.night_audit import roll_events
from innkeeper.actors.reservations.rules.opening import opening_events
from innkeeper.actors.reservations.rules.pricing import cancellation_fee, first_night
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_arrival,
    check_guests,
    check_room,
    find_room,
    rate_of,
    room_type_of,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.actors.reservations.rules.waitlist import join_event, leave_event
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.command_context import CommandContext
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refused, StaleVersion, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, Contact, GuestDetails
from innkeeper.protocol.reservations.refusals import HotelExists
from innkeeper.protocol.reservations.replies import BookingReply, HotelReply, NightAuditReply, WaitlistReply
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.stay import check_stay
from msgspec import UNSET


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The events of a decision, and the reply once they are applied."""

    events: tuple[Event, ...]
    reply: Callable[[HotelState], Reply]


def decide(state: HotelState, command: Command, context: CommandContext) -> Decision:
    """The decision on a command. Raises `Refused`."""
    if state.hotel is None and not isinstance(command, commands.OpenHotel):
        raise Refused(NotFound("hotel", command.hotel))
    if isinstance(command, commands.BookingCommand):
        booking = find(state, command, context)
        return Decision(_ACTIONS[type(command)](state, booking, command, context), _the_booking(booking.id))
    return _DECISIONS[type(command)](state, command, context)


def find(state: HotelState, command: commands.BookingCommand, context: CommandContext) -> Booking:
    """The booking of an action. Refuses where its status, version or the business date does not allow the action."""
    booking = state.bookings.get(command.booking)
    if booking is None:
        raise Refused(NotFound("booking", command.booking))
    if context.if_version is not None and context.if_version != booking.version:
        raise Refused(StaleVersion(booking.version))
    today = state.opened().business_date
    reason = why_not(booking, command.action, today)
    if reason is not None:
        raise Refused(ActionNotAllowed(command.action, reason, allowed(booking, today)))
    return booking


def _the_booking(booking: str) -> Callable[[HotelState], Reply]:
    return lambda state: BookingReply(state.bookings[booking])


def _open_hotel(state: HotelState, command: commands.OpenHotel, context: CommandContext) -> Decision:
    if state.hotel is not None:
        raise Refused(HotelExists(command.hotel))
    return Decision(opening_events(command.request, context.at), lambda state: HotelReply(state.opened()))


def _book(state: HotelState, command: commands.BookRoom, context: CommandContext) -> Decision:
    request = command.request
    kind = room_type_of(state, request.room_type)
    check_arrival(state, request.arrival)
    check_guests(kind, request.adults, request.children)
    if request.room is not None:
        check_room(state, request.room, kind.code)
    rooming = RoomingRequest(
        context.id,
        request.arrival,
        request.departure,
        kind.code,
        room=request.room,
        excluded_rooms=context.excluded_rooms,
    )
    room, moved = find_room(state, rooming)
    confirmed = events.BookingConfirmed(
        booking=context.id,
        locator=locator(state.bookings_made),
        room_type=request.room_type,
        room=room,
        arrival=request.arrival,
        departure=request.departure,
        adults=request.adults,
        children=request.children,
        guest_id=context.id,  # a guest has the id of the first booking
        guest=_personal(request.guest, request.notes),
        rate=rate_of(state, kind, request.rate),
        source=request.source,
        reminder_on=_reminder(state, request.reminder_on, request.arrival),
        pinned=request.room is not None,
    )
    made: Event = confirmed
    if request.status == "held":
        expires_at = context.at + (request.hold_seconds or limits.hold_seconds_default) * 1_000_000
        made = events.BookingHeld(**msgspec.structs.asdict(confirmed), expires_at=expires_at)
    return Decision((*moved, made), _the_booking(context.id))


def _reminder(state: HotelState, day: date | None, arrival: date) -> date | None:
    """The day of the reminder, or None for the hotel's usual one. Refuses a day in the past or after arrival."""
    today = state.opened().business_date
    if day is not None and not today <= day <= arrival:
        raise invalid("reminder_on", "before_arrival", f"expected a date from {today} to the arrival, {arrival}")
    return day


def _personal(contact: Contact, notes: str) -> GuestDetails:
    return GuestDetails(contact.name, contact.email, contact.phone, notes)


def _join_waitlist(state: HotelState, command: commands.JoinWaitlist, context: CommandContext) -> Decision:
    joined = join_event(state, command.request, context.id)
    return Decision((joined,), lambda state: WaitlistReply(command.hotel, (state.waitlist[context.id],)))


def _leave_waitlist(state: HotelState, command: commands.LeaveWaitlist, context: CommandContext) -> Decision:
    left = leave_event(state, command.entry)
    entry = state.waitlist[command.entry]
    return Decision((left,), lambda _: WaitlistReply(command.hotel, (entry,)))


def _roll(state: HotelState, command: commands.RollBusinessDate, context: CommandContext) -> Decision:
    today = state.opened().business_date
    to = command.to or today + timedelta(days=1)
    if (to - today).days > limits.night_audit_days_max:
        raise invalid(
            "to", "days_max", f"expected at most {limits.night_audit_days_max} days after the business date, {today}"
        )
    done = roll_events(state, to)
    counted = {kind: sum(isinstance(event, kind) for event in done) for kind in _SETTLED}
    return Decision(done, lambda state: NightAuditReply(command.hotel, state.opened().business_date, *counted.values()))


_SETTLED = (events.GuestNoShow, events.GuestCheckedOut, events.HoldExpired)


def _confirm(
    state: HotelState, booking: Booking, command: commands.ConfirmBooking, context: CommandContext
) -> tuple[Event, ...]:
    return (events.BookingConfirmed(**terms_of(booking)),)


def _release(
    state: HotelState, booking: Booking, command: commands.ReleaseHold, context: CommandContext
) -> tuple[Event, ...]:
    return (events.HoldReleased(booking.id),)


def _extend(
    state: HotelState, booking: Booking, command: commands.ExtendHold, context: CommandContext
) -> tuple[Event, ...]:
    expires_at = context.at + command.hold_seconds * 1_000_000
    if booking.expires_at is not None and expires_at <= booking.expires_at:
        return ()  # the hold already lasts longer
    return (events.HoldExtended(booking.id, expires_at),)


def _cancel(
    state: HotelState, booking: Booking, command: commands.CancelBooking, context: CommandContext
) -> tuple[Event, ...]:
    return (events.BookingCancelled(booking.id, cancellation_fee(state.opened(), booking, context.at), command.reason),)


def _reinstate(
    state: HotelState, booking: Booking, command: commands.ReinstateBooking, context: CommandContext
) -> tuple[Event, ...]:
    kind, _position = state.rooms[booking.room]
    arrival = max(booking.arrival, state.opened().business_date)
    rooming = RoomingRequest(
        booking.id, arrival, booking.departure, kind,
        room=booking.room if booking.pinned else None, prefer=booking.room, excluded_rooms=context.excluded_rooms,
    )  # fmt: skip
    room, moved = find_room(state, rooming)
    return (*moved, events.BookingReinstated(booking.id, room))


def _check_in(
    state: HotelState, booking: Booking, command: commands.CheckInGuest, context: CommandContext
) -> tuple[Event, ...]:
    return (events.GuestCheckedIn(booking.id, booking.room),)


def _check_out(
    state: HotelState, booking: Booking, command: commands.CheckOutGuest, context: CommandContext
) -> tuple[Event, ...]:
    slept_until = max(state.opened().business_date, booking.arrival + timedelta(days=1))
    return (events.GuestCheckedOut(booking.id, min(booking.departure, slept_until)),)


def _no_show(
    state: HotelState, booking: Booking, command: commands.MarkNoShow, context: CommandContext
) -> tuple[Event, ...]:
    return (events.GuestNoShow(booking.id, first_night(booking)),)


def _move(
    state: HotelState, booking: Booking, command: commands.MoveBooking, context: CommandContext
) -> tuple[Event, ...]:
    check_room(state, command.room)
    if command.room == booking.room:
        return ()
    kind, _position = state.rooms[command.room]
    check_guests(state.room_types[kind], booking.adults, booking.children, "room")
    arrival = max(booking.arrival, state.opened().business_date)
    if booking.departure <= arrival:
        raise invalid("room", "nights_left", "the guest is due out today: no night is left to move")
    rooming = RoomingRequest(
        booking.id, arrival, booking.departure, kind, room=command.room, present=booking,
        excluded_rooms=context.excluded_rooms,
    )  # fmt: skip
    _room, moved = find_room(state, rooming)
    cause = "request" if kind == booking.room_type else "upgrade"
    done: list[Event] = [*moved, events.RoomMoved(booking.id, booking.room, command.room, cause)]
    if cause == "upgrade" and not booking.pinned and booking.status is not BookingStatus.IN_HOUSE:
        done.append(events.BookingPinned(booking.id, command.room))
    return tuple(done)


def _pin(
    state: HotelState, booking: Booking, command: commands.PinBooking, context: CommandContext
) -> tuple[Event, ...]:
    return (events.BookingPinned(booking.id, booking.room),)


def _unpin(
    state: HotelState, booking: Booking, command: commands.UnpinBooking, context: CommandContext
) -> tuple[Event, ...]:
    return (events.BookingUnpinned(booking.id),)


def terms_of(booking: Booking) -> dict[str, Any]:
    """All terms of a booking, as the fields of a `StayEvent`."""
    return {"booking": booking.id, "locator": booking.locator} | {
        term: getattr(booking, term)
        for term in events.StayEvent.__struct_fields__
        if term not in ("booking", "locator")
    }


def _changed_fields(change: commands.BookingChange | commands.ContactChange) -> dict[str, Any]:
    """The fields that a change sets."""
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}


def _change(
    state: HotelState, booking: Booking, command: commands.ChangeBooking, context: CommandContext
) -> tuple[Event, ...]:
    change = command.change
    changed = _changed_fields(change)
    notes = changed.pop("notes", booking.guest.notes)
    reminder_given, reminder = "reminder_on" in changed, changed.pop("reminder_on", booking.reminder_on)
    guest = changed.pop("guest", None)
    person = msgspec.structs.replace(booking.guest, notes=notes, **({} if guest is None else _changed_fields(guest)))
    was = terms_of(booking)
    terms = was | changed | {"guest": person}
    kind = room_type_of(state, terms["room_type"])
    if "rate" in changed or kind.code != booking.room_type:
        terms["rate"] = rate_of(state, kind, changed.get("rate"))
    moved = _rearrange(state, booking, terms, context)
    if {"adults", "children", "room_type"} & changed.keys():
        field = None if {"adults", "children"} & changed.keys() else "room_type"
        check_guests(kind, terms["adults"], terms["children"], field)
    done: list[Event] = list(moved)
    if (
        terms | {"guest": booking.guest} != was
        or msgspec.structs.replace(person, notes=booking.guest.notes) != booking.guest
    ):
        done.append(events.BookingModified(**terms))
    if notes != booking.guest.notes:
        done.append(events.NoteChanged(booking.id, booking.guest_id, person))
    if reminder_given:
        reminder = _reminder(state, reminder, terms["arrival"])
    elif reminder is not None and reminder > terms["arrival"]:
        reminder = None  # the reminder would be after the new arrival
    if reminder != booking.reminder_on:
        done.append(events.ReminderChanged(booking.id, reminder))
    return tuple(done)


def _rearrange(
    state: HotelState, booking: Booking, terms: dict[str, Any], context: CommandContext
) -> tuple[Event, ...]:
    """Finds a room for the new stay in `terms`, and sets it there; returns the moves of other guests."""
    if all(terms[term] == getattr(booking, term) for term in ("room_type", "arrival", "departure")):
        return ()
    today = state.opened().business_date
    arrival, departure = terms["arrival"], terms["departure"]
    check_stay(arrival, departure)
    in_house = booking.status is BookingStatus.IN_HOUSE
    if in_house and (arrival != booking.arrival or terms["room_type"] != booking.room_type):
        raise invalid(
            "arrival", "in_house", "a guest in house keeps the arrival and the room type; use move to change rooms"
        )
    if arrival != booking.arrival:
        check_arrival(state, arrival)
    if departure < today:
        raise invalid("departure", "not_past", f"{departure} is before the business date, {today}")
    same_type = terms["room_type"] == booking.room_type
    fixed = same_type and (in_house or booking.pinned)
    rooming = RoomingRequest(
        booking.id, max(arrival, today), departure,
        state.rooms[booking.room][0] if same_type else terms["room_type"],
        room=booking.room if fixed else None, prefer=booking.room, present=booking,
        excluded_rooms=context.excluded_rooms,
    )  # fmt: skip
    terms["pinned"] = booking.pinned and same_type
    if rooming.arrival >= departure:  # the guest in house is due out today now
        return ()
    terms["room"], moved = find_room(state, rooming)
    return moved


_ACTIONS: dict[type[Command], Callable[[HotelState, Booking, Any, CommandContext], tuple[Event, ...]]] = {
    commands.ChangeBooking: _change,
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

_DECISIONS: dict[type[Command], Callable[[HotelState, Any, CommandContext], Decision]] = {
    commands.OpenHotel: _open_hotel,
    commands.BookRoom: _book,
    commands.JoinWaitlist: _join_waitlist,
    commands.LeaveWaitlist: _leave_waitlist,
    commands.RollBusinessDate: _roll,
}
