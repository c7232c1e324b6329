"""The newest events of a log in memory, in front of the log itself."""

import threading
from collections.abc import Sequence

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.message_bus import CommitStream
from innkeeper.protocol.ports.recent_entries import RecentEntries
from innkeeper.protocol.ports.subscriptions import EventLog


class RecentEvents:
    """An `EventLog` that reads from the published events as far as they reach back, and else from the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._recent: RecentEntries[LogEntry] = RecentEntries(log.position)

    @property
    def position(self) -> int:
        """See `EventLog`."""
        return self._recent.position

    def append(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Adds committed events, up to this position; a `CommitListener`. May be called from any thread, at very little
        cost. Events that come twice change nothing; events that never come are read from the log."""
        entries = [*enumerate(records, position - len(records) + 1)]
        with self._lock:
            self._recent.append(position, entries)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        if hotel is None:
            with self._lock:
                entries = self._recent.read(after, limit)
            if entries is not None:
                return entries
        return self._log.read(after, limit, hotel, after_hotel_seq)


def following(stream: CommitStream, log: EventLog) -> RecentEvents:
    """The log with its newest events in memory, as its stream announces them."""
    recent = RecentEvents(log)
    recent.append(stream.position, ())
    stream.subscribe(recent.append)
    return recent
