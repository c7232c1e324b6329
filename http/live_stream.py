"""The live stream: every event goes out to whoever listens as soon as it is on disk (server-sent events, WHATWG HTML).

The newest events stand in a ring, each rendered once however many listen. A listener is nothing but a position in the
log: inside the ring it is served from there, behind it from the journal. So whoever was away resumes without a gap or a
double, and one that reads slowly costs no memory; after a while it is cut off, and may resume.

Listeners wake in rounds, only those whose hotel has news, and the more there are the longer is the pause between two
rounds: they never take more than a part of the gateway's time from bookings.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from random import randint

import msgspec
from aiohttp import web
from innkeeper.http.rendering import event
from innkeeper.protocol import limits, wire
from innkeeper.protocol.asking import Desk
from innkeeper.protocol.record import Recorded
from innkeeper.protocol.refusals import Refused, Unavailable
from innkeeper.protocol.views import Views

_RING_EVENTS = 4_096
_PORTION_EVENTS = 200
_ROUND_SECONDS = 0.01
_ROUND_SECONDS_PER_LISTENER = 0.0001
_LISTENERS_AT_ONCE = 100
_RETRY_MILLISECONDS = (1_000, 4_000)  # anywhere between, so that not all come back at the same moment
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

_encode = msgspec.json.Encoder().encode


class Told:
    """An event at its position in the log, rendered when first asked for."""

    __slots__ = ("_message", "position", "record")

    def __init__(self, position: int, record: Recorded) -> None:
        self.position = position
        self.record = record
        self._message: bytes | None = None

    @property
    def message(self) -> bytes:
        """The event as a message of the stream."""
        if self._message is None:
            self._message = b"id: %d\ndata: %b\n\n" % (self.position, _encode(event(self.position, self.record)))
        return self._message


class Wish(msgspec.Struct, frozen=True):
    """What a listener wants to hear: of one hotel or all, of some types (`…*` for all that begin so) or all."""

    hotel: str | None = None
    types: tuple[str, ...] = ()

    def grants(self, record: Recorded) -> bool:
        """Is this event wished for?"""
        if self.hotel is not None and record.hotel != self.hotel:
            return False
        return not self.types or wire.is_of_types(wire.event_type(record.event), self.types)


class LiveStream:
    """All who listen. Everything here runs in the event loop's thread."""

    def __init__(self, desk: Desk, views: Views) -> None:
        self._views = views
        self._ring: deque[Told] = deque(maxlen=_RING_EVENTS)
        self._position = self._woken = desk.position
        self._waiting: dict[str | None, list[asyncio.Future[int]]] = {}
        self._news: set[str | None] = set()
        self._round_planned = self._closing = False
        self.listeners = 0
        desk.hear(self.hear)

    def hear(self, position: int, records: Sequence[Recorded]) -> None:
        """What was committed just now, up to this position."""
        self._ring.extend(Told(place, record) for place, record in enumerate(records, position - len(records) + 1))
        self._position = position
        if self._waiting:
            self._news.update(record.hotel for record in records)
            self._plan_round()

    async def close(self, _: web.Application) -> None:
        """The gateway is ending: so does every stream; whoever listened resumes elsewhere."""
        self._closing = True
        self._news.update(self._waiting)
        self._wake(self._due())

    async def serve(self, request: web.Request, wish: Wish, after: int, headers: dict[str, str]) -> web.StreamResponse:
        """Tell this client everything that it wishes to hear behind a position, until it leaves or reads too slowly."""
        if self.listeners >= limits.listeners_max:
            raise Refused(Unavailable("too many are listening"))
        response = web.StreamResponse(headers=_HEADERS | headers)
        self.listeners += 1
        try:
            with suppress(ConnectionError):
                await response.prepare(request)
                await self._tell_all(response, wish, after)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.listeners -= 1
        return response

    async def _tell_all(self, response: web.StreamResponse, wish: Wish, after: int) -> None:
        body = b"retry: %d\nid: %d\n\n" % (randint(*_RETRY_MILLISECONDS), after)
        while not self._closing:
            if body:
                async with asyncio.timeout(limits.listener_seconds_max):
                    await response.write(body)
            portion = await self._portion(after)
            if portion:
                after = portion[-1].position
                body = b"".join([told.message for told in portion if wish.grants(told.record)])
            else:
                after, body = await self._wait(wish.hotel, after)

    async def _portion(self, after: int) -> list[Told]:
        """The next events behind a position: from the ring, or where it no longer reaches back so far, the journal."""
        if after >= self._position:
            return []
        if self._ring and self._ring[0].position <= after + 1:
            start = after + 1 - self._ring[0].position
            return list(islice(self._ring, start, start + _PORTION_EVENTS))
        records = await asyncio.to_thread(self._views.events, self._position, after, _PORTION_EVENTS)
        return [Told(position, record) for position, record in records]

    async def _wait(self, hotel: str | None, after: int) -> tuple[int, bytes]:
        """Wait for news; from where to go on, and a heartbeat if there was none for long. A position moves on over what
        this listener had no part in: all that was told to others while it slept."""
        news: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(hotel, []).append(news)
        try:
            async with asyncio.timeout(limits.heartbeat_seconds):
                return max(after, await news), b""
        except TimeoutError:
            if news in self._waiting.get(hotel, ()):  # else its turn has come just now
                self._waiting[hotel].remove(news)
                after = max(after, self._woken)
            return after, b": still here\nid: %d\n\n" % after

    def _plan_round(self) -> None:
        if not self._round_planned:
            self._round_planned = True
            asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        due = self._due()
        pause = max(_ROUND_SECONDS, len(due) * _ROUND_SECONDS_PER_LISTENER)
        asyncio.get_running_loop().call_later(pause, self._after_round)
        self._wake(due)

    def _after_round(self) -> None:
        self._round_planned = False
        if self._news:
            self._plan_round()

    def _due(self) -> list[tuple[asyncio.Future[int], int]]:
        """Whoever waits for what is new, each with the position up to which nothing was for it."""
        since, self._woken = self._woken, self._position
        due = [(news, since) for hotel in (None, *self._news) for news in self._waiting.pop(hotel, ())]
        self._news.clear()
        return due

    def _wake(self, due: list[tuple[asyncio.Future[int], int]]) -> None:
        """Some at a time, so that bookings come in between."""
        for news, since in due[:_LISTENERS_AT_ONCE]:
            if not news.done():
                news.set_result(since)
        if len(due) > _LISTENERS_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._wake, due[_LISTENERS_AT_ONCE:])
