"""Is there an order that explains what concurrent clients saw? A checker that stands apart from what it checks.

A history is linearizable when its operations can be put in one order that a single hotel, doing one thing at a time,
could have gone through: each operation somewhere between its invocation and its answer, each answer true at its place.
The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993): try each operation that may come next,
step back where none fits. What is booked depends only on which operations are done, so a set of done operations that
led nowhere once is not entered again (Lowe's memo). Room types share nothing, so each is checked on its own (Herlihy
and Wing: linearizability is local).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What an answer said."""

    BOOKED = "the booking has its nights"
    SOLD_OUT = "refused: of its nights exactly `reported` are full"
    CANCELLED = "the booking gave its nights back"
    ALREADY_CANCELLED = "refused: the booking had given its nights back already"
    AVAILABLE = "so many rooms, `reported`, are left on each of the nights"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request with its answer; the instants may be of any clock that all clients share."""

    invoked: int
    answered: int
    outcome: Outcome
    booking: str = ""
    nights: tuple[int, ...] = ()
    reported: tuple[int, ...] = ()


State = dict[str, tuple[int, ...]]
"""Who has which nights."""


def state_after(live: State, operation: Operation, rooms: int) -> State | None:
    """Who has which nights after this operation; None where its answer would not be true."""
    left = tuple(rooms - sum(night in nights for nights in live.values()) for night in operation.nights)
    full = tuple(night for night, free in zip(operation.nights, left, strict=True) if free == 0)
    match operation.outcome:
        case Outcome.BOOKED:
            return None if full else live | {operation.booking: operation.nights}
        case Outcome.SOLD_OUT:
            return live if full and full == operation.reported else None
        case Outcome.CANCELLED:
            rest = {booking: nights for booking, nights in live.items() if booking != operation.booking}
            return rest if len(rest) < len(live) else None
        case Outcome.ALREADY_CANCELLED:
            return None if operation.booking in live else live
        case Outcome.AVAILABLE:
            return live if left == operation.reported else None


def linearization(history: Iterable[Operation], rooms: int) -> Sequence[Operation] | None:
    """An order of these operations on one room type that explains every answer; None where there is none."""
    operations = sorted(history, key=lambda operation: operation.invoked)
    everything = (1 << len(operations)) - 1
    dead_ends: set[int] = set()

    def search(done: int, live: State) -> list[Operation] | None:
        if done == everything:
            return []
        if done in dead_ends:
            return None
        open_ones = [number for number in range(len(operations)) if not done >> number & 1]
        first_answer = min(operations[number].answered for number in open_ones)
        for number in open_ones:
            operation = operations[number]
            if operation.invoked > first_answer:
                break  # whoever answered first was done before this one began
            then = state_after(live, operation, rooms)
            rest = None if then is None else search(done | 1 << number, then)
            if rest is not None:
                return [operation, *rest]
        dead_ends.add(done)
        return None

    return search(0, {})
