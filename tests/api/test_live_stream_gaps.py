"""Whoever listens misses nothing of what its gateway was not told itself, and finds it in the log."""

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

PATIENCE_SECONDS = 60


class Told:
    """A log, and the source that tells of it, or only how far it has come."""

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

    def commit(self, hotel: str, tells: bool = True) -> None:
        event = BookingPinned("b-1", "101")
        record = RecordedEvent(hotel, self.position + 1, 86_400_000_000, "ann", "", "", event)
        self.entries.append((self.position + 1, record))
        self.tell((record,) if tells else ())

    def tell(self, records: Sequence[RecordedEvent]) -> None:
        for listener in self._listeners:
            listener(self.position, records)


@pytest.mark.parametrize("wish", [EventFilter(), EventFilter("north"), EventFilter(types=("innkeeper.booking.*",))])
def test_what_was_told_by_its_position_alone_is_read_from_the_log(wish: EventFilter) -> None:
    async def listen() -> list[int]:
        log = Told()
        stream = LiveStream({"reservations": log}, {"reservations": log})

        async def serve(request: web.Request) -> web.StreamResponse:
            return await stream.serve(request, wish, (0,), {})

        app = web.Application()
        app.router.add_get("/", serve)
        app.on_shutdown.append(stream.close)
        heard: list[int] = []
        async with (
            TestServer(app) as server,
            ClientSession() as session,
            session.get(server.make_url("/")) as response,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            for tells in (True, False, False, True):
                log.commit("north", tells)
                await asyncio.sleep(0.1)
            log.commit("north")
            while len(heard) < 5:
                line = await response.content.readline()
                if line.startswith(b"data: "):
                    heard.append(int(json.loads(line[6:])["sequence"]))
        return heard

    assert asyncio.run(listen()) == [1, 2, 3, 4, 5]
