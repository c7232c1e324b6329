"""The newest entries of a log in memory, by position: what stands in front of an `EventLog`."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Generic, TypeVar

from innkeeper.protocol.values import limits

T = TypeVar("T")


class RecentEntries(Generic[T]):
    """A ring of the entries of one log that come last before `position`, without a gap between them."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._entries: deque[T] = deque(maxlen=limits.recent_events_max)

    def append(self, position: int, entries: Sequence[T]) -> None:
        """Adds the entries up to this position. Entries that are known already change nothing; where some are missing
        in between, the earlier ones are dropped."""
        known = self.position - (position - len(entries))
        if known < 0:
            self._entries.clear()
        self._entries.extend(islice(entries, max(known, 0), None))
        self.position = max(self.position, position)

    def read(self, after: int, limit: int) -> list[T] | None:
        """Returns at most `limit` entries after this position; None where they are to be read from the log."""
        length = len(self._entries)
        start = after - self.position + length
        if start < 0:
            return None
        return [self._entries[place] for place in range(start, min(start + limit, length))]
