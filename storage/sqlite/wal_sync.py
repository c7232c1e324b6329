"""Brings what a service has written to the disk, without making its event loop wait for that.

The databases of services are `synchronous = NORMAL`: a transaction is in the write-ahead log, and so outlives the
process, but the log is not synced. It is synced here, in a thread: when somebody relies on what was written, and a
moment later in any case. What is written while a sync runs waits for the next one, which is one for all.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TypeVar

from innkeeper.protocol.ports.journal import JournalError
from innkeeper.storage.sqlite.changes_file import ChangesFile
from innkeeper.storage.sqlite.checked_tables import CheckedDatabase, changes_of, connect_checked
from innkeeper.storage.sqlite.event_rows import unavailable
from innkeeper.storage.sqlite.schema import never_wait
from innkeeper.storage.sqlite.stamps import RESTORE
from innkeeper.storage.sqlite.store_connection import StoreConnection

T = TypeVar("T")

LATEST_CHECKPOINT_PAGES = 16_000
"""So long a write-ahead log is copied into the file by the connection that writes, which waits for the disk then."""

_CHECKPOINT_SECONDS = 1.0  # how often a second connection copies it, in the thread of a sync


class WalSync:
    """Syncs what one connection writes, and then notes in `changes` how many changes are on disk; and does
    other work on the file that lasts."""

    def __init__(self, path: Path, db: CheckedDatabase, changes: ChangesFile | None) -> None:
        self._path = path
        self._db = db
        self._changes = changes
        self._second = connect_checked(path, RESTORE).conn
        never_wait(self._second)
        self._in_thread = threading.Lock()
        self._checkpoint_at = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._synced = -1  # a process that was killed may have left what it did not sync
        self._failure: JournalError | None = None

    async def sync(self) -> None:
        """See `ServiceStore`."""
        wanted = self._db.conn.total_changes
        async with self._one_at_a_time:
            if self._failure is not None:
                raise self._failure
            if self._synced < wanted:
                wanted = self._db.conn.total_changes
                await asyncio.to_thread(self._sync, self._changes_now())
                self._synced = wanted

    async def in_thread(self, work: Callable[[StoreConnection], T]) -> T:
        """Does work that lasts, on a second connection and in a thread: the event loop goes on, and where the work has
        the file's lock, what writes to it raises JournalLocked meanwhile. A close interrupts it."""

        def do() -> T:
            with self._in_thread:
                return work(self._second)

        return await asyncio.to_thread(do)

    def close(self) -> None:
        """Syncs a last time. Raises JournalError."""
        self._second.interrupt()
        try:
            if self._synced < self._db.conn.total_changes and self._failure is None:
                self._sync(self._changes_now())
        finally:
            with self._in_thread:  # one that was cancelled may still be running
                self._second.close()

    def _changes_now(self) -> int:
        return 0 if self._changes is None else changes_of(self._db.conn)

    def _sync(self, changes: int) -> None:
        with self._in_thread:
            try:
                _sync_file(self._path.with_name(f"{self._path.name}-wal"))
            except OSError as error:
                self._failure = unavailable(self._path, f"the disk has failed: {error.strerror or error}")
                raise self._failure from error
            if self._changes is not None:
                self._changes.note(changes)
            if monotonic() >= self._checkpoint_at:
                self._checkpoint_at = monotonic() + _CHECKPOINT_SECONDS
                with suppress(JournalError):  # the next one copies more
                    self._second.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _sync_file(path: Path) -> None:
    with suppress(FileNotFoundError):  # nothing was written yet
        file = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)
