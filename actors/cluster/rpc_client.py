"""RPC clients of a part in another process, over a Unix socket of this machine.

`RpcClient` connects by itself, and reconnects when the connection is lost. Without a connection it refuses requests at
once; requests that were not answered when the connection was lost are refused too, though they may have taken effect.
So it does while the process is silent: its heartbeats are missing, until it sends anything again. A connection on which
nothing is answered for long, although there are heartbeats, is closed.
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
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.ports.views import BookingPage, BookingSearch, InvalidCursor, KnownGuest
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.values.guests import GuestDetails, GuestKey
from innkeeper.protocol.values.limits import (
    commands_waiting_max,
    rpc_answer_seconds_max,
    rpc_response_seconds_max,
    rpc_silence_seconds_max,
)

logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.02
_CHECK_SECONDS = 0.25
_FAULT_SECONDS_MAX = 2
_READ_BYTES = 1 << 18
_FRAMES_AT_ONCE = 8  # so that the server can begin while more are written


class RpcClient(asyncio.Protocol):
    """A `PublishingMessageBus` of another process, and a way to ask its services; for one event loop."""

    def __init__(self, name: str, path: Path) -> None:
        """`path` is the server's socket; `name` is the server's name in log lines and refusals."""
        self.name = name
        self.path = path
        self.position = -1
        self.losses = 0
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._listeners: list[CommitListener] = []
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        # Checks are counted, not seconds: while this process is stopped or gets no processor time, it receives nothing.
        self._silent_checks = 0
        self._unanswered_checks = 0
        self._received_at = monotonic()
        self._lost = asyncio.Event()
        self._found = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connects, and keeps connected until `stop`."""
        self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        """Closes the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._transport is not None:
            self._transport.close()

    async def connected(self) -> None:
        """Waits until the server answers."""
        await self._found.wait()

    @property
    def ready(self) -> bool:
        """See `MessageBus`."""
        return self._found.is_set()

    @property
    def waiting(self) -> int:
        """See `MessageBus`."""
        return len(self._waiting)

    @property
    def age_seconds(self) -> float:
        """See `LogEnd`."""
        return monotonic() - self._received_at

    @property
    def absence(self) -> str:
        """Why requests are refused while it is not `ready`."""
        return f"{self.name} {'is not running' if self._transport is None else 'does not answer'}"

    async def ask(self, envelope: Envelope) -> Result:
        """See `MessageBus`."""
        try:
            return frames.result_of(await self._ask(frames.ASK, *frames.envelope_fields(envelope)))
        except Refused as refused:
            return Result(refused.refusal)

    async def fault(self) -> str:
        """See `MessageBus`."""
        with suppress(TimeoutError, Refused):
            async with asyncio.timeout(_FAULT_SECONDS_MAX):
                return str(await self._ask(frames.FAULT))
        return f"{self.name} does not answer"

    async def clock_doubt(self) -> str:
        """See `MessageBus`. Empty where the partition does not answer, which `fault` says."""
        with suppress(TimeoutError, Refused):
            async with asyncio.timeout(_FAULT_SECONDS_MAX):
                return str(await self._ask(frames.CLOCK_DOUBT))
        return ""

    async def is_erasing(self, hotel: str) -> bool:
        """See `MessageBus`. It may be where the partition does not answer."""
        with suppress(TimeoutError, Refused):
            async with asyncio.timeout(_FAULT_SECONDS_MAX):
                return bool(await self._ask(frames.IS_ERASING, hotel))
        return True

    async def positions(self, hotel: str | None = None) -> Positions:
        """See `MessageBus`."""
        positions: Positions = await self._ask(frames.POSITIONS, hotel)
        return positions

    async def ask_service(self, message: ServiceMessage) -> Reply:
        """Sends a message to the service behind this connection and returns its reply. Raises `Refused`."""
        reply = frames.message_of(await self._ask(frames.ASK_SERVICE, *frames.message_body(message)))
        assert isinstance(reply, Reply)
        return reply

    async def ask_service_once(self, message: ServiceMessage, key: str) -> Result:
        """Sends a message with an idempotency key to the service behind this connection; see `Services`."""
        try:
            response, replayed = await self._ask(frames.ASK_SERVICE_ONCE, key, *frames.message_body(message))
        except Refused as refused:
            return Result(refused.refusal)
        return Result(frames.response_of(response), replayed)

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`."""
        self._listeners.append(listener)

    async def _ask(self, verb: str, *fields: Any) -> Any:
        if not self.ready:
            raise Refused(Unavailable(self.absence))
        if len(self._waiting) >= commands_waiting_max:
            raise Refused(Unavailable("too many commands are waiting"))
        number = next(self._numbers)
        self._send(frames.pack(number, verb, *fields))
        response = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            kind, body = await response
        finally:
            self._waiting.pop(number, None)
        return _checked(kind, body)

    def _send(self, frame: bytes) -> None:
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(frame)
        if len(self._unsent) >= _FRAMES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is not None and data:
            self._transport.write(data)

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            with suppress(OSError):
                transport, _ = await loop.create_unix_connection(lambda: self, str(self.path))
                while not self._lost.is_set():
                    await self._watch(transport)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _watch(self, transport: asyncio.Transport) -> None:
        """Waits a moment for the end of the connection. Refuses the waiting requests where the server is silent for too
        long, and aborts the connection where it answers nothing for too long."""
        self._silent_checks += 1
        self._unanswered_checks = self._unanswered_checks + 1 if self._waiting or not self.ready else 0
        if self.ready and self._silent_checks * _CHECK_SECONDS > rpc_silence_seconds_max:
            logger.error("%s does not answer; requests to it are refused", self.name)
            self._found.clear()
            self._refuse_waiting(f"{self.name} does not answer")
        if self._unanswered_checks * _CHECK_SECONDS > rpc_answer_seconds_max:
            transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio`."""
        self._frames = frames.frame_decoder()
        self._silent_checks = self._unanswered_checks = 0
        self._transport = cast(asyncio.Transport, transport)
        self._send(frames.pack(next(self._numbers), frames.SUBSCRIBE))

    def connection_lost(self, _: Exception | None) -> None:
        """See `asyncio`."""
        self._transport = None
        self.losses += 1
        self._found.clear()
        self._unsent.clear()
        self._refuse_waiting(f"{self.name} ended before it answered")
        self._lost.set()

    def _refuse_waiting(self, reason: str) -> None:
        refused = frames.REFUSED, wire.encode(Unavailable(reason, unknown=True))
        for response in self._waiting.values():
            if not response.done():
                response.set_result(refused)

    def data_received(self, data: bytes) -> None:
        """See `asyncio`."""
        self._silent_checks = 0
        self._received_at = monotonic()
        self._frames.feed(data)
        for number, kind, body in self._frames:
            if number == frames.COMMITS:
                self._publish(kind, body)
                continue
            self._unanswered_checks = 0
            if (response := self._waiting.get(number)) is not None and not response.done():
                response.set_result((kind, body))

    def _publish(self, position: int, body: Sequence[bytes]) -> None:
        if not self.ready:
            self._found.set()
        elif not body and position == self.position:
            return  # a heartbeat
        self.position = position
        records = frames.LazyRecords(body)
        for listener in self._listeners:
            try:
                listener(position, records)
            except wire.UnknownMessageType:  # written by a newer version; the log holds it for a later read
                listener(position, ())


class BlockingRpcClient:
    """An RPC client that blocks the calling thread, with one connection for each waiting thread."""

    def __init__(self, client: RpcClient) -> None:
        self._client = client
        self._idle: deque[socket.socket] = deque()

    def close(self) -> None:
        """Closes all idle connections."""
        with suppress(IndexError):  # another thread may take the last one
            while self._idle:
                self._idle.pop().close()

    def ask(self, verb: str, *fields: Any) -> Any:
        """Returns the body of the response. Raises `Refused`."""
        if not self._client.ready:
            raise Refused(Unavailable(self._client.absence))
        request = frames.pack(1, verb, *fields)
        while self._idle:
            try:
                return _checked(*self._exchange(self._idle.pop(), request))
            except TimeoutError as error:  # the other connections would time out too
                self.close()
                raise Refused(Unavailable(f"{self._client.name} does not answer")) from error
            except (OSError, IndexError):
                continue  # the server was restarted since
        try:
            return _checked(*self._exchange(socket.socket(socket.AF_UNIX), request, fresh=True))
        except OSError as error:
            raise Refused(Unavailable(f"{self._client.name} does not answer")) from error

    def _exchange(self, connection: socket.socket, request: bytes, fresh: bool = False) -> tuple[int, Any]:
        try:
            if fresh:
                connection.settimeout(_CHECK_SECONDS)
                connection.connect(str(self._client.path))
            connection.sendall(request)
            _, kind, body = self._next_frame(connection)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return kind, body

    def _next_frame(self, connection: socket.socket) -> Any:
        unpacker = frames.frame_decoder()
        until = monotonic() + rpc_response_seconds_max
        while True:
            try:
                data = connection.recv(_READ_BYTES)
            except TimeoutError:
                if not self._client.ready or monotonic() > until:
                    raise
                continue
            if not data:
                raise ConnectionError
            unpacker.feed(data)
            for frame in unpacker:
                return frame


class RemoteEventLog:
    """An `EventLog` of another process. Raises `Refused` while that does not answer."""

    def __init__(self, client: RpcClient) -> None:
        self._client = client
        self._reading = BlockingRpcClient(client)
        self.close = self._reading.close

    @property
    def position(self) -> int:
        """See `EventLog`."""
        return self._client.position

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        return frames.entries_of(self._reading.ask(frames.READ, after, limit, hotel, after_hotel_seq))

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `EventLog`."""
        return frames.guests_of(self._reading.ask(frames.GUESTS, keys))

    def hash_at(self, position: int) -> bytes | None:
        """See `EventLog`."""
        found: bytes | None = self._reading.ask(frames.HASH, position)
        return found


class RemoteViews:
    """The `Views` of another process."""

    def __init__(self, client: RpcClient) -> None:
        self._reading = BlockingRpcClient(client)
        self.close = self._reading.close

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `Views`."""
        found: tuple[list[Hotel], str | None] = self._query("hotels", positions, limit, cursor)
        return found

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> BookingPage:
        """See `Views`."""
        found: BookingPage = self._query("bookings", positions, search, limit, cursor)
        return found

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `Views`."""
        found: Booking | None = self._query("booking", positions, hotel, booking)
        return found

    def guest(self, positions: Positions, hotel: str, guest: str) -> KnownGuest:
        """See `Views`."""
        found: KnownGuest = self._query("guest", positions, hotel, guest)
        return found

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `Views`."""
        found: list[LogEntry] = self._query("history", positions, hotel, booking)
        return found

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `Views`."""
        found: tuple[Hotel, list[Booking]] | None = self._query("chart", positions, hotel, start, end)
        return found

    def _query(self, name: str, *request: Any) -> Any:
        return frames.view_result_of(name, self._reading.ask(frames.VIEW, *frames.view_fields(name, request)))


def _checked(kind: int, body: Any) -> Any:
    if kind == frames.REFUSED:
        raise Refused(frames.refusal_of(body))
    if kind == frames.BAD_CURSOR:
        raise InvalidCursor
    return body
