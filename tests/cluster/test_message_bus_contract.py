"""What every message bus does, near or far: a result says what is on disk, and one key has one reply."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from innkeeper.actors.cluster.partition_router import PartitionRouter
from innkeeper.actors.cluster.rpc_client import RpcClient
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.actors.partition.clock import ClockWatch
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import IdempotencyKeyReused, NotFound, StaleVersion, Unavailable
from innkeeper.protocol.ports.journal import JournalUnavailable
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import BookRoom, CancelBooking, OpenHotel
from innkeeper.protocol.reservations.queries import FindBooking
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.values.contexts import RESERVATIONS, log_of, reservations_logs
from innkeeper.storage.memory.journal import MemoryJournal
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, HOTEL_TYPE, NOON, hotel_request, request
from support.storages import sqlite_storage

SECONDS_MAX = 30
OpenBus = Callable[[Storage, Path], AbstractAsyncContextManager[MessageBus]]


def partition(storage: Storage, log: str = RESERVATIONS) -> Partition:
    """A partition that is not started."""
    ids = (f"{log}-{number}" for number in count())
    return Partition(lambda: Host(storage.journal(log), lambda: NOON, lambda: next(ids), HOTEL_TYPE), lambda: NOON, log)


@asynccontextmanager
async def local(storage: Storage, _: Path) -> AsyncIterator[Partition]:
    """A partition in this event loop."""
    bus = partition(storage)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@asynccontextmanager
async def remote(storage: Storage, folder: Path) -> AsyncIterator[RpcClient]:
    """A partition behind an RPC server, and its client."""
    async with local(storage, folder) as bus:
        server = RpcServer(folder / "bus.sock", ServedPorts(bus, bus))
        await server.open()
        client = RpcClient(RESERVATIONS, folder / "bus.sock")
        client.start()
        try:
            await client.connected()
            yield client
        finally:
            await client.stop()
            await server.close()


@asynccontextmanager
async def routed(storage: Storage, _: Path) -> AsyncIterator[PartitionRouter]:
    """Three partitions behind a router."""
    partitions = {log: partition(storage, log) for log in reservations_logs(3)}
    for one in partitions.values():
        await one.start()
    try:
        yield PartitionRouter(partitions)
    finally:
        for one in partitions.values():
            await one.stop()


PUBLISHING: Sequence[OpenBus] = (local, remote)


@pytest.fixture(params=[*PUBLISHING, routed], ids=lambda bus: bus.__name__)
def run(request: pytest.FixtureRequest, storage: Storage, tmp_path: Path) -> Callable[..., None]:
    """Runs a check with each bus on each storage."""
    return lambda check: run_with(request.param, storage, tmp_path, check)


def run_with(open_bus: OpenBus, storage: Storage, folder: Path, check: Callable[[MessageBus], Awaitable[None]]) -> None:
    """Run a check with a bus on which one hotel is open."""

    async def run() -> None:
        async with asyncio.timeout(SECONDS_MAX), open_bus(storage, folder) as bus:
            await bus.ask(Envelope(OpenHotel(HOTEL, hotel_request({"DBL": 2}))))
            await check(bus)

    asyncio.run(run())


async def book(bus: MessageBus, arrival: int = 1, **more: str) -> Booking:
    """Book, and expect success."""
    result = await bus.ask(Envelope(BookRoom(HOTEL, request(arrival)), **more))
    assert isinstance(result.response, BookingReply)
    return result.response.booking


def test_a_result_says_what_is_on_disk(run: Callable[..., None], storage: Storage) -> None:
    async def check(bus: MessageBus) -> None:
        assert (bus.ready, bus.waiting) == (True, 0)
        booking = await book(bus, correlation="request", by="ann")
        log = log_of(RESERVATIONS, HOTEL, len(await bus.positions()))
        positions = await bus.positions(HOTEL)
        with storage.event_log(log) as events:
            entries = events.read(0, 100)
        assert positions == {log: entries[-1][0]}
        record = entries[-1][1]
        assert (record.event.booking, record.correlation, record.by) == (booking.id, "request", "ann")  # type: ignore[attr-defined]
        found = await bus.ask(Envelope(FindBooking(HOTEL, booking.id)))
        assert found.response == BookingReply(booking)

    run(check)


def test_a_bus_says_why_it_cannot_carry_out_commands(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise JournalUnavailable("journal.db cannot be written now (disk is full)", "disk is full")

    async def check(bus: MessageBus) -> None:
        assert await bus.fault() == ""
        booking = await book(bus)
        with monkeypatch.context() as full_disk:
            for journal in (SqliteJournal, MemoryJournal):
                full_disk.setattr(journal, "write", fail)
            refused = await bus.ask(Envelope(BookRoom(HOTEL, request(2))))
            assert refused.response == Unavailable("the journal could not be written (disk is full)")
            assert bus.ready
            found = await bus.ask(Envelope(FindBooking(HOTEL, booking.id)))
            assert found.response == BookingReply(booking)
            if not isinstance(bus, PartitionRouter):  # one of its partitions has no fault
                assert await bus.fault() == "the journal could not be written (disk is full)"
        await book(bus)
        assert await bus.fault() == ""

    run(check)


def test_a_bus_says_why_night_audits_wait(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(bus: MessageBus) -> None:
        assert await bus.clock_doubt() == ""
        monkeypatch.setattr(ClockWatch, "doubt", "the server's clock jumped")
        assert await bus.clock_doubt() == "the server's clock jumped"

    run(check)


def test_a_bus_says_whether_something_is_left_of_forgotten_guests(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_erasing(_: Partition, hotel: str) -> bool:
        return hotel == HOTEL

    async def check(bus: MessageBus) -> None:
        for _ in range(SECONDS_MAX):
            if not await bus.is_erasing(HOTEL):
                break
            await asyncio.sleep(1)  # it is since the start: the process before may have died too early
        assert not await bus.is_erasing(HOTEL)
        monkeypatch.setattr(Partition, "is_erasing", is_erasing)
        assert await bus.is_erasing(HOTEL)

    run(check)


def test_a_refusal_is_a_result(run: Callable[..., None]) -> None:
    async def check(bus: MessageBus) -> None:
        result = await bus.ask(Envelope(FindBooking(HOTEL, "unknown")))
        assert (type(result.response), result.replayed) == (NotFound, False)
        before = await bus.positions()
        booking = await book(bus)
        stale = await bus.ask(Envelope(CancelBooking(HOTEL, booking.id), if_version=booking.version + 1))
        assert stale.response == StaleVersion(booking.version)
        assert sum((await bus.positions()).values()) > sum(before.values())

    run(check)


def test_a_key_has_one_reply(run: Callable[..., None]) -> None:
    async def check(bus: MessageBus) -> None:
        envelope = Envelope(BookRoom(HOTEL, request(1)), "key")
        first, again = await bus.ask(envelope), await bus.ask(envelope)
        assert (first.replayed, again.replayed) == (False, True)
        assert again.response == first.response
        other = await bus.ask(Envelope(BookRoom(HOTEL, request(2)), "key"))
        assert isinstance(other.response, IdempotencyKeyReused)

    run(check)


def test_commands_are_carried_out_in_the_order_in_which_they_are_asked(run: Callable[..., None]) -> None:
    async def check(bus: MessageBus) -> None:
        asked = [bus.ask(Envelope(BookRoom(HOTEL, request(1, guest=f"Guest {number}")))) for number in range(10)]
        results = await asyncio.gather(*asked)
        assert [isinstance(result.response, BookingReply) for result in results] == [True] * 2 + [False] * 8

    run(check)


@pytest.mark.parametrize("open_bus", PUBLISHING, ids=lambda bus: bus.__name__)
def test_commits_are_announced_in_order(open_bus: OpenBus, tmp_path: Path) -> None:
    async def check(bus: MessageBus) -> None:
        assert isinstance(bus, Partition | RpcClient)
        announced: list[tuple[int, RecordedEvent]] = []
        bus.subscribe(lambda end, records: announced.extend(enumerate(records, end - len(records) + 1)))
        bookings = [await book(bus, arrival) for arrival in range(1, 6)]
        while len(announced) < 5:  # noqa: ASYNC110 (the client announces)
            await asyncio.sleep(0.005)
        assert [record.event.booking for _, record in announced] == [one.id for one in bookings]  # type: ignore[attr-defined]
        positions = [position for position, _ in announced]
        assert positions == [*range(positions[0], positions[0] + 5)]
        assert bus.position == positions[-1]

    run_with(open_bus, sqlite_storage(tmp_path), tmp_path, check)
