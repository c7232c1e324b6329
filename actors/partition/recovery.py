"""Finds the hotels in a journal at the start, and rebuilds each when it is first needed, from its newest snapshot and
the events after it.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.protocol.codec import wire
from innkeeper.protocol.ports.journal import Journal, JournalDamaged, Snapshot, SnapshotSet, SnapshotsUnusable

logger = logging.getLogger(__name__)


class Recovery(NamedTuple):
    """Every hotel of the journal, and how many events were read to find them. `unsaved` has the number of each hotel's
    events after its snapshot, and `unsaved_from` the position of the first of them. `snapshots_usable` is false where
    they are to be rebuilt from events alone."""

    hotels: list[str]
    events: int
    unsaved: dict[str, int]
    unsaved_from: dict[str, int]
    snapshots_usable: bool = True


def rebuild(
    journal: Journal, hotel: str, aggregate_type: AggregateType, use_snapshot: bool = True
) -> tuple[Any, int | None]:
    """The state of one hotel from the journal, None if it never opened; and the position of the first of its events
    that no snapshot has. Raises JournalDamaged."""
    with _without_garbage_collection():
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
        if keys := aggregate_type.lacking_details(state):
            aggregate_type.add_details(state, journal.guests(keys))
    return state if aggregate_type.is_open(state) else None, entries[0][0] if entries else None


def recover(journal: Journal, progress: Callable[[int], None]) -> Recovery:
    """Finds every hotel of the journal, and checks the events that the snapshots do not have: all of them, where the
    snapshots are unusable. Raises JournalDamaged, and JournalTooNew."""
    usable, saved = True, SnapshotSet()
    try:
        saved = journal.snapshot_set()
    except SnapshotsUnusable as error:
        logger.warning("%s", error)
        usable = False
    newest = dict(saved.hotels)
    unsaved: dict[str, int] = {}
    unsaved_from: dict[str, int] = {}
    events = 0
    for position, hotel, hotel_seq in journal.places(saved.until):
        known = newest.get(hotel, 0)
        if hotel_seq > known + 1:
            raise JournalDamaged(
                f"event {position} of the journal is event {hotel_seq} of {hotel}, whose event {known + 1} is missing;"
                " restore the journal from a backup"
            )
        if hotel_seq > known:
            newest[hotel] = hotel_seq
            unsaved[hotel] = unsaved.get(hotel, 0) + 1
            unsaved_from.setdefault(hotel, position)
        events += 1
        if events % 1_000 == 0:
            progress(events)
    return Recovery(sorted(newest), events, unsaved, unsaved_from, usable)


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
