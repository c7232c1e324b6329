"""Reads the rows of a journal's events.

Every error that this meets becomes a `JournalError`, whose message names the file, the position where it is known, and
what to do.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import JournalDamaged, JournalLocked, JournalTooNew, JournalUnavailable

COLUMNS = "position, hotel, sequence, at, type, body, by, correlation, causation, hash"
GENESIS = bytes(16)
FULL: Final = "database or disk is full"  # as SQLite says it
_READ_BYTES = 1 << 20
RESTORE_FILE: Final = "restore the file from a backup"

Row = tuple[int, str, int, int, str, bytes, str, str, str, bytes]

FILE_ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What the sqlite3 module raises where a file cannot be read; the second where SQLite's own message quotes bytes of a
damaged schema."""

_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = {
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_INTERRUPT,
}  # fmt: skip
"""SQLite's errors that say nothing of a file's contents, and may pass."""


def read_rows(
    path: Path, db: sqlite3.Connection, after: int = 0, hotel: str | None = None, after_sequence: int = 0
) -> Iterator[Row]:
    """Yields the rows of the events after this position, in order, unchecked."""
    if hotel is None:
        return rows_of(path, db, f"SELECT {COLUMNS} FROM events WHERE position > ? ORDER BY position", (after,))
    if after:
        after_sequence = _last_sequence(path, db, after, hotel, after_sequence)
    query = f"SELECT {COLUMNS} FROM events WHERE hotel = ? AND sequence > ? AND position > ? ORDER BY sequence"
    return rows_of(path, db, query, (hotel, after_sequence, after))


def _last_sequence(path: Path, db: sqlite3.Connection, position: int, hotel: str, least: int) -> int:
    """Returns the number of the hotel's last event up to this position; `least` where that is lower. Both numbers rise
    together, so it is found by bisection, however long the history is."""
    query = "SELECT sequence, position FROM events WHERE hotel = ? ORDER BY sequence DESC LIMIT 1"
    first_after, end_position = next(rows_of(path, db, query, (hotel,)), (0, 0))
    if end_position <= position:
        return max(least, int(first_after))
    query = "SELECT sequence, position FROM events WHERE hotel = ? AND sequence >= ? ORDER BY sequence LIMIT 1"
    while first_after - least > 1:
        middle = (least + first_after) // 2
        sequence, found = next(rows_of(path, db, query, (hotel, middle)))
        if found <= position:
            least = sequence
        else:
            first_after = middle
    return least


def rows_of(path: Path, db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> Generator[Any]:
    """Yields the rows that a query finds. Raises JournalError where the file cannot be read."""
    try:
        for row in db.execute(query, values):  # noqa: UP028 (`yield from` would close the cursor of a closed connection)
            yield row
    except FILE_ERRORS as error:
        raise unreadable(path, error) from error


def record_of(path: Path, row: Row, timeline: str) -> RecordedEvent:
    """Decodes the event of a row, which is on this timeline. Raises JournalTooNew, or JournalDamaged."""
    position, hotel, sequence, at, type_name, body, by, correlation, causation, _ = row
    try:
        event = wire.decode_event(type_name, body)
        return RecordedEvent(hotel, sequence, at, by, correlation, causation, event, timeline)
    except wire.UnknownMessageType as error:
        raise too_new(path, row) from error
    except Exception as error:
        raise damaged(path, f"event {position} cannot be decoded ({error})") from error


def too_new(path: Path, row: Row) -> JournalTooNew:
    """Returns the error that the type of the event in this row is not known, which also says what to do."""
    return JournalTooNew(
        f"{path}: event {row[0]} is of the type {row[4]!r}, which this version does not know; a newer Innkeeper wrote"
        " it: upgrade"
    )


def damaged(path: Path, what: str, remedy: str = RESTORE_FILE) -> JournalDamaged:
    """Returns the error that the file is damaged, which also says what to do."""
    return JournalDamaged(f"{path}: {what}; {remedy}")


def unavailable(path: Path, reason: str) -> JournalUnavailable:
    """Returns the error that the file cannot be used now."""
    return JournalUnavailable(f"{path} cannot be read or written now ({reason})", reason)


def unreadable(path: Path, error: Exception, remedy: str = RESTORE_FILE) -> Exception:
    """Returns the error of a file that SQLite cannot read or write: that of damage, or of a fault that may pass. A
    wrong use of SQLite is returned as it is. SQLite calls a file malformed also where the disk cannot read it, so that
    is damage only if the disk can."""
    if isinstance(error, sqlite3.ProgrammingError):
        return error
    reason = " ".join(str(error).split())  # one line, also where it quotes statements
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # there is no space for the file of its shared memory
        reason = FULL
    if code is not None and code & 0xFF in _LOCKED:
        return JournalLocked(f"{path} is locked by another process", "locked by another process")
    if code is not None and code & 0xFF in _PASSING:
        return unavailable(path, reason)
    if (fault := _fault_of_disk(path)) is not None:
        return unavailable(path, fault)
    return damaged(path, f"it cannot be read ({reason})", remedy)


def _fault_of_disk(path: Path) -> str | None:
    """Why the disk cannot read this file or its write-ahead log as a whole; None where it can, or there is none."""
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            with file.open("rb", buffering=0) as opened:
                while opened.read(_READ_BYTES):
                    pass
        except FileNotFoundError:
            continue
        except OSError as error:
            return error.strerror or str(error)
    return None
