"""The rooms of a hotel, each with the nights that bookings hold in it, and who is in it: a fold with code of its own.

Neither the calendars nor the fold of a booking is used here, so that a mistake in these is found when a room refuses a
claim. A room knows what its own events say, and nothing else of the hotel.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.replies import RoomStays
from innkeeper.protocol.reservations.room_events import ROOM_EVENTS
from innkeeper.protocol.values.contexts import BILLING, DELIVERY

Nights = tuple[int, ...]
"""The nights of a booking in a room, as ordinals of dates: from, until, and so on for each part of a divided stay."""


@dataclass(slots=True)
class RoomState:
    """One room. The taken nights are the bits of an integer, counted from `origin`, the day of the latest claim.
    `guests` are the bookings whose guests are in the room: at most one party at a time."""

    number: str
    origin: int = 0
    taken: int = 0
    stays: dict[str, Nights] = field(default_factory=dict)
    guests: frozenset[str] = frozenset()
    before: "tuple[int, frozenset[str], dict[str, Nights]]" = (0, frozenset(), {})

    def claim(self, claimed: Iterable[events.BookingEvent], today: int) -> str | None:
        """Applies these events, all or none. Returns None, or the booking that holds one of the nights already, or
        whose guest is in the room."""
        if today > self.origin:
            self.roll(today)
        taken, guests = self.taken, self.guests
        was: dict[str, Nights] = {}
        changed: dict[str, Nights] = {}
        for event in claimed:
            booking = event.booking
            if booking not in was:
                was[booking] = changed[booking] = self.stays.get(booking, ())
                taken &= ~self._bits(was[booking])
            rule, presence = ROOM_FOLD[type(event)], PRESENCE.get(type(event))
            changed[booking] = rule(event, self.number, changed[booking]) if rule else changed[booking]
            guests = presence(event, self.number, guests) if presence else guests
        for nights in changed.values():
            bits = self._bits(nights)
            if taken & bits:
                return self._holder(nights, changed)
            taken |= bits
        if len(guests) > 1:
            return next(iter(guests & self.guests), "")
        self.before = self.taken, self.guests, was
        self.taken, self.guests = taken, guests
        self._put(changed)
        return None

    def take_back(self) -> None:
        """Undoes the latest claim."""
        self.taken, self.guests, was = self.before
        self._put(was)
        self.before = self.taken, self.guests, {}

    def apply(self, event: events.BookingEvent) -> None:
        """Applies an event of the journal. What a room has accepted is not checked again."""
        rule, presence = ROOM_FOLD[type(event)], PRESENCE.get(type(event))
        if rule is not None:
            self._put({event.booking: rule(event, self.number, self.stays.get(event.booking, ()))})
        if presence is not None:
            self.guests = presence(event, self.number, self.guests)

    def has(self, booking: str) -> bool:
        """Whether the booking holds nights in the room, or its guest is in it."""
        return booking in self.stays or booking in self.guests

    def opened(self, today: int) -> "RoomState":
        """The room with its taken nights, after all events of the journal were applied."""
        self.origin = today
        self.roll(today)
        self.taken = 0
        for nights in self.stays.values():
            self.taken |= self._bits(nights)
        return self

    def describe(self, today: int) -> RoomStays:
        """What the room holds from `today` on, and who is in it."""
        held = [
            (booking, first, until)
            for booking, nights in self.stays.items()
            for first, until in _parts(nights)
            if until > today
        ]
        return RoomStays(self.number, tuple(sorted(held)), tuple(sorted(self.guests)))

    def _put(self, changed: dict[str, Nights]) -> None:
        for booking, nights in changed.items():
            if nights:
                self.stays[booking] = nights
            else:
                self.stays.pop(booking, None)

    def _holder(self, nights: Nights, changed: dict[str, Nights]) -> str:
        """One of the bookings that hold these nights."""
        after = {**self.stays, **changed}
        for booking, held in after.items():
            if held is not nights and self._bits(held) & self._bits(nights):
                return booking
        return ""

    def _bits(self, nights: Nights) -> int:
        bits = 0
        for part in range(0, len(nights), 2):
            first = max(nights[part] - self.origin, 0)
            bits |= (1 << max(nights[part + 1] - self.origin, first)) - (1 << first)
        return bits

    def roll(self, today: int) -> None:
        """Forgets the nights before `today`."""
        self.taken >>= today - self.origin
        self.origin = today
        self.stays = {booking: nights for booking, nights in self.stays.items() if nights[-1] > today}


def _parts(nights: Nights) -> Iterator[tuple[int, int]]:
    return zip(nights[::2], nights[1::2], strict=True)


def _in_its_rooms(event: Any, room: str, _: Nights) -> Nights:
    """The nights in this room, of all that the booking has after the event."""
    nights: Nights = ()
    for part in event.rooms:
        if part.room == room and part.first < part.until:
            nights += (part.first.toordinal(), part.until.toordinal())
    return nights


def _ended(_event: Any, _room: str, _held: Nights) -> Nights:
    return ()


ROOM_FOLD = EventTable[Callable[[Any, str, Nights], Nights]](
    "a room",
    handles={
        events.BookingHeld: _in_its_rooms,
        events.BookingConfirmed: _in_its_rooms,
        events.BookingModified: _in_its_rooms,
        events.BookingReinstated: _in_its_rooms,
        events.RoomMoved: _in_its_rooms,
        events.RoomUnassigned: _in_its_rooms,
        events.RoomAssigned: _in_its_rooms,
        events.GuestCheckedIn: lambda _event, _room, held: held,
        events.CheckInUndone: lambda _event, _room, held: held,
        events.GuestCheckedOut: _in_its_rooms,
        events.CheckOutUndone: _in_its_rooms,
        events.GuestOverstayed: _in_its_rooms,
        events.HoldExpired: _ended,
        events.HoldReleased: _ended,
        events.BookingCancelled: _ended,
        events.GuestNoShow: _ended,
    },
    ignores=(
        events.HotelChanged,
        events.WaitlistChanged,
        *ROOM_EVENTS,
        events.HotelOpened, events.TermsOfSaleChanged, events.RoomTypeAdded, events.RoomAdded,
        events.BusinessDateRolled, events.HoldExtended,
        events.BookingPinned, events.BookingUnpinned, events.GuestChanged,
        events.ReminderChanged, events.WaitlistJoined, events.WaitlistLeft, events.GuestForgotten,
        events.GuestAddressRefused, events.GuestAddressAccepted,
        events.TimelineBegun,
    ),
    not_followed=(BILLING, DELIVERY),
)  # fmt: skip
"""From an event about a booking, a room, and the nights that the booking holds there: the nights that it holds then."""


def _enters(event: events.GuestCheckedIn | events.CheckOutUndone, room: str, guests: frozenset[str]) -> frozenset[str]:
    return guests | {event.booking} if event.room == room else guests


def _leaves(event: events.BookingEvent, _: str, guests: frozenset[str]) -> frozenset[str]:
    return guests - {event.booking}


def _changes_rooms(event: events.RoomMoved, room: str, guests: frozenset[str]) -> frozenset[str]:
    if not event.moved_in:
        return guests
    return guests | {event.booking} if event.to_room == room else guests - {event.booking}


PRESENCE: dict[type[Event], Callable[[Any, str, frozenset[str]], frozenset[str]]] = {
    events.GuestCheckedIn: _enters,
    events.CheckOutUndone: _enters,
    events.CheckInUndone: _leaves,
    events.GuestCheckedOut: _leaves,
    events.RoomMoved: _changes_rooms,
}
"""From an event about a booking, a room, and the bookings whose guests are in it: those whose guests are in it then."""


@dataclass(slots=True)
class RoomStates:
    """All rooms of a hotel while its events are read from the journal. `rooms_of` has the rooms of each booking."""

    rooms: dict[str, RoomState] = field(default_factory=dict)
    rooms_of: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Applies an event of the journal to the rooms that it concerns."""
        rule = ROOMS_FOLD[type(event)]
        if rule is not None:
            rule(self, event)

    def add(self, event: events.RoomAdded) -> None:
        """Adds a room that holds nothing."""
        self.rooms[event.room] = RoomState(event.room)

    def roll(self, event: events.BusinessDateRolled) -> None:
        """Forgets the nights before the new business date."""
        for room in self.rooms.values():
            room.roll(event.opened.toordinal())
        self.rooms_of = {booking: rooms for booking, rooms in self.rooms_of.items() if self._with(booking, rooms)}

    def change(self, event: events.BookingEvent) -> None:
        """Changes what a booking holds, in the rooms that it leaves and in those that it takes."""
        was = self.rooms_of.get(event.booking, ())
        rooms = (*was, *(room for room in _rooms_named(event) if room not in was))
        for room in rooms:
            self.rooms[room].apply(event)
        if (now := self._with(event.booking, rooms)) != was:
            self.rooms_of[event.booking] = now

    def _with(self, booking: str, rooms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(room for room in rooms if self.rooms[room].has(booking))

    def take(self, room: str, today: int) -> RoomState:
        """Takes out a room, with its taken nights, for its actor. A room of which no event is known holds nothing."""
        return (self.rooms.pop(room, None) or RoomState(room)).opened(today)

    def restore(self, described: Iterable[RoomStays]) -> None:
        """Enters the stays of a snapshot. The rooms are known already."""
        for one in described:
            room = self.rooms[one.room]
            room.guests = frozenset(one.guests)
            for booking, first, until in one.stays:
                room.stays[booking] = (*room.stays.get(booking, ()), first, until)
            for booking in {*room.stays, *room.guests}:
                self.rooms_of[booking] = (*self.rooms_of.get(booking, ()), one.room)

    def describe(self, today: int) -> tuple[RoomStays, ...]:
        """What all rooms hold from `today` on, without those that hold nothing."""
        described = (self.rooms[room].describe(today) for room in sorted(self.rooms))
        return tuple(one for one in described if one.stays or one.guests)


def _rooms_named(event: events.BookingEvent) -> set[str]:
    """The rooms that the event names as those of the booking."""
    segments = getattr(event, "rooms", ())
    named = {part.room for part in segments} | {getattr(event, "room", None), getattr(event, "to_room", None)}
    return {room for room in named if room}


ROOMS_FOLD = EventTable[Callable[[RoomStates, Any], None]](
    "the rooms of a hotel",
    handles={
        events.RoomAdded: RoomStates.add,
        events.BusinessDateRolled: RoomStates.roll,
        **dict.fromkeys(ROOM_FOLD.handles, RoomStates.change),
    },
    ignores=ROOM_FOLD.ignores - {events.RoomAdded, events.BusinessDateRolled},
    not_followed=(BILLING, DELIVERY),
)
