"""The waitlist: guests who wait for a stay that is sold out, and the offers when a room of the type comes free.

The oldest entry gets the first offer. The hotel makes its offers before it handles its next command, so that a later
request cannot book the room. An offer is a hold with the id of the entry: it is confirmed, released or expires like any
other, and after its end the next entry gets an offer. An entry lapses when its day of arrival is over.
"""

from datetime import date

from innkeeper.actors.reservations.rules.business_day import hold_until
from innkeeper.actors.reservations.rules.guests import guest_of
from innkeeper.actors.reservations.rules.pricing import new_stay
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_arrival,
    check_guests,
    find_room,
    room_type_of,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.protocol.reservations.reasons import WaitlistReason
from innkeeper.protocol.reservations.refusals import RoomsStillAvailable, WaitlistFull
from innkeeper.protocol.reservations.requests import WaitlistRequest
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values import limits


def join_event(state: HotelState, request: WaitlistRequest, envelope: Envelope) -> events.WaitlistJoined:
    """The event that adds an entry with the envelope's id. Refuses while a room can be booked, and where the waitlist
    is full."""
    kind = room_type_of(state, request.room_type)
    check_arrival(state, request.arrival)
    check_guests(state, kind, request.adults, request.children)
    if _room(state, RoomingRequest(envelope.id, request.arrival, request.departure, kind.code)) is not None:
        raise Refused(RoomsStillAvailable(kind.code))
    if len(state.waitlist) >= limits.waitlist_entries_max:
        raise Refused(WaitlistFull(limits.waitlist_entries_max))
    return events.WaitlistJoined(
        entry=envelope.id,
        room_type=kind.code,
        arrival=request.arrival,
        departure=request.departure,
        adults=request.adults,
        children=request.children,
        guest=guest_of(state, request.guest, request.notes, envelope),
        source=request.source,
    )


def leave_event(state: HotelState, entry: str) -> events.WaitlistLeft:
    """The event that removes an entry on request. Refuses an unknown entry."""
    if entry not in state.waitlist:
        raise Refused(NotFound("waitlist entry", entry))
    return events.WaitlistLeft(entry, WaitlistReason.WITHDRAWN)


def lapse_events(state: HotelState, to: date) -> list[events.WaitlistLeft]:
    """The events that remove the entries whose arrival is before `to`, the new business date."""
    lapsed = [entry.id for entry in state.waitlist.values() if entry.arrival < to]
    return [events.WaitlistLeft(entry, WaitlistReason.LAPSED) for entry in lapsed]


def offer_events(state: HotelState, at: int) -> tuple[str, tuple[Event, ...]]:
    """The id of the entry that gets the next offer from the freed rooms, which is also that of the command that made
    the entry, and the events of the offer. Where no entry fits, clears `freed` and returns none."""
    for entry in state.waitlist.values():
        found = entry.room_type in state.freed and _room(state, _rooming(entry))
        if found:
            room, moved = found
            return entry.id, (*moved, _offer(state, entry, room, at))
    state.freed.clear()
    return "", ()


def _rooming(entry: WaitlistEntry) -> RoomingRequest:
    return RoomingRequest(entry.id, entry.arrival, entry.departure, entry.room_type)


def _room(state: HotelState, rooming: RoomingRequest) -> tuple[str, tuple[events.RoomMoved, ...]] | None:
    try:
        return find_room(state, rooming)
    except Refused:
        return None


def _offer(state: HotelState, entry: WaitlistEntry, room: str, at: int) -> events.BookingHeld:
    return events.BookingHeld(
        booking=entry.id,
        locator=state.next_locator(),
        room_type=entry.room_type,
        rooms=(RoomSegment(room, entry.arrival, entry.departure),),
        arrival=entry.arrival,
        departure=entry.departure,
        adults=entry.adults,
        children=entry.children,
        guest=entry.guest,
        source=entry.source,
        expires_at=hold_until(state.opened(), entry.arrival, at, limits.waitlist_offer_seconds),
        from_waitlist=True,
        **new_stay(state.opened(), entry, state.room_types[entry.room_type].rate),
    )
