"""The RPC server of a part: offers its ports to the other processes of an installation, on a Unix socket.

Requests of one connection are handled concurrently and answered as they complete. A commit is encoded once and sent to
all connections that subscribed to commits. These also get a heartbeat each second, from the event loop that answers
requests: the position of the log, without events. Only the owner can open the socket's file.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

from innkeeper.protocol.codec import frames, wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal, Refused, Unavailable
from innkeeper.protocol.ports.journal import JournalError, unavailable_reason
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus, Services
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.ports.views import InvalidCursor, Views
from innkeeper.protocol.values.limits import rpc_backlog_bytes_max, rpc_heartbeat_seconds, shutdown_seconds_max
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

logger = logging.getLogger(__name__)


class ServedPorts(NamedTuple):
    """The ports that an RPC server offers; requests to a port that is None are refused."""

    bus: MessageBus | None = None
    stream: CommitStream | None = None
    log: EventLog | None = None
    views: Views | None = None
    services: Services | None = None


class RpcServer:
    """Listens on one Unix socket. Opened and closed in one event loop."""

    def __init__(self, path: Path, ports: ServedPorts) -> None:
        self.path = path
        self._ports = ports
        self._subscribed: set[RpcConnection] = set()
        self.closing = False
        self.logged = RepeatedMessages()
        self.connections: set[RpcConnection] = set()

    async def open(self) -> None:
        """Creates the socket and accepts connections from now on."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.parent.chmod(0o700)  # it may have existed with other permissions
        self.path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        if self._ports.stream is not None:
            self._ports.stream.subscribe(self._publish)
        self._server = await loop.create_unix_server(lambda: RpcConnection(self), self.path)
        self.path.chmod(0o600)
        self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """Accepts no more connections, answers the requests that have arrived, and closes all connections."""
        self.closing = True
        self._server.close()
        answering = {task for connection in self.connections for task in connection.pending}
        if answering:
            await asyncio.wait(answering, timeout=shutdown_seconds_max)
        self._beating.cancel()
        for connection in [*self.connections]:
            connection.end()
        self.path.unlink(missing_ok=True)

    def subscribe(self, connection: "RpcConnection") -> None:
        """Sends the connection the current position of the log, and each commit from now on."""
        self._subscribed.add(connection)
        connection.send(self._heartbeat())

    def forget(self, connection: "RpcConnection") -> None:
        """Forgets a closed connection."""
        self.connections.discard(connection)
        self._subscribed.discard(connection)

    def _heartbeat(self) -> bytes:
        source = self._ports.stream
        return frames.pack(frames.COMMITS, 0 if source is None else source.position, ())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(rpc_heartbeat_seconds)
            frame = self._heartbeat()
            for connection in [*self._subscribed]:
                connection.send(frame)

    def _publish(self, position: int, records: Sequence[RecordedEvent]) -> None:
        if self._subscribed:
            frame = frames.pack(frames.COMMITS, position, frames.records_body(records))
            for connection in [*self._subscribed]:
                connection.send(frame)

    async def answer(self, verb: str, fields: Sequence[Any]) -> Any:
        """Handles a request and returns the body of the response. Raises `Refused`."""
        ports = self._ports
        if self.closing:
            raise Refused(Unavailable("the server is stopping"))
        match verb:
            case frames.ASK if ports.bus is not None:
                return frames.result_body(await ports.bus.ask(frames.envelope_of(fields)))
            case frames.FAULT if ports.bus is not None:
                return await ports.bus.fault()
            case frames.CLOCK_DOUBT if ports.bus is not None:
                return await ports.bus.clock_doubt()
            case frames.IS_ERASING if ports.bus is not None:
                return await ports.bus.is_erasing(*fields)
            case frames.POSITIONS if ports.bus is not None:
                return await ports.bus.positions(*fields)
            case frames.ASK_SERVICE if ports.services is not None:
                return frames.message_body(await ports.services.ask(frames.message_of(fields)))
            case frames.ASK_SERVICE_ONCE if ports.services is not None:
                key, *message = fields
                result = await ports.services.ask_once(frames.message_of(message), key)
                return frames.response_body(result.response), result.replayed
            case frames.READ if ports.log is not None:
                return frames.entries_body(await asyncio.to_thread(ports.log.read, *fields))
            case frames.GUESTS if ports.log is not None:
                keys = [(guest, version) for guest, version in fields[0]]
                return frames.guests_body(await asyncio.to_thread(ports.log.guests, keys))
            case frames.HASH if ports.log is not None:
                return await asyncio.to_thread(ports.log.hash_at, *fields)
            case frames.VIEW if ports.views is not None:
                name, arguments = frames.view_of(fields)
                found = await asyncio.to_thread(getattr(ports.views, name), *arguments)
                return frames.view_result_body(name, found)
            case _:
                raise Refused(Unavailable(f"requests of kind {verb!r} are not served here"))


class RpcConnection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, server: RpcServer) -> None:
        self._server = server
        self._frames = frames.frame_decoder()
        self._unsent: list[bytes] = []
        self.pending: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio`."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """See `asyncio`."""
        self._transport = None
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio`."""
        try:
            self._frames.feed(data)
            for number, verb, *fields in self._frames:
                if verb == frames.SUBSCRIBE:
                    self._server.subscribe(self)
                    continue
                task = asyncio.create_task(self._answer(number, verb, fields))
                self.pending.add(task)
                task.add_done_callback(self.pending.discard)
        except (ValueError, TypeError, OverflowError):
            logger.warning("a connection to %s sent a malformed frame and is closed", self._server.path)
            self.end()

    def end(self) -> None:
        """Closes the connection after sending what is buffered."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def send(self, frame: bytes) -> None:
        """Sends the frame with the others of this turn of the loop. Aborts a connection whose client does not read."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > rpc_backlog_bytes_max:
            self._transport.abort()
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(frame)

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is not None and data:
            self._transport.write(data)

    async def _answer(self, number: int, verb: str, fields: Sequence[Any]) -> None:
        with suppress(asyncio.CancelledError):
            self.send(frames.pack(number, *await self._outcome(verb, fields)))

    async def _outcome(self, verb: str, fields: Sequence[Any]) -> tuple[int, Any]:
        try:
            return frames.DONE, await self._server.answer(verb, fields)
        except Refused as refused:
            refusal: Refusal = refused.refusal
        except InvalidCursor:
            return frames.BAD_CURSOR, None
        except JournalError as error:
            if self._server.logged.is_due(error):
                logger.error("a request of kind %r cannot be answered: %s", verb, error)
            refusal = Unavailable(unavailable_reason(error))
        except Exception:
            logger.exception("a request of kind %r failed", verb)
            refusal = Unavailable("the request failed")
        return frames.REFUSED, wire.encode(refusal)
