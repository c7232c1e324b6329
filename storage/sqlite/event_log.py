"""The event log of a journal's readers: subscribers that catch up, live streams, lists."""

import sqlite3
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.values.guests import GuestDetails, GuestKey
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, GENESIS, read_rows, record_of, rows_of, unreadable
from innkeeper.storage.sqlite.guests import find_guests
from innkeeper.storage.sqlite.schema import closed_on_failure, never_wait
from innkeeper.storage.sqlite.timelines import Timelines


class SqliteEventLog:
    """Implements `protocol.ports.subscriptions.EventLog` over a journal's file, which it opens read-only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = open_to_read(path)
        with closed_on_failure(self._db):
            self._timelines = Timelines(path, self._db)
            never_wait(self._db)

    @property
    def position(self) -> int:
        """See `EventLog`."""
        with self._lock:
            return int(next(rows_of(self._path, self._db, "SELECT position FROM writer"))[0])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`. Raises JournalDamaged where an event cannot be read or decoded, and JournalTooNew."""
        with self._lock:
            rows = list(islice(read_rows(self._path, self._db, after, hotel, after_hotel_seq), limit))
        return [(row[0], record_of(self._path, row, self._timelines.at(row[0]))) for row in rows]

    def hash_at(self, position: int) -> bytes:
        """See `EventLog`."""
        if position == 0:
            return GENESIS
        query = "SELECT hash FROM events WHERE position = ?"
        with self._lock:
            found = next(rows_of(self._path, self._db, query, (position,)), None)
        return b"" if found is None else found[0]

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `EventLog`. Raises JournalDamaged where one is missing, or is not what was written."""
        with self._lock:
            return find_guests(self._path, self._db, keys)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()


def open_to_read(path: Path) -> sqlite3.Connection:
    """Opens a read-only connection to a journal's file. Raises JournalError."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    except FILE_ERRORS as error:
        raise unreadable(path, error) from error
