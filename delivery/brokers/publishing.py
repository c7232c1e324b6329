"""Publishes the events of a batch, and finds which of them the broker has confirmed."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects, EventRefused, Stalled, no_effects
from innkeeper.protocol.values import limits

Confirmation = asyncio.Future[Any]
"""Is done when the broker has the event on disk."""


class BatchPublisher(ABC):
    """A publisher to a broker of any kind: opens a connection where there is none, and discards one that fails.

    Small events are sent together. A large one, which the broker may refuse for its size, is sent when those before it
    are confirmed, and is confirmed before the next: so no later event of its hotel is published before it. `lost` are
    the errors of connections.
    """

    lost: ClassVar[tuple[type[Exception], ...]]

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.ports.subscriptions.EventHandler`."""
        sent: list[Confirmation] = []
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                await self._open()
                for entry in entries:
                    body = cloud_event_json(entry)
                    is_large = len(body) > limits.broker_small_event_bytes_max
                    if is_large:
                        await _confirmed(sent)
                    sent.append(await self._send(entry, body))
                    if is_large:
                        await _confirmed(sent)
                await _confirmed(sent)
        except self.lost as error:
            handled = _handled(sent)
            refusal = self._refusal(error) if handled < len(sent) else ""
            reason = refusal or await self._reason(error)
            await self._discard()
            if refusal:
                raise EventRefused(refusal, handled) from error
            raise Stalled(reason, handled=handled) from error
        finally:
            await _retrieved(sent)
        return no_effects

    @abstractmethod
    async def _open(self) -> None:
        """Connects, where it is not connected. Raises one of the errors `lost`."""

    @abstractmethod
    async def _send(self, entry: LogEntry, body: bytes) -> Confirmation:
        """Sends an event. Raises one of the errors `lost`, as does the confirmation."""

    @abstractmethod
    def _refusal(self, error: Exception) -> str:
        """Why the broker refuses an event of which this error says so; empty where others would fail as well."""

    @abstractmethod
    async def _reason(self, error: Exception) -> str:
        """Why no event can be published, in one line that says what to do, without the password."""

    @abstractmethod
    async def _discard(self) -> None:
        """Discards the connection."""


async def _confirmed(sent: Sequence[Confirmation]) -> None:
    """Waits for all confirmations; raises the first error in their order."""
    if sent:
        await asyncio.wait(sent)
        for confirmation in sent:
            confirmation.result()


def _handled(sent: Sequence[Confirmation]) -> int:
    """The number of events, from the first one on, that are confirmed."""
    for number, confirmation in enumerate(sent):
        if not confirmation.done() or confirmation.cancelled() or confirmation.exception() is not None:
            return number
    return len(sent)


async def _retrieved(sent: Sequence[Confirmation]) -> None:
    """Ends the confirmations that nobody awaits any more."""
    for confirmation in sent:
        confirmation.cancel()
    await asyncio.gather(*sent, return_exceptions=True)
