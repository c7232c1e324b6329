"""A log in another process is followed like one of this process; a subscriber that has seen more of it stalls."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from innkeeper.actors.cluster.remote_part import RemotePart
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.actors.subscriptions.recent_events import following
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import JournalRolledBack
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Effects, SubscriptionRequest, no_effects
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.service_store import MemoryServiceStore
from support.recording_subscriber import GrowingLog

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
