"""Events as they leave the system: without personal data, unless the receiver is set up to get it."""

from collections.abc import Sequence

import msgspec
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Effects, EventHandler
from innkeeper.protocol.values.guests import bare


def public_record(record: RecordedEvent) -> RecordedEvent:
    """Returns the record without details of guests, and without the buyer of a document."""
    event: Event = bare(record.event)
    if isinstance(getattr(event, "buyer", None), Party):
        event = msgspec.structs.replace(event, buyer=Party(""))
    return record if event is record.event else msgspec.structs.replace(record, event=event)


def public_entry(entry: LogEntry) -> LogEntry:
    """Returns the entry of a log as `public_record` returns its event."""
    return entry[0], public_record(entry[1])


def publicly(handle: EventHandler) -> EventHandler:
    """Returns the event handler for a receiver that is to get no personal data."""

    async def handle_public(entries: Sequence[LogEntry]) -> Effects:
        return await handle([*map(public_entry, entries)])

    return handle_public
