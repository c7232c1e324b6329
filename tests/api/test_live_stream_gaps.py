"""A live stream reads commits that are announced to it without their events from the log."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from innkeeper.http.live_stream import EventFilter, LiveStream
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values import limits


class AnnouncedLog:
    """An event log and its commit stream, which announces commits with or without their events."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self._listeners: list[CommitListener] = []

    @property
    def position(self) -> int:
        return len(self.entries)

    def subscribe(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        return self.entries[after : after + limit]

    def hash_at(self, position: int) -> bytes | None:
        return None

    def recent(self, after: int, limit: int) -> list[LogEntry] | None:
        return None

    def commit(self, hotel: str, with_events: bool = True) -> None:
        event = BookingPinned("b-1", "101")
        record = RecordedEvent(hotel, self.position + 1, 86_400_000_000, "ann", "", "", event)
        self.entries.append((self.position + 1, record))
        self.announce((record,) if with_events else ())

    def announce(self, records: Sequence[RecordedEvent]) -> None:
        for listener in self._listeners:
            listener(self.position, records)


@pytest.mark.parametrize(
    "event_filter", [EventFilter(), EventFilter("north"), EventFilter(types=("innkeeper.booking.*",))]
)
def test_commits_announced_by_position_alone_are_read_from_the_log(event_filter: EventFilter) -> None:
    async def received_sequences() -> list[int]:
        log = AnnouncedLog()
        stream = LiveStream({"reservations": log}, {"reservations": log})

        async def serve(request: web.Request) -> web.StreamResponse:
            return await stream.serve(request, event_filter, (0,), {})

        app = web.Application()
        app.router.add_get("/", serve)
        app.on_shutdown.append(stream.close)
        sequences: list[int] = []
        async with (
            TestServer(app) as server,
            ClientSession() as session,
            session.get(server.make_url("/")) as response,
            asyncio.timeout(limits.heartbeat_seconds - 1),
        ):
            for with_events in (True, False, False, True):
                log.commit("north", with_events)
                await asyncio.sleep(0.1)
            log.commit("north")
            await asyncio.sleep(0.004)  # in the pause after a round
            log.commit("north", with_events=False)
            while len(sequences) < 6:
                line = await response.content.readline()
                if line.startswith(b"data: "):
                    sequences.append(int(json.loads(line[6:])["sequence"]))
        return sequences

    assert asyncio.run(received_sequences()) == [1, 2, 3, 4, 5, 6]
