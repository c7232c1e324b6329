"""What a service got from a broker: a copy of the logs that it follows, in a file of its own.

A broker may tell an event twice, or late, or never. Each is kept once, at its place in its log, and read only when all
before it are there, too; one that stays away is fetched from the log itself. So whoever follows these logs sees what it
would see of the logs themselves. Where in the broker's own order it goes on is kept in the same transaction.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import sqlite_utils
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.subscriptions import EventLog, Stalled
from innkeeper.storage.sqlite.schema import closed_on_failure, open_to_write

_PORTION_EVENTS = 500


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


class Inbox:
    """A `protocol.feeding.Inbox`. May be used from any thread."""

    def __init__(self, path: Path, origins: Mapping[str, EventLog]) -> None:
        """Of the logs of these names; what the broker leaves out is fetched from there."""
        self._db = open_to_write(path, _create)
        self._lock = threading.Lock()  # of the database
        self._taking_in = threading.Lock()  # so that what became readable is announced in order
        self._origins = origins
        self.logs = {log: InboxLog(log, self._read) for log in origins}
        with closed_on_failure(self):
            self._places: dict[str, int] = dict(self._db.execute("SELECT name, place FROM places").fetchall())
            for log in self.logs.values():
                log.begin(*self._kept(log.name))

    def place(self, name: str) -> int | None:
        """See `protocol.feeding.Inbox`."""
        return self._places.get(name)

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """See `protocol.feeding.Inbox`."""
        rows = [
            (log, position, record.hotel, record.hotel_seq, wire.encode_record(record))
            for log, (position, record) in entries
            if log in self.logs
        ]
        with self._taking_in:
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
        """See `protocol.feeding.Inbox`."""
        for name, log in self.logs.items():
            while self._origins[name].position > log.position:
                try:
                    entries = self._origins[name].read(log.position, _PORTION_EVENTS)
                except Refused:
                    break
                if not entries:
                    break
                self.handle([(name, entry) for entry in entries], {})

    def close(self) -> None:
        """No more."""
        self._db.close()

    def _kept(self, log: str) -> tuple[int, list[int]]:
        """Up to where nothing is missing, and what came early."""
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


class InboxLog:
    """One log of an inbox, up to where nothing is missing: a `protocol.subscribing.EventLog`, and a
    `protocol.asking.Source`."""

    def __init__(self, name: str, read: Callable[[str, int, int, int, str | None, int], list[LogEntry]]) -> None:
        self.name = name
        self.position = 0
        self._read = read
        self._early: dict[int, LogEntry | None] = {}
        self._listeners: list[CommitListener] = []

    def begin(self, position: int, early: Sequence[int]) -> None:
        """So much is there already."""
        self.position = position
        self._early = dict.fromkeys(early)

    def handle(self, entries: Sequence[LogEntry]) -> None:
        """These came, in any order."""
        self._early.update((entry[0], entry) for entry in entries if entry[0] > self.position)
        told = []
        while self.position + 1 in self._early:
            self.position += 1
            told.append(self._early.pop(self.position))
        records = [entry[1] for entry in told if entry is not None]
        for listener in self._listeners if told else ():
            listener(self.position, records if len(records) == len(told) else ())

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `protocol.subscribing.EventLog`."""
        return self._read(self.name, after, self.position, limit, hotel, after_hotel_seq)

    def subscribe(self, listener: CommitListener) -> None:
        """See `protocol.asking.Source`. It is told in whichever thread takes in."""
        self._listeners.append(listener)
