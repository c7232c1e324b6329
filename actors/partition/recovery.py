"""Rebuilds hotels from the journal: each from its newest snapshot and the events after it."""

import gc
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.protocol.codec import wire
from innkeeper.protocol.ports.journal import Journal, JournalDamaged, Snapshot, SnapshotsUnusable

logger = logging.getLogger(__name__)


class Recovery(NamedTuple):
    """The state of every hotel, and how many events were read for that. `unsaved` has the number of each hotel's events
    after its snapshot, and `unsaved_from` the position of the first of them."""

    states: dict[str, Any]
    events: int
    unsaved: dict[str, int]
    unsaved_from: dict[str, int]


def rebuild(
    journal: Journal, hotel: str, aggregate_type: AggregateType, use_snapshot: bool = True
) -> tuple[Any, int | None]:
    """The state of one hotel from the journal, None if it never opened; and the position of the first of its events
    that no snapshot has. Raises JournalDamaged."""
    state = None
    if use_snapshot:
        try:
            state = next((_restored(snapshot, aggregate_type) for snapshot in journal.snapshots(hotel)), None)
        except SnapshotsUnusable as error:
            logger.warning("%s", error)
    if state is None:
        state = aggregate_type.begin()
    entries = [*journal.read(hotel=hotel, after_hotel_seq=state.seq)]
    aggregate_type.fold(state, (record for _, record in entries))
    _add_details(journal, [state], aggregate_type)
    return state if aggregate_type.is_open(state) else None, entries[0][0] if entries else None


def rebuild_all(journal: Journal, progress: Callable[[int], None], aggregate_type: AggregateType) -> Recovery:
    """The state of every hotel from the journal, whose events are checked as they are read. Snapshots that are unusable
    are ignored. Raises JournalDamaged."""
    with _without_garbage_collection():
        states, after = _from_snapshots(journal, aggregate_type)
        events, begin, evolve = 0, aggregate_type.begin, aggregate_type.evolve
        unsaved: dict[str, int] = {}
        unsaved_from: dict[str, int] = {}
        for position, record in journal.read(after):
            hotel, seq = record.hotel, record.hotel_seq
            state = states.get(hotel) or states.setdefault(hotel, begin())
            if seq == state.seq + 1:
                evolve(state, record)
                unsaved[hotel] = unsaved.get(hotel, 0) + 1
                unsaved_from.setdefault(hotel, position)
            elif seq > state.seq:
                raise JournalDamaged(
                    f"event {position} of the journal is event {seq} of {hotel}, whose event {state.seq + 1} is"
                    " missing; restore the journal from a backup"
                )
            events += 1
            if events % 1_000 == 0:
                progress(events)
        _add_details(journal, states.values(), aggregate_type)
    return Recovery(states, events, unsaved, unsaved_from)


def _add_details(journal: Journal, states: Iterable[Any], aggregate_type: AggregateType) -> None:
    """Adds the details of guests, which stand beside the events, to states from events and snapshots."""
    for state in states:
        if keys := aggregate_type.lacking_details(state):
            aggregate_type.add_details(state, journal.guests(keys))


def _from_snapshots(journal: Journal, aggregate_type: AggregateType) -> tuple[dict[str, Any], int]:
    """The states in the snapshots, and the position up to which they have the effects of all events."""
    states: dict[str, Any] = {}
    complete = True
    try:
        until = journal.snapshots_until()
        for snapshot in journal.snapshots():
            state = _restored(snapshot, aggregate_type)
            if state is None:
                complete = False
            else:
                states[snapshot.hotel] = state
    except SnapshotsUnusable as error:
        logger.warning("%s", error)
        return {}, 0
    return states, until if complete else 0


def _restored(snapshot: Snapshot, aggregate_type: AggregateType) -> Any:
    """The state in a snapshot; None, with a message, where another version has written it in another form."""
    try:
        state = aggregate_type.restore(wire.decode(snapshot.state))
        if state.seq == snapshot.hotel_seq:
            return state
        error: object = f"it is of event {state.seq}, not {snapshot.hotel_seq}"
    except Exception as raised:
        error = raised
    logger.warning("the snapshot of %s is ignored, and the hotel rebuilt from its events: %s", snapshot.hotel, error)
    return None


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


def check_snapshots(journal: Journal, aggregate_type: AggregateType) -> list[str]:
    """Checks P6: each snapshot is byte for byte the fold of its events. Returns a message for each that is not, and one
    where the snapshots are unusable (P13)."""
    found = []
    try:
        for snapshot in journal.snapshots():
            records = journal.read(hotel=snapshot.hotel)
            state = aggregate_type.fold(
                aggregate_type.begin(), (record for _, record in islice(records, snapshot.hotel_seq))
            )
            if wire.encode(aggregate_type.describe(state)) != snapshot.state:
                found.append(
                    f"{snapshot.hotel}: the snapshot at event {snapshot.hotel_seq} differs from the fold of its events"
                    " (P6)"
                )
    except SnapshotsUnusable as error:
        found.append(f"{error} (P13)")
    return found
