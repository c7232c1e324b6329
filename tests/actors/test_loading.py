"""A partition serves as soon as its journal is checked: a hotel is loaded when a command names it, the others behind
that."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import get_ident

import pytest
from innkeeper.actors.partition import host as host_module
from innkeeper.actors.partition.opening import open_host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.journal import JournalTooNew, JournalUnavailable
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.refusals import HotelExists
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.storage.sqlite.event_rows import COLUMNS, GENESIS
from innkeeper.storage.sqlite.journal import SqliteJournal, link
from innkeeper.storage.sqlite.set_hash import digest
from support.partition_fixture import HOTEL, HOTEL_TYPE, NOON, host_ports, hotel_request, partition_fixture, request

HOTELS = ("hillside", "lakeside", HOTEL)
HOUR_MICROSECONDS = 3_600_000_000


@pytest.fixture(params=["from snapshots", "from events"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A journal with three hotels, each with a hold for two hours and a booking."""
    path = tmp_path / "journal.db"
    with partition_fixture(path) as partition:
        for hotel in HOTELS:
            partition.open_hotel({"DBL": 3}, hotel)
            partition.book(hotel=hotel, status="held", hold_seconds=7_200)
            partition.book(hotel=hotel)
        while request.param == "from snapshots" and partition.host.save_snapshots(after_events=1):
            pass
    return path


def loaded_hotels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hotels in the order in which they are read from the journal from now on."""
    loaded: list[str] = []

    def noted(journal: SqliteJournal, hotel: str, *more: object) -> object:
        loaded.append(hotel)
        return rebuild(journal, hotel, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(host_module, "rebuild", noted)
    return loaded


def test_a_hotel_that_a_command_names_is_loaded_before_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = loaded_hotels(monkeypatch)
    with partition_fixture(path) as partition:
        assert not loaded
        assert partition.book(3, hotel="lakeside").guest.name == "Ann"
        assert loaded == ["lakeside"]
        partition.load_all()
        assert loaded == ["lakeside", "hillside", HOTEL]
        assert not partition.host.is_loading


def test_a_hotel_that_is_not_loaded_yet_exists(path: Path) -> None:
    with partition_fixture(path) as partition:
        assert isinstance(partition.execute(OpenHotel("lakeside", hotel_request())), HotelExists)


def test_a_snapshot_that_is_saved_while_hotels_are_loaded_leaves_the_others_as_they_are(path: Path) -> None:
    with partition_fixture(path) as partition:
        partition.load_all()
        before = [partition.host.describe(hotel) for hotel in HOTELS]
    with partition_fixture(path) as partition:
        partition.book(3, hotel="lakeside")
        while partition.host.save_snapshots(after_events=1):
            pass
        assert partition.host.is_loading
    with partition_fixture(path) as partition:
        partition.load_all()
        after = [partition.host.describe(hotel) for hotel in HOTELS]
        assert (after[0], after[2]) == (before[0], before[2])
        assert len(after[1].bookings) == 3


async def until(condition: Callable[[], bool]) -> None:
    """Wait until this is true."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (any condition)
            await asyncio.sleep(0.005)


async def opened(path: Path, at: int, committed: list[RecordedEvent]) -> Partition:
    """A running partition over the journal, whose clock stands still."""
    ports = host_ports(path, at)
    partition = Partition(lambda: open_host(ports, HOTEL_TYPE), lambda: at)
    partition.subscribe(lambda _, records: committed.extend(records))
    await partition.start()
    return partition


def test_what_fell_due_in_hotels_that_no_command_names_is_done_after_a_start(path: Path) -> None:
    async def run() -> None:
        committed: list[RecordedEvent] = []
        partition = await opened(path, NOON + 3 * HOUR_MICROSECONDS, committed)
        await until(lambda: len(committed) == len(HOTELS))
        await partition.stop()
        assert {record.hotel for record in committed if isinstance(record.event, events.HoldExpired)} == {*HOTELS}

    asyncio.run(run())


def test_a_hotel_that_cannot_be_read_is_refused_and_read_again_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = {"lakeside"}

    def failing(journal: SqliteJournal, hotel: str, *more: object) -> object:
        if hotel in unreadable:
            raise JournalUnavailable("journal.db cannot be read now (disk I/O error)", "disk I/O error")
        return rebuild(journal, hotel, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(host_module, "rebuild", failing)
    monkeypatch.setattr(host_module, "_RETRY_MICROSECONDS", 0)

    async def run() -> None:
        partition = await opened(path, NOON, [])
        refused = await partition.ask(Envelope(BookRoom("lakeside", request(3)), "one"))
        assert isinstance(refused.response, Unavailable)
        booked = await partition.ask(Envelope(BookRoom("hillside", request(3)), "two"))
        assert isinstance(booked.response, BookingReply)
        unreadable.clear()
        booked = await partition.ask(Envelope(BookRoom("lakeside", request(3)), "three"))
        assert isinstance(booked.response, BookingReply)
        assert booked.response.booking.status is BookingStatus.CONFIRMED
        await partition.stop()

    asyncio.run(run())
    assert "Traceback" not in caplog.text


def test_a_hotel_that_cannot_be_read_does_not_slow_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[str] = []

    def failing(journal: SqliteJournal, hotel: str, *more: object) -> object:
        if hotel == "lakeside":
            attempts.append(hotel)
            raise JournalUnavailable("journal.db cannot be read now (disk I/O error)", "disk I/O error")
        return rebuild(journal, hotel, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(host_module, "rebuild", failing)

    async def run() -> None:
        partition = await opened(path, NOON, [])
        await until(lambda: len(attempts) >= 1)
        for number in range(40):  # each would wait for two seconds behind an attempt
            booked = await partition.ask(Envelope(BookRoom("hillside", request(3 + number)), f"{number}"))
            assert isinstance(booked.response, BookingReply)
        during = len(attempts)
        await asyncio.sleep(1)
        assert len(attempts) <= during + 5  # no attempt after attempt
        await partition.stop()

    async def within_limit() -> None:
        async with asyncio.timeout(40):
            await run()

    asyncio.run(within_limit())


def test_an_event_of_a_newer_version_behind_a_bad_snapshot_ends_the_partition(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with partition_fixture(path) as partition:
        partition.open_hotel({"DBL": 3})
        while partition.host.save_snapshots(after_events=1):
            pass
    with closing(sqlite3.connect(path)) as db, db:
        rows = db.execute(f"SELECT {COLUMNS} FROM events ORDER BY position").fetchall()
        last = GENESIS
        for row in rows:
            row = (*row[:4], "innkeeper.room.added.v9" if row[0] == 2 else row[4], *row[5:])
            last = link(last, row)
            db.execute("UPDATE events SET type = ?, hash = ? WHERE position = ?", (row[4], last, row[0]))
        db.execute("UPDATE writer SET hash = ?", (last,))
        db.execute("UPDATE snapshot_set SET hash = ?", (last,))
        (place,) = db.execute("SELECT hotel, sequence, position, state_hash FROM snapshots").fetchall()
        checksum = digest((*place[:3], last, place[3]))
        db.execute("UPDATE snapshots SET hash = ?, checksum = ?, state = x'00'", (last, checksum))
        db.execute("UPDATE snapshot_set SET sum = ?", (checksum,))

    async def run() -> None:
        partition = await opened(path, NOON, [])
        try:
            async with asyncio.timeout(60):
                await partition.ended()
        finally:
            await partition.stop()

    with pytest.raises(JournalTooNew, match="newer Innkeeper"):
        asyncio.run(run())


def test_hotels_are_loaded_beside_the_event_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So health checks and other requests go on meanwhile."""
    threads: list[int] = []

    def noted(journal: SqliteJournal, hotel: str, *more: object) -> object:
        threads.append(get_ident())
        return rebuild(journal, hotel, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(host_module, "rebuild", noted)

    async def run() -> None:
        partition = await opened(path, NOON, [])
        await until(lambda: len(threads) == len(HOTELS))
        assert get_ident() not in threads
        await partition.stop()

    asyncio.run(run())
