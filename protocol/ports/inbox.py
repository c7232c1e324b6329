"""How a service gets events from a broker, instead of from the processes in which they happen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent

LogOf = Callable[[RecordedEvent], str]
"""In which log an event stands."""


class Inbox(Protocol):
    """What came so far. May be asked from any thread, also from several at once, and may block on the disk."""

    def place(self, name: str) -> int | None:
        """Where in a part of the broker's own order to go on; None where nothing came of it yet."""

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """Keep these, each with the name of its log, and where to go on. What came before changes nothing. When this
        returns it is on disk. Raises `Stalled`."""

    def fetch_missing(self) -> None:
        """What the broker left out, from where it happened, as far as that can be reached."""


class BrokerConsumer(Protocol):
    """A way from a broker."""

    async def run(self) -> None:
        """Take in whatever comes, until cancelled; what fails is tried again."""
