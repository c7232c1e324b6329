"""The rooms of a hotel, each with the nights that bookings hold in it: a fold of the events with code of its own.

Neither the calendars nor the fold of a booking is used here, so that a mistake in these is found when a room refuses a
claim. A room knows what its own events say, and nothing else of the hotel.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.replies import RoomStays
from innkeeper.protocol.values.contexts import BILLING, DELIVERY

Nights = tuple[int, int]
"""Nights [from, to) as ordinals of dates."""


HolderEvent = events.BookingEvent | room_events.ClosureEvent


def holder_of(event: HolderEvent) -> str:
    """The booking or the closure that the event is about: what holds nights in a room."""
    return event.closure if isinstance(event, room_events.ClosureEvent) else event.booking


@dataclass(slots=True)
class RoomState:
    """One room. The taken nights are the bits of an integer, counted from `origin`, the day of the latest claim."""

    number: str
    origin: int = 0
    taken: int = 0
    stays: dict[str, Nights] = field(default_factory=dict)
    before: tuple[int, dict[str, Nights | None]] = (0, {})

    def claim(self, claimed: Iterable[HolderEvent], today: int) -> str | None:
        """Applies these events, all or none. Returns None, or the holder of one of the nights: a booking or closure."""
        if today > self.origin:
            self.roll(today)
        taken = self.taken
        was: dict[str, Nights | None] = {}
        changed: dict[str, Nights | None] = {}
        for event in claimed:
            booking = holder_of(event)
            if booking not in was:
                was[booking] = changed[booking] = self.stays.get(booking)
                taken &= ~self._bits(was[booking])
            rule = ROOM_FOLD[type(event)]
            changed[booking] = rule(event, self.number, changed[booking]) if rule else changed[booking]
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

    def apply(self, event: HolderEvent) -> None:
        """Applies an event of the journal. What a room has accepted is not checked again."""
        rule = ROOM_FOLD[type(event)]
        if rule is not None:
            holder = holder_of(event)
            self._put({holder: rule(event, self.number, self.stays.get(holder))})

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
            if held is not nights and self._bits(held) & self._bits(nights):
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


def _in_its_room(event: Any, room: str, _: Nights | None) -> Nights | None:
    """The nights in this room, where it is the one that the booking has now: in earlier ones its nights are over."""
    now = event.rooms[-1]
    return (now.first.toordinal(), now.until.toordinal()) if now.room == room else None


def _closed(event: room_events.RoomClosed, room: str, _: Nights | None) -> Nights | None:
    """A room that is out of service can be sold, so that nothing holds it."""
    if event.room != room or event.kind is not room_events.ClosureKind.OUT_OF_ORDER:
        return None
    return event.first.toordinal(), event.until.toordinal()


def _closed_otherwise(event: room_events.RoomClosureChanged, _: str, held: Nights | None) -> Nights | None:
    return held and (event.first.toordinal(), event.until.toordinal())


def _ended(_event: Any, _room: str, _held: Nights | None) -> None:
    return None


ROOM_FOLD = EventTable[Callable[[Any, str, Nights | None], Nights | None]](
    "a room",
    handles={
        events.BookingHeld: _in_its_room,
        events.BookingConfirmed: _in_its_room,
        events.BookingModified: _in_its_room,
        events.BookingReinstated: _in_its_room,
        events.RoomMoved: _in_its_room,
        events.GuestCheckedOut: _in_its_room,
        events.HoldExpired: _ended,
        events.HoldReleased: _ended,
        events.BookingCancelled: _ended,
        events.GuestNoShow: _ended,
        room_events.RoomClosed: _closed,
        room_events.RoomClosureChanged: _closed_otherwise,
        room_events.RoomReopened: _ended,
    },
    ignores=(
        events.HotelChanged,
        events.WaitlistChanged,
        room_events.RoomTypeChanged, room_events.RoomTypeRetired, room_events.RoomRetired,
        room_events.RoomConditionChanged,
        events.RoomUnassigned, events.RoomAssigned,
        events.CheckInUndone, events.CheckOutUndone,
        events.GuestOverstayed,
        events.HotelOpened, events.TermsOfSaleChanged, events.RoomTypeAdded, events.RoomAdded,
        events.BusinessDateRolled, events.HoldExtended,
        events.BookingPinned, events.BookingUnpinned, events.GuestCheckedIn, events.GuestChanged,
        events.ReminderChanged, events.WaitlistJoined, events.WaitlistLeft, events.GuestForgotten,
        events.GuestAddressRefused, events.GuestAddressAccepted,
        events.TimelineBegun,
    ),
    not_followed=(BILLING, DELIVERY),
)  # fmt: skip
"""From an event about a booking, a room, and the nights that the booking holds there: the nights that it holds then."""


@dataclass(slots=True)
class RoomStates:
    """All rooms of a hotel while its events are read from the journal. `room_of` has the room of each booking."""

    rooms: dict[str, RoomState] = field(default_factory=dict)
    room_of: dict[str, str] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Applies an event of the journal to the rooms that it concerns."""
        rule = ROOMS_FOLD[type(event)]
        if rule is not None:
            rule(self, event)

    def add(self, event: events.RoomAdded) -> None:
        """Adds a room that holds nothing. One that was retired is the same room."""
        self.rooms.setdefault(event.room, RoomState(event.room))

    def roll(self, event: events.BusinessDateRolled) -> None:
        """Forgets the nights before the new business date."""
        for room in self.rooms.values():
            room.roll(event.opened.toordinal())
        self.room_of = {booking: room for booking, room in self.room_of.items() if booking in self.rooms[room].stays}

    def change(self, event: HolderEvent) -> None:
        """Changes what a booking or a closure holds, in the room that it leaves and in the one that it takes."""
        holder = holder_of(event)
        was = self.room_of.get(holder)
        now = _room_of(event) or was
        for room in {was, now} - {None}:
            self.rooms[room or ""].apply(event)
        if now is not None:
            self.room_of[holder] = now

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


def _room_of(event: HolderEvent) -> str | None:
    """The room that the booking has after the event; None where it keeps its own."""
    match event:
        case events.StayEvent() | events.BookingReinstated() | events.RoomMoved() | events.GuestCheckedOut():
            return event.rooms[-1].room
        case room_events.RoomClosed():
            return event.room
        case _:
            return None


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
