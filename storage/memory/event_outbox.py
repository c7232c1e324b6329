"""The outbox of events in memory, in the database of their service."""

from itertools import islice

from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.storage.memory.database import MemoryDatabase


class MemoryEventOutbox:
    """Implements `protocol.ports.event_outbox.EventOutbox` in memory."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._events = database.table("unpublished events")

    def add(self, new: UnpublishedEvent) -> None:
        """See `EventOutbox`."""
        self._events[new.id] = new

    def oldest(self, limit: int) -> list[UnpublishedEvent]:
        """See `EventOutbox`."""
        return [*islice(self._events.values(), limit)]

    def remove(self, id_: str) -> None:
        """See `EventOutbox`."""
        del self._events[id_]
