"""An event as the outside sees it: CloudEvents 1.0, in its JSON format."""

from datetime import datetime

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.instants import instant, microseconds
from msgspec import UNSET, UnsetType

_encode = msgspec.json.Encoder().encode


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """An event (CloudEvents 1.0). `sequence` is gapless per source; `position` is its place in its context's log."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    datacontenttype: str
    sequence: str
    correlationid: str
    causationid: str
    by: str
    position: int
    data: Event
    subject: str | UnsetType = UNSET


def cloud_event(entry: LogEntry) -> CloudEvent:
    """An event of the log as a CloudEvent."""
    position, record = entry
    return CloudEvent(
        specversion="1.0",
        id=record.id,
        source=_source(record),
        type=wire.event_type(record.event),
        time=instant(record.at),
        datacontenttype="application/json",
        sequence=str(record.hotel_seq),
        correlationid=record.correlation,
        causationid=record.cause,
        by=record.by,
        position=position,
        data=record.event,
        subject=record.event.booking if isinstance(record.event, BookingEvent) else UNSET,
    )


def _source(record: RecordedEvent) -> str:
    """Whose gapless `sequence` it is: the hotel's, or what another context keeps of the hotel."""
    hotel, context = f"/hotels/{record.hotel}", record.event.context
    return hotel if context is RESERVATIONS else f"{hotel}/{context}"


def cloud_event_json(entry: LogEntry) -> bytes:
    """The same, as JSON."""
    return _encode(cloud_event(entry))


_LARGEST = 2**63  # no log has as many, and no database takes more


class _Told(msgspec.Struct):
    """The parts of a CloudEvent from which ours can be made again."""

    id: str
    source: str
    type: str
    time: datetime
    sequence: str
    correlationid: str
    causationid: str
    by: str
    position: int
    data: msgspec.Raw


_decode = msgspec.json.Decoder(_Told).decode


def entry_of(body: bytes) -> LogEntry:
    """The entry of the log that `cloud_event_json` was given. Raises ValueError, and says what is wrong."""
    told = _decode(body)
    if told.time.tzinfo is None:
        raise ValueError(f"the time of this event has no offset: {told.time}")
    _, hotels, hotel, *_ = f"{told.source}//".split("/")
    record = RecordedEvent(
        hotel, int(told.sequence), microseconds(told.time), told.by, told.correlationid, told.causationid,
        wire.decode_event_json(told.type, told.data),
    )  # fmt: skip
    in_range = all(0 < number < _LARGEST for number in (told.position, record.hotel_seq))
    if hotels != "hotels" or record.id != told.id or not in_range:
        raise ValueError(f"this is not an event of ours: {told.id!r} of {told.source!r}")
    return told.position, record
