"""What the state of a hotel knows of the upkeep of its rooms: their condition and closures, also in the calendars.

A room that is out of order is taken in the calendar of its type. One that is out of service, or not clean, is only
marked there, to be given last.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.replies import RoomCare
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition


@dataclass(slots=True)
class Upkeep:
    """The closures that are not over, and the condition of the rooms that are not just clean. `calendars` and `rooms`
    are those of the hotel. `asks_clean`: the hotel keeps housekeeping."""

    calendars: dict[str, Calendar]
    rooms: dict[str, tuple[str, int]]
    closures: dict[str, Closure] = field(default_factory=dict)
    conditions: dict[str, RoomCondition] = field(default_factory=dict)
    asks_clean: bool = True

    def condition(self, room: str) -> RoomCondition:
        """What housekeeping says of the room. One of which nothing was said is clean."""
        return self.conditions.get(room, RoomCondition.CLEAN)

    def put(self, room: str, condition: RoomCondition) -> None:
        """Notes what housekeeping says of the room."""
        if condition is RoomCondition.CLEAN:
            self.conditions.pop(room, None)
        else:
            self.conditions[room] = condition
        kind, position = self.rooms[room]
        calendar = self.calendars[kind]
        not_clean = condition is RoomCondition.DIRTY and self.asks_clean
        calendar.not_clean = calendar.not_clean & ~(1 << position) | not_clean << position

    def ask_clean(self, asks_clean: bool) -> None:
        """From now on the hotel keeps housekeeping, or does not any more."""
        if asks_clean is not self.asks_clean:
            self.asks_clean = asks_clean
            for room, condition in [*self.conditions.items()]:
                self.put(room, condition)

    def close(self, closure: Closure) -> None:
        """Enters a closure."""
        self.closures[closure.id] = closure
        kind, position = self.rooms[closure.room]
        first, until = closure.first.toordinal(), closure.until.toordinal()
        if closure.kind is ClosureKind.OUT_OF_ORDER:
            self.calendars[kind].claim(position, first, until, closure.id)
        else:
            self.calendars[kind].out_of_service[closure.id] = (position, first, until)

    def reopen(self, closure: str) -> Closure:
        """Removes a closure; returns it."""
        ended = self.closures.pop(closure)
        kind, position = self.rooms[ended.room]
        self.calendars[kind].vacate(position, closure)
        self.calendars[kind].out_of_service.pop(closure, None)
        return ended

    def roll(self, opened: int, slept_in: Iterable[str]) -> None:
        """Forgets the closures that are over on the new business date; the rooms that guests slept in are dirty."""
        self.closures = {id_: one for id_, one in self.closures.items() if one.until.toordinal() > opened}
        for room in slept_in:
            self.put(room, RoomCondition.DIRTY)

    def describe(self) -> tuple[tuple[Closure, ...], tuple[RoomCare, ...]]:
        """Closures and conditions in a fixed order."""
        closures = tuple(sorted(self.closures.values(), key=lambda closure: closure.id))
        return closures, tuple(RoomCare(room, self.conditions[room]) for room in sorted(self.conditions))
