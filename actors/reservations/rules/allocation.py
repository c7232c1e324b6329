"""The choice of a room for a stay, and of the guests who change rooms to make it fit.

A free room is chosen by best fit. Where every night has a room left but no single room is free throughout, guests who
have not arrived change rooms (a reshuffle):

1. `_one_step`: give the stay a room whose few holders all fit into other rooms as those are now.
2. `_sweep`: place the stay in a room free on its first night, and place the stays that it displaces the same way,
   earliest arrival first. As every stay placed so far arrives no later, a room is free on that night unless the night
   is sold out; so this finds a plan whenever there is one, as long as only guests in house are fixed (their nights all
   start before those of guests who have not arrived). It is the greedy colouring of an interval graph, done lazily.
3. `_search`: where both need three moves or more, or pinned rooms block the sweep, search for fewer moves, depth first,
   within a limit of steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import msgspec
from innkeeper.actors.reservations.rules.calendar import Calendar, Claimed
from innkeeper.protocol.values.limits import reshuffle_steps_max

SEARCH_MOVES_MAX = 4


class AllocationPlan(msgspec.Struct, frozen=True):
    """The room for the stay, and the moves before it: booking → (from, to), as positions in the calendar."""

    room: int
    moves: dict[str, tuple[int, int]]


class AllocationRequest(msgspec.Struct, frozen=True):
    """A stay that needs one of the rooms in `rooms` (bits). Bookings for which `movable` is true may change rooms."""

    stay: Claimed
    rooms: int
    movable: Callable[[str], bool]


def allocate(calendar: Calendar, wanted: AllocationRequest) -> AllocationPlan | None:
    """The plan with the fewest moves that was found, or None. Does not change the calendar."""
    arrival, departure, _ = wanted.stay
    free = calendar.free_for(arrival, departure) & wanted.rooms
    if free:
        return AllocationPlan(calendar.best_fit(free, arrival, departure), {})
    if calendar.sold_out(arrival, departure):
        return None
    best = _fewer(_one_step(calendar, wanted), None)
    if best is None or len(best.moves) > 1:
        best = _fewer(_sweep(calendar, wanted), best)
    if best is None or len(best.moves) > 2:
        best = _fewer(_search(calendar, wanted, len(best.moves) - 1 if best else SEARCH_MOVES_MAX), best)
    return best


def bits(rooms: int) -> Iterator[int]:
    """Yields the positions of the bits that are set."""
    while rooms:
        low = rooms & -rooms
        yield low.bit_length() - 1
        rooms ^= low


def _fewer(one: AllocationPlan | None, other: AllocationPlan | None) -> AllocationPlan | None:
    if one is None or other is None:
        return one or other
    return one if len(one.moves) < len(other.moves) else other


def _one_step(calendar: Calendar, wanted: AllocationRequest) -> AllocationPlan | None:
    best: AllocationPlan | None = None
    arrival, departure, _ = wanted.stay
    for room in bits(wanted.rooms):
        holders = calendar.overlapping(room, arrival, departure)
        if best is not None and len(holders) >= len(best.moves):
            continue
        moves = {}
        for holder in holders:  # all from one room, so they never overlap
            free = calendar.free_for(holder[0], holder[1]) if wanted.movable(holder[2]) else 0
            if not free:
                break
            moves[holder[2]] = (room, calendar.best_fit(free, holder[0], holder[1]))
        else:
            best = AllocationPlan(room, moves)
    return best


def _sweep(calendar: Calendar, wanted: AllocationRequest) -> AllocationPlan | None:
    sketch = calendar.copy()
    placed: dict[str, int] = {}
    previous: dict[str, int] = {}
    everyone = calendar.all_rooms
    pending = [wanted.stay]
    while pending:
        arrival, departure, booking = stay = heappop(pending)
        own = booking == wanted.stay[2]
        choice = _least_displacing(sketch, stay, wanted, placed, wanted.rooms if own else everyone)
        if choice is None:
            return None
        for holder in sketch.overlapping(choice, arrival, departure):
            sketch.vacate(choice, holder[2])
            previous[holder[2]] = choice
            heappush(pending, holder)
        sketch.claim(choice, arrival, departure, booking)
        placed[booking] = choice
    return _plan(wanted, placed, previous)


def _least_displacing(
    sketch: Calendar, stay: Claimed, wanted: AllocationRequest, placed: dict[str, int], rooms: int
) -> int | None:
    """The room, free on the first night, in which the stay displaces the fewest others."""
    arrival, departure, booking = stay
    free = sketch.free_for(arrival, departure) & rooms
    if free:
        return sketch.best_fit(free, arrival, departure)
    if booking == wanted.stay[2] and rooms.bit_count() == 1:
        candidates = rooms  # this room only, even if it is taken on the first night
    else:
        candidates = sketch.free_for(max(arrival, sketch.origin), max(arrival, sketch.origin) + 1) & rooms
    best, fewest = None, None
    for room in bits(candidates):
        holders = sketch.overlapping(room, arrival, departure)
        if all(holder[2] not in placed and wanted.movable(holder[2]) for holder in holders) and (
            fewest is None or len(holders) < fewest
        ):
            best, fewest = room, len(holders)
    return best


def _search(calendar: Calendar, wanted: AllocationRequest, moves_max: int) -> AllocationPlan | None:
    search = _Search(wanted, calendar.all_rooms)
    for depth in range(1, moves_max + 1):
        plan = search.place(calendar, [wanted.stay], {}, {}, depth)
        if plan is not None or search.steps_left <= 0:
            return plan
    return None


@dataclass(slots=True)
class _Search:
    """A depth-first search over rooms for the pending stays; `place` tries rooms for the first of `pending`."""

    wanted: AllocationRequest
    all_rooms: int
    steps_left: int = reshuffle_steps_max

    def place(
        self,
        sketch: Calendar,
        pending: list[Claimed],
        placed: dict[str, int],
        previous: dict[str, int],
        moves_left: int,
    ) -> AllocationPlan | None:
        """The plan in which each of `pending` has a room, or None."""
        if not pending:
            return _plan(self.wanted, placed, previous)
        arrival, departure, booking = pending[0]
        for room, holders in self._options(sketch, pending[0], placed, moves_left):
            if self.steps_left <= 0:
                return None
            tried = sketch.copy()
            for holder in holders:
                tried.vacate(room, holder[2])
            tried.claim(room, arrival, departure, booking)
            displaced = {holder[2]: room for holder in holders}
            plan = self.place(
                tried, pending[1:] + holders, {**placed, booking: room}, previous | displaced, moves_left - len(holders)
            )
            if plan is not None:
                return plan
        return None

    def _options(
        self, sketch: Calendar, stay: Claimed, placed: dict[str, int], moves_left: int
    ) -> list[tuple[int, list[Claimed]]]:
        options = []
        for room in bits(self.wanted.rooms if stay[2] == self.wanted.stay[2] else self.all_rooms):
            self.steps_left -= 1
            holders = sketch.overlapping(room, stay[0], stay[1])
            if len(holders) <= moves_left and all(h[2] not in placed and self.wanted.movable(h[2]) for h in holders):
                options.append((room, holders))
        return sorted(options, key=lambda option: len(option[1]))


def _plan(wanted: AllocationRequest, placed: dict[str, int], previous: dict[str, int]) -> AllocationPlan:
    """The plan without the stays that were placed back into their own room."""
    moves = {booking: (previous[booking], room) for booking, room in placed.items() if booking in previous}
    return AllocationPlan(
        placed[wanted.stay[2]], {booking: move for booking, move in moves.items() if move[0] != move[1]}
    )
