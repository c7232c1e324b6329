"""The rules for guests who stay on, and for bookings that have no room because of it.

A guest who was due out and is still in house when the day closes has slept another night: the audit extends the stay by
it, in the room where the guest is. Likewise a guest who has not changed rooms as planned has slept where the guest is.
Another booking that holds the room that night loses it; one that is not over gets another room as soon as one is free.
"""

from collections.abc import Iterator
from datetime import date

from innkeeper.actors.reservations.rules.closures import give_way
from innkeeper.actors.reservations.rules.pricing import StayChange, changed_stay
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    find_room,
    known_type,
    prolonged,
    with_room,
)
from innkeeper.actors.reservations.rules.state import IN_HOUSE, HotelState
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.reasons import MoveReason


def overstay_events(state: HotelState, to: date, at: int, ended: set[str]) -> Iterator[Event]:
    """The events by which the nights before `to`, the new business date, are those of the guests in house, in the rooms
    that they are in: who was due out stays on, and a move that was not carried out waits until then. `ended` are the
    bookings that end with the day."""
    today = state.opened().business_date
    for booking in sorted(state.occupants.values()):
        stay = state.bookings[booking]
        if stay.departure < to:
            yield from _unassign(state, stay, (stay.departure, to), ended)
            rate = known_type(state, stay.room_type).rate
            party = stay.adults, stay.children
            change = StayChange(stay.arrival, to, *party, rate, prices_anew=False, exemptions=stay.exemptions)
            lines = changed_stay(state.opened(), stay, change, at)["lines"]
            yield events.GuestOverstayed(booking, to, prolonged(stay, stay.room, to), lines)
        elif stay.arrival <= today and (planned := stay.room_on(today)) != stay.room:
            yield from _unassign(state, stay, (today, to), ended)
            rooms = with_room(stay, stay.room, today, to)
            yield events.RoomMoved(booking, planned or "", stay.room, rooms, MoveReason.OVERSTAY)


def _unassign(state: HotelState, stay: Booking, nights: tuple[date, date], ended: set[str]) -> Iterator[Event]:
    """Takes the guest's room on these nights from those who hold it and are not in it. Another guest in house, who has
    not moved in as planned, gets the nights where that guest is."""
    first, until = nights
    yield from give_way(state, stay.room, until)
    kind, position = state.rooms[stay.room]
    for _, _, holder in state.calendars[kind].overlapping(position, first.toordinal(), until.toordinal()):
        other = state.bookings.get(holder)
        if other is not None and holder not in ended and other.status is not IN_HOUSE:
            rooms = with_room(other, None, max(first, other.arrival), min(until, other.departure))
            yield events.RoomUnassigned(holder, stay.room, rooms, MoveReason.OVERSTAY, stay.id)


def assignment_events(state: HotelState) -> tuple[str, tuple[Event, ...]]:
    """The booking without a room that gets one of those that are free now, the earliest arrival first, and the events;
    none where no room fits."""
    waiting = sorted(
        stay for kind, calendar in state.calendars.items() if kind in state.freed for stay in calendar.waiting
    )
    today = state.opened().business_date
    for first, until, booking in waiting:
        stay = state.bookings[booking]
        arrival, departure = max(date.fromordinal(first), today), date.fromordinal(until)
        prefer = stay.room if stay.status is IN_HOUSE else None
        rooming = RoomingRequest(
            booking, arrival, departure, stay.room_type, prefer=prefer, present=stay, kept_until=arrival
        )
        try:
            room, moved = find_room(state, rooming)
        except Refused:
            continue
        rooms = with_room(stay, room, arrival, departure)
        return booking, (*moved, events.RoomAssigned(booking, room, rooms))
    return "", ()
