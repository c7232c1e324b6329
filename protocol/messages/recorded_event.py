"""An event as the journal holds it, with its place, time, author and cause."""

import msgspec
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.guests import bare


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in its hotel's history (`hotel_seq`, gapless from 1), the instant of the decision
    (microseconds since 1970 UTC), its author, its request (`correlation`), and its `cause`: the id of a command or
    of an event, or what fell due (`due:hold-expiry:2026-06-01T12:15:00Z`). Author, request and cause may be empty.
    `timeline` is the short id of the timeline on which it happened; empty on the first one."""

    hotel: str
    hotel_seq: int
    at: int
    by: str
    correlation: str
    cause: str
    event: Event
    timeline: str = ""

    @property
    def id(self) -> str:
        """Unique over all hotels and contexts, and the same in every delivery of the event: `seaside:42`,
        `billing:seaside:42`, and `seaside:42-1f3a9c20` on a later timeline."""
        name = f"{self.hotel}:{self.hotel_seq}"
        if self.timeline:
            name = f"{name}-{self.timeline}"
        return name if self.event.context is RESERVATIONS else f"{self.event.context}:{name}"


def bare_record(record: RecordedEvent) -> RecordedEvent:
    """Returns the record without details of guests."""
    event = bare(record.event)
    return record if event is record.event else msgspec.structs.replace(record, event=event)


def number_of(event_id: str, hotel: str) -> int | None:
    """Returns the `hotel_seq` in the id of an event of reservations of this hotel; None where it is no such id."""
    of, _, number = event_id.rpartition(":")
    digits = number.partition("-")[0]
    return int(digits) if of == hotel and digits.isdecimal() else None


LogEntry = tuple[int, RecordedEvent]
"""The position of an event in the log, and the event."""
