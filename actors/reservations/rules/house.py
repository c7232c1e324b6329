"""The rules by which a hotel that is open changes: its name, hours and terms, its room types and its rooms.

Nothing that is past changes, and bookings keep their price and terms. `HOUSE_RULES` maps each command to its rule,
which returns events and the reply, or raises `Refused`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from innkeeper.actors.reservations.rules.business_day import over_at
from innkeeper.actors.reservations.rules.calendar import HORIZON
from innkeeper.actors.reservations.rules.displacement import clear_room, displaced, held_from, in_house_in
from innkeeper.actors.reservations.rules.room_details import rooms_reply
from innkeeper.actors.reservations.rules.rooming import rate_of
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound, Refused, StaleVersion, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands, events, room_events
from innkeeper.protocol.reservations.hotel import Hotel, HotelClock, RoomType
from innkeeper.protocol.reservations.hotel_requests import check_adults
from innkeeper.protocol.reservations.projection import apply_hotel_event
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.refusals import RoomExists, RoomNeeded, RoomTypeExists, RoomTypeNeeded
from innkeeper.protocol.reservations.replies import HotelReply
from innkeeper.protocol.values import limits
from msgspec import UNSET

HouseRuling = tuple[tuple[Event, ...], Reply]
"""The events that a rule decides on, and the reply."""


def check_version(state: HotelState, envelope: Envelope) -> None:
    """Refuses where the caller knows another version of the hotel."""
    version = state.opened().version
    if envelope.if_version is not None and envelope.if_version != version:
        raise Refused(StaleVersion(version))


def hotel_after(hotel: Hotel, done: Iterable[Event]) -> Hotel:
    """The hotel after these events of it."""
    for event in done:
        hotel = apply_hotel_event(hotel, RecordedEvent(hotel.id, 0, 0, "", "", "", event))
    return hotel


def _change_hotel(state: HotelState, command: commands.ChangeHotel, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    hotel, change = state.opened(), command.change
    was = _properties(hotel)
    changed = was | {
        name: value
        for name, value in {"title": change.name, **msgspec.structs.asdict(change)}.items()
        if name in was and value is not UNSET
    }
    current = hotel.terms_of_sale[-1]
    terms = change.terms(current, hotel.currency)
    done: list[Event] = []
    if changed != was:
        done.append(events.HotelChanged(**changed))
        _check_audit_time(hotel, hotel_after(hotel, done), envelope.at)
    if terms != current:
        done.append(events.TermsOfSaleChanged(msgspec.structs.replace(terms, version=terms.version + 1)))
    return tuple(done), HotelReply(hotel_after(hotel, done))


def _check_audit_time(was: Hotel, now: Hotel, at: int) -> None:
    """Refuses a time of the night audit by which the open business date would be over already, and be closed at
    once."""
    day = was.business_date
    if now.clock is HotelClock.WALL and over_at(now, day) <= at < over_at(was, day):
        raise invalid("night_audit", "over", f"at this time {day} would be over now; close it first, early if need be")


def _properties(hotel: Hotel) -> dict[str, Any]:
    return {
        "title": hotel.name,
        "check_in": hotel.check_in,
        "check_out": hotel.check_out,
        "night_audit": hotel.night_audit,
        "housekeeping": hotel.housekeeping,
        "infants_below": hotel.infants_below,
        "overstays_block_audit": hotel.overstays_block_audit,
    }


def _add_room_type(state: HotelState, command: commands.AddRoomType, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    hotel, request = state.opened(), command.request
    if request.code in state.room_types:
        raise Refused(RoomTypeExists(request.code))
    codes = {request.code, *(kind.code for kind in (*hotel.room_types, *hotel.retired_types))}
    if len(hotel.room_types) >= limits.room_types_per_hotel_max or len(codes) > limits.room_type_codes_per_hotel_max:
        most = limits.room_types_per_hotel_max
        raise invalid("code", "room_types_max", f"a hotel has at most {most} room types, and twice as many over time")
    rate = rate_of(state, request.rate)
    added = events.RoomTypeAdded(
        request.code, request.name, request.max_guests, rate, request.max_adults, request.cots
    )  # fmt: skip
    _check_rooms(state, request.rooms, "rooms")
    done = (added, *(events.RoomAdded(room, request.code) for room in request.rooms))
    return done, HotelReply(hotel_after(hotel, done))


def _check_rooms(state: HotelState, rooms: tuple[str, ...], field: str) -> None:
    """Refuses rooms that the hotel has, or more than it can have."""
    for room in rooms:
        if state.has_room(room):
            raise Refused(RoomExists(room, state.rooms[room][0]))
    hotel = state.opened()
    count = sum(len(kind.rooms) for kind in hotel.room_types) + len(rooms)
    numbers = len({*state.rooms, *rooms})
    if count > limits.rooms_per_hotel_max or numbers > limits.room_numbers_per_hotel_max:
        most = limits.rooms_per_hotel_max
        raise invalid(field, "rooms_max", f"a hotel has at most {most} rooms, and twice as many over time")


def _change_room_type(state: HotelState, command: commands.ChangeRoomType, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    kind = _room_type(state, command.code)
    change = {name: value for name, value in msgspec.structs.asdict(command.change).items() if value is not UNSET}
    if "rate" in change:
        change["rate"] = rate_of(state, change["rate"])
    now = msgspec.structs.replace(kind, **change)
    check_adults(now.max_adults, now.max_guests)
    if now == kind:
        return (), HotelReply(state.opened())
    done = (room_events.RoomTypeChanged(now.code, now.name, now.max_guests, now.rate, now.max_adults, now.cots),)
    return done, HotelReply(hotel_after(state.opened(), done))


def _room_type(state: HotelState, code: str) -> RoomType:
    if code not in state.room_types:
        raise Refused(NotFound("room type", code))
    return state.room_types[code]


def _retire_room_type(state: HotelState, command: commands.RetireRoomType, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    kind, hotel = _room_type(state, command.code), state.opened()
    if len(hotel.room_types) == 1:
        raise invalid("code", "last", "a hotel has at least one room type; add another one first")
    first = hotel.business_date.toordinal()
    needed = {booking: (state.bookings[booking], "") for _, _, booking in state.calendars[kind.code].waiting}
    for room in kind.rooms:
        held = (*held_from(state, room, first, first + HORIZON), *in_house_in(state, room))
        needed |= {one.id: (one, room) for one in held}
    waiting = tuple(entry.id for entry in state.waitlist.values() if entry.room_type == kind.code)
    if needed or waiting:
        ordered = sorted(needed.values(), key=lambda one: (one[0].arrival, one[0].id))
        raise Refused(RoomTypeNeeded(kind.code, tuple(displaced(*one) for one in ordered), waiting))
    reopened = tuple(event for room in kind.rooms for event in _reopened(state, room))
    done = (*reopened, *(room_events.RoomRetired(room) for room in kind.rooms), room_events.RoomTypeRetired(kind.code))
    return done, HotelReply(hotel_after(hotel, done))


def _reopened(state: HotelState, room: str) -> tuple[Event, ...]:
    """The closures of a room end with it."""
    return tuple(room_events.RoomReopened(one.id) for one in state.upkeep.closures.values() if one.room == room)


def _add_room(state: HotelState, command: commands.AddRoom, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    request = command.request
    if request.room_type not in state.room_types:
        known = ", ".join(state.room_types)
        raise invalid("room_type", "unknown", f"this hotel has no room type {request.room_type!r}; it has {known}")
    _check_rooms(state, (request.number,), "number")
    done = (events.RoomAdded(request.number, request.room_type),)
    return done, rooms_reply(state, hotel_after(state.opened(), done), (request.number,))


def _retire_room(state: HotelState, command: commands.RetireRoom, envelope: Envelope) -> HouseRuling:
    check_version(state, envelope)
    room, hotel = command.room, state.opened()
    if not state.has_room(room):
        raise Refused(NotFound("room", room))
    today = hotel.business_date.toordinal()
    in_house = in_house_in(state, room)
    held = held_from(state, room, today, today + HORIZON)
    if in_house:
        every = {one.id: one for one in (*in_house, *(one for one in held if not state.movable(one.id)))}
        raise Refused(RoomNeeded(room, tuple(displaced(one, room) for one in every.values())))
    moved = clear_room(state, room, today, today + HORIZON, MoveReason.ROOM_RETIRED)
    done = (*moved, *_reopened(state, room), room_events.RoomRetired(room))
    return done, rooms_reply(state, hotel_after(hotel, done), (room,))


HOUSE_RULES: dict[type[Command], Callable[[HotelState, Any, Envelope], HouseRuling]] = {
    commands.ChangeHotel: _change_hotel,
    commands.AddRoomType: _add_room_type,
    commands.ChangeRoomType: _change_room_type,
    commands.RetireRoomType: _retire_room_type,
    commands.AddRoom: _add_room,
    commands.RetireRoom: _retire_room,
}
