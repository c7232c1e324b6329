"""A desk in another thread: what is asked here goes over there, and what is committed there is heard here."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.message_bus import CommitListener, Envelope, PublishingMessageBus, Result
from innkeeper.protocol.ports.subscriptions import Positions


class ThreadBridge:
    """A `protocol.asking.Desk` before one that lives in another event loop. It is closed until `open`ed there."""

    def __init__(self) -> None:
        self._desk: PublishingMessageBus | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[CommitListener] = []

    def open(self, desk: PublishingMessageBus) -> None:
        """This desk takes what is asked, from now on, in the loop that runs here."""
        self._desk, self._loop = desk, asyncio.get_running_loop()
        desk.subscribe(self._publish)

    @property
    def ready(self) -> bool:
        """See `protocol.asking.Desk`."""
        return self._desk is not None and self._desk.ready

    @property
    def position(self) -> int:
        """See `protocol.asking.Desk`."""
        return 0 if self._desk is None else self._desk.position

    @property
    def waiting(self) -> int:
        """See `protocol.asking.Desk`."""
        return 0 if self._desk is None else self._desk.waiting

    async def ask(self, asked: Envelope) -> Result:
        """See `protocol.asking.Desk`."""
        if self._desk is None or self._loop is None or not self._desk.ready:
            return Result(Unavailable("the desk is closed"))
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._desk.ask(asked), self._loop))

    async def positions(self, hotel: str | None = None) -> Positions:
        """See `protocol.asking.Desk`."""
        if self._desk is None or self._loop is None:
            raise Refused(Unavailable("the desk is closed"))
        told = asyncio.run_coroutine_threadsafe(self._desk.positions(hotel), self._loop)
        return await asyncio.wrap_future(told)

    def subscribe(self, listener: CommitListener) -> None:
        """See `protocol.asking.Source`. It is told in the loop that runs here."""
        self._listeners.append(in_loop(asyncio.get_running_loop(), listener))

    def _publish(self, position: int, records: Sequence[RecordedEvent]) -> None:
        for listener in self._listeners:
            listener(position, records)


def in_loop(loop: asyncio.AbstractEventLoop, listener: CommitListener) -> CommitListener:
    """The hearer, to be told from any thread."""

    def tell(position: int, records: Sequence[RecordedEvent]) -> None:
        with suppress(RuntimeError):  # that loop has ended
            loop.call_soon_threadsafe(listener, position, records)

    return tell
