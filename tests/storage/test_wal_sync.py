"""What is written to the database of a service is synced when somebody relies on it, by one sync for all who wait."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import JournalUnavailable, StoredReply
from innkeeper.storage.sqlite import wal_sync
from innkeeper.storage.sqlite.service_store import SqliteServiceStore


class Disk:
    """Counts the syncs of the write-ahead log, and what the file of changes said before each; fails on demand."""

    def __init__(self, changes: Path) -> None:
        self.syncs = 0
        self.noted: list[bytes] = []
        self.fails = False
        self.may_sync = threading.Event()
        self.may_sync.set()
        self._changes = changes

    def fdatasync(self, file: int) -> None:
        """Syncs a file."""
        assert self.may_sync.wait(30)
        assert os.readlink(f"/proc/self/fd/{file}").endswith("-wal")
        self.noted.append(self._changes.read_bytes() if self._changes.exists() else b"")
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        self.syncs += 1


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of the store."""
    disk = Disk(tmp_path / "changes")
    monkeypatch.setattr(wal_sync.os, "fdatasync", disk.fdatasync)
    return disk


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> Iterator[SqliteServiceStore]:
    """A store that is opened after its disk, and closed before it."""
    with closing(SqliteServiceStore(tmp_path / "service.db", changes=tmp_path / "changes")) as store:
        yield store


def write(store: SqliteServiceStore, key: str) -> None:
    """Write something."""
    store.keep_reply(StoredReply(key, b"f", b"r", 1))


def test_a_transaction_waits_for_no_disk_and_a_sync_does(store: SqliteServiceStore, disk: Disk) -> None:
    write(store, "1")
    assert disk.syncs == 0
    asyncio.run(store.sync())
    assert disk.syncs == 1


def test_nothing_is_synced_where_nothing_was_written(store: SqliteServiceStore, disk: Disk) -> None:
    for number in (1, 2):
        write(store, str(number))
        for _ in range(3):
            asyncio.run(store.sync())
        assert disk.syncs == number


def test_what_a_killed_process_has_not_synced_is_synced_before_somebody_relies_on_it(
    store: SqliteServiceStore, disk: Disk, tmp_path: Path
) -> None:
    write(store, "1")
    for name in ("service.db", "service.db-wal", "service.key"):
        (tmp_path / f"found-{name}").write_bytes((tmp_path / name).read_bytes())
    with closing(SqliteServiceStore(tmp_path / "found-service.db")) as found:
        assert found.kept_reply("1") is not None
        assert disk.syncs == 0
        asyncio.run(found.sync())
        assert disk.syncs == 1


def test_the_loop_goes_on_during_a_sync_and_one_sync_is_for_all_who_wait(store: SqliteServiceStore, disk: Disk) -> None:
    async def run() -> None:
        disk.may_sync.clear()
        write(store, "0")
        first = asyncio.create_task(store.sync())
        await asyncio.sleep(0.01)
        others = []
        for number in range(1, 9):  # too late for the sync that is running
            write(store, str(number))
            others.append(asyncio.create_task(store.sync()))
        await asyncio.sleep(0.01)
        assert not first.done()
        assert not any(other.done() for other in others)
        disk.may_sync.set()
        await asyncio.gather(first, *others)

    asyncio.run(run())
    assert disk.syncs == 2


def test_the_number_of_changes_is_noted_after_the_sync_that_has_them(
    store: SqliteServiceStore, disk: Disk, tmp_path: Path
) -> None:
    for number in range(3):
        write(store, str(number))
        asyncio.run(store.sync())
    assert [int(noted or 0) for noted in disk.noted] == [0, 1, 2]
    assert int((tmp_path / "changes").read_bytes()) == 3


def test_after_a_sync_that_failed_nothing_counts_as_synced(store: SqliteServiceStore, disk: Disk) -> None:
    async def run() -> None:
        write(store, "1")
        disk.fails = True
        with pytest.raises(JournalUnavailable, match="the disk has failed: Input/output error"):
            await store.sync()
        disk.fails = False  # the kernel reports an error once, and then forgets the pages
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="the disk has failed"):
                await store.sync()

    asyncio.run(run())
    assert disk.syncs == 0


def test_what_was_written_is_synced_when_the_store_is_closed(tmp_path: Path, disk: Disk) -> None:
    path, changes = tmp_path / "another.db", tmp_path / "changes"
    with closing(SqliteServiceStore(path, changes=changes)) as store:
        write(store, "1")
    assert disk.syncs == 1
    assert int(changes.read_bytes()) == 1
    with closing(SqliteServiceStore(path, changes=changes)) as store:
        assert store.kept_reply("1") is not None


def test_a_store_is_closed_only_when_a_cancelled_sync_has_ended(tmp_path: Path, disk: Disk) -> None:
    async def run() -> None:
        with closing(SqliteServiceStore(tmp_path / "another.db")) as store:
            write(store, "1")
            disk.may_sync.clear()
            syncing = asyncio.create_task(store.sync())
            await asyncio.sleep(0.01)
            syncing.cancel()
            await asyncio.wait({syncing})
            threading.Timer(0.05, disk.may_sync.set).start()

    asyncio.run(run())
    assert disk.syncs == 2
