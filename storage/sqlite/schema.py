"""The tables of a partition's file, as migrations: each brings a file one version further; none is ever edited."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import sqlite_utils
from innkeeper.protocol.ports.journal import JournalError


def _first(db: sqlite_utils.Database) -> None:
    for statement in (
        """
        CREATE TABLE events (
            seq INTEGER PRIMARY KEY, hotel TEXT NOT NULL, hotel_seq INTEGER NOT NULL, at INTEGER NOT NULL,
            by TEXT NOT NULL, correlation TEXT NOT NULL, cause TEXT NOT NULL, type TEXT NOT NULL,
            body BLOB NOT NULL, hash BLOB NOT NULL, UNIQUE (hotel, hotel_seq)
        ) STRICT
        """,
        """
        CREATE TABLE replies (
            key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, reply BLOB NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE TABLE snapshots (hotel TEXT PRIMARY KEY, hotel_seq INTEGER NOT NULL, state BLOB NOT NULL) STRICT",
        "CREATE TABLE writer (epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT",
        "INSERT INTO writer VALUES (0, 0, zeroblob(16))",
    ):
        db.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite_utils.Database], None], ...] = (_first,)


def migrate(path: Path, migrations: tuple[Callable[[sqlite_utils.Database], None], ...] = MIGRATIONS) -> None:
    """Bring the file to the newest version, creating it if need be; refuses a file that a newer Innkeeper wrote."""
    connection = sqlite3.connect(path, timeout=10)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations):
            raise JournalError(
                f"{path} was written by a newer Innkeeper (schema {version}; this one knows {len(migrations)}); upgrade"
            )
        db = sqlite_utils.Database(connection)
        for step in range(version, len(migrations)):
            with db.atomic():
                migrations[step](db)
                db.execute(f"PRAGMA user_version = {step + 1}")
    finally:
        connection.close()


def open_to_write(path: Path, *migrations: Callable[[sqlite_utils.Database], None]) -> sqlite_utils.Database:
    """A file of this form, made if need be, by the one who writes it. May be used from any thread, by one at a time."""
    migrate(path, migrations)
    db = sqlite_utils.Database(sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False))
    with closed_on_failure(db):
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    return db


class _Closable(Protocol):
    def close(self) -> None:
        """Close it."""


@contextmanager
def closed_on_failure(opened: _Closable) -> Iterator[None]:
    """Closes what was opened if the rest of its opening fails, after which nobody else has a reference to it."""
    try:
        yield
    except BaseException:
        opened.close()
        raise
