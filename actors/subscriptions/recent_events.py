"""The newest events of a log in memory, in front of the log itself."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values.limits import recent_events_max


class RecentEvents:
    """An `EventLog` that reads from the published events as far as they reach back, and else from the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._entries: deque[LogEntry] = deque(maxlen=recent_events_max)
        self.position = log.position

    def append(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Adds committed events, up to this position. May be called from any thread, at very little cost. Events that
        come twice change nothing; events that never come are read from the log."""
        first = position - len(records) + 1
        with self._lock:
            end = self._entries[-1][0] if self._entries else self.position
            if first > end + 1:
                self._entries.clear()
            self._entries.extend(entry for entry in enumerate(records, first) if entry[0] > end)
            self.position = max(self.position, position)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        if hotel is None:
            with self._lock:
                if self._entries and self._entries[0][0] <= after + 1:
                    start = after + 1 - self._entries[0][0]
                    return list(islice(self._entries, start, start + limit))
        return self._log.read(after, limit, hotel, after_hotel_seq)
