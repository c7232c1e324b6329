"""The file of the read models of one log. It is made from the log, and made anew whenever it is damaged.

Each booking and hotel has a checksum, which is checked when it is read. How many rows there are and the sums of their
checksums stand beside the position, and are checked when the file is opened, with all pages, indexes and words.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
import sqlite_utils
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.protocol.values.limits import lock_seconds_max
from innkeeper.storage.sqlite.checked_tables import CheckedDatabase, check_schema
from innkeeper.storage.sqlite.event_rows import damaged
from innkeeper.storage.sqlite.schema import close_writer, closed_on_failure, never_wait
from innkeeper.storage.sqlite.set_hash import pack
from innkeeper.storage.sqlite.store_connection import connect
from innkeeper.storage.sqlite.wal_emptying import ANYWHERE, IN_WAL, NOWHERE, WalEmptying

logger = logging.getLogger(__name__)

FORM = 3  # to be raised when the tables or their contents change: files of another form are made anew
BOOKING_COLUMNS = "number, id, hotel, guest, status, room_type, room, arrival, departure, overstayed, body, checksum"
HOTEL_COLUMNS = "id, body, checksum"
FORGOTTEN_COLUMNS = "guest, position, checksum"
HISTORY_COLUMNS = "booking, position, checksum"
REMEDY: Final = "it is made anew from the log"


class Totals(msgspec.Struct):
    """What a file has: the position in the log and the log's hash there, the numbers of rows, and the sums of their
    checksums. `unerased` says where something is left of forgotten guests."""

    position: int = 0
    hash: bytes = b""
    hotels: int = 0
    hotels_sum: int = 0
    bookings: int = 0
    bookings_sum: int = 0
    history: int = 0
    history_sum: int = 0
    forgotten: int = 0
    forgotten_sum: int = 0
    unerased: int = NOWHERE


def with_checksum(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the row with its checksum as the last column. A CRC-32 is enough for a file that can be made anew: it
    reveals every flipped bit, and costs a tenth of a hash."""
    return (*row, crc32(pack(row)))


class ReadModelFile:
    """The open file. Its errors are JournalDamaged, where it is to be made anew, and JournalUnavailable."""

    def __init__(self, path: Path, make: Callable[[Path], object]) -> None:
        """Opens the file. `make` makes an empty one where there is none; one of another form is removed."""
        try:
            make(path)
        except JournalDamaged as error:
            raise damaged(path, "it cannot be read", REMEDY) from error
        if _form(path) not in (0, FORM):
            remove(path)
            make(path)
        settings: dict[str, Any] = {"timeout": lock_seconds_max, "check_same_thread": False, "isolation_level": None}
        self.db = CheckedDatabase(connect(path, REMEDY, **settings))
        with closed_on_failure(self.db):
            if self.db.execute("PRAGMA user_version").fetchone()[0] == 0:
                _create_tables(self.db)
            self.db.execute("PRAGMA synchronous = NORMAL")
            ((*totals, _),) = self.rows("SELECT * FROM follower")
            self.totals = Totals(*totals)
            self._wal_emptying = WalEmptying(path)
            never_wait(self.db.conn)

    def rows(self, query: str, values: Sequence[object] | dict[str, Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a table that a query finds, which selects all of its columns. Raises
        JournalDamaged where one is not what was written."""
        for row in self.db.execute(query, values):
            if with_checksum(row[:-1]) != row:
                raise self.db.conn.damaged("a row is not what was written")
            yield row

    def save(self, totals: Totals) -> None:
        """Writes the totals, in the open transaction."""
        fields = ", ".join(f"{field} = ?" for field in (*Totals.__struct_fields__, "checksum"))
        self.db.execute(f"UPDATE follower SET {fields}", with_checksum(msgspec.structs.astuple(totals)))

    def check(self) -> None:
        """Checks all pages, indexes, rows and words. Raises JournalDamaged."""
        ((found,),) = self.db.execute("PRAGMA integrity_check(1)")
        if found != "ok":
            raise self.db.conn.damaged(" ".join(found.split()))
        check_schema(self.db.conn, _create_tables)
        self.db.execute("INSERT INTO guests (guests, rank) VALUES ('integrity-check', 1)")
        hotels = _totals(self.rows(f"SELECT {HOTEL_COLUMNS} FROM hotels"))
        bookings = _totals(self.rows(f"SELECT {BOOKING_COLUMNS} FROM bookings"))
        history = _totals(self.rows(f"SELECT {HISTORY_COLUMNS} FROM history"))
        forgotten = _totals(self.rows(f"SELECT {FORGOTTEN_COLUMNS} FROM forgotten"))
        at, unerased = (self.totals.position, self.totals.hash), self.totals.unerased
        if Totals(*at, *hotels, *bookings, *history, *forgotten, unerased) != self.totals:
            raise self.db.conn.damaged("its rows are not those that were written")

    def finish_erasing(self) -> None:
        """Removes what is left of forgotten guests in the search index and in free pages, and then in the write-ahead
        log, as far as no reader is in the way."""
        if self._wal_emptying.is_in_vain(self.db.conn):
            return
        if self.totals.unerased == ANYWHERE:
            self.db.execute("INSERT INTO guests (guests) VALUES ('optimize')")  # drops the words of deleted rows
            self.db.execute("VACUUM")
            self._save_unerased(IN_WAL)
        if self.totals.unerased == IN_WAL and self._wal_emptying.empty(self.db.conn):
            self._save_unerased(NOWHERE)

    def _save_unerased(self, unerased: int) -> None:
        totals = msgspec.structs.replace(self.totals, unerased=unerased)
        self.save(totals)
        self.totals = totals

    def close(self) -> None:
        """Closes the file, as its only writer."""
        close_writer(self.db.conn)


def _form(path: Path) -> int:
    with closing(connect(path, REMEDY)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def remove(path: Path) -> None:
    """Removes a file, with what SQLite keeps beside it."""
    for old in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        old.unlink(missing_ok=True)


def _totals(rows: Iterable[tuple[Any, ...]]) -> tuple[int, int]:
    count = total = 0
    for row in rows:
        count += 1
        total += row[-1]
    return count, total


def _create_tables(db: sqlite_utils.Database) -> None:
    db.enable_wal()
    with db.atomic():
        totals = (*Totals.__struct_fields__, "checksum")
        db.table("follower").create({total: bytes if total == "hash" else int for total in totals})
        row = with_checksum(msgspec.structs.astuple(Totals()))
        db.table("follower").insert(dict(zip(totals, row, strict=True)))
        db.table("hotels").create({"id": str, "body": bytes, "checksum": int}, pk="id")
        db.table("bookings").create(
            {
                "number": int, "id": str, "hotel": str, "guest": str, "status": str, "room_type": str, "room": str,
                "arrival": int, "departure": int, "overstayed": int, "body": bytes, "checksum": int,
            },
            pk="number",
        )  # fmt: skip
        db.table("bookings").create_index(["id"], unique=True)
        db.table("bookings").create_index(["guest"])
        db.table("bookings").create_index(["hotel", "arrival"])
        db.table("bookings").create_index(["hotel", "departure"])
        db.table("bookings").create_index(["hotel", "status", "arrival"])
        columns = "booking INTEGER, position INTEGER, checksum INTEGER"
        db.execute(f"CREATE TABLE history ({columns}, PRIMARY KEY (booking, position)) WITHOUT ROWID")
        db.table("forgotten").create({"guest": str, "position": int, "checksum": int}, pk="guest")
        db.execute('CREATE VIRTUAL TABLE guests USING fts5(words, tokenize = "unicode61 remove_diacritics 0")')
        db.execute(f"PRAGMA user_version = {FORM}")
