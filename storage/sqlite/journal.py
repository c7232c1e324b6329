"""The journal of a partition in one SQLite file (append-only events in a hash chain, kept replies, snapshots), and the
event log of its readers: subscribers that catch up, live streams, lists.

One connection writes, with `synchronous=FULL`, and it alone checkpoints: before SQLite 3.51.3 a second connection that
writes or checkpoints can damage a write-ahead log. Readers open the file with `mode=ro`.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.journal import JournalDamaged, JournalError, JournalFenced, Snapshot, StoredReply
from innkeeper.storage.sqlite.schema import close_writer, closed_on_failure, migrate

_COLUMNS = "seq, hotel, hotel_seq, at, by, correlation, cause, type, body, hash"
_CHECKPOINT_PAGES = 4_000
_TAIL_EVENTS = 1_000
GENESIS = bytes(16)

Row = tuple[int, str, int, int, str, str, str, str, bytes, bytes]


def link(previous: bytes, row: Sequence[object]) -> bytes:
    """Returns the hash of an event's row, over all of its columns and the previous hash."""
    seq, hotel, hotel_seq, at, by, correlation, cause, type_name, body = row[:9]
    head = f"{seq}\x1f{hotel}\x1f{hotel_seq}\x1f{at}\x1f{by}\x1f{correlation}\x1f{cause}\x1f{type_name}".encode()
    assert isinstance(body, bytes)
    return blake2b(previous + len(head).to_bytes(4, "big") + head + body, digest_size=16).digest()


def record_of(row: Row) -> RecordedEvent:
    """Decodes the event of a row."""
    _, hotel, hotel_seq, at, by, correlation, cause, type_name, body, _ = row
    return RecordedEvent(hotel, hotel_seq, at, by, correlation, cause, wire.decode_event(type_name, body))


class SqliteJournal:
    """Implements `protocol.ports.journal.Journal` in SQLite. Opening it fences all earlier writers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epoch = -1
        self._connect()
        with closed_on_failure(self):
            self._check_tail()
            self._db.execute("UPDATE writer SET epoch = epoch + 1")
            self._epoch = self._db.execute("SELECT epoch FROM writer").fetchone()[0]

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
                self._seq, self._hash = self._db.execute("SELECT seq, hash FROM writer").fetchone()
                self._written = self._seq, self._hash
                self._reader = open_to_read(self.path)
            except sqlite3.DatabaseError as error:
                raise JournalDamaged(
                    f"{self.path} cannot be read as a journal ({error}); restore it from a backup"
                ) from error
            opened.pop_all()

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> int:
        """See `Journal`."""
        seq, last = self._seq, self._hash
        rows = []
        for record in records:
            seq += 1
            row = (
                seq, record.hotel, record.hotel_seq, record.at, record.by, record.correlation, record.cause,
                *wire.encode_event(record.event),
            )  # fmt: skip
            last = link(last, row)
            rows.append((*row, last))
        self._db.execute("BEGIN IMMEDIATE")
        head = self._db.execute("UPDATE writer SET seq = ?, hash = ? WHERE epoch = ?", (seq, last, self._epoch))
        if head.rowcount != 1:
            self._db.execute("ROLLBACK")
            raise self._fenced()
        try:
            self._db.executemany(f"INSERT INTO events ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
            self._db.executemany(
                "INSERT INTO replies (key, fingerprint, reply) VALUES (?,?,?)", map(msgspec.structs.astuple, replies)
            )
        except sqlite3.IntegrityError as error:
            raise JournalError(f"{self.path} has this event or reply already: {error}") from error
        self._written = seq, last
        return int(seq)

    def sync(self) -> None:
        """See `Journal`."""
        self._db.execute("COMMIT")
        self._seq, self._hash = self._written

    def position(self) -> int:
        """See `Journal`."""
        return int(self._seq)

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """See `Journal`."""
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, fingerprint, reply FROM replies WHERE key IN ({marks})"
        found: dict[str, StoredReply] = {}
        for row in self._reader.execute(query, tuple(keys)):
            found[row[0]] = StoredReply(*row)
        return found

    def hotels(self) -> set[str]:
        """See `Journal`."""
        return {hotel for (hotel,) in self._db.execute("SELECT hotel FROM events WHERE hotel_seq = 1")}

    def read(self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0) -> Iterator[LogEntry]:
        """See `Journal`."""
        return ((row[0], record_of(row)) for row in read_rows(self._db, after, hotel, after_hotel_seq))

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """See `Journal`."""
        query = "SELECT hotel, hotel_seq, state FROM snapshots"
        found = self._db.execute(query) if hotel is None else self._db.execute(f"{query} WHERE hotel = ?", (hotel,))
        return (Snapshot(*row) for row in found)

    def save_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        """See `Journal`."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._db.execute("SELECT epoch FROM writer").fetchone()[0] != self._epoch:
                raise self._fenced()
            self._db.executemany(
                "INSERT OR REPLACE INTO snapshots (hotel, hotel_seq, state) VALUES (?,?,?)",
                [(snapshot.hotel, snapshot.hotel_seq, snapshot.state) for snapshot in snapshots],
            )

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

    def verified(self) -> Iterator[LogEntry]:
        """See `Journal`. The hash chain reveals each change."""
        rows = check_chain(self.path, read_rows(self._db), (self._seq, self._hash))
        return ((row[0], record_of(row)) for row in rows)

    def _fenced(self) -> JournalFenced:
        return JournalFenced(f"another process writes to {self.path} now; this one must stop")

    def _check_tail(self) -> None:
        """Verifies the hash chain of the last rows, so that nothing is appended to a lost or altered tail."""
        start = max(self._seq - _TAIL_EVENTS, 0)
        before = self._db.execute("SELECT hash FROM events WHERE seq = ?", (start,)).fetchone()
        if start and before is None:
            raise JournalDamaged(f"{self.path}: event {start} is missing; restore the file from a backup")
        tail = read_rows(self._db, start)
        deque(check_chain(self.path, tail, (self._seq, self._hash), start, before[0] if start else GENESIS), maxlen=0)


class SqliteEventLog:
    """Implements `protocol.ports.subscriptions.EventLog` over a journal's file, which it opens read-only."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_to_read(path)

    @property
    def position(self) -> int:
        """See `EventLog`."""
        with self._lock:
            return int(self._db.execute("SELECT seq FROM writer").fetchone()[0])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        with self._lock:
            rows = list(islice(read_rows(self._db, after, hotel, after_hotel_seq), limit))
        return [(row[0], record_of(row)) for row in rows]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()


def open_to_read(path: Path) -> sqlite3.Connection:
    """Opens a read-only connection to a journal's file."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )


def read_rows(
    db: sqlite3.Connection, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0
) -> Iterator[Row]:
    """Yields the rows of the events after this position, in order."""
    if hotel is None:
        return db.execute(f"SELECT {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq", (after,))
    return db.execute(
        f"SELECT {_COLUMNS} FROM events WHERE hotel = ? AND hotel_seq > ? AND seq > ? ORDER BY hotel_seq",
        (hotel, after_hotel_seq, after),
    )


def check_chain(
    path: Path, rows: Iterable[Row], head: tuple[int, bytes], after: int = 0, previous: bytes = GENESIS
) -> Iterator[Row]:
    """Yields the rows. Raises JournalDamaged on a gap, on an altered row, and where they do not end at the head."""
    seq = after
    for row in rows:
        seq += 1
        if row[0] != seq:
            raise JournalDamaged(f"{path}: event {seq} is missing; restore the file from a backup")
        previous = link(previous, row)
        if previous != row[9]:
            raise JournalDamaged(f"{path}: event {seq} is not what was written; restore the file from a backup")
        yield row
    if (seq, previous) != head:
        raise JournalDamaged(
            f"{path}: it ends at event {seq} but should end at {head[0]}; restore the file from a backup"
        )
