"""The journal of a partition in one SQLite file (append-only events in a hash chain, kept replies, snapshots), and the
event log of its readers: subscribers that catch up, live streams, lists.

One connection writes, with `synchronous=FULL`, and it alone checkpoints: before SQLite 3.51.3 a second connection that
writes or checkpoints can damage a write-ahead log. Readers open the file with `mode=ro`.
"""

import shutil
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Any

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.journal import JournalError, JournalFenced, Snapshot, SnapshotSet, StoredReply
from innkeeper.protocol.values.guests import GuestDetails, GuestKey, StoredGuest
from innkeeper.storage.sqlite.event_log import open_to_read
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
    too_new,
    unavailable,
    unreadable,
)
from innkeeper.storage.sqlite.guests import (
    INSERT_GUEST,
    GuestCheck,
    erase_guests,
    find_guests,
    guests_with_details,
    newest_guests,
)
from innkeeper.storage.sqlite.journal_file import FENCED, HEAD_COLUMNS, Head, JournalFile
from innkeeper.storage.sqlite.journal_head import HeadFile
from innkeeper.storage.sqlite.schema import closed_on_failure
from innkeeper.storage.sqlite.set_hash import SET_MODULUS, digest, pack, sum_bytes
from innkeeper.storage.sqlite.snapshots import SnapshotTable

_SPACE_BYTES_MIN = 1 << 20  # with less, larger commits would fail although an empty one does not
_TAIL_EVENTS = 1_000
_SET_HEAD = f"UPDATE writer SET ({HEAD_COLUMNS}) = (?,?,?,?,?,?) WHERE epoch = ?"
_ROWS_WITH_INDEX = (
    f"SELECT {COLUMNS}, (SELECT position FROM events AS by_hotel WHERE by_hotel.hotel = events.hotel AND"
    " by_hotel.sequence = events.sequence) FROM events WHERE position > ? AND position <= ? ORDER BY position"
)
_SET_REPLIES = "UPDATE writer SET replies = ?, replies_sum = ? WHERE epoch = ?"
_REPLY_COLUMNS = "key, fingerprint, reply, at, checksum"


def link(previous: bytes, row: Sequence[object]) -> bytes:
    """Returns the hash of an event's row, over the previous hash and all columns of the row in msgpack."""
    return blake2b(previous + pack(row[:9]), digest_size=16).digest()


def check_chain(path: Path, rows: Iterable[Row], after: int, previous: bytes) -> Iterator[Row]:
    """Yields the rows after this position, whose hash is `previous`. Raises JournalDamaged on a gap, and on a row that
    is not what was written."""
    position = after
    for row in rows:
        position += 1
        if row[0] != position:
            raise damaged(path, f"event {position} is missing")
        if (previous := link(previous, row)) != row[9]:
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
        if not isinstance(row[10], bytes) or link(row[10], row) != row[9]:
            raise damaged(path, f"event {row[0]} is not what was written")
        yield row[:10]


class SqliteJournal(JournalFile):
    """Implements `protocol.ports.journal.Journal` in SQLite. Opening it fences all earlier writers."""

    def __init__(self, path: Path, head: HeadFile | None = None) -> None:
        """Opens the file, or creates it. With `head`, what that says of the journal is checked, and kept up."""
        super().__init__(path, head)
        self._snapshots = SnapshotTable(path)
        self._guest_check = GuestCheck(path, self._head.guests, self._head.guests_sum)
        with closed_on_failure(self):
            try:
                self._check_tail()
                self._check_replies()
                self._begin_epoch()
            except FILE_ERRORS as error:
                raise unreadable(path, error) from error

    def write(
        self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply], guests: Sequence[StoredGuest] = ()
    ) -> int:
        """See `Journal`."""
        position, last, _, replies_sum, _, guests_sum = head = self._head
        rows = []
        forgotten = set()
        for record in records:
            position += 1
            event = record.event
            if isinstance(event, ForgettingEvent):
                forgotten.add(event.guest)
            row = (
                position, record.hotel, record.hotel_seq, record.at, *wire.encode_event(event),
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
        guest_rows = []
        for stored in guests:
            guest = stored.guest
            guests_sum += int.from_bytes(guest.hash, "big")
            guest_rows.append((guest.id, guest.version, stored.hotel, stored.salt, pack(guest.details), guest.hash))
        counts = head.replies + len(replies), head.guests + len(guests)
        written = Head(position, last, counts[0], replies_sum % SET_MODULUS, counts[1], guests_sum % SET_MODULUS)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if not rows and not reply_rows:
                self._try_to_write()
            sums = written.replies_sum.to_bytes(16, "big"), written.guests_sum.to_bytes(16, "big")
            head_row = (position, last, written.replies, sums[0], written.guests, sums[1], self._epoch)
            if self._db.execute(_SET_HEAD, head_row).rowcount != 1:
                raise JournalFenced(FENCED.format(self.path))
            self._db.executemany(INSERT_GUEST, guest_rows)
            if forgotten:
                erase_guests(self._db, forgotten)
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
        self.is_erasing = self.is_erasing or bool(forgotten)
        return position

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
        self._head = self._written
        if self._head_file is not None and monotonic() >= self._head_file.due_at:
            self.note_head()

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `Journal`."""
        return find_guests(self.path, self._reader, keys)

    def newest_guests(self, ids: Collection[str]) -> dict[str, StoredGuest]:
        """See `Journal`."""
        return newest_guests(self.path, self._reader, ids)

    def guests_with_details(self, ids: Collection[str]) -> set[str]:
        """See `Journal`."""
        return guests_with_details(self.path, self._reader, ids)

    def check_guests(self, limit: int) -> bool:
        """See `Journal`. It reads on a connection of its own."""
        with closing(open_to_read(self.path)) as db:
            return self._guest_check.step(db, limit)

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
        head = self._head._replace(
            replies=self._head.replies - len(keys), replies_sum=(self._head.replies_sum - their_sum) % SET_MODULUS
        )
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                changed = (head.replies, sum_bytes(head.replies_sum), self._epoch)
                if self._db.execute(_SET_REPLIES, changed).rowcount != 1:
                    raise JournalFenced(FENCED.format(self.path))
                self._db.executemany("DELETE FROM replies WHERE key = ?", [(key,) for key in keys])
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        self._head = head

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
        return ((row[0], record_of(self.path, row, self._timelines.at(row[0]))) for row in rows)

    def places(self, after: int = 0) -> Iterator[tuple[int, str, int]]:
        """See `Journal`."""
        for row in self._read_all(after):
            if not wire.is_known_event_type(row[4]):
                raise too_new(self.path, row)
            yield row[:3]

    def _read_all(self, after: int) -> Iterator[Row]:
        position, last = after, self._hash_at(self._db, after)
        for row in check_chain(self.path, read_rows(self.path, self._db, after), after, last):
            yield row
            position, last = row[0], row[9]
        if (position, last) != self._head[:2]:
            raise damaged(self.path, f"it ends at event {position} but should end at {self._head.position}")

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

    def snapshot_set(self) -> SnapshotSet:
        """See `Journal`."""
        return self._snapshots.describe(self._db)

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        """See `Journal`."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                if self._db.execute("SELECT epoch FROM writer").fetchone()[0] != self._epoch:
                    raise JournalFenced(FENCED.format(self.path))
                self._snapshots.save(self._db, self._head[:2], snapshots, until)
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        self._snapshots.saved()

    def _check_tail(self) -> None:
        """Checks the hash chain of the last rows, so that nothing is appended to a lost or altered tail."""
        deque(self._read_all(max(self._head.position - _TAIL_EVENTS, 0)), maxlen=0)

    def _check_replies(self) -> None:
        """Checks every kept reply, and that none is missing."""
        count = total = 0
        for row in self._checked_replies(f"SELECT {_REPLY_COLUMNS} FROM replies"):
            count += 1
            total += int.from_bytes(row[4], "big")
        if (count, total % SET_MODULUS) != (self._head.replies, self._head.replies_sum):
            raise damaged(self.path, "its kept replies are not those that were written")
