"""What the host of a partition does while there is time: which snapshots are due, and the removal of old replies."""

from collections.abc import Callable, Mapping
from typing import Any

from innkeeper.protocol.codec import wire
from innkeeper.protocol.ports.journal import Journal, JournalUnavailable, Snapshot
from innkeeper.protocol.values.limits import idempotency_hours, snapshot_behind_events_max

_HOUR_MICROSECONDS = 3_600_000_000
_RETRY_MICROSECONDS = 1_000_000
_REPLIES_PER_STEP = 500


class UnsavedEvents:
    """The events that no snapshot has: how many each hotel has of them (`counts`), and the position of the first
    (`first`)."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, int] = {}

    def due(self, end: int, after_events: int) -> list[str]:
        """Returns the hotels whose snapshots are due: those with so many of these events, and those whose first one is
        so far from the journal's end that the next start would read much of it."""
        far_behind = end - snapshot_behind_events_max
        return [
            hotel
            for hotel, events in self.counts.items()
            if events >= after_events or (events and self.first.get(hotel, far_behind) < far_behind)
        ]

    def save(self, journal: Journal, described: Mapping[str, Any], kind: type[Any]) -> int:
        """Saves these descriptions of hotels as snapshots, those of this kind; others are refusals. Returns how many
        were saved. Raises JournalError."""
        snapshots = [
            Snapshot(hotel, state.hotel_seq, wire.encode_kept(state))
            for hotel, state in described.items()
            if isinstance(state, kind)
        ]
        self.counts.update(dict.fromkeys(described, 0))  # those that cannot be saved now are not retried at once
        if snapshots:
            saved = {snapshot.hotel for snapshot in snapshots}
            first = {hotel: first for hotel, first in self.first.items() if hotel not in saved}
            journal.save_snapshots(snapshots, min(first.values(), default=journal.position() + 1) - 1)
            self.first = first
        return len(snapshots)


class OldReplies:
    """Removes kept replies that are older than a key is valid, some at a time."""

    def __init__(self, journal: Journal, clock: Callable[[], int], log: Callable[[str, Exception], None]) -> None:
        """`log` logs a fault of the disk, after which it is tried again."""
        self._journal = journal
        self._clock = clock
        self._log = log
        self._checked_until = ""
        self._due_at = 0

    def remove(self) -> bool:
        """Removes some of them; returns whether it is to be called again at once."""
        now = self._clock()
        if now < self._due_at:
            return False
        before = now - idempotency_hours * _HOUR_MICROSECONDS
        try:
            last = self._journal.remove_replies(before, self._checked_until, _REPLIES_PER_STEP)
        except JournalUnavailable as error:
            self._log("old replies could not be removed", error)
            self._due_at = now + _RETRY_MICROSECONDS
            return False
        self._checked_until = last or ""
        if last is None:
            self._due_at = now + _HOUR_MICROSECONDS
        return last is not None
