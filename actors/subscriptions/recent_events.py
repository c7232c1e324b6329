"""The newest events of a log in memory, in front of the log itself."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import repeat

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.message_bus import CommitStream
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import GuestDetails, GuestKey


class RecentEvents:
    """A `RecentLog`: the published events as far as they reach back without a gap, and else the log. Events of another
    process are decoded when they are read (`LazyRecords`)."""

    def __init__(self, log: EventLog) -> None:
        self.position = log.position
        self._log = log
        self._lock = threading.Lock()
        self._entries: deque[tuple[Sequence[RecordedEvent], int]] = deque(maxlen=limits.recent_events_max)

    def append(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Adds committed events, up to this position; a `CommitListener`. May be called from any thread, at very little
        cost. Events that come twice change nothing; events that never come are read from the log. So are all where a
        position comes alone: the process that writes the log was found again, and may have another journal."""
        before = position - len(records)
        with self._lock:
            if self.position < before or not records:
                self._entries.clear()
            self._entries.extend(zip(repeat(records), range(max(self.position - before, 0), len(records))))
            self.position = max(self.position, position)

    def recent(self, after: int, limit: int) -> list[LogEntry] | None:
        """See `RecentLog`."""
        with self._lock:
            length = len(self._entries)
            start = after - self.position + length
            if start < 0 or after > self.position:  # the latter until another process has sent its position
                return None
            found = [self._entries[place] for place in range(start, min(start + limit, length))]
        return [(position, records[place]) for position, (records, place) in enumerate(found, after + 1)]

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        entries = self.recent(after, limit) if hotel is None else None
        return self._log.read(after, limit, hotel, after_hotel_seq) if entries is None else entries

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `EventLog`."""
        return self._log.guests(keys)

    def hash_at(self, position: int) -> bytes | None:
        """See `EventLog`."""
        return self._log.hash_at(position)


def following(stream: CommitStream, log: EventLog) -> RecentEvents:
    """The log with its newest events in memory, as its stream announces them."""
    recent = RecentEvents(log)
    recent.append(stream.position, ())
    stream.subscribe(recent.append)
    return recent
