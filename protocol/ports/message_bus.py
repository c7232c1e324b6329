"""How a gateway asks a partition: what goes along with a command, and what comes back."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.subscriptions import Positions


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A command or query as it comes to the partition: under which idempotency key, for which request, by whom, and
    for which version of the booking (any, where None)."""

    message: Command | Query
    key: str | None = None
    correlation: str = ""
    by: str = ""
    if_version: int | None = None


class Result(msgspec.Struct, frozen=True, gc=False):
    """The reply or refusal; `replayed` if it was given before, under the same idempotency key."""

    answer: Reply | Refusal
    replayed: bool = False


CommitListener = Callable[[int, Sequence[RecordedEvent]], None]
"""Hears of a commit: the position of its last event, and its events in order. It must be quick, and never raise."""


class Services(Protocol):
    """The services that listen: billing, notifications, delivery; in this process, or a way to them."""

    async def ask(self, message: ServiceMessage) -> Reply:
        """The answer of whichever service it is for. Raises `Refused`."""


class CommitStream(Protocol):
    """Where events come from, one after the other."""

    @property
    def position(self) -> int:
        """The position in the log of the last event that was acknowledged; -1 while that is not known."""

    def subscribe(self, listener: CommitListener) -> None:
        """From now on tell it of each commit, in order, as soon as it is on disk. Where a position is told that lies
        further on than the events that were told with it, what is between stands in the log."""


class MessageBus(Protocol):
    """Whoever takes commands: a partition in this process, or a way to one, or to several."""

    @property
    def ready(self) -> bool:
        """Does it take commands now?"""

    @property
    def waiting(self) -> int:
        """How many commands have no answer yet."""

    async def ask(self, asked: Envelope) -> Result:
        """The answer, once its effects are on disk."""

    async def positions(self, hotel: str | None = None) -> Positions:
        """Where the log ends that tells of this hotel (of all hotels: each log). What was acknowledged before this was
        asked stands before that. Raises `Refused`."""


class PublishingMessageBus(MessageBus, CommitStream, Protocol):
    """A desk that also tells of what it commits."""
