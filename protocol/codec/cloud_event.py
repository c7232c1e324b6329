"""The public form of an event: CloudEvents 1.0, in its JSON format."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.instants import instant, microseconds
from innkeeper.protocol.values.limits import position_max
from msgspec import UNSET, UnsetType

MEDIA_TYPE: Final = "application/cloudevents+json"
"""Of an event in this format, structured mode."""

_encode = msgspec.json.Encoder().encode


_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Sequence = Annotated[str, msgspec.Meta(pattern="^[0-9]{12,19}$")]


class CloudEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event (CloudEvents 1.0). `sequence` is gapless per source, with leading zeros, so that it sorts as a text; the
    author (`by`), the request (`correlationid`) and the cause (`causationid`: a command, an event, or `due:` and what
    fell due) are left out where there is none; `position` is its place in its context's log."""

    specversion: str
    id: str
    source: str
    type: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    datacontenttype: str
    sequence: _Sequence
    correlationid: _Text | UnsetType = UNSET
    causationid: _Text | UnsetType = UNSET
    by: _Text | UnsetType = UNSET
    position: int
    data: Event
    subject: str | UnsetType = UNSET


def cloud_event(entry: LogEntry) -> CloudEvent:
    """Returns an entry of the log as a CloudEvent."""
    position, record = entry
    return CloudEvent(
        specversion="1.0",
        id=record.id,
        source=_source(record),
        type=wire.event_type(record.event),
        time=instant(record.at),
        datacontenttype="application/json",
        sequence=sequence(record.hotel_seq),
        correlationid=record.correlation or UNSET,
        causationid=record.cause or UNSET,
        by=record.by or UNSET,
        position=position,
        data=record.event,
        subject=record.event.booking if isinstance(record.event, BookingEvent) else UNSET,
    )


def sequence(number: int) -> str:
    """Returns the number of an event as the extension `sequence` of CloudEvents, which is compared as a text."""
    return f"{number:012d}"


def _source(record: RecordedEvent) -> str:
    """Returns the source, within which `sequence` is gapless: the hotel, or the hotel in another context."""
    hotel, context = f"/hotels/{record.hotel}", record.event.context
    return hotel if context is RESERVATIONS else f"{hotel}/{context}"


def cloud_event_json(entry: LogEntry) -> bytes:
    """Returns an entry of the log as a CloudEvent in JSON."""
    return _encode(cloud_event(entry))


class _Attributes(msgspec.Struct):
    """The attributes of a CloudEvent from which its entry of the log is decoded."""

    id: str
    source: str
    type: str
    time: datetime
    sequence: str
    position: int
    data: msgspec.Raw
    correlationid: str = ""
    causationid: str = ""
    by: str = ""


_decode = msgspec.json.Decoder(_Attributes).decode


def entry_of(body: bytes) -> LogEntry:
    """Decodes what `cloud_event_json` encodes. Raises ValueError with the reason, whatever the body is."""
    try:
        entry = _entry_of(body)
        wire.encode_record(entry[1])  # a number of JSON can be larger than any that can be stored
    except RecursionError:
        raise ValueError("not an event of Innkeeper: it is nested too deeply") from None
    except OverflowError as error:
        raise ValueError(f"not an event of Innkeeper: {error}") from None
    return entry


def _entry_of(body: bytes) -> LogEntry:
    found = _decode(body)
    if found.time.tzinfo is None:
        raise ValueError(f"the time of event {found.id!r} has no offset from UTC: {found.time}")
    _, hotels, hotel, *_ = f"{found.source}//".split("/")
    record = RecordedEvent(
        hotel, int(found.sequence), microseconds(found.time), found.by, found.correlationid, found.causationid,
        wire.decode_event_json(found.type, found.data), found.id.rpartition(":")[2].partition("-")[2],
    )  # fmt: skip
    in_range = all(0 < number <= position_max for number in (found.position, record.hotel_seq))
    if hotels != "hotels" or record.id != found.id or not in_range:
        raise ValueError(f"not an event of Innkeeper: {found.id!r} of {found.source!r}")
    return found.position, record
