"""The rule that changes the terms of a booking: its dates, its room type, its guest, its rate."""

from typing import Any

import msgspec
from innkeeper.actors.reservations.rules.guests import at_other_bookings, changed_guest
from innkeeper.actors.reservations.rules.pricing import StayChange, changed_stay
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_arrival,
    check_guests,
    check_reminder,
    find_room,
    rate_of,
    room_type_of,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations import commands, events, requests
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, RoomSegment
from innkeeper.protocol.reservations.requests import check_stay
from innkeeper.protocol.values.guests import Guest, GuestDetails
from msgspec import UNSET


def terms_of(booking: Booking) -> dict[str, Any]:
    """All terms of a booking, as the fields of a `StayEvent`."""
    return {"booking": booking.id, "locator": booking.locator} | {
        term: getattr(booking, term)
        for term in events.StayEvent.__struct_fields__
        if term not in ("booking", "locator")
    }


def changed_fields(
    change: requests.BookingChange | requests.WaitlistChange | requests.ContactChange,
) -> dict[str, Any]:
    """The fields that a change sets."""
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}


def change(
    state: HotelState, booking: Booking, command: commands.ChangeBooking, envelope: Envelope
) -> tuple[Event, ...]:
    """Changes what the command names, and leaves the rest. Nothing changes without an event."""
    change = command.change
    changed = changed_fields(change)
    notes = {"notes": changed.pop("notes")} if "notes" in changed else {}
    reminder_given, reminder = "reminder_on" in changed, changed.pop("reminder_on", booking.reminder_on)
    contact = changed_fields(changed.pop("guest")) if "guest" in changed else {}
    guest = changed_guest(state, booking.guest, notes | contact, envelope)
    was = terms_of(booking)
    terms = was | changed | {"guest": guest}
    kind = room_type_of(state, terms["room_type"])
    prices_anew = "rate" in changed or kind.code != booking.room_type
    requested = terms.pop("rate", None)
    rate = kind.rate if requested is None else rate_of(state, requested)
    moved = _rearrange(state, booking, terms)
    if {"adults", "children", "room_type"} & changed.keys():
        field = None if {"adults", "children"} & changed.keys() else "room_type"
        check_guests(kind, terms["adults"], terms["children"], field)
    stay = StayChange(terms["arrival"], terms["departure"], terms["adults"], terms["children"], rate, prices_anew)
    terms |= changed_stay(state.opened(), booking, stay, envelope.at)
    done: list[Event] = list(moved)
    if terms | {"guest": booking.guest} != was or _contact(guest) != _contact(booking.guest):
        done.append(events.BookingModified(**terms))
    elif guest != booking.guest:
        done.append(events.GuestChanged(booking.id, guest))
    done += at_other_bookings(state, booking, contact, envelope) if contact else ()
    if reminder_given and reminder is not None:
        check_reminder(state, reminder, terms["arrival"])
    elif reminder is not None and reminder > terms["arrival"]:
        reminder = None  # the reminder would be after the new arrival
    if reminder != booking.reminder_on:
        done.append(events.ReminderChanged(booking.id, reminder))
    return tuple(done)


def _contact(guest: Guest) -> GuestDetails | None:
    return guest.details and msgspec.structs.replace(guest.details, notes="")


def _rearrange(state: HotelState, booking: Booking, terms: dict[str, Any]) -> tuple[Event, ...]:
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
        room=booking.room if fixed else None, prefer=booking.room, present=booking
    )  # fmt: skip
    terms["pinned"] = booking.pinned and same_type
    room = booking.room
    moved: tuple[Event, ...] = ()
    if rooming.arrival < departure:  # else the guest in house is due out today now
        room, moved = find_room(state, rooming)
    *earlier, now = booking.rooms if in_house else (RoomSegment(room, arrival, departure),)
    terms["rooms"] = (*earlier, RoomSegment(room, now.first, max(departure, now.first)))
    return moved
