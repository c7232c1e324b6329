"""What a service has heard of the log: the newest events in memory, and the rest where it always stands."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from innkeeper.protocol.limits import heard_events_max
from innkeeper.protocol.record import Entry, Recorded
from innkeeper.protocol.subscribing import Log


class HeardLog:
    """A `protocol.subscribing.Log` that answers from what was broadcast, as far as that reaches back."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._heard: deque[Entry] = deque(maxlen=heard_events_max)
        self.position = log.position

    def hear(self, position: int, records: Sequence[Recorded]) -> None:
        """These were committed, up to this position. From any thread, at next to no cost. What comes twice changes
        nothing, and what never comes is read from the log."""
        first = position - len(records) + 1
        with self._lock:
            end = self._heard[-1][0] if self._heard else self.position
            if first > end + 1:
                self._heard.clear()
            self._heard.extend(entry for entry in enumerate(records, first) if entry[0] > end)
            self.position = max(self.position, position)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[Entry]:
        """See `protocol.subscribing.Log`."""
        if hotel is None:
            with self._lock:
                if self._heard and self._heard[0][0] <= after + 1:
                    start = after + 1 - self._heard[0][0]
                    return list(islice(self._heard, start, start + limit))
        return self._log.read(after, limit, hotel, after_hotel_seq)
