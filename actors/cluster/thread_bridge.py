"""A message bus in another thread: forwards commands to its event loop, and its commits to the listeners' loops."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from innkeeper.actors.subscriptions.other_loops import in_loop_of
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.message_bus import CommitListener, PublishingMessageBus
from innkeeper.protocol.ports.subscriptions import Positions

_PARTITION = "the partition"


class ThreadBridge:
    """A `PublishingMessageBus` before one in another event loop. It refuses commands until `open` is called there."""

    def __init__(self) -> None:
        self._bus: PublishingMessageBus | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[CommitListener] = []

    def open(self, bus: PublishingMessageBus) -> None:
        """Forwards commands to this bus from now on, in the running event loop."""
        self._bus, self._loop = bus, asyncio.get_running_loop()
        bus.subscribe(self._publish)

    @property
    def ready(self) -> bool:
        """See `MessageBus`."""
        return self._bus is not None and self._bus.ready

    @property
    def position(self) -> int:
        """See `MessageBus`."""
        return 0 if self._bus is None else self._bus.position

    @property
    def waiting(self) -> int:
        """See `MessageBus`."""
        return 0 if self._bus is None else self._bus.waiting

    async def ask(self, envelope: Envelope) -> Result:
        """See `MessageBus`."""
        if self._bus is None or self._loop is None or not self._bus.ready:
            return Result(Unavailable(f"{_PARTITION} is not running"))
        try:
            return await in_loop_of(self._loop, self._bus.ask(envelope), _PARTITION)
        except Refused as refused:
            return Result(refused.refusal)

    async def fault(self) -> str:
        """See `MessageBus`."""
        if self._bus is None or self._loop is None:
            return f"{_PARTITION} is not running"
        return await in_loop_of(self._loop, self._bus.fault(), _PARTITION)

    async def positions(self, hotel: str | None = None) -> Positions:
        """See `MessageBus`."""
        if self._bus is None or self._loop is None:
            raise Refused(Unavailable(f"{_PARTITION} is not running"))
        return await in_loop_of(self._loop, self._bus.positions(hotel), _PARTITION)

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`. The listener is called in the event loop that runs here."""
        self._listeners.append(in_loop(asyncio.get_running_loop(), listener))

    def _publish(self, position: int, records: Sequence[RecordedEvent]) -> None:
        for listener in self._listeners:
            listener(position, records)


def in_loop(loop: asyncio.AbstractEventLoop, listener: CommitListener) -> CommitListener:
    """Wraps a listener so that it may be called from any thread and runs in this loop."""

    def call(position: int, records: Sequence[RecordedEvent]) -> None:
        with suppress(RuntimeError):  # that loop has ended
            loop.call_soon_threadsafe(listener, position, records)

    return call
