"""Rebuilds hotels from the journal: each from its newest snapshot and the events after it."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import Journal


def rebuild(journal: Journal, hotel: str, aggregate_type: AggregateType, use_snapshot: bool = True) -> Any:
    """The state of one hotel from the journal, None if it never opened."""
    state = aggregate_type.begin()
    for snapshot in journal.snapshots(hotel) if use_snapshot else ():
        state = aggregate_type.restore(wire.decode(snapshot.state))
    aggregate_type.fold(state, (record for _, record in journal.read(hotel=hotel, after_hotel_seq=state.seq)))
    return state if aggregate_type.is_open(state) else None


def rebuild_all(
    journal: Journal, progress: Callable[[int], None], aggregate_type: AggregateType
) -> tuple[dict[str, Any], int]:
    """The state of every hotel from the journal, and how many events were read for that."""
    states: dict[str, Any] = {}
    events, evolve = 0, aggregate_type.evolve
    with _without_garbage_collection():
        states.update(
            (snapshot.hotel, aggregate_type.restore(wire.decode(snapshot.state))) for snapshot in journal.snapshots()
        )
        for state_events in _tails(journal, states):
            for record in state_events:
                evolve(states.get(record.hotel) or states.setdefault(record.hotel, aggregate_type.begin()), record)
                events += 1
                if events % 1_000 == 0:
                    progress(events)
    return states, events


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disables the garbage collector: nothing made here is garbage, and searching millions of bookings for it takes
    longer than making them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _tails(journal: Journal, states: dict[str, Any]) -> Iterable[Iterable[RecordedEvent]]:
    """The events after the snapshots: of each hotel with a snapshot the later ones, of the other hotels all."""
    if not states:
        yield (record for _, record in journal.read())
        return
    known = set(states)
    for hotel in known:
        yield (record for _, record in journal.read(hotel=hotel, after_hotel_seq=states[hotel].seq))
    for hotel in journal.hotels() - known:
        yield (record for _, record in journal.read(hotel=hotel))


def check_snapshots(journal: Journal, aggregate_type: AggregateType) -> list[str]:
    """Checks P6: each snapshot is byte for byte the fold of its events. Returns a message for each that is not."""
    found = []
    for snapshot in journal.snapshots():
        records = journal.read(hotel=snapshot.hotel)
        state = aggregate_type.fold(
            aggregate_type.begin(), (record for _, record in islice(records, snapshot.hotel_seq))
        )
        if wire.encode(aggregate_type.describe(state)) != snapshot.state:
            found.append(
                f"{snapshot.hotel}: the snapshot at event {snapshot.hotel_seq} differs from the fold of its events (P6)"
            )
    return found
