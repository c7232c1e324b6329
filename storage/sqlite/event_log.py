"""The event log of a journal's readers: subscribers that catch up, live streams, lists."""

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.values.guests import GuestDetails, GuestKey
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, GENESIS, read_rows, record_of, rows_of, unreadable
from innkeeper.storage.sqlite.guests import find_guests
from innkeeper.storage.sqlite.schema import closed_on_failure, never_wait
from innkeeper.storage.sqlite.timelines import Timelines


class SqliteEventLog:
    """Implements `protocol.ports.subscriptions.EventLog` over a journal's file, which it opens read-only: once for each
    thread that reads at the same time, so that the event loop never waits for a long read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_closed = False
        self._idle: deque[sqlite3.Connection] = deque()
        db = open_to_read(path)
        with closed_on_failure(db):
            self._timelines = Timelines(path, db)
            never_wait(db)
        self._idle.append(db)

    @property
    def position(self) -> int:
        """See `EventLog`."""
        with self._connection() as db:
            return int(next(rows_of(self._path, db, "SELECT position FROM writer"))[0])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`. Raises JournalDamaged where an event cannot be read or decoded, and JournalTooNew."""
        with self._connection() as db:
            rows = list(islice(read_rows(self._path, db, after, hotel, after_hotel_seq), limit))
        return [(row[0], record_of(self._path, row, self._timelines.at(row[0]))) for row in rows]

    def hash_at(self, position: int) -> bytes:
        """See `EventLog`."""
        if position == 0:
            return GENESIS
        query = "SELECT hash FROM events WHERE position = ?"
        with self._connection() as db:
            found = next(rows_of(self._path, db, query, (position,)), None)
        return b"" if found is None else found[0]

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `EventLog`. Raises JournalDamaged where one is missing, or is not what was written."""
        with self._connection() as db:
            return find_guests(self._path, db, keys)

    def close(self) -> None:
        """Closes the file; where a thread still reads, when that has ended."""
        self._is_closed = True
        with suppress(IndexError):  # another thread may take the last one
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread uses meanwhile."""
        if self._is_closed:
            raise sqlite3.ProgrammingError(f"{self._path} is closed")
        try:
            db = self._idle.pop()
        except IndexError:
            db = open_to_read(self._path)
            never_wait(db)
        try:
            yield db
        finally:
            self._idle.append(db)
            if self._is_closed:
                self.close()


def open_to_read(path: Path) -> sqlite3.Connection:
    """Opens a read-only connection to a journal's file. Raises JournalError."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    except FILE_ERRORS as error:
        raise unreadable(path, error) from error
