"""A line to a context behind another process's door: what is asked here is answered there.

It connects by itself, and again when it was lost. While nobody answers there everything is refused at once; what was
asked and not answered when the connection was lost is refused too, though it may have happened. A process that hangs
is one that does not answer: when it has been silent for too long while somebody waited, the line hangs up.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, cast

from innkeeper.protocol.codec import frames, wire
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import CommitListener, Envelope, Result
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.ports.views import BadCursor, BookingSearch, Listed
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.values.limits import commands_waiting_max, door_answer_seconds_max, door_silent_seconds_max

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.02
_LISTEN_SECONDS = 1
_LOAD_COMMANDS = 8  # events told at once
_LOAD_SECONDS = 0.1
_BYTES = 1 << 18
_FRAMES_AT_ONCE = 8  # then the other side can begin, while more is said here


class RpcClient(asyncio.Protocol):
    """A `protocol.asking.Desk` and `Source`, and who is told messages, behind a door; for one event loop."""

    def __init__(self, name: str, path: Path) -> None:
        """To the door at this path; `name` is for messages to people."""
        self.name = name
        self.path = path
        self.position = -1
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._listeners: list[CommitListener] = []
        self._said: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._silent_seconds = 0
        self._lost = asyncio.Event()
        self._found = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._load_at = -_LOAD_SECONDS

    def start(self) -> None:
        """Connect, and stay connected."""
        self._life = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        """Hang up."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait({self._life})
        if self._transport is not None:
            self._transport.close()

    async def found(self) -> None:
        """Wait until somebody answers."""
        await self._found.wait()

    @property
    def ready(self) -> bool:
        """See `protocol.asking.Desk`."""
        return self._found.is_set()

    @property
    def waiting(self) -> int:
        """See `protocol.asking.Desk`."""
        return len(self._waiting)

    def is_under_load(self) -> bool:
        """Did much happen at once just now? May be asked from any thread."""
        return monotonic() - self._load_at < _LOAD_SECONDS

    async def ask(self, asked: Envelope) -> Result:
        """See `protocol.asking.Desk`."""
        try:
            return frames.answer_of(await self._ask(frames.ASK, *frames.asked_fields(asked)))
        except Refused as refused:
            return Result(refused.refusal)

    async def positions(self, hotel: str | None = None) -> Positions:
        """See `protocol.asking.Desk`."""
        told: Positions = await self._ask(frames.POSITIONS, hotel)
        return told

    async def tell(self, message: object) -> Reply:
        """What the service there answers. Raises `Refused`."""
        reply = frames.message_of(await self._ask(frames.TELL, *frames.message_body(message)))
        assert isinstance(reply, Reply)
        return reply

    def subscribe(self, listener: CommitListener) -> None:
        """See `protocol.asking.Source`."""
        self._listeners.append(listener)

    async def _ask(self, verb: str, *fields: Any) -> Any:
        if not self.ready:
            raise Refused(Unavailable(f"{self.name} is not running"))
        if len(self._waiting) >= commands_waiting_max:
            raise Refused(Unavailable("too many commands are waiting"))
        number = next(self._numbers)
        self._say(frames.pack(number, verb, *fields))
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            kind, body = await answered
        finally:
            self._waiting.pop(number, None)
        return _told(kind, body)

    def _say(self, frame: bytes) -> None:
        if not self._said:
            asyncio.get_running_loop().call_soon(self._flush)
        self._said.append(frame)
        if len(self._said) >= _FRAMES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        said, self._said = b"".join(self._said), []
        if self._transport is not None and said:
            self._transport.write(said)

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            with suppress(OSError):
                transport, _ = await loop.create_unix_connection(lambda: self, str(self.path))
                while not self._lost.is_set():
                    await self._listen(transport)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _listen(self, transport: asyncio.Transport) -> None:
        """For a second, and hang up if the other side has been silent for too long."""
        self._silent_seconds = self._silent_seconds + 1 if self._waiting or not self.ready else 0
        if self._silent_seconds > door_silent_seconds_max:
            logger.error("%s does not answer; what it was asked is refused", self.name)
            transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_SECONDS):
                await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio`."""
        self._frames = frames.frames_of()
        self._silent_seconds = 0
        self._transport = cast(asyncio.Transport, transport)
        self._say(frames.pack(next(self._numbers), frames.HEAR))

    def connection_lost(self, _: Exception | None) -> None:
        """See `asyncio`."""
        self._transport = None
        self._found.clear()
        self._said.clear()
        lost = frames.REFUSED, wire.encode(Unavailable(f"{self.name} ended before it answered", unknown=True))
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_result(lost)
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        """See `asyncio`."""
        self._silent_seconds = 0
        self._frames.feed(data)
        for number, kind, body in self._frames:
            if number == frames.NEWS:
                self._hear(kind, body)
            elif (answered := self._waiting.get(number)) is not None and not answered.done():
                answered.set_result((kind, body))

    def _hear(self, position: int, body: Sequence[bytes]) -> None:
        self.position = position
        self._found.set()
        if len(body) >= _LOAD_COMMANDS:
            self._load_at = monotonic()
        records = frames.Records(body)
        for listener in self._listeners:
            try:
                listener(position, records)
            except wire.UnknownMessage:  # a newer one wrote it; it is read from the log by who has become newer, too
                listener(position, ())


class BlockingRpcClient:
    """A line for whoever waits in a thread, with a connection for each who does."""

    def __init__(self, line: RpcClient) -> None:
        self._line = line
        self._idle: deque[socket.socket] = deque()

    def close(self) -> None:
        """Hang up."""
        with suppress(IndexError):  # another thread may take the last one
            while self._idle:
                self._idle.pop().close()

    def ask(self, verb: str, *fields: Any) -> Any:
        """The body of the answer. Raises `Refused`."""
        question = frames.pack(1, verb, *fields)
        while self._idle:
            try:
                return _told(*self._asked(self._idle.pop(), question))
            except TimeoutError as error:  # so would all the others
                self.close()
                raise Refused(Unavailable(f"{self._line.name} does not answer")) from error
            except (OSError, IndexError):
                continue  # the other side has begun anew since
        try:
            return _told(*self._asked(socket.socket(socket.AF_UNIX), question, fresh=True))
        except OSError as error:
            raise Refused(Unavailable(f"{self._line.name} does not answer")) from error

    def _asked(self, connection: socket.socket, question: bytes, fresh: bool = False) -> tuple[int, Any]:
        try:
            if fresh:
                connection.settimeout(door_answer_seconds_max)
                connection.connect(str(self._line.path))
            connection.sendall(question)
            _, kind, body = _next_frame(connection)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return kind, body


def _next_frame(connection: socket.socket) -> Any:
    unpacker = frames.frames_of()
    while data := connection.recv(_BYTES):
        unpacker.feed(data)
        for frame in unpacker:
            return frame
    raise ConnectionError


class RemoteEventLog:
    """A `protocol.subscribing.Log` behind a door. Raises `Refused` while nobody answers there."""

    def __init__(self, line: RpcClient) -> None:
        self._line = line
        self._reading = BlockingRpcClient(line)
        self.close = self._reading.close

    @property
    def position(self) -> int:
        """See `protocol.subscribing.Log`."""
        return self._line.position

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `protocol.subscribing.Log`."""
        return frames.entries_of(self._reading.ask(frames.READ, after, limit, hotel, after_hotel_seq))


class RemoteViews:
    """A `protocol.views.Views` behind a door."""

    def __init__(self, line: RpcClient) -> None:
        self._reading = BlockingRpcClient(line)
        self.close = self._reading.close

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `protocol.views.Views`."""
        found: tuple[list[Hotel], str | None] = self._see("hotels", positions, limit, cursor)
        return found

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> Listed:
        """See `protocol.views.Views`."""
        found: Listed = self._see("bookings", positions, search, limit, cursor)
        return found

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `protocol.views.Views`."""
        found: Booking | None = self._see("booking", positions, hotel, booking)
        return found

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `protocol.views.Views`."""
        found: list[LogEntry] = self._see("history", positions, hotel, booking)
        return found

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `protocol.views.Views`."""
        found: tuple[Hotel, list[Booking]] | None = self._see("chart", positions, hotel, start, end)
        return found

    def _see(self, name: str, *question: Any) -> Any:
        return frames.seen_of(name, self._reading.ask(frames.VIEW, *frames.view_fields(name, question)))


def _told(kind: int, body: Any) -> Any:
    if kind == frames.REFUSED:
        raise Refused(frames.refusal_of(body))
    if kind == frames.BAD_CURSOR:
        raise BadCursor
    return body
