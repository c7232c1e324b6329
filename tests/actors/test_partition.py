"""A partition replies only after its events are on disk, despite disk errors, and limits its queue."""

import asyncio
import errno
import gc
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from innkeeper.actors.partition import partition as partition_module
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.hotel import HotelActor
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.refusals import IdempotencyKeyReused, InvalidRequest, NotFound, Unavailable
from innkeeper.protocol.ports.journal import JournalFenced, Snapshot, StoredReply
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import BookingReply, HotelReply
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.actor_systems import open_actor_system
from support.partition_fixture import (
    HOTEL,
    HOTEL_TYPE,
    NOON,
    PartitionFixture,
    hotel_request,
    partition_fixture,
    request,
)


class SlowJournal(SqliteJournal):
    """A real journal whose sync can be blocked, and can fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.unblocked = threading.Event()
        self.unblocked.set()
        self.failures_left = 0
        self.syncs = 0

    def sync(self) -> None:
        self.unblocked.wait(10)
        if self.failures_left:
            self.failures_left -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync()
        self.syncs += 1


class SlowPartition:
    """A partition over a slow journal, with one hotel of nine doubles."""

    def __init__(self, path: Path) -> None:
        self.journal = SlowJournal(path)
        ids = (f"id-{number}" for number in range(100_000))
        self.partition = Partition(
            lambda: Host(self.journal, lambda: NOON, lambda: next(ids), HOTEL_TYPE, open_actor_system), lambda: NOON
        )

    async def ask_partition(self, command: Command | DescribeHotel, key: str | None = None) -> Result:
        """Ask the partition."""
        return await self.partition.ask(Envelope(command, key, "request", "tester"))

    def booking(self, key: str | None = None, **more: Any) -> "asyncio.Task[Result]":
        """Start a booking."""
        return asyncio.create_task(self.ask_partition(BookRoom(HOTEL, request(**more)), key))


def run_with_partition(path: Path, check: Callable[[SlowPartition], Coroutine[Any, Any, None]]) -> None:
    """Run a check with a partition that is started before and stopped after it."""

    async def run() -> None:
        slow = SlowPartition(path)
        await slow.partition.start()
        try:
            assert isinstance(
                (await slow.ask_partition(OpenHotel(HOTEL, hotel_request({"DBL": 9})))).response, HotelReply
            )
            await check(slow)
        finally:
            slow.journal.unblocked.set()
            await slow.partition.stop()

    asyncio.run(run())


async def wait_for_tasks() -> None:
    """Give time to everything that does not wait for the disk."""
    for _ in range(20):
        await asyncio.sleep(0.002)


def test_replies_wait_until_the_events_are_on_disk(tmp_path: Path) -> None:
    async def check(slow: SlowPartition) -> None:
        slow.journal.unblocked.clear()
        bookings = [slow.booking() for _ in range(3)]
        query = asyncio.create_task(slow.ask_partition(DescribeHotel(HOTEL)))
        await wait_for_tasks()
        assert not any(task.done() for task in (*bookings, query))
        slow.journal.unblocked.set()
        assert all([isinstance((await booking).response, BookingReply) for booking in bookings])
        assert isinstance((await query).response, HotelReply)

    run_with_partition(tmp_path / "journal.db", check)


def test_commands_that_arrive_during_a_sync_are_synced_together(tmp_path: Path) -> None:
    async def check(slow: SlowPartition) -> None:
        slow.journal.unblocked.clear()
        first = slow.booking()
        await wait_for_tasks()
        later = []
        for _ in range(7):
            later.append(slow.booking())
            await wait_for_tasks()
        syncs = slow.journal.syncs
        slow.journal.unblocked.set()
        await asyncio.gather(first, *later)
        assert slow.journal.syncs == syncs + 2

    run_with_partition(tmp_path / "journal.db", check)


def test_a_failed_sync_refuses_its_batch_and_the_batch_decided_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_module, "_COMMANDS_WHILE_SYNCING_MIN", 1)

    async def check(slow: SlowPartition) -> None:
        slow.journal.unblocked.clear()
        slow.journal.failures_left = 1
        first = [slow.booking(key="first"), slow.booking()]
        await wait_for_tasks()
        later = [slow.booking(), slow.booking(key="later")]
        await wait_for_tasks()
        slow.journal.unblocked.set()
        for booking in (*first, *later):
            assert isinstance((await booking).response, Unavailable)
        repeated = [await slow.booking(key=key) for key in ("first", "later")]
        assert all(isinstance(answer.response, BookingReply) and not answer.replayed for answer in repeated)
        others = await asyncio.gather(*(slow.booking() for _ in range(8)))
        assert sum(isinstance(answer.response, BookingReply) for answer in others) == 7

    run_with_partition(tmp_path / "journal.db", check)
    recovered = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
    assert recovered.host.journal.position() == 11 + 9  # a hotel, a type, nine rooms, and nine bookings
    recovered.host.close()


def test_a_repeated_key_during_a_sync_books_once(tmp_path: Path) -> None:
    async def check(slow: SlowPartition) -> None:
        slow.journal.unblocked.clear()
        first = slow.booking(key="one")
        await wait_for_tasks()
        repeated, other = slow.booking(key="one"), slow.booking(key="one", guest="Bob")
        await wait_for_tasks()
        assert not any(task.done() for task in (first, repeated, other))
        slow.journal.unblocked.set()
        answers = await asyncio.gather(first, repeated, other)
        assert [answer.replayed for answer in answers] == [False, True, False]
        assert answers[0].response == answers[1].response
        assert answers[2].response == IdempotencyKeyReused()

    run_with_partition(tmp_path / "journal.db", check)


def test_commands_beyond_the_queue_limit_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "commands_waiting_max", 5)

    async def check(slow: SlowPartition) -> None:
        slow.journal.unblocked.clear()
        accepted = [slow.booking() for _ in range(5)]
        await wait_for_tasks()
        assert isinstance((await slow.booking()).response, Unavailable)
        slow.journal.unblocked.set()
        assert all([isinstance((await booking).response, BookingReply) for booking in accepted])
        assert isinstance((await slow.booking()).response, BookingReply)

    run_with_partition(tmp_path / "journal.db", check)


def test_a_stop_finishes_accepted_commands_and_refuses_new_ones(tmp_path: Path) -> None:
    async def check(slow: SlowPartition) -> None:
        bookings = [slow.booking() for _ in range(4)]
        await asyncio.sleep(0)
        await slow.partition.stop()
        assert all([isinstance((await booking).response, BookingReply) for booking in bookings])
        assert isinstance((await slow.booking()).response, Unavailable)
        assert not slow.partition.ready

    run_with_partition(tmp_path / "journal.db", check)


def test_a_fenced_partition_ends_and_logs_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def check(slow: SlowPartition) -> None:
        SqliteJournal(tmp_path / "journal.db").close()
        assert isinstance((await slow.booking()).response, Unavailable)
        with pytest.raises(JournalFenced):
            await slow.partition.ended()
        assert not slow.partition.ready

    run_with_partition(tmp_path / "journal.db", check)
    assert "another process writes" in caplog.text


def test_a_refused_open_hotel_command_leaves_no_actor(tmp_path: Path) -> None:
    opening = hotel_request({"DBL": 1, "SGL": 1})
    room_types = (msgspec.structs.replace(opening.room_types[0], rooms=("201",), room_count=0), opening.room_types[1])
    with partition_fixture(tmp_path / "journal.db") as partition:
        before = _hotel_actors()
        for number in range(5):
            command = OpenHotel(f"hotel-{number}", msgspec.structs.replace(opening, room_types=room_types))
            assert isinstance(partition.execute(command), InvalidRequest)
            assert partition.execute(DescribeHotel(f"hotel-{number}")) == NotFound("hotel", f"hotel-{number}")
        assert _hotel_actors() <= before, "those of earlier tests may go meanwhile"
        partition.open_hotel(hotel="hotel-0")


def _hotel_actors() -> int:
    gc.collect()
    return sum(isinstance(one, HotelActor) for one in gc.get_objects())


class FaultyJournal(SqliteJournal):
    """A real journal whose operations in `broken` fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.broken: set[str] = set()
        self.reopened = 0

    def _fail_if(self, operation: str) -> None:
        if operation in self.broken:
            raise OSError(errno.EIO, "Input/output error")

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        self._fail_if("snapshots")
        super().save_snapshots(snapshots, until)

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        self._fail_if("replies")
        return super().replies(keys)

    def sync(self) -> None:
        self._fail_if("sync")
        super().sync()

    def reopen(self) -> None:
        self.reopened += 1
        self._fail_if("reopen")
        super().reopen()


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[tuple[FaultyJournal, PartitionFixture]]:
    """Such a journal, and a partition with a hotel over it."""
    journal = FaultyJournal(tmp_path / "journal.db")
    fixture = PartitionFixture(journal)
    fixture.open_hotel()
    yield journal, fixture
    fixture.host.close()


def test_a_snapshot_that_cannot_be_saved_is_saved_later(
    faulty: tuple[FaultyJournal, PartitionFixture], caplog: pytest.LogCaptureFixture
) -> None:
    journal, fixture = faulty
    journal.broken.add("snapshots")
    assert fixture.host.save_snapshots(after_events=1) == 0
    assert "snapshots could not be saved" in caplog.text
    journal.broken.clear()
    fixture.book()
    assert fixture.host.save_snapshots(after_events=1) == 1


def test_a_keyed_command_is_refused_while_stored_replies_cannot_be_read(
    faulty: tuple[FaultyJournal, PartitionFixture],
) -> None:
    journal, fixture = faulty
    envelope = Envelope(BookRoom(HOTEL, request()), "key", "request", "tester")
    journal.broken.add("replies")
    assert isinstance(fixture.host.handle([envelope])[0].response, Unavailable)
    journal.broken.clear()
    first, repeated = fixture.host.handle([envelope])[0], fixture.host.handle([envelope])[0]
    assert isinstance(first.response, BookingReply)
    assert (repeated.response, repeated.replayed) == (first.response, True)


def test_reopening_a_journal_is_retried_once_a_second(
    faulty: tuple[FaultyJournal, PartitionFixture], caplog: pytest.LogCaptureFixture
) -> None:
    journal, fixture = faulty
    journal.broken |= {"sync", "reopen"}
    for _ in range(5):
        fixture.host.handle([Envelope(BookRoom(HOTEL, request()), None, "request", "tester")])
        assert fixture.host.due_at == fixture.at + 1_000_000
        fixture.at += 10_000_000
    assert caplog.text.count("Traceback") == 2  # of the write, and of the first attempt to reopen
    journal.broken.clear()
    fixture.book()


def test_a_failed_write_of_a_refusal_does_not_affect_the_next_command(
    faulty: tuple[FaultyJournal, PartitionFixture],
) -> None:
    journal, fixture = faulty
    refused = BookRoom(HOTEL, request(room_type="none"))
    journal.broken.add("sync")
    assert isinstance(fixture.host.handle([Envelope(refused, "one", "request", "tester")])[0].response, Unavailable)
    journal.broken.clear()
    assert isinstance(fixture.host.handle([Envelope(refused, "two", "request", "tester")])[0].response, InvalidRequest)
    fixture.book()
