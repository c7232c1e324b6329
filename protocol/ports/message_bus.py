"""The ports between a gateway and the partitions: the message bus, the stream of commits, the services."""

from collections.abc import Callable, Sequence
from typing import Protocol

from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.subscriptions import Positions

CommitListener = Callable[[int, Sequence[RecordedEvent]], None]
"""Called with the position of a commit's last event, and its events in order. It must be quick, and never raise."""


class Services(Protocol):
    """The services that answer messages: billing, notifications, delivery; in this process, or their RPC clients."""

    async def ask(self, message: ServiceMessage) -> Reply:
        """Returns the reply of the service that the message is for. Raises `Refused`."""

    async def ask_once(self, message: ServiceMessage, key: str) -> Result:
        """Returns the result of a message under an idempotency key: it takes effect once, however often it is sent."""


class CommitStream(Protocol):
    """Announces each commit as soon as it is on disk."""

    @property
    def position(self) -> int:
        """The position in the log of the last acknowledged event; -1 while that is not known."""

    def subscribe(self, listener: CommitListener) -> None:
        """Subscribes the listener to all later commits, in order. Where a position is higher than the events given so
        far account for, the listener has to read the missing events from the log."""


class MessageBus(Protocol):
    """Takes envelopes and gives results: a partition in this process, or a client of one or several."""

    @property
    def ready(self) -> bool:
        """Whether it takes commands now."""

    @property
    def waiting(self) -> int:
        """The number of commands that wait for their result."""

    async def ask(self, envelope: Envelope) -> Result:
        """Returns the result, once its effects are on disk."""

    async def fault(self) -> str:
        """Returns why it can carry out no commands now, as while its disk is full; empty where it can. It still answers
        queries while it is `ready`."""

    async def clock_doubt(self) -> str:
        """Returns why the server's clock is in doubt, so that night audits wait; empty where it is not."""

    async def is_erasing(self, hotel: str) -> bool:
        """Returns whether something may be left of forgotten guests in the file of the journal that holds this hotel's
        events."""

    async def positions(self, hotel: str | None = None) -> Positions:
        """Returns the end of the log that holds this hotel's events; of each log, where `hotel` is None. All that was
        acknowledged before the call is at or before these positions. Raises `Refused`."""


class PublishingMessageBus(MessageBus, CommitStream, Protocol):
    """A message bus that also announces its commits."""
