"""A log in another process is followed like one of this process; a subscriber that has seen more of it stalls."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from innkeeper.actors.cluster.remote_part import RemotePart
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.actors.subscriptions.recent_events import following
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.codec import frames
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import JournalRolledBack
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Effects, SubscriptionRequest, no_effects
from innkeeper.protocol.reservations.events import BookingPinned, BookingUnpinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.service_store import MemoryServiceStore
from support.recording_subscriber import GrowingLog
from support.waiting import until

PINNED = BookingPinned("b", "101")


class Commits:
    """The stream of a log that does not grow."""

    def __init__(self, log: GrowingLog) -> None:
        self.position = log.position

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`."""


async def follow(log: GrowingLog, socket: Path, database: MemoryDatabase) -> int:
    """Follow a log through RPC until there is nothing to do; the position then."""
    server = RpcServer(socket, ServedPorts(stream=Commits(log), log=log))
    await server.open()
    remote = RemotePart("reservations", socket)
    remote.start()
    await remote.client.connected()
    seen = following(remote.client, remote.log)
    request = SubscriptionRequest("clerk", EVERY_EVENT)

    def open_and_handle() -> int:
        async def handle(_: Sequence[LogEntry]) -> Effects:
            return no_effects

        async def run() -> int:
            cursor = MemoryServiceStore(database).open_cursor(request, RESERVATIONS, seen)
            subscriber = Subscriber([cursor], handle, lambda: 0)
            while await subscriber.step():
                pass
            return cursor.position

        return asyncio.run(run())

    try:
        return await asyncio.to_thread(open_and_handle)
    finally:
        await remote.stop()
        await server.close()


def test_a_subscriber_of_a_log_that_was_rolled_back_stalls_with_the_reason(tmp_path: Path) -> None:
    log, database = GrowingLog(), MemoryDatabase()
    log.append("north", PINNED)
    log.append("north", PINNED)
    assert asyncio.run(follow(log, tmp_path / "r.sock", database)) == 2
    log.append("north", PINNED)
    assert asyncio.run(follow(log, tmp_path / "r.sock", database)) == 3
    other = GrowingLog()
    for _ in range(4):
        other.append("south", PINNED)
    with pytest.raises(JournalRolledBack, match="clerk has seen event 3 of reservations, which has another event 3"):
        asyncio.run(follow(other, tmp_path / "r.sock", database))


class Clerk:
    """A subscriber of the log of another process, which can end and begin again with another log. It requests these
    types, from its own inbox if it has one."""

    def __init__(self, socket: Path, *types: str) -> None:
        self.handled: list[str] = []
        self._socket = socket
        self._types = types or EVERY_EVENT
        self._database = MemoryDatabase()

    async def open(self, log: GrowingLog) -> None:
        """Begin to follow this log."""
        await self._serve(log)
        self.remote = RemotePart("reservations", self._socket)
        self.remote.start()
        await self.remote.client.connected()
        seen = following(self.remote.client, self.remote.log)
        cursor = MemoryServiceStore(self._database).open_cursor(
            SubscriptionRequest("clerk", self._types), RESERVATIONS, seen
        )
        self.subscriber = Subscriber([cursor], self._handle, lambda: 0, ends={RESERVATIONS: self.remote.client})

    async def _serve(self, log: GrowingLog) -> None:
        self._server = RpcServer(self._socket, ServedPorts(stream=Commits(log), log=log))
        await self._server.open()

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        self.handled += [record.id for _, record in entries]
        return no_effects

    async def begin_again(self, log: GrowingLog) -> None:
        """End the other process, and begin it again with this log."""
        losses = self.remote.client.losses
        await self._server.close()
        await until(lambda: self.remote.client.losses > losses)
        await self._serve(log)
        await self.remote.client.connected()

    async def handle_all(self) -> None:
        """Handle what there is."""
        while await self.subscriber.step():
            pass

    async def close(self) -> None:
        """Close both ends."""
        await self.remote.stop()
        await self._server.close()


def log_with(*hotels: str) -> GrowingLog:
    """A log with an event of each of these hotels."""
    log = GrowingLog()
    for hotel in hotels:
        log.append(hotel, PINNED)
    return log


async def begin_again(clerk: Clerk, first: GrowingLog, second: GrowingLog) -> None:
    """Follow the first log to its end, and then the second one, with which its process begins again."""
    await clerk.open(first)
    try:
        await clerk.handle_all()
        await clerk.begin_again(second)
        await clerk.handle_all()
    finally:
        await clerk.close()


@pytest.mark.parametrize(
    ("more", "how"), [(0, "ends before it"), (1, "has another event 3"), (2, "has another event 3")]
)
def test_a_running_subscriber_stalls_where_a_part_begins_again_with_an_older_journal(
    tmp_path: Path, more: int, how: str
) -> None:
    clerk = Clerk(tmp_path / "r.sock")
    older = log_with("north", "north", *["south"] * more)
    with pytest.raises(JournalRolledBack, match=f"clerk has seen event 3 of reservations, which {how} now"):
        asyncio.run(begin_again(clerk, log_with("north", "north", "north"), older))
    assert clerk.handled == ["north:1", "north:2", "north:3"]


def test_a_subscriber_that_has_not_seen_what_is_lost_goes_on_with_what_is_there(tmp_path: Path) -> None:
    async def follow_to_the_end() -> None:
        await clerk.open(log := log_with("north", "north"))
        try:
            await clerk.handle_all()
            clerk.remote.client.data_received(frames.pack(frames.COMMITS, 3, frames.records_body([lost])))
            await clerk.begin_again(log_with("north", "north", "south"))
            await clerk.handle_all()
        finally:
            await clerk.close()
        assert log.position == 2

    clerk = Clerk(tmp_path / "r.sock")
    (_, lost) = log_with("north", "north", "north").entries[-1]
    asyncio.run(follow_to_the_end())
    assert clerk.handled == ["north:1", "north:2", "south:1"]


def test_a_running_subscriber_goes_on_where_a_part_begins_again_with_its_journal(tmp_path: Path) -> None:
    clerk = Clerk(tmp_path / "r.sock")
    asyncio.run(begin_again(clerk, log_with("north", "south"), log_with("north", "south", "south")))
    assert clerk.handled == ["north:1", "south:1", "south:2"]


def test_events_that_take_the_place_of_others_that_nobody_asked_for_are_handled(tmp_path: Path) -> None:
    async def follow_to_the_end() -> None:
        await clerk.open(log := log_with("north"))
        try:
            await clerk.handle_all()
            for position in (2, 3, 4):
                log.append("north", BookingUnpinned("b"))
                clerk.remote.client.data_received(frames.pack(frames.COMMITS, position, ()))
            await clerk.handle_all()
            await clerk.begin_again(log_with("north", "north"))
            await clerk.handle_all()
        finally:
            await clerk.close()

    clerk = Clerk(tmp_path / "r.sock", "innkeeper.booking.pinned.v1")
    asyncio.run(follow_to_the_end())
    assert clerk.handled == ["north:1", "north:2"]
