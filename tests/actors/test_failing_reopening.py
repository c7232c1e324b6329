"""A partition whose journal cannot be opened again for some time after a fault: it refuses commands, and goes on by
itself once it can."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import time_ns

import pytest
from innkeeper.actors.partition import host as host_module
from innkeeper.actors.partition import partition as partition_module
from innkeeper.actors.partition.opening import open_host
from innkeeper.actors.partition.partition import Partition
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import JournalUnavailable
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.database_readers import reader
from support.journal_records import recorded, write_and_sync
from support.partition_fixture import HOTEL, HOTEL_TYPE, host_ports, hotel_request, request


@contextmanager
def not_to_be_opened(path: Path) -> Iterator[None]:
    """A folder stands in the place of the file, which only those have who have opened it before."""
    away = path.with_name("away")
    path.rename(away)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        away.rename(path)


def test_a_journal_that_cannot_be_reopened_is_used_as_before_and_reopened_later(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        write_and_sync(journal, recorded(1))
        journal.write([recorded(2)], ())
        with not_to_be_opened(journal.path):
            for _ in range(2):
                with pytest.raises(JournalUnavailable):
                    journal.reopen()
                assert [*journal.read()] == [(1, recorded(1))]
                assert journal.replies(["key"]) == {}
                journal.check_lock()
                journal.finish_erasing()
        journal.reopen()
        assert write_and_sync(journal, recorded(2)) == 2


class UnsyncedJournal(SqliteJournal):
    """A real journal whose syncs can fail."""

    fails = False

    def sync(self) -> None:
        if self.fails:
            raise JournalUnavailable("the disk is away", "disk I/O error")
        super().sync()


async def ask(partition: Partition, message: Command | Query) -> Reply | Refusal:
    """Ask the partition."""
    return (await partition.ask(Envelope(message))).response


@asynccontextmanager
async def running(journal: SqliteJournal) -> AsyncIterator[Partition]:
    """A partition with a hotel over this journal, with a clock that goes on."""

    def clock() -> int:
        return time_ns() // 1_000

    ports = host_ports(journal.path)._replace(open_journal=lambda: journal, clock=clock)
    partition = Partition(lambda: open_host(ports, HOTEL_TYPE), clock)
    await partition.start()
    try:
        assert isinstance(await ask(partition, OpenHotel(HOTEL, hotel_request())), Reply)
        yield partition
    finally:
        await partition.stop()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again soon."""
    monkeypatch.setattr(partition_module, "erasing_retry_seconds", 0.01)
    monkeypatch.setattr(host_module, "_RETRY_MICROSECONDS", 10_000)


def test_a_partition_with_something_to_erase_outlives_a_disk_that_fails(tmp_path: Path) -> None:
    async def run() -> None:
        SqliteJournal(tmp_path / "journal.db").close()
        journal = UnsyncedJournal(tmp_path / "journal.db")
        with reader(journal.path):
            async with running(journal) as partition:
                assert await partition.is_erasing("")
                with not_to_be_opened(journal.path):
                    journal.fails = True
                    assert isinstance(await ask(partition, BookRoom(HOTEL, request())), Unavailable)
                    await asyncio.sleep(0.3)
                    assert isinstance(await ask(partition, BookRoom(HOTEL, request())), Unavailable)
                journal.fails = False
                assert isinstance(await ask(partition, BookRoom(HOTEL, request())), BookingReply)

    asyncio.run(run())


def test_a_partition_whose_journal_is_locked_outlives_a_disk_that_fails(tmp_path: Path) -> None:
    async def run() -> None:
        journal = SqliteJournal(tmp_path / "journal.db")
        async with running(journal) as partition:
            with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                booking = asyncio.create_task(ask(partition, BookRoom(HOTEL, request())))
                await asyncio.sleep(0.1)
                with not_to_be_opened(journal.path):
                    assert isinstance(await ask(partition, DescribeHotel(HOTEL)), Unavailable)
                    await asyncio.sleep(0.2)
                    assert partition.ready
                assert not booking.done()
                other.execute("ROLLBACK")
            assert isinstance(await booking, BookingReply)

    asyncio.run(run())
