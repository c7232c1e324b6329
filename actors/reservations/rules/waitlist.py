"""The waitlist: who waits for a stay that is sold out, and who is next when a room of the type comes free.

Who waited longest goes first, and nobody who came later books what an earlier one waits for: the hotel makes its offers
before it takes its next order. An offer is a hold, under the id of the entry: it is confirmed, given back or runs out
like any other, and then it is the next one's turn. Who still waits when the day of arrival is over is taken off.
"""

from datetime import date

from innkeeper.actors.reservations.rules.locators import locator
from innkeeper.actors.reservations.rules.rooming import Rooming, check_arrival, check_guests, find_room, room_type_of
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import Personal
from innkeeper.protocol.reservations.refusals import RoomsLeft, WaitlistFull
from innkeeper.protocol.reservations.waitlist import WaitlistEntry, WaitlistRequest
from innkeeper.protocol.values import limits


def join_event(state: HotelState, request: WaitlistRequest, id_: str) -> events.WaitlistJoined:
    """The entry, under this id. Refuses while there is a room to book, and when too many wait already."""
    kind = room_type_of(state, request.room_type)
    check_arrival(state, request.arrival)
    check_guests(kind, request.adults, request.children)
    if _room(state, Rooming(id_, request.arrival, request.departure, kind.code)) is not None:
        raise Refused(RoomsLeft(kind.code))
    if len(state.waitlist) >= limits.waitlist_entries_max:
        raise Refused(WaitlistFull(limits.waitlist_entries_max))
    guest = request.guest
    return events.WaitlistJoined(
        entry=id_,
        room_type=kind.code,
        arrival=request.arrival,
        departure=request.departure,
        adults=request.adults,
        children=request.children,
        guest_id=id_,
        guest=Personal(guest.name, guest.email, guest.phone, request.notes),
        source=request.source,
    )


def leave_event(state: HotelState, entry: str) -> events.WaitlistLeft:
    """The guest does not wait any longer."""
    if entry not in state.waitlist:
        raise Refused(NotFound("waitlist entry", entry))
    return events.WaitlistLeft(entry, "withdrawn")


def lapse_events(state: HotelState, to: date) -> list[events.WaitlistLeft]:
    """Who waited in vain, when `to` is the business date."""
    return [events.WaitlistLeft(entry.id, "lapsed") for entry in state.waitlist.values() if entry.arrival < to]


def offer_events(state: HotelState, at: int) -> tuple[Event, ...]:
    """The next offer, now that rooms have come free; where there is none, nothing has come free any more."""
    for entry in state.waitlist.values():
        found = entry.room_type in state.freed and _room(state, _rooming(entry))
        if found:
            room, moved = found
            return (*moved, _offer(state, entry, room, at))
    state.freed.clear()
    return ()


def offered_to(done: tuple[Event, ...]) -> str:
    """The entry that this is an offer to; "" if it is none. An entry has the id of the command that made it, so it is
    what caused the offer."""
    return next((event.booking for event in done if isinstance(event, events.BookingHeld)), "")


def _rooming(entry: WaitlistEntry) -> Rooming:
    return Rooming(entry.id, entry.arrival, entry.departure, entry.room_type)


def _room(state: HotelState, rooming: Rooming) -> tuple[str, tuple[events.RoomMoved, ...]] | None:
    try:
        return find_room(state, rooming)
    except Refused:
        return None


def _offer(state: HotelState, entry: WaitlistEntry, room: str, at: int) -> events.BookingHeld:
    return events.BookingHeld(
        booking=entry.id,
        locator=locator(state.bookings_made),
        room_type=entry.room_type,
        room=room,
        arrival=entry.arrival,
        departure=entry.departure,
        adults=entry.adults,
        children=entry.children,
        guest_id=entry.id,
        guest=entry.guest,
        rate=state.room_types[entry.room_type].rate,
        source=entry.source,
        expires_at=at + limits.waitlist_offer_seconds * 1_000_000,
        from_waitlist=True,
    )
