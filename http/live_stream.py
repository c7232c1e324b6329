"""The live stream: sends each event to its listeners as soon as it is on disk (server-sent events, WHATWG HTML).

The newest events of each log are in memory, and each is rendered once for all listeners. A listener is only a position
in each log: it is served from memory, and further back from the journal. A listener therefore resumes without gaps or
duplicates, and a slow one costs no memory; after a while it is disconnected, and may resume.

Listeners are woken in rounds, only those with matching events. The pause between two rounds grows with their number, so
that they never take more than a part of the gateway's time from bookings.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import randint

import msgspec
from aiohttp import web
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.codec.public_events import public_entry
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.message_bus import CommitStream
from innkeeper.protocol.ports.subscriptions import RecentLog
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

logger = logging.getLogger(__name__)

_BATCH_EVENTS = 200
_ROUND_SECONDS = 0.01
_ROUND_SECONDS_PER_LISTENER = 0.0001
_LISTENERS_AT_ONCE = 100
_RETRY_MILLISECONDS = (1_000, 4_000)  # random within these, so that clients do not reconnect all at once
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_logged = RepeatedMessages()


LogPositions = tuple[int, ...]
"""A position in each log, in the order of the stream's logs."""


class RenderedLog:
    """One log as the listeners get it: each of its newest events is rendered once for all of them."""

    def __init__(self, log: RecentLog, position: int) -> None:
        """`position` is that of the last event that the listeners know of."""
        self.position = position
        self._log = log
        self._rendered: dict[int, bytes] = {}

    async def batch(self, after: int) -> list[LogEntry]:
        """The next events after a position: from memory, or from the log where the memory begins later."""
        recent = self._log.recent(after, _BATCH_EVENTS)
        return await asyncio.to_thread(self._log.read, after, _BATCH_EVENTS) if recent is None else recent

    def data(self, entry: LogEntry) -> bytes:
        """An event as the data field of a server-sent event."""
        position = entry[0]
        data = self._rendered.get(position)
        if data is None:
            data = self._rendered[position] = b"data: %b\n\n" % cloud_event_json(public_entry(entry))
            if len(self._rendered) > limits.rendered_events_max:
                del self._rendered[next(iter(self._rendered))]
        return data


class EventFilter(msgspec.Struct, frozen=True):
    """A listener's filter: one hotel or all, and some event types or all (`…*` matches a prefix)."""

    hotel: str | None = None
    types: tuple[str, ...] = ()

    def matches(self, record: RecordedEvent) -> bool:
        """Whether the filter matches this event."""
        if self.hotel is not None and record.hotel != self.hotel:
            return False
        return not self.types or wire.is_of_types(wire.event_type(record.event), self.types)


class LiveStream:
    """Serves all listeners. Runs in the event loop's thread only."""

    def __init__(self, streams: Mapping[str, CommitStream], logs: Mapping[str, RecentLog]) -> None:
        """`streams` has the commit stream of each log under the log's name."""
        self._logs = logs
        self._streams = streams
        self._rendered: list[RenderedLog] = []
        self._woken: LogPositions = ()
        self._waiting: dict[str | None, dict[tuple[str, ...], list[asyncio.Future[LogPositions]]]] = {}
        self._news: dict[str | None, set[str]] = {}
        self._round_planned = self._closing = self._missed = False
        self.listeners = 0

    def _open(self) -> None:
        """Follows the logs from the first listener on: without one, the stream costs bookings nothing."""
        for name, log in self._logs.items():
            rendered = RenderedLog(log, self._streams[name].position)
            self._streams[name].subscribe(partial(self._on_commit, rendered))
            self._rendered.append(rendered)
        self._woken = self.positions

    @property
    def ends(self) -> dict[str, int]:
        """The last position of each log; -1 where it is not known."""
        return dict(zip(self._logs, self.positions, strict=True))

    @property
    def positions(self) -> LogPositions:
        """The positions of the last events that the listeners can know."""
        if self._rendered:
            return tuple(log.position for log in self._rendered)
        return tuple(self._streams[log].position for log in self._logs)

    def _on_commit(self, log: RenderedLog, position: int, records: Sequence[RecordedEvent]) -> None:
        if position - len(records) != log.position:  # the hotels and types of the events between are not known
            self._missed = True
        log.position = max(log.position, position)
        if self._waiting:
            for record in records:
                self._news.setdefault(record.hotel, set()).add(wire.event_type(record.event))
            self._plan_round()

    async def close(self, _: web.Application) -> None:
        """Ends all streams, because the gateway stops; their clients resume at another one."""
        self._closing = True
        waiting = [futures for by_types in self._waiting.values() for futures in by_types.values()]
        self._wake([(news, self.positions) for futures in waiting for news in futures])

    async def serve(
        self, request: web.Request, event_filter: EventFilter, after: LogPositions, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Sends a client all matching events after these positions, until it disconnects or reads too slowly, or a log
        cannot be read. The connection is cut off then: a stream that has begun has no room for another response, and
        the client resumes from the last id that it got."""
        if self.listeners >= limits.listeners_max:
            raise Refused(Unavailable(f"the live stream has {limits.listeners_max} listeners, which is the maximum"))
        if min(self.positions) < 0:
            raise Refused(Unavailable("the positions of some logs are not known yet"))
        if not self._rendered:
            self._open()
        response = web.StreamResponse(headers=_HEADERS | headers)
        self.listeners += 1
        try:
            with suppress(ConnectionError):
                await response.prepare(request)
                await self._send_all(response, event_filter, after)
        except Exception as error:
            if not response.prepared:
                raise
            if not isinstance(error, TimeoutError | Refused) and _logged.is_due(repr(error)):
                is_clear = isinstance(error, OperatorError)
                logger.error("the live stream cannot read its logs: %s", error, exc_info=not is_clear)
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.listeners -= 1
        return response

    async def _send_all(self, response: web.StreamResponse, event_filter: EventFilter, after: LogPositions) -> None:
        body = b"retry: %d\nid: %b\n\n" % (randint(*_RETRY_MILLISECONDS), _id(after))
        now = asyncio.get_running_loop().time
        sent_at = now()
        turn = 0
        while not self._closing:
            if not body and now() - sent_at > limits.heartbeat_seconds:  # none of many events matched
                body = _heartbeat(after)
            if body:
                sent_at = now()
                async with asyncio.timeout(limits.listener_seconds_max):
                    await response.write(body)
            ends = self.positions
            batch, turn = await self._next_batch(after, turn)
            if batch:
                body, after = self._messages(batch, event_filter, after, turn)
            elif self.positions == ends:
                after, body = await self._wait(event_filter, after)
            else:  # there were commits while a log was read: they wake only listeners that wait
                body = b""

    async def _next_batch(self, after: LogPositions, turn: int) -> tuple[list[LogEntry], int]:
        """The next events after these positions, and the index of their log. The logs take turns."""
        for _ in self._rendered:
            turn = (turn + 1) % len(self._rendered)
            batch = await self._rendered[turn].batch(after[turn])
            if batch:
                return batch, turn
        return [], turn

    def _messages(
        self, batch: list[LogEntry], event_filter: EventFilter, after: LogPositions, log: int
    ) -> tuple[bytes, LogPositions]:
        """The matching events of a batch as messages, and the positions after the whole batch."""
        earlier, later, data = after[:log], after[log + 1 :], self._rendered[log].data
        body = b"".join(
            [
                b"id: %b\n%b" % (_id((*earlier, entry[0], *later)), data(entry))
                for entry in batch
                if event_filter.matches(entry[1])
            ]
        )
        return body, (*earlier, batch[-1][0], *later)

    async def _wait(self, event_filter: EventFilter, after: LogPositions) -> tuple[LogPositions, bytes]:
        """Waits for matching events. Returns the positions to continue after, and a heartbeat where none came in time.
        The positions move past the events that did not match while the listener waited."""
        news: asyncio.Future[LogPositions] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(event_filter.hotel, {}).setdefault(event_filter.types, []).append(news)
        try:
            async with asyncio.timeout(limits.heartbeat_seconds):
                return _latest(after, await news), b""
        except TimeoutError:
            waiting = self._waiting.get(event_filter.hotel, {}).get(event_filter.types, [])
            if news in waiting:  # otherwise it was woken at the same moment
                waiting.remove(news)
                after = _latest(after, self._woken)
            if not waiting:
                self._remove(event_filter.hotel, event_filter.types)
            return after, _heartbeat(after)

    def _remove(self, hotel: str | None, types: tuple[str, ...]) -> list[asyncio.Future[LogPositions]]:
        """Removes and returns the listeners that wait with this filter."""
        by_types = self._waiting.get(hotel, {})
        waited = by_types.pop(types, [])
        if not by_types:
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
        if self._news or self._missed:
            self._plan_round()

    def _due(self) -> list[tuple[asyncio.Future[LogPositions], LogPositions]]:
        """The listeners whose filter matches new events, each with the positions up to which no event matched."""
        since, self._woken = self._woken, self.positions
        types_by_hotel, self._news = self._news, {}
        if self._missed:
            self._missed = False
            filters = [(hotel, types) for hotel, by_types in self._waiting.items() for types in by_types]
            return [(news, since) for hotel, types in filters for news in self._remove(hotel, types)]
        types_by_hotel[None] = set().union(*types_by_hotel.values())
        matching = [
            (hotel, types)
            for hotel, type_names in types_by_hotel.items()
            for types in self._waiting.get(hotel, ())
            if not types or any(wire.is_of_types(type_name, types) for type_name in type_names)
        ]
        return [(news, since) for hotel, types in matching for news in self._remove(hotel, types)]

    def _wake(self, due: list[tuple[asyncio.Future[LogPositions], LogPositions]]) -> None:
        """Wakes a limited number at a time, so that requests are handled in between."""
        for news, since in due[:_LISTENERS_AT_ONCE]:
            if not news.done():
                news.set_result(since)
        if len(due) > _LISTENERS_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._wake, due[_LISTENERS_AT_ONCE:])


def _latest(one: LogPositions, other: LogPositions) -> LogPositions:
    return tuple(map(max, one, other))


def _id(after: LogPositions) -> bytes:
    """The positions as an event id, which the client sends back to resume: `1234.56`."""
    return ".".join(map(str, after)).encode()


def _heartbeat(after: LogPositions) -> bytes:
    """A comment that keeps the connection open, with the id from which a browser would resume."""
    return b": still here\nid: %b\n\n" % _id(after)
