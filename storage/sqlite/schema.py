"""Opening and closing SQLite files that one connection writes, and their migrations: each brings a file to its next
version, and is never edited."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import sqlite_utils
from innkeeper.protocol.ports.journal import JournalError
from innkeeper.protocol.values.limits import lock_seconds_max
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, unreadable
from innkeeper.storage.sqlite.guests import CREATE_GUESTS

logger = logging.getLogger(__name__)

_READERS_MILLISECONDS_MAX = 2_000  # how long a stop waits for readers of other processes


def _first(db: sqlite_utils.Database) -> None:
    for statement in (
        """
        CREATE TABLE events (
            position INTEGER PRIMARY KEY, hotel TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL,
            type TEXT NOT NULL, body BLOB NOT NULL, by TEXT NOT NULL, correlation TEXT NOT NULL,
            causation TEXT NOT NULL, hash BLOB NOT NULL, UNIQUE (hotel, sequence)
        ) STRICT
        """,
        """
        CREATE TABLE replies (
            key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, reply BLOB NOT NULL, at INTEGER NOT NULL,
            checksum BLOB NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE writer (
            epoch INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,
            replies INTEGER NOT NULL, replies_sum BLOB NOT NULL, guests INTEGER NOT NULL, guests_sum BLOB NOT NULL
        ) STRICT
        """,
        CREATE_GUESTS,
        """
        CREATE TABLE timelines (
            position INTEGER PRIMARY KEY, timeline TEXT NOT NULL, checksum BLOB NOT NULL
        ) STRICT
        """,
        "INSERT INTO writer VALUES (0, 0, zeroblob(16), 0, zeroblob(16), 0, zeroblob(16))",
        """
        CREATE TABLE snapshots (
            hotel TEXT PRIMARY KEY, sequence INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,
            state_hash BLOB NOT NULL, checksum BLOB NOT NULL, state BLOB NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE snapshot_set (
            position INTEGER NOT NULL, hash BLOB NOT NULL, snapshots INTEGER NOT NULL, sum BLOB NOT NULL
        ) STRICT
        """,
        "INSERT INTO snapshot_set VALUES (0, zeroblob(16), 0, zeroblob(16))",
    ):
        db.execute(statement)


Migration = Callable[[sqlite_utils.Database], None]
MIGRATIONS: tuple[Migration, ...] = (_first,)


def migrate(path: Path, migrations: Sequence[Migration] = MIGRATIONS, seconds: float = lock_seconds_max) -> None:
    """Migrates the file to the newest version, and creates it where missing; waits at most so long for a lock of
    another process. Raises JournalError on a newer version."""
    with closing(sqlite3.connect(path, timeout=seconds)) as connection:
        apply_migrations(path, sqlite_utils.Database(connection), migrations)


def apply_migrations(path: Path, db: sqlite_utils.Database, migrations: Sequence[Migration]) -> None:
    """Migrates the open file to the newest version. Raises JournalError on a newer version."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise JournalError(
            f"{path} was written by a newer Innkeeper (schema {version}; this one has {len(migrations)}); upgrade"
        )
    for step in range(version, len(migrations)):
        with db.atomic():
            migrations[step](db)
            db.execute(f"PRAGMA user_version = {step + 1}")


def never_wait(db: sqlite3.Connection) -> None:
    """Makes the connection fail at once where another process holds a lock. A connection may wait while its file is
    opened; afterwards it is used in the event loop."""
    db.execute("PRAGMA busy_timeout = 0")


def check_lock(path: Path, db: sqlite3.Connection) -> None:
    """Raises JournalLocked where another process holds the lock of the file now."""
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")
    except FILE_ERRORS as error:
        raise unreadable(path, error) from error


def close_writer(db: sqlite3.Connection) -> None:
    """Closes the only connection that writes to a file, once all of the write-ahead log is in the file itself. Without
    this, it would stay in the log where a process that only reads has the file open, and a copy of the file would lose
    it."""
    with closing(db):
        try:
            path = db.execute("PRAGMA database_list").fetchone()[2]
            db.execute(f"PRAGMA busy_timeout = {_READERS_MILLISECONDS_MAX}")
            blocked = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            logger.warning("a write-ahead log stays for the next start (%s); it belongs to the file", error)
            return
        if blocked:
            logger.warning("%s-wal stays for the next start, as a reader has it open; it belongs to the file", path)


class _Closable(Protocol):
    def close(self) -> None:
        """Closes it."""


@contextmanager
def closed_on_failure(opened: _Closable) -> Iterator[None]:
    """Closes `opened` if the rest of its initialisation fails, after which nothing else has a reference to it."""
    try:
        yield
    except BaseException:
        opened.close()
        raise
