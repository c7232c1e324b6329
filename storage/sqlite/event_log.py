"""The event log of a partition, for its readers: subscribers that catch up, live streams, lists."""

import threading
from itertools import islice
from pathlib import Path

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.storage.sqlite.journal import open_to_read, read_rows, record_of


class SqliteEventLog:
    """Implements `protocol.ports.subscriptions.EventLog` over a journal's file, which it opens read-only."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_to_read(path)

    @property
    def position(self) -> int:
        """See `EventLog`."""
        with self._lock:
            return int(self._db.execute("SELECT seq FROM writer").fetchone()[0])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        with self._lock:
            rows = list(islice(read_rows(self._db, after, hotel, after_hotel_seq), limit))
        return [(row[0], record_of(row)) for row in rows]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()
