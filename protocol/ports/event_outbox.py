"""The outbox of events: what a service has to publish in its own log, stored together with the change that it reports.

The log is another file: an event that was published before its change was stored could report what never happened, or
be published again with the next attempt.
"""

from typing import Protocol

import msgspec
from innkeeper.protocol.messages.event import Event


class UnpublishedEvent(msgspec.Struct, frozen=True):
    """An event of this hotel that is to be published, once for its `id`. It happened at the instant `at` (microseconds
    since 1970 UTC). `cause` is the id of the event that made the service do this by itself, "" where a client asked for
    it."""

    id: str
    at: int
    hotel: str
    event: Event
    cause: str


class EventOutbox(Protocol):
    """Stores the events until they are published."""

    def add(self, new: UnpublishedEvent) -> None:
        """Stores an event; in the transaction of the change that it reports."""

    def oldest(self, limit: int) -> list[UnpublishedEvent]:
        """Returns the oldest events, at most so many, in the order in which they were added."""

    def remove(self, id_: str) -> None:
        """Removes an event, which is published."""
