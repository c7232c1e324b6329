"""Whether one more stay fits into the rooms of a type: an exhaustive search, for hotels of a few rooms (P11)."""

from collections.abc import Sequence
from datetime import date

Stay = tuple[date, date]


def fits(rooms: Sequence[str], fixed: Sequence[tuple[str, Stay]], movable: Sequence[Stay], stay: Stay) -> bool:
    """Whether the stay and all movable ones can each have one room, where the fixed ones keep theirs."""
    taken: dict[str, list[Stay]] = {room: [] for room in rooms}
    for room, nights in fixed:
        taken.setdefault(room, []).append(nights)
    return _place(taken, rooms, sorted([stay, *movable]))


def _place(taken: dict[str, list[Stay]], rooms: Sequence[str], stays: Sequence[Stay]) -> bool:
    if not stays:
        return True
    (first, until), *others = stays
    for room in rooms:
        if all(until <= held[0] or held[1] <= first for held in taken[room]):
            taken[room].append((first, until))
            if _place(taken, rooms, others):
                return True
            taken[room].pop()
    return False
