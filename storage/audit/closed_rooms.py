"""The closures of one hotel's rooms in the auditor: which nights a room is out of order or out of service."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from innkeeper.protocol.reservations import room_events


class ClosedRoom(NamedTuple):
    """A closure; its nights are [first, until), as ordinals of dates."""

    room: str
    out_of_order: bool
    first: int
    until: int

    def nights(self, today: int) -> Iterator[tuple[str, int]]:
        """The room with each night from today on that the closure holds: those that cannot be sold."""
        if self.out_of_order:
            for night in range(max(self.first, today), self.until):
                yield self.room, night


@dataclass(slots=True)
class ClosedRooms:
    """The closures that are not over. Each method yields what is wrong."""

    closures: dict[str, ClosedRoom] = field(default_factory=dict)

    def close(self, event: room_events.RoomClosed) -> Iterator[str]:
        """A room is closed."""
        if event.closure in self.closures:
            yield f"closure {event.closure} is made twice"
        out_of_order = event.kind is room_events.ClosureKind.OUT_OF_ORDER
        closure = ClosedRoom(event.room, out_of_order, event.first.toordinal(), event.until.toordinal())
        yield from self._put(event.closure, closure)

    def change(self, event: room_events.RoomClosureChanged) -> Iterator[str]:
        """A closure has other nights."""
        was = self.closures.pop(event.closure, None)
        if was is None:
            yield f"closure {event.closure} is changed, but does not exist or is over"
        else:
            now = was._replace(first=event.first.toordinal(), until=event.until.toordinal())
            yield from self._put(event.closure, now)

    def reopen(self, event: room_events.RoomReopened) -> Iterator[str]:
        """A closure ends."""
        if self.closures.pop(event.closure, None) is None:
            yield f"closure {event.closure} ends, but does not exist or is over"

    def give_back(self, closure: str, holders: dict[tuple[str, int], str], today: int) -> None:
        """Takes the closure from the holders of nights."""
        if closure in self.closures:
            for night in self.closures[closure].nights(today):
                if holders.get(night) == closure:
                    del holders[night]

    def hold(
        self, closure: str, rooms: Collection[str], holders: dict[tuple[str, int], str], today: int
    ) -> Iterator[str]:
        """Enters the closure among the holders of nights, which nobody else may hold."""
        closed = self.closures.get(closure)
        if closed is None:
            return
        if closed.room not in rooms:
            yield f"room {closed.room} is closed, which does not exist (P2)"
        for room, night in closed.nights(today):
            holder = holders.setdefault((room, night), closure)
            if holder != closure:
                yield f"{holder} holds room {room} on {date.fromordinal(night)}, but it is out of order (P1)"

    def roll(self, today: int) -> None:
        """Removes the closures that are over."""
        self.closures = {id_: one for id_, one in self.closures.items() if one.until > today}

    def _put(self, id_: str, closure: ClosedRoom) -> Iterator[str]:
        if closure.until <= closure.first:
            yield f"closure {id_} has no nights"
        for other_id, other in self.closures.items():
            if other.room == closure.room and other.first < closure.until and closure.first < other.until:
                yield f"closures {other_id} and {id_} both close room {closure.room} on a night"
        self.closures[id_] = closure
