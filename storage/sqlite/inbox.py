"""The inbox of a service: its copy of the logs that a broker delivers, in a file of its own.

A broker may deliver an event twice, late or never. The inbox stores each event once, at its position in its log, and
returns it only when all events before it are stored, too; a missing event is read from the log itself. So a subscriber
gets from the inbox what it would get from the logs. The broker's offsets are stored in the same transaction.

Events are stored without personal data, as a broker has them; subscribers ask the log itself for the details of guests.
An event that differs from the stored one at its position is refused, and stops whoever follows the inbox until somebody
has looked at it: one of the two is not of this log. Old events are removed once all subscribers have handled them.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import Any

import sqlite_utils
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.public_events import public_record
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.inbox import InboxConflict
from innkeeper.protocol.ports.journal import JournalError
from innkeeper.protocol.ports.subscriptions import EventLog, Stalled
from innkeeper.storage.gapless_log import GaplessLog, conflict_text, fetch_missing
from innkeeper.storage.sqlite.checked_tables import NO_ROWID, checked_rows, connect_checked, create_table, open_checked
from innkeeper.storage.sqlite.schema import close_writer, closed_on_failure
from innkeeper.storage.sqlite.stamps import MAKE_AGAIN

_TRIM_EVENTS = 1_000


def _create(db: sqlite_utils.Database) -> None:
    create_table(
        db,
        "entries",
        {
            "log": "TEXT NOT NULL", "position": "INTEGER NOT NULL", "hotel": "TEXT NOT NULL",
            "hotel_seq": "INTEGER NOT NULL", "at": "INTEGER NOT NULL", "record": "BLOB NOT NULL",
        },
        "log, position",
        NO_ROWID,
    )  # fmt: skip
    db.execute("CREATE UNIQUE INDEX entries_of_hotel ON entries (log, hotel, hotel_seq)")
    create_table(db, "places", {"name": "TEXT PRIMARY KEY", "place": "INTEGER NOT NULL"})
    create_table(db, "removed", {"log": "TEXT PRIMARY KEY", "position": "INTEGER NOT NULL"})
    create_table(db, "conflicts", {"log": "TEXT PRIMARY KEY", "reason": "TEXT NOT NULL"})


def read_inbox(path: Path, log: str) -> Iterator[LogEntry]:
    """Yields the events of a log that an inbox has, newest first. The file is used by nobody else."""
    with closing(sqlite3.connect(path)) as db:
        for position, record in db.execute(
            "SELECT position, record FROM entries WHERE log = ? ORDER BY position DESC", (log,)
        ):
            yield position, wire.decode_record(record)


def remove_from_inbox(path: Path, log: str, after: int) -> None:
    """Removes the events of a log after this position, and the conflicts about it. The file is used by nobody else."""
    db = connect_checked(path, MAKE_AGAIN)
    with closing(db.conn), db.atomic():
        db.execute("DELETE FROM entries WHERE log = ? AND position > ?", (log, after))
        db.execute("UPDATE removed SET position = min(position, ?) WHERE log = ?", (after, log))
        db.execute("DELETE FROM conflicts WHERE log = ?", (log,))


class SqliteInbox:
    """Implements `protocol.ports.inbox.Inbox` in SQLite. Thread-safe."""

    def __init__(self, path: Path, origins: Mapping[str, EventLog]) -> None:
        """Stores events of the logs `origins`, from which it reads what the broker does not deliver."""
        self._db = open_checked(path, MAKE_AGAIN, _create)
        self._lock = threading.Lock()  # of the database
        self._handling = threading.Lock()  # so that listeners are called in the order of the log
        self._origins = origins
        self.logs: dict[str, GaplessLog] = {log: GaplessLog(log, self._read, origin) for log, origin in origins.items()}
        with closed_on_failure(self):
            self._places: dict[str, int] = dict(checked_rows(self._db, "SELECT * FROM places"))
            self.fault = next((reason for _, reason in checked_rows(self._db, "SELECT * FROM conflicts")), "")
            removed = dict(checked_rows(self._db, "SELECT * FROM removed"))
            for log in self.logs.values():
                start = removed.get(log.name, 0)
                log.begin(start, *self._stored(log.name, start))

    def offset(self, name: str) -> int | None:
        """See `Inbox`."""
        return self._places.get(name)

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """See `Inbox`."""
        public = [(log, (at, public_record(record))) for log, (at, record) in entries if log in self.logs]
        with self._handling:
            try:
                with self._lock, self._db.atomic():
                    fresh = self._add(public)
                    self._db.conn.executemany("INSERT OR REPLACE INTO places VALUES (?,?)", list(places.items()))
            except JournalError as error:
                raise Stalled(f"the inbox cannot be written: {error}") from error
            except InboxConflict as conflict:
                self._stop_following(conflict)
                raise
            self._places |= places
            for name, log in self.logs.items():
                log.handle([entry for of, entry in fresh if of == name])

    def _add(self, entries: Sequence[tuple[str, LogEntry]]) -> list[tuple[str, LogEntry]]:
        """Adds those entries that are not stored, and returns them. Raises InboxConflict."""
        fresh, wrong, reason = [], [], ""
        for log, entry in entries:
            position, record = entry
            held = self._held(log, entry)
            if not held and position > self.logs[log].start:
                row = (log, position, record.hotel, record.hotel_seq, record.at, wire.encode_record(record))
                self._db.execute("INSERT INTO entries VALUES (?,?,?,?,?,?)", row)
                fresh.append((log, entry))
            elif held and held != [entry]:
                wrong.append((log, entry))
                reason = reason or conflict_text(log, next(one for one in held if one != entry), entry)
        if wrong:
            raise InboxConflict(reason, wrong)
        return fresh

    def _held(self, log: str, entry: LogEntry) -> list[LogEntry]:
        """Returns the entries that are stored at the position or the hotel's number of this one."""
        query = (
            "SELECT * FROM entries WHERE log = ? AND position = ? UNION"
            " SELECT * FROM entries WHERE log = ? AND hotel = ? AND hotel_seq = ?"
        )
        values = (log, entry[0], log, entry[1].hotel, entry[1].hotel_seq)
        return [_entry(row) for row in checked_rows(self._db, query, values)]

    def _stop_following(self, conflict: InboxConflict) -> None:
        with self._lock, self._db.atomic():
            for log, _ in conflict.entries:
                self._db.execute("INSERT OR IGNORE INTO conflicts VALUES (?,?)", (log, str(conflict)))
        self.fault = self.fault or str(conflict)
        for log, _ in conflict.entries:
            self.logs[log].wake()

    def trim(self, positions: Mapping[str, int], before: int) -> int:
        """See `Inbox`. Removes a step at a time, so that events can be stored between two steps."""
        return sum(self._trim(self.logs[log], position, before) for log, position in positions.items())

    def _trim(self, log: GaplessLog, until: int, before: int) -> int:
        count = 0
        while removed := self._trim_step(log, until, before):
            count += removed
        return count

    def _trim_step(self, log: GaplessLog, until: int, before: int) -> int:
        with self._lock:
            with self._db.atomic():
                rows = self._db.execute(
                    "SELECT position, at FROM entries WHERE log = ? AND position <= ? ORDER BY position LIMIT ?",
                    (log.name, min(until, log.position), _TRIM_EVENTS),
                ).fetchall()
                old = [position for position, _ in takewhile(lambda row: row[1] < before, rows)]
                if not old:
                    return 0
                self._db.execute("INSERT OR REPLACE INTO removed VALUES (?,?)", (log.name, old[-1]))
                self._db.execute("DELETE FROM entries WHERE log = ? AND position <= ?", (log.name, old[-1]))
            log.start = old[-1]
        return len(old)

    def fetch_missing(self) -> None:
        """See `Inbox`."""
        try:
            fetch_missing(self, self.logs, self._origins)
        except InboxConflict as conflict:
            self._stop_following(conflict)
            raise

    def check_again(self, log: str) -> None:
        """See `Inbox`."""
        self.logs[log].is_checked = False

    def close(self) -> None:
        """See `Inbox`."""
        with self._handling, self._lock:  # a thread whose task was cancelled may still use it
            close_writer(self._db.conn)

    def _stored(self, log: str, start: int) -> tuple[int, list[int]]:
        """Returns the position up to which no event is missing, and the positions of events after a gap."""
        end = self._db.execute(
            "SELECT min(position) FROM entries AS one WHERE log = ? AND NOT EXISTS"
            " (SELECT 1 FROM entries WHERE log = one.log AND position = one.position + 1)"
            " AND EXISTS (SELECT 1 FROM entries WHERE log = one.log AND position = ?)",
            (log, start + 1),
        ).fetchone()[0]
        early = self._db.execute("SELECT position FROM entries WHERE log = ? AND position > ?", (log, end or start))
        return end or start, [position for (position,) in early]

    def _read(self, log: str, after: int, until: int, limit: int, hotel: str | None, after_seq: int) -> list[LogEntry]:
        where, values = ("", ()) if hotel is None else (" AND hotel = ? AND hotel_seq > ?", (hotel, after_seq))
        with self._lock:
            query = (
                f"SELECT * FROM entries WHERE log = ? AND position > ? AND position <= ?{where}"
                " ORDER BY position LIMIT ?"
            )
            rows = [*checked_rows(self._db, query, (log, after, until, *values, limit))]
        return [_entry(row) for row in rows]


def _entry(row: tuple[Any, ...]) -> LogEntry:
    return row[1], wire.decode_record(row[5])
