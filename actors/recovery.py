"""Hotels from the journal: each from its newest snapshot and the events after it."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from innkeeper.actors.rules.state import HotelState, evolve, fold, restore
from innkeeper.protocol import wire
from innkeeper.protocol.journal import Journal, Snapshot
from innkeeper.protocol.record import Recorded
from innkeeper.protocol.replies import StateReply


def rebuild(journal: Journal, hotel: str) -> HotelState | None:
    """One hotel as the journal tells it, None if it never opened."""
    state = HotelState()
    for snapshot in journal.snapshots(hotel):
        state = _restored(snapshot)
    fold(state, (record for _, record in journal.read(hotel=hotel, after_hotel_seq=state.seq)))
    return state if state.hotel is not None else None


def rebuild_all(journal: Journal, progress: Callable[[int], None]) -> tuple[dict[str, HotelState], int]:
    """Every hotel as the journal tells it, and how many events were read for that."""
    states: dict[str, HotelState] = {}
    events = 0
    with _no_collector():
        states.update((snapshot.hotel, _restored(snapshot)) for snapshot in journal.snapshots())
        for state_events in _tails(journal, states):
            for record in state_events:
                evolve(states.get(record.hotel) or states.setdefault(record.hotel, HotelState()), record)
                events += 1
                if events % 1_000 == 0:
                    progress(events)
    return states, events


@contextmanager
def _no_collector() -> Iterator[None]:
    """All that is made here stays: looking for garbage among millions of bookings takes longer than making them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _tails(journal: Journal, states: dict[str, HotelState]) -> Iterable[Iterable[Recorded]]:
    """The events that no snapshot holds: of each hotel with a snapshot its tail, then all of the others."""
    if not states:
        yield (record for _, record in journal.read())
        return
    known = set(states)
    for hotel in known:
        yield (record for _, record in journal.read(hotel=hotel, after_hotel_seq=states[hotel].seq))
    for hotel in journal.hotels() - known:
        yield (record for _, record in journal.read(hotel=hotel))


def _restored(snapshot: Snapshot) -> HotelState:
    described = wire.decode(snapshot.state)
    assert isinstance(described, StateReply)
    return restore(described)
