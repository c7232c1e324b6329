"""The ports of a service that gets its events from a broker instead of from the processes that make them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent

LogOf = Callable[[RecordedEvent], str]
"""Returns the name of the log that holds an event."""


class Inbox(Protocol):
    """Stores the events that came from a broker. Thread-safe; its methods may block on the disk."""

    def offset(self, name: str) -> int | None:
        """Returns the offset at which to resume a stream of the broker; None where nothing came of it yet."""

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """Stores the entries, each with the name of its log, and the offsets at which to resume. Ignores entries that
        are stored already. Returns when all is on disk. Raises `Stalled`."""

    def fetch_missing(self) -> None:
        """Reads the events that the broker did not deliver from their own logs, as far as those can be reached."""


class BrokerConsumer(Protocol):
    """Consumes events from a broker."""

    async def run(self) -> None:
        """Consumes until cancelled, and retries what fails."""
