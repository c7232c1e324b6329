"""The inbox of a service: its copy of the logs that a broker delivers, in a file of its own.

A broker may deliver an event twice, late or never. The inbox stores each event once, at its position in its log, and
returns it only when all events before it are stored, too; a missing event is read from the log itself. So a subscriber
gets from the inbox what it would get from the logs. The broker's offsets are stored in the same transaction.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlite_utils
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import EventLog, Stalled
from innkeeper.storage.gapless_log import GaplessLog, fetch_missing
from innkeeper.storage.sqlite.schema import closed_on_failure, open_to_write


def _create(db: sqlite_utils.Database) -> None:
    db.execute(
        """
        CREATE TABLE entries (
            log TEXT NOT NULL, position INTEGER NOT NULL, hotel TEXT NOT NULL, hotel_seq INTEGER NOT NULL,
            record BLOB NOT NULL, PRIMARY KEY (log, position)
        ) STRICT, WITHOUT ROWID
        """
    )
    db.execute("CREATE UNIQUE INDEX entries_of_hotel ON entries (log, hotel, hotel_seq)")
    db.execute("CREATE TABLE places (name TEXT PRIMARY KEY, place INTEGER NOT NULL) STRICT")


class SqliteInbox:
    """Implements `protocol.ports.inbox.Inbox` in SQLite. Thread-safe."""

    def __init__(self, path: Path, origins: Mapping[str, EventLog]) -> None:
        """Stores events of the logs `origins`, from which it reads what the broker does not deliver."""
        self._db = open_to_write(path, _create)
        self._lock = threading.Lock()  # of the database
        self._handling = threading.Lock()  # so that listeners are called in the order of the log
        self._origins = origins
        self.logs: Mapping[str, GaplessLog] = {log: GaplessLog(log, self._read) for log in origins}
        with closed_on_failure(self):
            self._places: dict[str, int] = dict(self._db.execute("SELECT name, place FROM places").fetchall())
            for log in self.logs.values():
                log.begin(*self._stored(log.name))

    def offset(self, name: str) -> int | None:
        """See `Inbox`."""
        return self._places.get(name)

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """See `Inbox`."""
        rows = [
            (log, position, record.hotel, record.hotel_seq, wire.encode_record(record))
            for log, (position, record) in entries
            if log in self.logs
        ]
        with self._handling:
            try:
                with self._lock, self._db.atomic():
                    self._db.conn.executemany("INSERT OR IGNORE INTO entries VALUES (?,?,?,?,?)", rows)
                    self._db.conn.executemany("INSERT OR REPLACE INTO places VALUES (?,?)", list(places.items()))
            except sqlite3.Error as error:
                raise Stalled(f"the inbox cannot be written: {error}") from error
            self._places |= places
            for name, log in self.logs.items():
                log.handle([entry for of, entry in entries if of == name])

    def fetch_missing(self) -> None:
        """See `Inbox`."""
        fetch_missing(self, self._origins)

    def close(self) -> None:
        """See `Inbox`."""
        self._db.close()

    def _stored(self, log: str) -> tuple[int, list[int]]:
        """Returns the position up to which no event is missing, and the positions of events after a gap."""
        end = self._db.execute(
            "SELECT min(position) FROM entries AS one WHERE log = ? AND NOT EXISTS"
            " (SELECT 1 FROM entries WHERE log = one.log AND position = one.position + 1)"
            " AND EXISTS (SELECT 1 FROM entries WHERE log = one.log AND position = 1)",
            (log,),
        ).fetchone()[0]
        early = self._db.execute("SELECT position FROM entries WHERE log = ? AND position > ?", (log, end or 0))
        return end or 0, [position for (position,) in early]

    def _read(self, log: str, after: int, until: int, limit: int, hotel: str | None, after_seq: int) -> list[LogEntry]:
        where, values = ("", ()) if hotel is None else (" AND hotel = ? AND hotel_seq > ?", (hotel, after_seq))
        with self._lock:
            rows = self._db.execute(
                "SELECT position, record FROM entries WHERE log = ? AND position > ? AND position <= ?"
                f"{where} ORDER BY position LIMIT ?",
                (log, after, until, *values, limit),
            ).fetchall()
        return [(position, wire.decode_record(record)) for position, record in rows]
