"""The rows of subscribers' cursors, in the database of their service."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import msgspec
import sqlite_utils
from innkeeper.storage.sqlite.changes_file import ChangesFile
from innkeeper.storage.sqlite.checked_tables import (
    CheckedDatabase,
    checked_rows,
    connect_checked,
    create_table,
    open_checked,
)
from innkeeper.storage.sqlite.schema import Migration, closed_on_failure, never_wait
from innkeeper.storage.sqlite.stamps import RESTORE
from innkeeper.storage.sqlite.wal_sync import LATEST_CHECKPOINT_PAGES
from innkeeper.storage.stored_cursor import ParkedHotel


def _cursors(db: sqlite_utils.Database) -> None:
    position = {"position": "INTEGER NOT NULL", "hash": "BLOB", "paused": "INTEGER NOT NULL"}
    create_table(db, "cursors", {"name": "TEXT NOT NULL", "log": "TEXT NOT NULL", **position}, "name, log")
    create_table(
        db,
        "parked",
        {
            "name": "TEXT NOT NULL", "log": "TEXT NOT NULL", "hotel": "TEXT NOT NULL", "after": "INTEGER NOT NULL",
            "passed": "INTEGER NOT NULL", "event": "TEXT NOT NULL", "type": "TEXT NOT NULL", "reason": "TEXT NOT NULL",
            "trace": "TEXT NOT NULL", "attempts": "INTEGER NOT NULL", "refusals": "INTEGER NOT NULL",
            "since": "INTEGER NOT NULL", "tried_at": "INTEGER NOT NULL", "retry_at": "INTEGER",
        },
        "name, log, hotel",
    )  # fmt: skip


def open_service(path: Path, *migrations: Migration, changes: ChangesFile | None = None) -> CheckedDatabase:
    """Opens the database of a service: cursors, and the tables of these migrations. What is written is synced by
    `WalSync`. The file `changes` says how many changes the database has had; raises JournalRolledBack where it has had
    fewer: it would have its newest effects, such as letters, again. Raises JournalError."""
    db = open_checked(path, RESTORE, _cursors, *migrations)
    with closed_on_failure(db):
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {LATEST_CHECKPOINT_PAGES}")
        if changes is not None:
            changes.check(path, db.conn)
        never_wait(db.conn)
    return db


def read_cursors(path: Path) -> list[tuple[str, str, int, bytes | None]]:
    """Returns each cursor: its subscriber, its log, its position, and the log's hash there where it is known. The file
    is used by nobody else."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT name, log, position, hash FROM cursors ORDER BY name, log").fetchall()


def set_cursor_back(
    path: Path, subscriber: str, log: str, position: int, log_hash: bytes, has: Callable[[str, int], bool]
) -> None:
    """Sets a cursor back to this position. `has` returns whether a hotel has an event of this number until there: a
    hotel that is parked at a later one is no longer parked, and has passed no later one. The file is used by nobody
    else."""
    db = connect_checked(path, RESTORE)
    with closing(db.conn), db.atomic():
        rows = SqliteCursorRows(db, subscriber, log)
        rows.save_position(position, log_hash)
        for hotel in rows.parked():
            if not has(hotel.hotel, hotel.after + 1):
                rows.unpark(hotel.hotel)
                continue
            passed = hotel.passed
            while not has(hotel.hotel, passed):
                passed -= 1
            rows.park(msgspec.structs.replace(hotel, passed=passed))


class SqliteCursorRows:
    """Implements `storage.stored_cursor.CursorRows` in SQLite."""

    def __init__(self, db: CheckedDatabase, subscriber: str, log: str) -> None:
        self._db = db
        self._key = (subscriber, log)

    def transaction(self) -> AbstractContextManager[object]:
        """See `CursorRows`."""
        return self._db.atomic()

    def open(self, position: int) -> tuple[int, bytes | None, bool]:
        """See `CursorRows`."""
        query = "SELECT * FROM cursors WHERE name = ? AND log = ?"
        for _, _, found, log_hash, paused in checked_rows(self._db, query, self._key):
            return found, log_hash, bool(paused)
        self._db.execute("INSERT INTO cursors VALUES (?, ?, ?, NULL, 0)", (*self._key, position))
        return position, None, False

    def save_position(self, position: int, log_hash: bytes | None) -> None:
        """See `CursorRows`."""
        change = "UPDATE cursors SET position = ?, hash = ? WHERE name = ? AND log = ?"
        self._db.execute(change, (position, log_hash, *self._key))

    def save_paused(self, paused: bool) -> None:
        """See `CursorRows`."""
        self._db.execute("UPDATE cursors SET paused = ? WHERE name = ? AND log = ?", (paused, *self._key))

    def parked(self) -> list[ParkedHotel]:
        """See `CursorRows`."""
        rows = checked_rows(self._db, "SELECT * FROM parked WHERE name = ? AND log = ?", self._key)
        return [ParkedHotel(*row[2:]) for row in rows]

    def park(self, hotel: ParkedHotel) -> None:
        """See `CursorRows`."""
        row = (*self._key, *msgspec.structs.astuple(hotel))
        self._db.execute("INSERT OR REPLACE INTO parked VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row)

    def unpark(self, hotel: str | None = None) -> None:
        """See `CursorRows`."""
        if hotel is None:
            self._db.execute("DELETE FROM parked WHERE name = ? AND log = ?", self._key)
        else:
            self._db.execute("DELETE FROM parked WHERE name = ? AND log = ? AND hotel = ?", (*self._key, hotel))

    def delete(self) -> None:
        """See `CursorRows`."""
        with self._db.atomic():
            for table in ("cursors", "parked"):
                self._db.execute(f"DELETE FROM {table} WHERE name = ? AND log = ?", self._key)
