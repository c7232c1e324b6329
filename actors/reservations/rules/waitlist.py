"""The waitlist: guests who wait for a stay that is sold out, and the offers when a room of the type comes free.

The oldest entry gets the first offer. The hotel makes its offers before it handles its next command, so that a later
request cannot book the room. An offer is a hold with the id of the entry: it is confirmed, released or expires like any
other, and after its end the next entry gets an offer. An entry lapses when its day of arrival is over. A guest waits
once for a stay, and keeps the place in a change by which the stay does not grow.
"""

from datetime import date

from innkeeper.actors.reservations.rules.business_day import hold_until
from innkeeper.actors.reservations.rules.changes import changed_fields
from innkeeper.actors.reservations.rules.guests import at_other_stays, changed_guest, guest_of
from innkeeper.actors.reservations.rules.pricing import new_stay
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_arrival,
    check_guests,
    excess_of,
    find_room,
    room_type_of,
)
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.actors.reservations.rules.waitlist_entries import change_of
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refused, StaleVersion
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.protocol.reservations.reasons import WaitlistReason
from innkeeper.protocol.reservations.refusals import RoomsStillAvailable, WaitlistFull, WaitsAlready
from innkeeper.protocol.reservations.requests import WaitlistRequest, check_stay
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import Guest


def join_event(state: HotelState, request: WaitlistRequest, envelope: Envelope) -> events.WaitlistJoined:
    """The event that adds an entry with the envelope's id. Refuses while a room can be booked, where the guest waits
    for this stay already, and where the waitlist is full."""
    kind = room_type_of(state, request.room_type)
    check_arrival(state, request.arrival)
    check_guests(state, kind, request.adults, request.children)
    if _room(state, RoomingRequest(envelope.id, request.arrival, request.departure, kind.code)) is not None:
        raise Refused(RoomsStillAvailable(kind.code))
    guest = guest_of(state, request.guest, request.notes, envelope)
    joined = events.WaitlistJoined(
        entry=envelope.id,
        room_type=kind.code,
        arrival=request.arrival,
        departure=request.departure,
        adults=request.adults,
        children=request.children,
        guest=guest,
        source=request.source,
    )
    _check_waits_once(state, joined)
    if len(state.waitlist) >= limits.waitlist_entries_max:
        raise Refused(WaitlistFull(limits.waitlist_entries_max))
    return joined


def change_events(state: HotelState, command: commands.ChangeWaitlistEntry, envelope: Envelope) -> tuple[Event, ...]:
    """The events that change an entry; none where nothing changes. Refuses a stay for which a room can be booked, or
    for which the guest waits already."""
    was = entry_of(state, command.entry, envelope)
    changed = changed_fields(command.change)
    notes = {"notes": changed.pop("notes")} if "notes" in changed else {}
    contact = changed_fields(changed.pop("guest")) if "guest" in changed else {}
    guest = changed_guest(was.guest, notes | contact)
    if guest == was.guest and all(getattr(was, name) == value for name, value in changed.items()):
        return ()
    event = change_of(was, guest, **changed)
    if (event.room_type, event.arrival, event.departure) != (was.room_type, was.arrival, was.departure):
        kind = room_type_of(state, event.room_type)
        check_stay(event.arrival, event.departure)
        check_arrival(state, event.arrival)
        if _room(state, RoomingRequest(was.id, event.arrival, event.departure, kind.code)) is not None:
            raise Refused(RoomsStillAvailable(kind.code))
        _check_waits_once(state, event)
    if {"adults", "children", "room_type"} & changed.keys():
        field = None if {"adults", "children"} & changed.keys() else "room_type"
        check_guests(state, room_type_of(state, event.room_type), event.adults, event.children, field)
    return (event, *(at_other_stays(state, was, contact) if contact else ()))


def entry_of(state: HotelState, entry: str, envelope: Envelope) -> WaitlistEntry:
    """The entry with this id. Refuses an unknown one, one that has become a booking with its offer, and one of another
    version than the caller expects."""
    found = state.waitlist.get(entry)
    if found is None:
        if entry in state.bookings:
            reason = "the stay was offered: it is a booking of the same id now; change or release that one"
            raise Refused(ActionNotAllowed("change", reason, ()))
        raise Refused(NotFound("waitlist entry", entry))
    if envelope.if_version is not None and envelope.if_version != found.version:
        raise Refused(StaleVersion(found.version))
    return found


def _check_waits_once(state: HotelState, stay: events.WaitlistJoined | events.WaitlistChanged) -> None:
    for other in state.waitlist.values():
        if (
            other.id != stay.entry
            and (other.room_type, other.arrival, other.departure) == (stay.room_type, stay.arrival, stay.departure)
            and _is_same_guest(other.guest, stay.guest)
        ):
            raise Refused(WaitsAlready(other.id))


def _is_same_guest(one: Guest, other: Guest) -> bool:
    """Whether it is one guest: by the id, or by the name with the same e-mail address or phone number."""
    if one.id == other.id:
        return True
    if one.details is None or other.details is None or _folded(one.details.name) != _folded(other.details.name):
        return False
    email, phone = _folded(one.details.email), _digits(one.details.phone)
    return bool(email and email == _folded(other.details.email)) or bool(
        phone and phone == _digits(other.details.phone)
    )


def _folded(text: str | None) -> str:
    return " ".join((text or "").casefold().split())


def _digits(phone: str | None) -> str:
    return "".join(filter(str.isdigit, phone or "")).lstrip("0")


def leave_event(state: HotelState, entry: str, envelope: Envelope) -> events.WaitlistLeft:
    """The event that removes an entry on request. Refuses an unknown entry."""
    return events.WaitlistLeft(entry_of(state, entry, envelope).id, WaitlistReason.WITHDRAWN)


def lapse_events(state: HotelState, to: date) -> list[events.WaitlistLeft]:
    """The events that remove the entries whose arrival is before `to`, the new business date."""
    lapsed = [entry.id for entry in state.waitlist.values() if entry.arrival < to]
    return [events.WaitlistLeft(entry, WaitlistReason.LAPSED) for entry in lapsed]


def offer_events(state: HotelState, at: int) -> tuple[str, tuple[Event, ...]]:
    """The id of the entry that gets the next offer from the freed rooms, which is also that of the command that made
    the entry, and the events of the offer. Where no entry fits, clears `freed` and returns none."""
    for entry in state.waitlist.values():
        found = entry.room_type in state.freed and _takes(state, entry) and _room(state, _rooming(entry))
        if found:
            room, moved = found
            return entry.id, (*moved, _offer(state, entry, room, at))
    state.freed.clear()
    return "", ()


def _takes(state: HotelState, entry: WaitlistEntry) -> bool:
    """Whether the room type takes the guests; it may take fewer than when they were put on the waitlist."""
    kind = state.room_types[entry.room_type]
    return excess_of(kind, entry.adults, entry.children, state.opened().infants_below) is None


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
