"""The file of a journal as its only writer has it: its connections, its head, its epoch, its timeline."""

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import NamedTuple

from innkeeper.protocol.values.limits import lock_seconds_max
from innkeeper.storage.sqlite.event_log import open_to_read
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, GENESIS, damaged, unreadable
from innkeeper.storage.sqlite.journal_head import HeadFile
from innkeeper.storage.sqlite.schema import check_lock, close_writer, migrate, never_wait
from innkeeper.storage.sqlite.timelines import Timelines, begin_timeline
from innkeeper.storage.sqlite.wal_emptying import WalEmptying

_CHECKPOINT_PAGES = 4_000
HEAD_COLUMNS = "position, hash, replies, replies_sum, guests, guests_sum"
FENCED = "another process writes to {} now; this one must stop"


class Head(NamedTuple):
    """The head of a journal: the position and hash of its last event, and how many rows there are beside the events,
    with the sums of their hashes."""

    position: int
    hash: bytes
    replies: int
    replies_sum: int
    guests: int
    guests_sum: int


class JournalFile:
    """Connects to the file of a journal, or creates it. With `head`, what that says of the journal is checked, and kept
    up."""

    def __init__(self, path: Path, head: HeadFile | None) -> None:
        self.path = path
        self._head_file = head
        self._epoch = -1
        self.is_erasing = True  # the process before may have died too early
        self._wal_emptying = WalEmptying(path)
        self._connect(lock_seconds_max)

    def _connect(self, seconds: float) -> None:
        """Connects; waits at most so long for a lock of another process. Changes nothing where that fails."""
        with ExitStack() as opened:
            try:
                migrate(self.path, seconds=seconds)
                db = sqlite3.connect(self.path, isolation_level=None, timeout=seconds, check_same_thread=False)
                opened.enter_context(closing(db))
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA secure_delete = FAST")
                db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
                db.execute("PRAGMA cache_size = -65536")
                db.execute("PRAGMA mmap_size = 0")
                head = self._read_head(db)
                timelines = Timelines(self.path, db)
                reader = opened.enter_context(closing(open_to_read(self.path)))
                never_wait(reader)
            except FILE_ERRORS as error:
                raise unreadable(self.path, error) from error
            opened.pop_all()
        self._db, self._reader = db, reader
        self._head = self._written = head
        self._timelines, self.timeline = timelines, timelines.newest

    def _read_head(self, db: sqlite3.Connection) -> Head:
        heads = db.execute(f"SELECT {HEAD_COLUMNS} FROM writer").fetchall()
        if len(heads) != 1 or tuple(map(type, heads[0])) != (int, bytes, int, bytes, int, bytes):
            raise damaged(self.path, "its head cannot be read")
        position, last, replies, replies_sum, guests, guests_sum = heads[0]
        return Head(
            position, last, replies, int.from_bytes(replies_sum, "big"), guests, int.from_bytes(guests_sum, "big")
        )

    def _begin_epoch(self) -> None:
        """Fences all earlier writers. Waits for a lock of another process, for the last time."""
        self._check_head()
        self._db.execute("UPDATE writer SET epoch = epoch + 1")
        self._epoch = self._db.execute("SELECT epoch FROM writer").fetchone()[0]
        never_wait(self._db)
        self.note_head()

    def note_head(self) -> None:
        """See `Journal`."""
        if self._head_file is not None:
            self._head_file.note(self._epoch, self._head.position, self._hashes_at)

    def check_lock(self) -> None:
        """See `Journal`."""
        check_lock(self.path, self._db)

    def position(self) -> int:
        """See `Journal`."""
        return self._head.position

    def finish_erasing(self) -> None:
        """See `Journal`. Only the write-ahead log has old pages."""
        if self.is_erasing and self._wal_emptying.empty(self._db):
            self.is_erasing = False

    def begin_timeline(self, timeline: str) -> None:
        """Begins a timeline with this id, for the next events. Call `reopen` before anything is read or written."""
        begin_timeline(self._db, self._head.position + 1, timeline)

    def _check_head(self) -> None:
        """Checks that the journal has all that its head has seen. Raises JournalRolledBack."""
        if self._head_file is not None:
            epoch = self._db.execute("SELECT epoch FROM writer").fetchone()[0]
            self._head_file.check(epoch, self._head.position, self._hashes_at)

    def _hashes_at(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        """See `HashesAt`; also at 0, before the first event."""
        marks = ",".join("?" * len(positions))
        query = f"SELECT position, hash FROM events WHERE position IN ({marks}) ORDER BY position DESC"
        try:
            found = self._db.execute(query, positions).fetchall()
        except FILE_ERRORS as error:
            raise unreadable(self.path, error) from error
        return [*found, (0, GENESIS)] if 0 in positions else found

    def reopen(self) -> None:
        """See `Journal`. Where it fails, the connections there are stay open."""
        with suppress(sqlite3.Error):
            self._db.rollback()
        reader, db = self._reader, self._db
        self._connect(0)
        reader.close()
        db.close()
        self._check_head()

    def close(self) -> None:
        """See `Journal`. Where another process writes now, only that one may checkpoint."""
        self._reader.close()
        if self._has_epoch():
            try:
                self.note_head()
            finally:
                close_writer(self._db)
        else:
            self._db.close()

    def _has_epoch(self) -> bool:
        with suppress(sqlite3.Error):
            return bool(self._db.execute("SELECT epoch FROM writer").fetchone()[0] == self._epoch)
        return False
