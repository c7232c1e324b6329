"""An event as it stands in the journal, and what a booking or a hotel is after it."""

import msgspec
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.values.contexts import RESERVATIONS


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in its hotel's history (`hotel_seq`, gapless from 1), when it was decided (microseconds
    since 1970 UTC), by whom, in which request (`correlation`), and by which command (`cause`)."""

    hotel: str
    hotel_seq: int
    at: int
    by: str
    correlation: str
    cause: str
    event: Event

    @property
    def id(self) -> str:
        """Unique over all hotels and contexts, and the same each time that it is told."""
        name = f"{self.hotel}:{self.hotel_seq}"
        return name if self.event.context is RESERVATIONS else f"{self.event.context}:{name}"


LogEntry = tuple[int, RecordedEvent]
"""An event, behind its position in the log."""
