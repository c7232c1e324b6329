"""A partition that damage stops: it says of no command on disk that it was not carried out, answers all that wait, and
ends with the error that stopped it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest
from innkeeper.actors.partition.opening import open_host
from innkeeper.actors.partition.partition import Partition
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.journal import JournalDamaged, JournalUnavailable
from innkeeper.protocol.reservations.commands import BookRoom
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, HOTEL_TYPE, NOON, host_ports, partition_fixture, request


class JournalFoundDamaged(SqliteJournal):
    """A real journal whose guests are first checked while a commit is synced; the sync ends after the check."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.syncing = threading.Event()
        self.is_stopped: Callable[[], bool] = lambda: True

    def check_guests(self, limit: int) -> bool:
        assert self.syncing.wait(30)
        return super().check_guests(limit)

    def sync(self) -> None:
        self.syncing.set()
        deadline = monotonic() + 10
        while not self.is_stopped():
            assert monotonic() < deadline
            sleep(0.005)
        super().sync()


class JournalNotClosed(JournalFoundDamaged):
    """The same, whose closing reports an error."""

    def close(self) -> None:
        super().close()
        raise JournalUnavailable("the disk is away", "disk I/O error")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a hotel and a booking, whose guest has another place than it had."""
    path = tmp_path / "journal.db"
    with partition_fixture(path) as partition:
        partition.open_hotel()
        partition.book()
    with sqlite3.connect(path) as db:
        assert db.execute("UPDATE guests SET number = 99").rowcount
    db.close()
    return path


async def book_while_damage_is_found(journal: JournalFoundDamaged) -> tuple[Partition, list[Unavailable]]:
    """Book once, and twice more during the sync of that; the partition, which has stopped, and the answers."""
    ports = host_ports(journal.path)._replace(open_journal=lambda: journal)
    partition = Partition(lambda: open_host(ports, HOTEL_TYPE), lambda: NOON)
    await partition.start()
    journal.is_stopped = lambda: not partition.ready
    first = asyncio.create_task(partition.ask(Envelope(BookRoom(HOTEL, request()), "first")))
    await asyncio.to_thread(journal.syncing.wait, 30)
    later = [asyncio.create_task(partition.ask(Envelope(BookRoom(HOTEL, request())))) for _ in range(2)]
    async with asyncio.timeout(20):
        answers = [result.response for result in await asyncio.gather(first, *later)]
    return partition, [answer for answer in answers if isinstance(answer, Unavailable)]


def test_a_booking_whose_commit_ends_after_the_stop_is_not_said_to_be_undone(path: Path) -> None:
    async def run() -> None:
        journal = JournalFoundDamaged(path)
        before = journal.position()
        partition, answers = await book_while_damage_is_found(journal)
        assert [answer.unknown for answer in answers] == [True, False, False]
        with pytest.raises(JournalDamaged, match="guest"):
            await partition.ended()
        await partition.stop()
        assert journal.position() == before + 1

    asyncio.run(run())


def test_waiting_commands_are_answered_and_the_first_error_stays_where_closing_fails(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        partition, answers = await book_while_damage_is_found(JournalNotClosed(path))
        assert len(answers) == 3
        with pytest.raises(JournalDamaged) as stopped:
            await partition.ended()
        assert stopped.value.exit_code == 4
        await partition.stop()

    asyncio.run(run())
    assert "the disk is away" in caplog.text
