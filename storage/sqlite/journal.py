"""The journal of a partition in one SQLite file (append-only events in a hash chain, kept replies, snapshots), and the
event log of its readers: subscribers that catch up, live streams, lists.

One connection writes, with `synchronous=FULL`, and it alone checkpoints: before SQLite 3.51.3 a second connection that
writes or checkpoints can damage a write-ahead log. Readers open the file with `mode=ro`.
"""

import shutil
import sqlite3
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.journal import JournalError, JournalFenced, Snapshot, StoredReply
from innkeeper.storage.sqlite.event_rows import (
    COLUMNS,
    FILE_ERRORS,
    FULL,
    GENESIS,
    Row,
    damaged,
    read_rows,
    record_of,
    rows_of,
    unavailable,
    unreadable,
)
from innkeeper.storage.sqlite.schema import close_writer, closed_on_failure, migrate
from innkeeper.storage.sqlite.set_hash import SET_MODULUS, digest, pack
from innkeeper.storage.sqlite.snapshots import SnapshotTable

_CHECKPOINT_PAGES = 4_000
_SPACE_BYTES_MIN = 1 << 20  # with less, larger commits would fail although an empty one does not
_TAIL_EVENTS = 1_000
_SET_HEAD = "UPDATE writer SET position = ?, hash = ?, replies = ?, replies_sum = ? WHERE epoch = ?"
_ROWS_WITH_INDEX = (
    f"SELECT {COLUMNS}, (SELECT position FROM events AS by_hotel WHERE by_hotel.hotel = events.hotel AND"
    " by_hotel.sequence = events.sequence) FROM events WHERE position > ? AND position <= ? ORDER BY position"
)
_REPLY_COLUMNS = "key, fingerprint, reply, at, checksum"


def link(previous: bytes, row: Sequence[object]) -> bytes:
    """Returns the hash of an event's row, over all of its columns and the previous hash."""
    position, hotel, sequence, at, type_name, body, by, correlation, causation = row[:9]
    head = (
        f"{position}\x1f{hotel}\x1f{sequence}\x1f{at}\x1f{type_name}\x1f{by}\x1f{correlation}\x1f{causation}".encode()
    )
    assert isinstance(body, bytes)
    return blake2b(previous + len(head).to_bytes(4, "big") + head + body, digest_size=16).digest()


def check_chain(path: Path, rows: Iterable[Row], after: int, previous: bytes) -> Iterator[Row]:
    """Yields the rows after this position, whose hash is `previous`. Raises JournalDamaged on a gap, and on a row that
    is not what was written."""
    position = after
    for row in rows:
        position += 1
        if row[0] != position:
            raise damaged(path, f"event {position} is missing")
        if type(row[5]) is not bytes or (previous := link(previous, row)) != row[9]:
            raise damaged(path, f"event {position} is not what was written")
        yield row


def check_rows_of_hotel(path: Path, rows: Iterable[tuple[Any, ...]], after_sequence: int) -> Iterator[Row]:
    """Yields the rows of one hotel, each of which comes with the hash before it as its last column. Raises
    JournalDamaged on a gap in the hotel's sequence, and on a row that is not what was written."""
    sequence = after_sequence
    for row in rows:
        sequence += 1
        if row[2] != sequence:
            raise damaged(path, f"event {sequence} of {row[1]} is missing")
        if not isinstance(row[5], bytes) or not isinstance(row[10], bytes) or link(row[10], row) != row[9]:
            raise damaged(path, f"event {row[0]} is not what was written")
        yield row[:10]


class SqliteJournal:
    """Implements `protocol.ports.journal.Journal` in SQLite. Opening it fences all earlier writers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._snapshots = SnapshotTable(path)
        self._epoch = -1
        self._connect()
        with closed_on_failure(self):
            try:
                self._check_tail()
                self._check_replies()
                self._db.execute("UPDATE writer SET epoch = epoch + 1")
                self._epoch = self._db.execute("SELECT epoch FROM writer").fetchone()[0]
            except FILE_ERRORS as error:
                raise unreadable(path, error) from error

    def _connect(self) -> None:
        with ExitStack() as opened:
            try:
                migrate(self.path)
                self._db = sqlite3.connect(self.path, isolation_level=None, timeout=10, check_same_thread=False)
                opened.enter_context(closing(self._db))
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
                self._db.execute("PRAGMA cache_size = -65536")
                self._db.execute("PRAGMA mmap_size = 0")
                self._read_head()
                self._reader = open_to_read(self.path)
            except FILE_ERRORS as error:
                raise unreadable(self.path, error) from error
            opened.pop_all()

    def _read_head(self) -> None:
        heads = self._db.execute("SELECT position, hash, replies, replies_sum FROM writer").fetchall()
        if len(heads) != 1 or tuple(map(type, heads[0])) != (int, bytes, int, bytes):
            raise damaged(self.path, "its head cannot be read")
        self._position, self._hash, self._replies, replies_sum = heads[0]
        self._replies_sum = int.from_bytes(replies_sum, "big")
        self._written = self._position, self._hash, self._replies, self._replies_sum

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> int:
        """See `Journal`."""
        position, last, replies_sum = self._position, self._hash, self._replies_sum
        rows = []
        for record in records:
            position += 1
            row = (
                position, record.hotel, record.hotel_seq, record.at, *wire.encode_event(record.event),
                record.by, record.correlation, record.cause,
            )  # fmt: skip
            last = link(last, row)
            rows.append((*row, last))
        reply_rows = []
        for reply in replies:
            kept = (reply.key, reply.fingerprint, reply.reply, reply.at)
            checksum = blake2b(pack(kept), digest_size=16).digest()  # `digest`, without a call on the way of a booking
            replies_sum += int.from_bytes(checksum, "big")
            reply_rows.append((*kept, checksum))
        written = position, last, self._replies + len(replies), replies_sum % SET_MODULUS
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if not rows and not reply_rows:
                self._try_to_write()
            if self._db.execute(_SET_HEAD, (*written[:3], written[3].to_bytes(16, "big"), self._epoch)).rowcount != 1:
                raise self._fenced()
            self._db.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
            self._db.executemany(f"INSERT INTO replies ({_REPLY_COLUMNS}) VALUES (?,?,?,?,?)", reply_rows)
        except sqlite3.IntegrityError as error:
            raise JournalError(f"{self.path} has this event or reply already: {error}") from error
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        except JournalFenced:
            self._db.execute("ROLLBACK")
            raise
        self._written = written
        return int(position)

    def _try_to_write(self) -> None:
        """Makes the empty commit write: without a change in between, SQLite would leave the page of the head out."""
        self._db.execute("UPDATE writer SET position = -1")
        if shutil.disk_usage(self.path.parent).free < _SPACE_BYTES_MIN:
            raise unavailable(self.path, FULL)

    def sync(self) -> None:
        """See `Journal`."""
        try:
            self._db.execute("COMMIT")
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        self._position, self._hash, self._replies, self._replies_sum = self._written

    def position(self) -> int:
        """See `Journal`."""
        return int(self._position)

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """See `Journal`. Raises JournalDamaged where a reply is not what was kept."""
        marks = ",".join("?" * len(keys))
        found: dict[str, StoredReply] = {}
        try:
            rows = self._reader.execute(
                f"SELECT {_REPLY_COLUMNS} FROM replies WHERE key IN ({marks})", tuple(keys)
            ).fetchall()
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        for *kept, checksum in rows:
            if digest(kept) != checksum:
                raise damaged(self.path, "a kept reply is not what was written")
            found[kept[0]] = StoredReply(*kept)
        return found

    def remove_replies(self, before: int, after_key: str, limit: int) -> str | None:
        """See `Journal`. Raises JournalDamaged where a reply is not what was kept."""
        query = f"SELECT {_REPLY_COLUMNS} FROM replies WHERE key > ? ORDER BY key LIMIT ?"
        rows = [*self._checked_replies(query, (after_key, limit))]
        old = [(key, int.from_bytes(checksum, "big")) for key, _, _, at, checksum in rows if at < before]
        if old:
            self._remove_replies([key for key, _ in old], sum(number for _, number in old))
        return rows[-1][0] if len(rows) == limit else None

    def _remove_replies(self, keys: Sequence[str], their_sum: int) -> None:
        replies, replies_sum = self._replies - len(keys), (self._replies_sum - their_sum) % SET_MODULUS
        head = self._position, self._hash, replies, replies_sum.to_bytes(16, "big"), self._epoch
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                if self._db.execute(_SET_HEAD, head).rowcount != 1:
                    raise self._fenced()
                self._db.executemany("DELETE FROM replies WHERE key = ?", [(key,) for key in keys])
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        self._replies, self._replies_sum = replies, replies_sum

    def _checked_replies(
        self, query: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[str, bytes, bytes, int, bytes]]:
        for row in rows_of(self.path, self._db, query, values):
            if digest(row[:4]) != row[4]:
                raise damaged(self.path, "a kept reply is not what was written")
            yield row

    def hotels(self) -> set[str]:
        """See `Journal`."""
        return {row[0] for row in rows_of(self.path, self._db, "SELECT hotel FROM events WHERE sequence = 1")}

    def read(self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0) -> Iterator[LogEntry]:
        """See `Journal`. The hash chain reveals each change, and the head a lost end."""
        rows = self._read_all(after) if hotel is None else self._read_hotel(hotel, after, after_hotel_seq)
        return ((row[0], record_of(self.path, row)) for row in rows)

    def _read_all(self, after: int) -> Iterator[Row]:
        position, last = after, self._hash_at(self._db, after)
        for row in check_chain(self.path, read_rows(self.path, self._db, after), after, last):
            yield row
            position, last = row[0], row[9]
        if (position, last) != (self._position, self._hash):
            raise damaged(self.path, f"it ends at event {position} but should end at {self._position}")

    def _read_hotel(self, hotel: str, after: int, after_sequence: int) -> Iterator[Row]:
        before = "coalesce((SELECT hash FROM events AS before WHERE position = events.position - 1), zeroblob(16))"
        query = f"SELECT {COLUMNS}, {before} FROM events WHERE hotel = ? AND sequence > ? ORDER BY sequence"
        rows = rows_of(self.path, self._db, query, (hotel, after_sequence))
        checked = check_rows_of_hotel(self.path, rows, after_sequence)
        return (row for row in checked if row[0] > after)

    def check(self, after: int, until: int) -> None:
        """See `Journal`. It reads on a connection of its own."""
        position = after
        with (
            closing(open_to_read(self.path)) as db,
            closing(rows_of(self.path, db, _ROWS_WITH_INDEX, (after, until))) as rows,  # an error would keep it open
        ):
            for row in check_chain(self.path, rows, after, self._hash_at(db, after)):
                position += 1
                in_index: object = row[-1]
                if in_index != position:
                    raise damaged(self.path, f"event {position} is not in the index of its hotel")
        if position != until:
            raise damaged(self.path, f"event {position + 1} is missing")

    def _hash_at(self, db: sqlite3.Connection, position: int) -> bytes:
        """The hash of the event at this position, from which the chain goes on."""
        if position == 0:
            return GENESIS
        for (found,) in rows_of(self.path, db, "SELECT hash FROM events WHERE position = ?", (position,)):
            if isinstance(found, bytes):
                return found
        raise damaged(self.path, f"event {position} is missing")

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """See `Journal`."""
        return self._snapshots.read(self._db, hotel)

    def snapshots_until(self) -> int:
        """See `Journal`."""
        return self._snapshots.until(self._db)

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        """See `Journal`."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                if self._db.execute("SELECT epoch FROM writer").fetchone()[0] != self._epoch:
                    raise self._fenced()
                self._snapshots.save(self._db, (self._position, self._hash), snapshots, until)
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        self._snapshots.saved()

    def reopen(self) -> None:
        """See `Journal`."""
        self._reader.close()
        self._db.close()
        self._connect()

    def close(self) -> None:
        """See `Journal`. Where another process writes now, only that one may checkpoint."""
        self._reader.close()
        if self._has_epoch():
            close_writer(self._db)
        else:
            self._db.close()

    def _has_epoch(self) -> bool:
        with suppress(sqlite3.Error):
            return bool(self._db.execute("SELECT epoch FROM writer").fetchone()[0] == self._epoch)
        return False

    def _fenced(self) -> JournalFenced:
        return JournalFenced(f"another process writes to {self.path} now; this one must stop")

    def _check_tail(self) -> None:
        """Checks the hash chain of the last rows, so that nothing is appended to a lost or altered tail."""
        deque(self._read_all(max(self._position - _TAIL_EVENTS, 0)), maxlen=0)

    def _check_replies(self) -> None:
        """Checks every kept reply, and that none is missing."""
        count = total = 0
        for row in self._checked_replies(f"SELECT {_REPLY_COLUMNS} FROM replies"):
            count += 1
            total += int.from_bytes(row[4], "big")
        if (count, total % SET_MODULUS) != (self._replies, self._replies_sum):
            raise damaged(self.path, "its kept replies are not those that were written")


class SqliteEventLog:
    """Implements `protocol.ports.subscriptions.EventLog` over a journal's file, which it opens read-only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = open_to_read(path)

    @property
    def position(self) -> int:
        """See `EventLog`."""
        with self._lock:
            return int(next(rows_of(self._path, self._db, "SELECT position FROM writer"))[0])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`. Raises JournalDamaged where an event cannot be read or decoded, and JournalTooNew."""
        with self._lock:
            rows = list(islice(read_rows(self._path, self._db, after, hotel, after_hotel_seq), limit))
        return [(row[0], record_of(self._path, row)) for row in rows]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()


def open_to_read(path: Path) -> sqlite3.Connection:
    """Opens a read-only connection to a journal's file."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
