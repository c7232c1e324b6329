"""A partition at work: nobody hears of what is not on disk, whatever the disk does, and nobody waits without bound."""

import asyncio
import errno
import gc
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from innkeeper.actors.partition import partition as partition_module
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.hotel import HotelActor
from innkeeper.actors.reservations.router import HOTEL as HOTEL_TYPE
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.refusals import Invalid, KeyReused, NotFound, Unavailable
from innkeeper.protocol.ports.journal import Fenced, Snapshot, StoredReply
from innkeeper.protocol.ports.message_bus import Envelope, Result
from innkeeper.protocol.reservations.commands import Book, OpenHotel
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import BookingReply, HotelReply
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, NOON, PartitionFixture, partition_fixture, plan, request


class SlowJournal(SqliteJournal):
    """A real journal on a disk that can be held up, and that can fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = threading.Event()
        self.free.set()
        self.fails = 0
        self.syncs = 0

    def sync(self) -> None:
        self.free.wait(10)
        if self.fails:
            self.fails -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync()
        self.syncs += 1


class Town:
    """A partition over a slow journal, with one hotel of nine doubles."""

    def __init__(self, path: Path) -> None:
        self.journal = SlowJournal(path)
        ids = (f"id-{number}" for number in range(100_000))
        self.partition = Partition(
            lambda: Host(self.journal, lambda: NOON, lambda: next(ids), HOTEL_TYPE), lambda: NOON
        )

    async def say(self, command: Command | DescribeHotel, key: str | None = None) -> Result:
        """Ask the partition."""
        return await self.partition.ask(Envelope(command, key, "request", "tester"))

    def booking(self, key: str | None = None, **more: Any) -> "asyncio.Task[Result]":
        """A booking on its way."""
        return asyncio.create_task(self.say(Book(HOTEL, request(**more)), key))


def in_town(path: Path, story: Callable[[Town], Coroutine[Any, Any, None]]) -> None:
    """Let this happen in a town that is opened before and closed after it."""

    async def live() -> None:
        town = Town(path)
        await town.partition.start()
        try:
            assert isinstance((await town.say(OpenHotel(HOTEL, plan({"DBL": 9})))).response, HotelReply)
            await story(town)
        finally:
            town.journal.free.set()
            await town.partition.stop()

    asyncio.run(live())


async def moments() -> None:
    """Time enough for everything that does not wait for the disk."""
    for _ in range(20):
        await asyncio.sleep(0.002)


def test_nobody_is_told_before_the_disk_has_it(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        town.journal.free.clear()
        bookings = [town.booking() for _ in range(3)]
        question = asyncio.create_task(town.say(DescribeHotel(HOTEL)))
        await moments()
        assert not any(task.done() for task in (*bookings, question))
        town.journal.free.set()
        assert all([isinstance((await booking).response, BookingReply) for booking in bookings])
        assert isinstance((await question).response, HotelReply)

    in_town(tmp_path / "journal.db", story)


def test_what_comes_while_the_disk_is_busy_goes_to_it_at_once_afterwards(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        town.journal.free.clear()
        first = town.booking()
        await moments()
        later = []
        for _ in range(7):
            later.append(town.booking())
            await moments()
        syncs = town.journal.syncs
        town.journal.free.set()
        await asyncio.gather(first, *later)
        assert town.journal.syncs == syncs + 2

    in_town(tmp_path / "journal.db", story)


def test_when_the_disk_fails_nobody_is_acknowledged_who_was_decided_on_top_of_it(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        town.journal.free.clear()
        town.journal.fails = 1
        first = [town.booking(key="first"), town.booking()]
        await moments()
        later = [town.booking(), town.booking(key="later")]
        await moments()
        town.journal.free.set()
        for booking in (*first, *later):
            assert isinstance((await booking).response, Unavailable)
        again = [await town.booking(key=key) for key in ("first", "later")]
        assert all(isinstance(answer.response, BookingReply) and not answer.replayed for answer in again)
        rest = await asyncio.gather(*(town.booking() for _ in range(8)))
        assert sum(isinstance(answer.response, BookingReply) for answer in rest) == 7

    in_town(tmp_path / "journal.db", story)
    recovered = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
    assert recovered.host.journal.position() == 11 + 9  # a hotel, a type, nine rooms, and nine bookings
    recovered.host.close()


def test_the_same_key_while_the_first_is_on_its_way_to_the_disk_books_once(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        town.journal.free.clear()
        first = town.booking(key="one")
        await moments()
        again, other = town.booking(key="one"), town.booking(key="one", guest="Bob")
        await moments()
        assert not any(task.done() for task in (first, again, other))
        town.journal.free.set()
        answers = await asyncio.gather(first, again, other)
        assert [answer.replayed for answer in answers] == [False, True, False]
        assert answers[0].response == answers[1].response
        assert answers[2].response == KeyReused()

    in_town(tmp_path / "journal.db", story)


def test_too_many_who_wait_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "commands_waiting_max", 5)

    async def story(town: Town) -> None:
        town.journal.free.clear()
        waiting = [town.booking() for _ in range(5)]
        await moments()
        assert isinstance((await town.booking()).response, Unavailable)
        town.journal.free.set()
        assert all([isinstance((await booking).response, BookingReply) for booking in waiting])
        assert isinstance((await town.booking()).response, BookingReply)

    in_town(tmp_path / "journal.db", story)


def test_a_stop_finishes_what_was_accepted_and_takes_no_more(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bookings = [town.booking() for _ in range(4)]
        await asyncio.sleep(0)
        await town.partition.stop()
        assert all([isinstance((await booking).response, BookingReply) for booking in bookings])
        assert isinstance((await town.booking()).response, Unavailable)
        assert not town.partition.ready

    in_town(tmp_path / "journal.db", story)


def test_a_partition_whose_journal_was_taken_over_ends_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(town: Town) -> None:
        SqliteJournal(tmp_path / "journal.db").close()
        assert isinstance((await town.booking()).response, Unavailable)
        with pytest.raises(Fenced):
            await town.partition.ended()
        assert not town.partition.ready

    in_town(tmp_path / "journal.db", story)
    assert "another process writes" in caplog.text


def test_a_hotel_whose_opening_was_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    twice = plan({"DBL": 1, "SGL": 1})
    offers = (msgspec.structs.replace(twice.room_types[0], rooms=("201",), room_count=0), twice.room_types[1])
    with partition_fixture(tmp_path / "journal.db") as desk:
        before = _living_hotels()
        for number in range(5):
            opening = OpenHotel(f"hotel-{number}", msgspec.structs.replace(twice, room_types=offers))
            assert isinstance(desk.execute(opening), Invalid)
            assert desk.execute(DescribeHotel(f"hotel-{number}")) == NotFound("hotel", f"hotel-{number}")
        assert _living_hotels() == before
        desk.open_hotel(hotel="hotel-0")


def _living_hotels() -> int:
    gc.collect()
    return sum(isinstance(one, HotelActor) for one in gc.get_objects())


class FullJournal(SqliteJournal):
    """A real journal on a disk that is full or sick in some ways, until it is not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.broken: set[str] = set()
        self.reopened = 0

    def _fail_if(self, what: str) -> None:
        if what in self.broken:
            raise OSError(errno.EIO, "Input/output error")

    def save_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        self._fail_if("snapshots")
        super().save_snapshots(snapshots)

    def reply(self, key: str) -> StoredReply | None:
        self._fail_if("replies")
        return super().reply(key)

    def sync(self) -> None:
        self._fail_if("sync")
        super().sync()

    def reopen(self) -> None:
        self.reopened += 1
        self._fail_if("reopen")
        super().reopen()


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[tuple[FullJournal, PartitionFixture]]:
    """A hotel over such a journal."""
    journal = FullJournal(tmp_path / "journal.db")
    at_desk = PartitionFixture(journal)
    at_desk.open_hotel()
    yield journal, at_desk
    at_desk.host.close()


def test_a_snapshot_that_cannot_be_kept_is_left_for_later(
    sick: tuple[FullJournal, PartitionFixture], caplog: pytest.LogCaptureFixture
) -> None:
    journal, at_desk = sick
    journal.broken.add("snapshots")
    assert at_desk.host.save_snapshots(after_events=1) == 0
    assert "snapshots of ['seaside'] could not be saved" in caplog.text
    journal.broken.clear()
    at_desk.book()
    assert at_desk.host.save_snapshots(after_events=1) == 1


def test_while_nobody_knows_what_was_answered_nobody_is_answered(sick: tuple[FullJournal, PartitionFixture]) -> None:
    journal, at_desk = sick
    ask = Envelope(Book(HOTEL, request()), "key", "request", "tester")
    journal.broken.add("replies")
    assert isinstance(at_desk.host.handle([ask])[0].response, Unavailable)
    journal.broken.clear()
    first, again = at_desk.host.handle([ask])[0], at_desk.host.handle([ask])[0]
    assert isinstance(first.response, BookingReply)
    assert (again.response, again.replayed) == (first.response, True)


def test_a_journal_that_cannot_be_opened_again_is_tried_once_a_second(
    sick: tuple[FullJournal, PartitionFixture], caplog: pytest.LogCaptureFixture
) -> None:
    journal, at_desk = sick
    journal.broken |= {"sync", "reopen"}
    for _ in range(5):
        at_desk.host.handle([Envelope(Book(HOTEL, request()), None, "request", "tester")])
        assert at_desk.host.due_at == at_desk.at + 1_000_000
        at_desk.at += 10_000_000
    assert caplog.text.count("Traceback") == 2  # of the write, and of the first opening
    journal.broken.clear()
    at_desk.book()


def test_after_a_failed_write_of_nothing_but_a_refusal_the_next_one_works(
    sick: tuple[FullJournal, PartitionFixture],
) -> None:
    journal, at_desk = sick
    refused = Book(HOTEL, request(room_type="none"))
    journal.broken.add("sync")
    assert isinstance(at_desk.host.handle([Envelope(refused, "one", "request", "tester")])[0].response, Unavailable)
    journal.broken.clear()
    assert isinstance(at_desk.host.handle([Envelope(refused, "two", "request", "tester")])[0].response, Invalid)
    at_desk.book()
