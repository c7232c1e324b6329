"""What the state of a hotel knows of its rooms themselves: their places in the calendars, condition and closures.

A room that is out of order is taken in the calendar of its type. One that is out of service, or not clean, is only
marked there, to be given last.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.protocol.reservations import room_events
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.replies import RoomCare
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition


@dataclass(slots=True)
class Upkeep:
    """The closures that are not over, and the condition of the rooms that are not just clean. `calendars`, `rooms`,
    `freed` and `fixed` are those of the hotel's state. `asks_clean`: the hotel keeps housekeeping."""

    calendars: dict[str, Calendar]
    rooms: dict[str, tuple[str, int]]
    freed: set[str]
    fixed: dict[str, set[str]]
    closures: dict[str, Closure] = field(default_factory=dict)
    conditions: dict[str, RoomCondition] = field(default_factory=dict)
    asks_clean: bool = True

    def add_room(self, room: str, code: str) -> None:
        """Enters a room in the calendar of its type; one that was retired may be of another type now."""
        was = self.rooms.get(room)
        if was is not None and was[0] != code:
            self.calendars[was[0]].remove_room(room)
            self._place_rooms(was[0])
        calendar = self.calendars[code]
        calendar.add_room(room)
        if calendar.numbers[-1] == room:
            self.rooms[room] = (code, len(calendar.numbers) - 1)
        else:
            self._place_rooms(code)
        self.put(room, self.condition(room))
        self.freed.add(code)

    def retire_room(self, room: str) -> None:
        """Keeps a room that nothing holds in the calendar, behind those that can be sold."""
        code, _ = self.rooms[room]
        self.calendars[code].retire_room(room)
        self._place_rooms(code)

    def _place_rooms(self, code: str) -> None:
        for position, room in enumerate(self.calendars[code].numbers):
            self.rooms[room] = (code, position)

    def condition(self, room: str) -> RoomCondition:
        """What housekeeping says of the room. One of which nothing was said is clean."""
        return self.conditions.get(room, RoomCondition.CLEAN)

    def condition_changed(self, event: room_events.RoomConditionChanged) -> None:
        """Notes what housekeeping says of the room."""
        self.put(event.room, event.condition)

    def put(self, room: str, condition: RoomCondition) -> None:
        """Notes the condition of the room."""
        if condition is RoomCondition.CLEAN:
            self.conditions.pop(room, None)
        else:
            self.conditions[room] = condition
        code, position = self.rooms[room]
        calendar = self.calendars[code]
        not_clean = condition is RoomCondition.DIRTY and self.asks_clean
        calendar.not_clean = calendar.not_clean & ~(1 << position) | not_clean << position

    def ask_clean(self, asks_clean: bool) -> None:
        """From now on the hotel keeps housekeeping, or does not any more."""
        if asks_clean is not self.asks_clean:
            self.asks_clean = asks_clean
            for room, condition in [*self.conditions.items()]:
                self.put(room, condition)

    def room_of(self, event: room_events.ClosureEvent) -> str:
        """The room of a closure."""
        known = self.closures.get(event.closure)
        return known.room if known is not None else getattr(event, "room", "")

    def out_of_order(self, on: date) -> set[str]:
        """The rooms that are out of order on this date."""
        closed = (one for one in self.closures.values() if one.kind is ClosureKind.OUT_OF_ORDER)
        return {one.room for one in closed if one.first <= on < one.until}

    def close(self, event: room_events.RoomClosed) -> None:
        """Enters a new closure."""
        self.enter(Closure(event.closure, event.room, event.kind, event.first, event.until, event.reason))

    def change(self, event: room_events.RoomClosureChanged) -> None:
        """Gives a closure other nights."""
        was = self._remove(event.closure)
        self.enter(Closure(was.id, was.room, was.kind, event.first, event.until, event.reason))

    def reopen(self, event: room_events.RoomReopened) -> None:
        """Ends a closure."""
        self._remove(event.closure)

    def enter(self, closure: Closure) -> None:
        """Enters a closure in the calendar: nights that are taken, or for which the room is given last."""
        self.closures[closure.id] = closure
        code, position = self.rooms[closure.room]
        first, until = closure.first.toordinal(), closure.until.toordinal()
        if closure.kind is ClosureKind.OUT_OF_ORDER:
            self.calendars[code].claim(position, first, until, closure.id)
            self.fixed.setdefault(code, set()).add(closure.id)
        else:
            self.calendars[code].out_of_service[closure.id] = (position, first, until)

    def _remove(self, closure: str) -> Closure:
        ended = self.closures.pop(closure)
        code, position = self.rooms[ended.room]
        self.calendars[code].vacate(position, closure)
        self.calendars[code].out_of_service.pop(closure, None)
        self.fixed.get(code, set()).discard(closure)
        self.freed.add(code)
        return ended

    def roll(self, opened: int, slept_in: Iterable[str]) -> None:
        """Forgets the closures that are over on the new business date; the rooms that guests slept in are dirty."""
        for closure in [one.id for one in self.closures.values() if one.until.toordinal() <= opened]:
            self._remove(closure)
        for room in slept_in:
            self.put(room, RoomCondition.DIRTY)

    def describe(self) -> tuple[tuple[Closure, ...], tuple[RoomCare, ...]]:
        """Closures and conditions in a fixed order."""
        closures = tuple(sorted(self.closures.values(), key=lambda closure: closure.id))
        return closures, tuple(RoomCare(room, self.conditions[room]) for room in sorted(self.conditions))
