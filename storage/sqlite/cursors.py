"""The rows of subscribers' cursors, in the database of their service."""

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

import msgspec
import sqlite_utils
from innkeeper.storage.sqlite.checked_tables import CheckedDatabase, checked_rows, create_table, open_checked
from innkeeper.storage.sqlite.schema import Migration
from innkeeper.storage.sqlite.stamps import RESTORE
from innkeeper.storage.stored_cursor import ParkedHotel


def _cursors(db: sqlite_utils.Database) -> None:
    position = {"position": "INTEGER NOT NULL", "paused": "INTEGER NOT NULL"}
    create_table(db, "cursors", {"name": "TEXT NOT NULL", "log": "TEXT NOT NULL", **position}, "name, log")
    create_table(
        db,
        "parked",
        {
            "name": "TEXT NOT NULL", "log": "TEXT NOT NULL", "hotel": "TEXT NOT NULL", "after": "INTEGER NOT NULL",
            "event": "TEXT NOT NULL", "type": "TEXT NOT NULL", "reason": "TEXT NOT NULL", "trace": "TEXT NOT NULL",
            "attempts": "INTEGER NOT NULL", "since": "INTEGER NOT NULL", "retry_at": "INTEGER",
        },
        "name, log, hotel",
    )  # fmt: skip


def open_service(path: Path, *migrations: Migration) -> CheckedDatabase:
    """Opens the database of a service: cursors, and the tables of these migrations. Raises JournalError."""
    return open_checked(path, RESTORE, _cursors, *migrations)


def read_cursors(path: Path) -> dict[str, int]:
    """Returns how far the subscriber that is the furthest has read each log. The file is used by nobody else."""
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT log, max(position) FROM cursors GROUP BY log").fetchall())


class SqliteCursorRows:
    """Implements `storage.stored_cursor.CursorRows` in SQLite."""

    def __init__(self, db: CheckedDatabase, subscriber: str, log: str) -> None:
        self._db = db
        self._key = (subscriber, log)

    def transaction(self) -> AbstractContextManager[object]:
        """See `CursorRows`."""
        return self._db.atomic()

    def open(self, position: int) -> tuple[int, bool]:
        """See `CursorRows`."""
        self._db.execute("INSERT OR IGNORE INTO cursors VALUES (?, ?, ?, 0)", (*self._key, position))
        query = "SELECT * FROM cursors WHERE name = ? AND log = ?"
        (_, _, found, paused), *_ = checked_rows(self._db, query, self._key)
        return found, bool(paused)

    def save_position(self, position: int) -> None:
        """See `CursorRows`."""
        self._db.execute("UPDATE cursors SET position = ? WHERE name = ? AND log = ?", (position, *self._key))

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
        self._db.execute("INSERT OR REPLACE INTO parked VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)

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
