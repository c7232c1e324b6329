"""The ports of a service that gets its events from a broker instead of from the processes that make them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.message_bus import CommitStream
from innkeeper.protocol.ports.subscriptions import EventLog, Stalled

LogOf = Callable[[RecordedEvent], str]
"""Returns the name of the log that holds an event."""


class InboxConflict(Stalled):
    """These entries, each with the name of its log, are not what the inbox has at their positions. Nothing was stored
    of the call that raises it. A journal that was rolled back, or a wrong message, is the reason."""

    def __init__(self, reason: str, entries: Sequence[tuple[str, LogEntry]]) -> None:
        super().__init__(reason)
        self.entries = entries


class DeliveredLog(EventLog, CommitStream, Protocol):
    """A log as it came from a broker: it ends before the first missing event. Its listeners are called in the thread
    that handles the entries."""

    @property
    def lag(self) -> int:
        """The number of events that the log itself has beyond it, as far as is known."""


class Inbox(Protocol):
    """Stores the events that came from a broker. Thread-safe; its methods may block on the disk."""

    @property
    def logs(self) -> Mapping[str, DeliveredLog]:
        """What is stored, by the name of the log."""

    def offset(self, name: str) -> int | None:
        """Returns the offset at which to resume a stream of the broker; None where nothing came of it yet."""

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """Stores the entries, each with the name of its log, and the offsets at which to resume. Ignores entries that
        are stored already. Returns when all is on disk. Raises `InboxConflict` where another entry is stored at the
        position of one, and `Stalled`."""

    def fetch_missing(self) -> None:
        """Reads the events that the broker did not deliver from their own logs, as far as those can be reached."""

    def check_again(self, log: str) -> None:
        """This log may be another one: makes the next `fetch_missing` compare it, even if it was compared before."""

    @property
    def fault(self) -> str:
        """Why its logs cannot be followed any more, since a conflict; empty while they can."""

    def trim(self, positions: Mapping[str, int], before: int) -> int:
        """Removes the oldest entries of each log, up to this position and recorded before this instant (microseconds
        since 1970 UTC). They are read from the log itself from now on. Returns how many it has removed."""

    def close(self) -> None:
        """Closes the inbox."""


class BrokerConsumer(Protocol):
    """Consumes events from a broker."""

    @property
    def fault(self) -> str:
        """Why it receives no events now, in one line; empty where it does."""

    async def run(self) -> None:
        """Consumes until cancelled, and retries what fails."""
