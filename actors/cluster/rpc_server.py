"""A door: what a context takes, tells and shows, for the other processes of the inn, on a socket of this machine.

Questions of one visitor are answered as their answers come, those that read one after the other. What is committed is
told to all who asked to hear of it, rendered once. The socket's file is its owner's alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

from innkeeper.protocol.codec import frames, wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal, Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.ports.views import BadCursor, Views
from innkeeper.protocol.values.limits import rpc_backlog_bytes_max, shutdown_seconds_max

logger = logging.getLogger(__name__)

AskService = Callable[[ServiceMessage], Awaitable[Reply]]


class ServedPorts(NamedTuple):
    """What stands behind a door; None is not there."""

    desk: MessageBus | None = None
    source: CommitStream | None = None
    log: EventLog | None = None
    views: Views | None = None
    tell: AskService | None = None


class RpcServer:
    """Opened and closed in one event loop."""

    def __init__(self, path: Path, offered: ServedPorts) -> None:
        self._path = path
        self._offered = offered
        self._hearing: set[RpcConnection] = set()
        self.closing = False
        self.visits: set[RpcConnection] = set()

    async def open(self) -> None:
        """From now on others may come in."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.chmod(0o700)  # it may have been there
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        if self._offered.source is not None:
            self._offered.source.subscribe(self._hear)
        self._server = await loop.create_unix_server(lambda: RpcConnection(self), self._path)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Nobody is let in any more; whoever asked before is answered, and then everybody out."""
        self.closing = True
        self._server.close()
        answering = {task for visit in self.visits for task in visit.answering}
        if answering:
            await asyncio.wait(answering, timeout=shutdown_seconds_max)
        for visit in [*self.visits]:
            visit.end()
        self._path.unlink(missing_ok=True)

    def subscribe(self, visit: "RpcConnection") -> None:
        """It is told of all that is committed from now on, if anything is, and first how far it had come."""
        self._hearing.add(visit)
        source = self._offered.source
        visit.say(frames.pack(frames.NEWS, 0 if source is None else source.position, ()))

    def leave(self, visit: "RpcConnection") -> None:
        """It has gone."""
        self.visits.discard(visit)
        self._hearing.discard(visit)

    def _hear(self, position: int, records: Sequence[RecordedEvent]) -> None:
        if self._hearing:
            news = frames.pack(frames.NEWS, position, frames.records_body(records))
            for visit in [*self._hearing]:
                visit.say(news)

    async def answer(self, verb: str, fields: Sequence[Any]) -> Any:
        """The body of the answer. Raises `Refused`."""
        offered = self._offered
        if self.closing:
            raise Refused(Unavailable("this is just ending"))
        match verb:
            case frames.ASK if offered.desk is not None:
                return frames.answer_body(await offered.desk.ask(frames.asked_of(fields)))
            case frames.POSITIONS if offered.desk is not None:
                return await offered.desk.positions(*fields)
            case frames.TELL if offered.tell is not None:
                return frames.message_body(await offered.tell(frames.message_of(fields)))
            case frames.READ if offered.log is not None:
                return frames.entries_body(await asyncio.to_thread(offered.log.read, *fields))
            case frames.VIEW if offered.views is not None:
                name, question = frames.view_of(fields)
                seen = await asyncio.to_thread(getattr(offered.views, name), *question)
                return frames.seen_body(name, seen)
            case _:
                raise Refused(Unavailable(f"nobody answers {verb!r} here"))


class RpcConnection(asyncio.Protocol):
    """Somebody at the door."""

    def __init__(self, door: RpcServer) -> None:
        self._door = door
        self._frames = frames.frames_of()
        self._said: list[bytes] = []
        self.answering: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio`."""
        self._transport = cast(asyncio.Transport, transport)
        self._door.visits.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """See `asyncio`."""
        self._transport = None
        self._door.leave(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio`."""
        try:
            self._frames.feed(data)
            for number, verb, *fields in self._frames:
                if verb == frames.HEAR:
                    self._door.subscribe(self)
                    continue
                task = asyncio.create_task(self._answer(number, verb, fields))
                self.answering.add(task)
                task.add_done_callback(self.answering.discard)
        except (ValueError, TypeError, OverflowError):
            logger.warning("somebody at the door %s does not speak as we do", self._door)
            self.end()

    def end(self) -> None:
        """Goodbye, once what was said is out."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def say(self, frame: bytes) -> None:
        """Send it, with whatever else is said in this turn of the loop. One who does not listen must go."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > rpc_backlog_bytes_max:
            self._transport.abort()
            return
        if not self._said:
            asyncio.get_running_loop().call_soon(self._flush)
        self._said.append(frame)

    def _flush(self) -> None:
        said, self._said = b"".join(self._said), []
        if self._transport is not None and said:
            self._transport.write(said)

    async def _answer(self, number: int, verb: str, fields: Sequence[Any]) -> None:
        with suppress(asyncio.CancelledError):
            self.say(frames.pack(number, *await self._outcome(verb, fields)))

    async def _outcome(self, verb: str, fields: Sequence[Any]) -> tuple[int, Any]:
        try:
            return frames.DONE, await self._door.answer(verb, fields)
        except Refused as refused:
            refusal: Refusal = refused.refusal
        except BadCursor:
            return frames.BAD_CURSOR, None
        except Exception:
            logger.exception("%s could not be answered", verb)
            refusal = Unavailable("this could not be answered")
        return frames.REFUSED, wire.encode(refusal)
