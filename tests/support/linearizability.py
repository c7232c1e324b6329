"""Checks whether the answers to concurrent clients are linearizable. It shares no code with what it checks.

A history is linearizable if its operations can be put in an order in which one hotel could have executed them one at a
time: each operation between its invocation and its answer, and each answer correct at its place.
The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993): try each operation that may come
next, and backtrack where none fits. The state depends only on which operations are done, so a set of done operations
that failed once is not tried again (Lowe's memo). Room types share nothing, so each is checked alone (Herlihy and Wing:
linearizability is local).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """The meaning of an answer."""

    BOOKED = "the booking holds its nights"
    SOLD_OUT = "refused: of its nights exactly `reported` are sold out"
    CANCELLED = "the booking holds its nights no longer"
    ALREADY_CANCELLED = "refused: the booking was cancelled before"
    AVAILABLE = "`reported` rooms are left on each of the nights"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request with its answer; the instants are of a clock that all clients share."""

    invoked: int
    answered: int
    outcome: Outcome
    booking: str = ""
    nights: tuple[int, ...] = ()
    reported: tuple[int, ...] = ()


State = dict[str, tuple[int, ...]]
"""The nights of each booking."""


def state_after(state: State, operation: Operation, rooms: int) -> State | None:
    """The state after this operation; None if its answer is wrong in this state."""
    available = tuple(rooms - sum(night in nights for nights in state.values()) for night in operation.nights)
    sold_out = tuple(night for night, rooms_left in zip(operation.nights, available, strict=True) if rooms_left == 0)
    match operation.outcome:
        case Outcome.BOOKED:
            return None if sold_out else state | {operation.booking: operation.nights}
        case Outcome.SOLD_OUT:
            return state if sold_out and sold_out == operation.reported else None
        case Outcome.CANCELLED:
            rest = {booking: nights for booking, nights in state.items() if booking != operation.booking}
            return rest if len(rest) < len(state) else None
        case Outcome.ALREADY_CANCELLED:
            return None if operation.booking in state else state
        case Outcome.AVAILABLE:
            return state if available == operation.reported else None


def linearization(history: Iterable[Operation], rooms: int) -> Sequence[Operation] | None:
    """An order of these operations on one room type in which every answer is correct; None if there is none."""
    operations = sorted(history, key=lambda operation: operation.invoked)
    all_done = (1 << len(operations)) - 1
    dead_ends: set[int] = set()

    def search(done: int, state: State) -> list[Operation] | None:
        if done == all_done:
            return []
        if done in dead_ends:
            return None
        not_done = [number for number in range(len(operations)) if not done >> number & 1]
        first_answer = min(operations[number].answered for number in not_done)
        for number in not_done:
            operation = operations[number]
            if operation.invoked > first_answer:
                break  # another operation was answered before this one was invoked
            next_state = state_after(state, operation, rooms)
            rest = None if next_state is None else search(done | 1 << number, next_state)
            if rest is not None:
                return [operation, *rest]
        dead_ends.add(done)
        return None

    return search(0, {})
