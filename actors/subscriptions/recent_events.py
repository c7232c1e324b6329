"""What a service has heard of the log: the newest events in memory, and the rest where it always stands."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values.limits import recent_events_max


class RecentEvents:
    """A `protocol.subscribing.EventLog` that answers from what was broadcast, as far as that reaches back."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._heard: deque[LogEntry] = deque(maxlen=recent_events_max)
        self.position = log.position

    def subscribe(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """These were committed, up to this position. From any thread, at next to no cost. What comes twice changes
        nothing, and what never comes is read from the log."""
        first = position - len(records) + 1
        with self._lock:
            end = self._heard[-1][0] if self._heard else self.position
            if first > end + 1:
                self._heard.clear()
            self._heard.extend(entry for entry in enumerate(records, first) if entry[0] > end)
            self.position = max(self.position, position)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `protocol.subscribing.EventLog`."""
        if hotel is None:
            with self._lock:
                if self._heard and self._heard[0][0] <= after + 1:
                    start = after + 1 - self._heard[0][0]
                    return list(islice(self._heard, start, start + limit))
        return self._log.read(after, limit, hotel, after_hotel_seq)
