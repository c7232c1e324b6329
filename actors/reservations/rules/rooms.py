"""The rooms of a hotel, each with the nights that bookings hold in it: a fold of the events with code of its own.

Neither the calendars nor the fold of a booking is used here, so that a mistake in these is found when a room refuses a
claim. A room knows what its own events say, and nothing else of the hotel.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.replies import RoomStays

Nights = tuple[int, int]
"""Nights [from, to) as ordinals of dates."""


@dataclass(slots=True)
class RoomState:
    """One room. The taken nights are the bits of an integer, counted from `origin`, the day of the latest claim."""

    number: str
    origin: int = 0
    taken: int = 0
    stays: dict[str, Nights] = field(default_factory=dict)
    before: tuple[int, dict[str, Nights | None]] = (0, {})

    def claim(self, claimed: Iterable[events.BookingEvent], today: int) -> str | None:
        """Applies these events, all or none. Returns None, or the booking that holds one of the nights already."""
        if today > self.origin:
            self.roll(today)
        taken = self.taken
        was: dict[str, Nights | None] = {}
        changed: dict[str, Nights | None] = {}
        for event in claimed:
            booking = event.booking
            if booking not in was:
                was[booking] = changed[booking] = self.stays.get(booking)
                taken &= ~self._bits(was[booking])
            changed[booking] = nights_after(event, self.number, changed[booking])
        for nights in changed.values():
            bits = self._bits(nights)
            if taken & bits:
                return self._holder(nights, changed)
            taken |= bits
        self.before = self.taken, was
        self.taken = taken
        self._put(changed)
        return None

    def take_back(self) -> None:
        """Undoes the latest claim."""
        self.taken, was = self.before
        self._put(was)
        self.before = self.taken, {}

    def apply(self, event: events.BookingEvent) -> None:
        """Applies an event of the journal. What a room has accepted is not checked again."""
        nights = nights_after(event, self.number, self.stays.get(event.booking))
        self._put({event.booking: nights})

    def opened(self, today: int) -> "RoomState":
        """The room with its taken nights, after all events of the journal were applied."""
        self.origin = today
        self.roll(today)
        self.taken = 0
        for nights in self.stays.values():
            self.taken |= self._bits(nights)
        return self

    def describe(self, today: int) -> RoomStays:
        """What the room holds from `today` on."""
        held = ((booking, *nights) for booking, nights in self.stays.items() if nights[1] > today)
        return RoomStays(self.number, tuple(sorted(held)))

    def _put(self, changed: dict[str, Nights | None]) -> None:
        for booking, nights in changed.items():
            if nights is None:
                self.stays.pop(booking, None)
            else:
                self.stays[booking] = nights

    def _holder(self, nights: Nights | None, changed: dict[str, Nights | None]) -> str:
        """One of the bookings that hold these nights."""
        after = {**self.stays, **changed}
        for booking, held in after.items():
            if held and nights and held is not nights and held[0] < nights[1] and nights[0] < held[1]:
                return booking
        return ""

    def _bits(self, nights: Nights | None) -> int:
        if nights is None:
            return 0
        first = max(nights[0] - self.origin, 0)
        return (1 << max(nights[1] - self.origin, first)) - (1 << first)

    def roll(self, today: int) -> None:
        """Forgets the nights before `today`."""
        self.taken >>= today - self.origin
        self.origin = today
        self.stays = {booking: nights for booking, nights in self.stays.items() if nights[1] > today}


def nights_after(event: events.BookingEvent, room: str, held: Nights | None) -> Nights | None:
    """The nights that the booking holds in this room after an event about it; None where it holds none there."""
    match event:
        case events.StayEvent():
            taken_room = event.room
        case events.RoomMoved():
            taken_room = event.to_room
        case events.BookingReinstated():
            taken_room = event.room
        case events.GuestCheckedOut():
            return None if held is None else (held[0], event.departure.toordinal())
        case _:
            return None if isinstance(event, ENDING) else held
    return (event.arrival.toordinal(), event.departure.toordinal()) if taken_room == room else None


ENDING = (events.HoldExpired, events.HoldReleased, events.BookingCancelled, events.GuestNoShow)
"""Events after which a booking holds no room."""

CLAIMING = (events.StayEvent, events.RoomMoved, events.BookingReinstated, events.GuestCheckedOut, *ENDING)
"""Events that change what a room holds."""


@dataclass(slots=True)
class RoomStates:
    """All rooms of a hotel while its events are read from the journal. `room_of` has the room of each booking."""

    rooms: dict[str, RoomState] = field(default_factory=dict)
    room_of: dict[str, str] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Applies an event of the journal to the rooms that it concerns."""
        if isinstance(event, events.RoomAdded):
            self.rooms[event.room] = RoomState(event.room)
        elif isinstance(event, events.BusinessDateRolled):
            for room in self.rooms.values():
                room.roll(event.opened.toordinal())
        elif isinstance(event, CLAIMING):
            was = self.room_of.get(event.booking)
            now = _room_after(event, was)
            if was is not None and was != now:
                self.rooms[was].apply(event)
            if now is not None:
                self.rooms[now].apply(event)
                self.room_of[event.booking] = now

    def take(self, room: str, today: int) -> RoomState:
        """Takes out a room, with its taken nights, for its actor. A room of which no event is known holds nothing."""
        return (self.rooms.pop(room, None) or RoomState(room)).opened(today)

    def restore(self, described: Iterable[RoomStays]) -> None:
        """Enters the stays of a snapshot. The rooms are known already."""
        for one in described:
            self.rooms[one.room].stays = {booking: (first, end) for booking, first, end in one.stays}
            self.room_of.update((booking, one.room) for booking, _, _ in one.stays)

    def describe(self, today: int) -> tuple[RoomStays, ...]:
        """What all rooms hold from `today` on, without those that hold nothing."""
        described = (self.rooms[room].describe(today) for room in sorted(self.rooms))
        return tuple(one for one in described if one.stays)


def _room_after(event: Event, was: str | None) -> str | None:
    match event:
        case events.StayEvent() | events.BookingReinstated():
            return event.room
        case events.RoomMoved():
            return event.to_room
        case _:
            return was
