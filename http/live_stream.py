"""The live stream: every event goes out to whoever listens as soon as it is on disk (server-sent events, WHATWG HTML).

The newest events of each log stand in a ring, each rendered once however many listen. A listener is nothing but a
position in each log: inside the ring it is served from there, behind it from the journal. So whoever was away resumes
without a gap or a double, and one that reads slowly costs no memory; after a while it is cut off, and may resume.

Listeners wake in rounds, only those whose hotel has news, and the more there are the longer is the pause between two
rounds: they never take more than a part of the gateway's time from bookings.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from random import randint

import msgspec
from aiohttp import web
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.message_bus import CommitStream
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values import limits

_RING_EVENTS = 4_096
_PORTION_EVENTS = 200
_ROUND_SECONDS = 0.01
_ROUND_SECONDS_PER_LISTENER = 0.0001
_LISTENERS_AT_ONCE = 100
_RETRY_MILLISECONDS = (1_000, 4_000)  # anywhere between, so that not all come back at the same moment
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


LogPositions = tuple[int, ...]
"""One in each log, in the order of the stream's logs."""


class RenderedEvent:
    """An event at its position in its log, one of those that were told together; it is looked at and rendered when
    first asked for."""

    __slots__ = ("_data", "_place", "_records", "position")

    def __init__(self, position: int, records: Sequence[RecordedEvent], place: int) -> None:
        self.position = position
        self._records = records
        self._place = place
        self._data: bytes | None = None

    @property
    def record(self) -> RecordedEvent:
        """The event."""
        return self._records[self._place]

    @property
    def data(self) -> bytes:
        """The event as the data of a message."""
        if self._data is None:
            self._data = b"data: %b\n\n" % cloud_event_json((self.position, self.record))
        return self._data


class RecentRenderedEvents:
    """The newest events of one log, and the way to the older ones."""

    def __init__(self, log: EventLog, position: int) -> None:
        self.position = position
        self._log = log
        self._ring: deque[RenderedEvent] = deque(maxlen=_RING_EVENTS)

    def subscribe(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """What was committed just now, up to this position."""
        if position - len(records) != self.position:  # what is between stands in the log
            self._ring.clear()
        first = position - len(records) + 1
        self._ring.extend(RenderedEvent(first + place, records, place) for place in range(len(records)))
        self.position = position

    async def batch(self, after: int) -> list[RenderedEvent]:
        """The next events behind a position: from the ring, or where it no longer reaches back so far, the journal."""
        if after >= self.position:
            return []
        if self._ring and self._ring[0].position <= after + 1:
            start = after + 1 - self._ring[0].position
            return list(islice(self._ring, start, start + _PORTION_EVENTS))
        entries = await asyncio.to_thread(self._log.read, after, _PORTION_EVENTS)
        return [RenderedEvent(position, (record,), 0) for position, record in entries]


class Wish(msgspec.Struct, frozen=True):
    """What a listener wants to hear: of one hotel or all, of some types (`…*` for all that begin so) or all."""

    hotel: str | None = None
    types: tuple[str, ...] = ()

    def grants(self, record: RecordedEvent) -> bool:
        """Is this event wished for?"""
        if self.hotel is not None and record.hotel != self.hotel:
            return False
        return not self.types or wire.is_of_types(wire.event_type(record.event), self.types)


class LiveStream:
    """All who listen. Everything here runs in the event loop's thread."""

    def __init__(self, sources: Mapping[str, CommitStream], logs: Mapping[str, EventLog]) -> None:
        """Each log is heard at the source of the same name."""
        self._logs = [*logs]
        self._rings = [RecentRenderedEvents(log, sources[name].position) for name, log in logs.items()]
        self._woken = self.positions
        self._waiting: dict[str | None, dict[tuple[str, ...], list[asyncio.Future[LogPositions]]]] = {}
        self._news: dict[str | None, set[str]] = {}
        self._round_planned = self._closing = self._missed = False
        self.listeners = 0
        for name, ring in zip(logs, self._rings, strict=True):
            sources[name].subscribe(partial(self._hear, ring))

    @property
    def ends(self) -> dict[str, int]:
        """Where each log ends; -1 where that is not known."""
        return dict(zip(self._logs, self.positions, strict=True))

    @property
    def positions(self) -> LogPositions:
        """Where the logs end."""
        return tuple(ring.position for ring in self._rings)

    def _hear(self, ring: RecentRenderedEvents, position: int, records: Sequence[RecordedEvent]) -> None:
        if position - len(records) != ring.position:  # who knows for whom that was, which stands in the log only
            self._missed = True
        ring.subscribe(position, records)
        if self._waiting:
            for record in records:
                self._news.setdefault(record.hotel, set()).add(wire.event_type(record.event))
            self._plan_round()

    async def close(self, _: web.Application) -> None:
        """The gateway is ending: so does every stream; whoever listened resumes elsewhere."""
        self._closing = True
        self._wake([(news, self.positions) for wishes in self._waiting.values() for n in wishes.values() for news in n])

    async def serve(
        self, request: web.Request, wish: Wish, after: LogPositions, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Tell this client all that it wishes to hear behind these positions, until it leaves or reads too slowly."""
        if self.listeners >= limits.listeners_max:
            raise Refused(Unavailable("too many are listening"))
        if min(self.positions) < 0:
            raise Refused(Unavailable("not all logs can be heard yet"))
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

    async def _tell_all(self, response: web.StreamResponse, wish: Wish, after: LogPositions) -> None:
        body = b"retry: %d\nid: %b\n\n" % (randint(*_RETRY_MILLISECONDS), _id(after))
        now = asyncio.get_running_loop().time
        told_at = now()
        turn = 0
        while not self._closing:
            if not body and now() - told_at > limits.heartbeat_seconds:  # much happened, and none of it was wished for
                body = _heartbeat(after)
            if body:
                told_at = now()
                async with asyncio.timeout(limits.listener_seconds_max):
                    await response.write(body)
            batch, turn = await self._portion(after, turn)
            if batch:
                body, after = _messages(batch, wish, after, turn)
            else:
                after, body = await self._wait(wish, after)

    async def _portion(self, after: LogPositions, turn: int) -> tuple[list[RenderedEvent], int]:
        """The next events behind these positions, and of which log they are; the logs take turns."""
        for _ in self._rings:
            turn = (turn + 1) % len(self._rings)
            batch = await self._rings[turn].batch(after[turn])
            if batch:
                return batch, turn
        return [], turn

    async def _wait(self, wish: Wish, after: LogPositions) -> tuple[LogPositions, bytes]:
        """Wait for news; from where to go on, and a heartbeat if there was none for long. A position moves on over what
        this listener had no part in: all that was told to others while it slept."""
        news: asyncio.Future[LogPositions] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(wish.hotel, {}).setdefault(wish.types, []).append(news)
        try:
            async with asyncio.timeout(limits.heartbeat_seconds):
                return _furthest(after, await news), b""
        except TimeoutError:
            waiting = self._waiting.get(wish.hotel, {}).get(wish.types, [])
            if news in waiting:  # else its turn has come just now
                waiting.remove(news)
                after = _furthest(after, self._woken)
            if not waiting:
                self._forget(wish.hotel, wish.types)
            return after, _heartbeat(after)

    def _forget(self, hotel: str | None, types: tuple[str, ...]) -> list[asyncio.Future[LogPositions]]:
        """Nobody waits for this any more; who did."""
        wishes = self._waiting.get(hotel, {})
        waited = wishes.pop(types, [])
        if not wishes:
            self._waiting.pop(hotel, None)
        return waited

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

    def _due(self) -> list[tuple[asyncio.Future[LogPositions], LogPositions]]:
        """Whoever waits for what is new, each with the positions up to which nothing was for it."""
        since, self._woken = self._woken, self.positions
        happened, self._news = self._news, {}
        if self._missed:
            self._missed = False
            everybody = [(hotel, types) for hotel, wishes in self._waiting.items() for types in wishes]
            return [(news, since) for hotel, types in everybody for news in self._forget(hotel, types)]
        happened[None] = set().union(*happened.values())
        granted = [
            (hotel, types)
            for hotel, type_names in happened.items()
            for types in self._waiting.get(hotel, ())
            if not types or any(wire.is_of_types(type_name, types) for type_name in type_names)
        ]
        return [(news, since) for hotel, types in granted for news in self._forget(hotel, types)]

    def _wake(self, due: list[tuple[asyncio.Future[LogPositions], LogPositions]]) -> None:
        """Some at a time, so that bookings come in between."""
        for news, since in due[:_LISTENERS_AT_ONCE]:
            if not news.done():
                news.set_result(since)
        if len(due) > _LISTENERS_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._wake, due[_LISTENERS_AT_ONCE:])


def _messages(batch: list[RenderedEvent], wish: Wish, after: LogPositions, log: int) -> tuple[bytes, LogPositions]:
    """Those of these events of a log that are wished for, as messages, and the positions behind all of them."""
    before, behind = after[:log], after[log + 1 :]
    body = b"".join(
        [
            b"id: %b\n%b" % (_id((*before, told.position, *behind)), told.data)
            for told in batch
            if wish.grants(told.record)
        ]
    )
    return body, (*before, batch[-1].position, *behind)


def _furthest(one: LogPositions, other: LogPositions) -> LogPositions:
    return tuple(map(max, one, other))


def _id(after: LogPositions) -> bytes:
    """The positions as a client sends them back: `1234.56`."""
    return ".".join(map(str, after)).encode()


def _heartbeat(after: LogPositions) -> bytes:
    """A sign of life, from which a browser learns where it would go on."""
    return b": still here\nid: %b\n\n" % _id(after)
