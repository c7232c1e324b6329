"""A live stream reads commits that are announced to it without their events from the log."""

import asyncio
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from innkeeper.http.live_stream import EventFilter, LiveStream
from innkeeper.http.metrics import Metrics
from innkeeper.http.middleware import HostPolicy, handle_requests
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.journal import JournalUnavailable
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values import limits


class AnnouncedLog:
    """An event log and its commit stream, which announces commits with or without their events."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.is_at_end = threading.Event()
        self.entries: list[LogEntry] = []
        self._listeners: list[CommitListener] = []

    @property
    def position(self) -> int:
        return len(self.entries)

    def subscribe(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        if self.failure is not None:
            raise self.failure
        found = self.entries[after : after + limit]
        if not found:
            self.is_at_end.set()
            self.may_end.wait()
        return found

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


def test_a_commit_while_the_end_of_a_log_is_read_is_not_missed() -> None:
    async def received() -> bytes:
        log = AnnouncedLog()
        stream = LiveStream({"reservations": log}, {"reservations": log})

        async def serve(request: web.Request) -> web.StreamResponse:
            return await stream.serve(request, EventFilter(), (0,), {})

        app = web.Application()
        app.router.add_get("/", serve)
        app.on_shutdown.append(stream.close)
        log.may_end.clear()
        async with TestServer(app) as server, asyncio.timeout(limits.heartbeat_seconds - 1):
            reader, writer = await _get(server, b"")
            await asyncio.to_thread(log.is_at_end.wait)
            log.commit("north")
            log.may_end.set()
            found = await reader.readuntil(b'"sequence":"000000000001"')
            writer.close()
        return found

    assert b"id: 1\n" in asyncio.run(received())


FAULTS = {
    "away": Refused(Unavailable("the partition does not answer")),
    "disk": JournalUnavailable("the disk of reservations-0.db fails", "the disk fails"),
    "program": ValueError("a mistake"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_whose_log_cannot_be_read_is_cut_off_and_resumes_from_its_last_id(fault: str) -> None:
    async def received(log: AnnouncedLog) -> tuple[bytes, bytes]:
        stream = LiveStream({"reservations": log}, {"reservations": log})

        async def serve(request: web.Request) -> web.StreamResponse:
            after = int(request.headers.get("Last-Event-ID", "0"))
            return await stream.serve(request, EventFilter(), (after,), {})

        nothing: Any = None  # is asked for when metrics are requested
        metrics = Metrics(nothing, stream, nothing, nothing)
        app = web.Application(middlewares=[handle_requests(HostPolicy(), None, metrics)])
        app.router.add_get("/", serve)
        app.on_shutdown.append(stream.close)
        log.commit("north")
        async with TestServer(app) as server, asyncio.timeout(limits.heartbeat_seconds - 1):
            reader, writer = await _get(server, b"")
            begun = await reader.readuntil(b'"sequence":"000000000001"')
            log.failure = FAULTS[fault]
            log.commit("north")
            cut_off = begun + await _until_the_end(reader)
            writer.close()
            assert stream.listeners == 0
            log.failure = None
            reader, writer = await _get(server, b"Last-Event-ID: 1\r\n")
            resumed = await reader.readuntil(b'"sequence":"000000000002"')
            writer.close()
        return cut_off, resumed

    cut_off, resumed = asyncio.run(received(AnnouncedLog()))
    assert cut_off.count(b"HTTP/1.1") == 1
    assert b"problem" not in cut_off
    assert not cut_off.endswith(b"0\r\n\r\n")  # not a stream that has ended as it should
    assert b"000000000001" not in resumed


async def _get(server: TestServer, headers: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Request the stream over a connection of its own."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + b"\r\n")
    return reader, writer


async def _until_the_end(reader: asyncio.StreamReader) -> bytes:
    """Everything that comes until the connection ends, in whatever way."""
    received = b""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(2):
            while part := await reader.read(65_536):
                received += part
            return received
    return received
