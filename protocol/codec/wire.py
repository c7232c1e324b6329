"""The wire format: msgpack maps of field names, behind a table of everything that is ever said.

The bytes are plain msgpack, which any tool in any language reads. Those written by any version decode forever: a
message carries the version of its form, and an older form is brought up to today's here, at the edge, one step at a
time (`UPCASTS`). Fields may be added with a default in the same version.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgpack
import msgspec
from innkeeper.protocol.billing.commands import BILLING_COMMANDS, ApplyReservationEvent
from innkeeper.protocol.billing.events import BILLING_EVENTS
from innkeeper.protocol.billing.queries import BILLING_QUERIES
from innkeeper.protocol.billing.replies import BILLING_REPLIES
from innkeeper.protocol.delivery.events import DELIVERY_EVENTS
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations.commands import COMMANDS
from innkeeper.protocol.reservations.events import EVENTS
from innkeeper.protocol.reservations.queries import QUERIES
from innkeeper.protocol.reservations.refusals import (
    HotelExists,
    NoSingleRoom,
    RoomsLeft,
    RoomTaken,
    SoldOut,
    WaitlistFull,
)
from innkeeper.protocol.reservations.replies import REPLIES

Message = msgspec.Struct

REFUSALS: tuple[type[refusals.Refusal], ...] = (
    refusals.Invalid, refusals.NotFound, HotelExists, SoldOut, NoSingleRoom,
    RoomTaken, refusals.NotAllowed, refusals.StaleVersion, refusals.KeyReused, refusals.BadSignature,
    RoomsLeft, WaitlistFull, refusals.Unavailable,
)  # fmt: skip

ALL_EVENTS: tuple[type[Event], ...] = (*EVENTS, *BILLING_EVENTS, *DELIVERY_EVENTS)
RESERVATIONS: tuple[type[Message], ...] = (*COMMANDS, *QUERIES, *EVENTS, *REPLIES)
BILLING: tuple[type[Message], ...] = (*BILLING_COMMANDS, *BILLING_QUERIES, *BILLING_EVENTS, *BILLING_REPLIES)

TABLE: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (*RESERVATIONS, *BILLING, *DELIVERY_EVENTS, *REFUSALS)
}

# (name of the message, version of the form) → what turns its fields into the next version's.
UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}

_VERSIONS = {kind: kind.version if issubclass(kind, Event) else 1 for kind in TABLE.values()}
_encode = msgspec.msgpack.Encoder().encode  # msgpack, too, in a fifth of msgpack's own time
_decode_message = msgspec.msgpack.Decoder(tuple[str, int, bytes]).decode
_decode_record = msgspec.msgpack.Decoder(tuple[str, int, int, str, str, str, str, bytes]).decode
_decode_heard_fields = msgspec.msgpack.Decoder(tuple[str, bytes]).decode
_DECODERS = {kind: msgspec.msgpack.Decoder(kind) for kind in TABLE.values()}
_TYPE_NAMES = {kind: f"innkeeper.{kind.name}.v{kind.version}" for kind in ALL_EVENTS}
_EVENT_TYPES = {
    f"innkeeper.{kind.name}.v{version}": (kind, version)
    for kind in ALL_EVENTS
    for version in range(1, kind.version + 1)
}


class UnknownMessage(ValueError):
    """Bytes of a message that this version does not know: a newer one wrote them."""


def event_type(event: Event) -> str:
    """The event's type to the outside: `innkeeper.booking.confirmed.v1`."""
    return _TYPE_NAMES[type(event)]


def type_name(kind: type[Event]) -> str:
    """The type to the outside of all events of a kind."""
    return _TYPE_NAMES[kind]


def is_of_types(type_name: str, wanted: Iterable[str]) -> bool:
    """Is the event's type one of these? One that ends in `*` stands for all that begin so: `innkeeper.booking.*`."""
    return any(type_name.startswith(one[:-1]) if one.endswith("*") else type_name == one for one in wanted)


def kinds_of(wanted: Iterable[str]) -> frozenset[type[Event]]:
    """The events of these types, as they are today."""
    wanted = tuple(wanted)
    return frozenset(kind for kind, type_name in _TYPE_NAMES.items() if is_of_types(type_name, wanted))


def is_known_type(wanted: str) -> bool:
    """Is there any event of this type, which may end in `*`?"""
    return any(is_of_types(type_name, (wanted,)) for type_name in _EVENT_TYPES)


def encode_fields(message: Message) -> bytes:
    """The fields of a message; its name and version stand elsewhere."""
    return _encode(message)


def decode_event(type_name: str, fields: bytes) -> Event:
    """The event whose fields these are, or what an older form of it means today."""
    if type_name not in _EVENT_TYPES:
        raise UnknownMessage(f"no event of type {type_name!r} is known here; a newer version wrote it")
    event: Event = _decode_fields(*_EVENT_TYPES[type_name], fields)
    return event


def decode_event_json(type_name: str, fields: msgspec.Raw) -> Event:
    """The same for fields in JSON, as the outside has them."""
    if type_name not in _EVENT_TYPES:
        raise UnknownMessage(f"no event of type {type_name!r} is known here; a newer version wrote it")
    kind, version = _EVENT_TYPES[type_name]
    if version == _VERSIONS[kind]:
        return msgspec.json.decode(fields, type=kind)
    return decode_event(type_name, _encode(msgspec.json.decode(fields)))


def encode(message: Message) -> bytes:
    """A whole message, with its name and the version of its form."""
    kind = type(message)
    if isinstance(message, ApplyReservationEvent):
        fields = _encode((message.hotel, encode_record(message.record)))
    else:
        fields = encode_fields(message)
    return _encode((kind.__name__, _VERSIONS[kind], fields))


def decode(body: bytes) -> Message:
    """The message that `encode` was given."""
    name, version, fields = _decode_message(body)
    kind = TABLE.get(name)
    if kind is None or version > _VERSIONS[kind]:
        raise UnknownMessage(f"no message {name!r} of version {version} is known here; a newer version wrote it")
    message: Message = _decode_heard(fields) if kind is ApplyReservationEvent else _decode_fields(kind, version, fields)
    return message


def encode_record(record: RecordedEvent) -> bytes:
    """An event with its place; the event has a type and a version of its own."""
    place = (record.hotel, record.hotel_seq, record.at, record.by, record.correlation, record.cause)
    return _encode((*place, event_type(record.event), encode_fields(record.event)))


def decode_record(body: bytes) -> RecordedEvent:
    """The event that `encode_record` was given."""
    hotel, hotel_seq, at, by, correlation, cause, type_name, event = _decode_record(body)
    return RecordedEvent(hotel, hotel_seq, at, by, correlation, cause, decode_event(type_name, event))


def _decode_heard(fields: bytes) -> ApplyReservationEvent:
    hotel, record = _decode_heard_fields(fields)
    return ApplyReservationEvent(hotel, decode_record(record))


def _decode_fields(kind: type[Message], version: int, fields: bytes) -> Any:
    if version == _VERSIONS[kind]:
        return _DECODERS[kind].decode(fields)
    old = msgpack.unpackb(fields)
    for step in range(version, _VERSIONS[kind]):
        old = UPCASTS[kind.__name__, step](old)
    return msgspec.convert(old, kind)
