"""The rule that changes the terms of a booking: its dates, its room type, its guest, its rate."""

from datetime import date
from typing import Any

import msgspec
from innkeeper.actors.reservations.rules.business_day import hold_until
from innkeeper.actors.reservations.rules.capacity import check_change
from innkeeper.actors.reservations.rules.guests import at_other_stays, changed_guest
from innkeeper.actors.reservations.rules.pricing import StayChange, changed_stay, exempted
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_arrival,
    check_reminder,
    check_room,
    find_room,
    prolonged,
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
from innkeeper.protocol.values.limits import stay_nights_max
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
    guest = changed_guest(booking.guest, notes | contact)
    was = terms_of(booking)
    if "exemptions" in changed:
        changed["exemptions"] = exempted(state.opened(), booking.terms, change.exemptions)  # type: ignore[arg-type]
    terms = was | changed | {"guest": guest}
    kind = room_type_of(state, terms["room_type"], known=booking.room_type)
    prices_anew = "rate" in changed or kind.code != booking.room_type
    requested = terms.pop("rate", None)
    rate = kind.rate if requested is None else rate_of(state, requested)
    moved = _rearrange(state, booking, terms, terms.pop("room", None))
    check_change(state, booking, terms, state.opened().business_date)
    party = terms["adults"], terms["children"]
    stay = StayChange(terms["arrival"], terms["departure"], *party, rate, prices_anew, terms["exemptions"])
    terms |= changed_stay(state.opened(), booking, stay, envelope.at)
    done: list[Event] = list(moved)
    if terms | {"guest": booking.guest} != was or _contact(guest) != _contact(booking.guest):
        done.append(events.BookingModified(**terms))
    elif guest != booking.guest:
        done.append(events.GuestChanged(booking.id, guest))
    done += at_other_stays(state, booking, contact) if contact else ()
    if reminder_given and reminder is not None:
        check_reminder(state, reminder, terms["arrival"], envelope.at)
    elif reminder is not None and reminder > terms["arrival"]:
        reminder = None  # the reminder would be after the new arrival
    if reminder != booking.reminder_on:
        done.append(events.ReminderChanged(booking.id, reminder))
    if booking.expires_at is not None and terms["arrival"] < booking.arrival:
        seconds = max(booking.expires_at - envelope.at, 0) // 1_000_000
        ends_at = hold_until(state.opened(), terms["arrival"], envelope.at, seconds)
        if ends_at < booking.expires_at - 1_000_000:  # it would outlast the night that it is for now
            done.append(events.HoldExtended(booking.id, ends_at))
    return tuple(done)


def _contact(guest: Guest) -> GuestDetails | None:
    return guest.details and msgspec.structs.replace(guest.details, notes="")


def _rearrange(state: HotelState, booking: Booking, terms: dict[str, Any], room: str | None) -> tuple[Event, ...]:
    """Finds a room for the new stay in `terms`, and sets it there; returns the moves of other guests. `room` is the one
    for the nights that are added."""
    if all(terms[term] == getattr(booking, term) for term in ("room_type", "arrival", "departure")):
        if room is not None:
            raise invalid("room", "with_departure", "give it with a later departure; use move to change rooms")
        return ()
    if booking.status is BookingStatus.IN_HOUSE:
        return _stay_longer(state, booking, terms, room)
    if room is not None:
        raise invalid("room", "in_house", "only for a guest in house who stays longer; use move to change rooms")
    arrival, departure = terms["arrival"], terms["departure"]
    check_stay(arrival, departure)
    if arrival != booking.arrival:
        check_arrival(state, arrival)
    today = state.opened().business_date
    if departure <= today:
        raise invalid("departure", "not_past", f"{departure} is not after the business date, {today}")
    same_type = terms["room_type"] == booking.room_type
    terms["pinned"] = booking.pinned and same_type
    if same_type and booking.arrival <= arrival and departure <= booking.departure:
        terms["rooms"] = _rooms_within(booking, arrival, departure)
        return ()
    had = booking.room or None
    rooming = RoomingRequest(
        booking.id, max(arrival, today), departure,
        state.rooms[had][0] if had and same_type else terms["room_type"],
        room=had if terms["pinned"] else None, prefer=had, present=booking
    )  # fmt: skip
    found, moved = find_room(state, rooming)
    terms["rooms"] = (RoomSegment(found, arrival, departure),)
    return moved


def _rooms_within(booking: Booking, arrival: date, departure: date) -> tuple[RoomSegment, ...]:
    """The rooms that the booking has on these nights of its stay: who only gives nights back keeps them."""
    kept = (RoomSegment(one.room, max(one.first, arrival), min(one.until, departure)) for one in booking.rooms)
    return tuple(part for part in kept if part.first < part.until)


def _stay_longer(state: HotelState, booking: Booking, terms: dict[str, Any], room: str | None) -> tuple[Event, ...]:
    """Prolongs or shortens the stay of a guest in house. The limit of nights counts from the business date on."""
    if terms["arrival"] != booking.arrival or terms["room_type"] != booking.room_type:
        raise invalid(
            "arrival", "in_house", "a guest in house keeps the arrival and the room type; use move to change rooms"
        )
    today, departure = state.opened().business_date, terms["departure"]
    if departure < today:
        raise invalid("departure", "not_past", f"{departure} is before the business date, {today}")
    check_stay(booking.arrival, max(departure, booking.arrival), (today - booking.arrival).days + stay_nights_max)
    if departure <= booking.departure:
        if room is not None:
            raise invalid("room", "nights_added", "expected a later departure: no night is added")
        terms["rooms"] = _rooms_within(booking, booking.arrival, departure)
        return ()
    last = booking.rooms[-1]
    there = room or (last.room if last.until > today else None) or booking.room
    check_room(state, there)
    kind, _position = state.rooms[there]
    first = max(booking.departure, today)
    _found, moved = find_room(state, RoomingRequest(booking.id, first, departure, kind, room=there))
    terms["rooms"] = prolonged(booking, there, departure)
    return moved
