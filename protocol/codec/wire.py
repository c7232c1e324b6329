"""The wire format: msgpack maps of field names, with a table of all message types.

The bytes are plain msgpack, which any language can read. What any version wrote can be decoded for ever: a message
carries the version of its fields, and decoding converts an older version to the current one, one version at a time
(`UPCASTS`). Fields may be added with a default in the same version.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

import msgpack
import msgspec
from innkeeper.protocol.billing.commands import BILLING_COMMANDS, ApplyReservationEvent
from innkeeper.protocol.billing.events import BILLING_EVENTS
from innkeeper.protocol.billing.queries import BILLING_QUERIES
from innkeeper.protocol.billing.refusals import (
    DocumentIncomplete,
    FormatUnavailable,
    GuestOwes,
    SellerIncomplete,
)
from innkeeper.protocol.billing.replies import BILLING_REPLIES
from innkeeper.protocol.delivery.events import DELIVERY_EVENTS
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.commands import COMMANDS
from innkeeper.protocol.reservations.events import EVENTS
from innkeeper.protocol.reservations.queries import QUERIES
from innkeeper.protocol.reservations.refusals import (
    ClockInDoubt,
    DayNotOver,
    GuestHasStays,
    HotelExists,
    NoRoomAssigned,
    NoSingleRoom,
    OverstaysOpen,
    RoomClosedAlready,
    RoomExists,
    RoomNeeded,
    RoomNotClean,
    RoomOccupied,
    RoomsStillAvailable,
    RoomTaken,
    RoomTypeExists,
    RoomTypeNeeded,
    SoldOut,
    WaitlistFull,
    WaitsAlready,
)
from innkeeper.protocol.reservations.replies import REPLIES, BookingReply
from innkeeper.protocol.values.guests import Guest, bare

Message = msgspec.Struct

REFUSALS: tuple[type[refusals.Refusal], ...] = (
    refusals.InvalidRequest, refusals.NotFound, HotelExists, SoldOut, NoSingleRoom,
    RoomTaken, RoomOccupied, NoRoomAssigned, refusals.ActionNotAllowed, refusals.StaleVersion,
    refusals.IdempotencyKeyReused, refusals.BadSignature, refusals.GuestErased, GuestHasStays, GuestOwes,
    SellerIncomplete, FormatUnavailable, DocumentIncomplete,
    RoomsStillAvailable, WaitsAlready, WaitlistFull, DayNotOver, ClockInDoubt, OverstaysOpen,
    refusals.Unavailable,
    RoomTypeExists, RoomTypeNeeded, RoomExists, RoomNeeded, RoomClosedAlready, RoomNotClean,
)  # fmt: skip

ALL_EVENTS: tuple[type[Event], ...] = (*EVENTS, *BILLING_EVENTS, *DELIVERY_EVENTS)
_COMMANDS: tuple[type[Command], ...] = (*COMMANDS, *BILLING_COMMANDS)
_QUERIES: tuple[type[Query], ...] = (*QUERIES, *BILLING_QUERIES)
_REPLIES: tuple[type[Reply], ...] = (*REPLIES, *BILLING_REPLIES)
TABLE: dict[str, type[Message]] = {
    **{kind.name: kind for kind in _COMMANDS},
    **{kind.name: kind for kind in _QUERIES},
    **{kind.name: kind for kind in _REPLIES},
    **{kind.name: kind for kind in ALL_EVENTS},
    **{f"refusal.{kind.code}": kind for kind in REFUSALS},
}
"""All messages by their names on the wire."""

# (name of the message, version of its fields) → the function that converts its fields to the next version.
UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}

_VERSIONS = {kind: kind.version if issubclass(kind, Event) else 1 for kind in TABLE.values()}
_encode = msgspec.msgpack.Encoder().encode  # a fifth of the time of the msgpack package
_decode_message = msgspec.msgpack.Decoder(tuple[str, int, bytes]).decode
_decode_record = msgspec.msgpack.Decoder(tuple[str, int, int, str, str, str, str, bytes, str]).decode
_decode_apply_fields = msgspec.msgpack.Decoder(tuple[str, bytes, int]).decode
_DECODERS = {kind: msgspec.msgpack.Decoder(kind) for kind in TABLE.values()}
_NAMES = {kind: name for name, kind in TABLE.items()}
_TYPE_NAMES = {kind: f"innkeeper.{kind.name}.v{kind.version}" for kind in ALL_EVENTS}
_EVENT_TYPES = {
    f"innkeeper.{kind.name}.v{version}": (kind, version)
    for kind in ALL_EVENTS
    for version in range(1, kind.version + 1)
}


_GUESTS_OF_EVENTS = {
    kind: field.name for kind in ALL_EVENTS for field in msgspec.structs.fields(kind) if field.type is Guest
}
_GUESTS_OF_REPLIES: dict[type[Message], tuple[str, str]] = {BookingReply: ("booking", "guest")}  # the most frequent


class UnknownMessageType(ValueError):
    """A message of a type or version that this Innkeeper does not know: a newer one wrote it."""


def event_type(event: Event) -> str:
    """Returns the event's public type: `innkeeper.booking.confirmed.v1`."""
    return _TYPE_NAMES[type(event)]


def type_name(kind: type[Event]) -> str:
    """Returns the public type of a class of events."""
    return _TYPE_NAMES[kind]


def type_names(kinds: Iterable[type[Event]]) -> tuple[str, ...]:
    """Returns the public types of these classes of events, sorted."""
    return tuple(sorted(_TYPE_NAMES[kind] for kind in kinds))


def is_of_types(type_name: str, wanted: Iterable[str]) -> bool:
    """Returns whether the event's type is one of these, of which `innkeeper.booking.*` matches all that begin so."""
    return any(type_name.startswith(one[:-1]) if one.endswith("*") else type_name == one for one in wanted)


def kinds_of(wanted: Iterable[str]) -> frozenset[type[Event]]:
    """Returns the classes of these types of events, in their current versions."""
    wanted = tuple(wanted)
    return frozenset(kind for kind, type_name in _TYPE_NAMES.items() if is_of_types(type_name, wanted))


def is_known_event_type(type_name: str) -> bool:
    """Returns whether events of this type and version can be decoded."""
    return type_name in _EVENT_TYPES


def matches_any_type(wanted: str) -> bool:
    """Returns whether any event is of this type, which may end in `*`."""
    return any(is_of_types(type_name, (wanted,)) for type_name in _EVENT_TYPES)


def encode_event(event: Event) -> tuple[str, bytes]:
    """Encodes an event as a journal keeps it, without details of guests: its public type and its fields."""
    kind = type(event)
    field = _GUESTS_OF_EVENTS.get(kind)
    if field is not None and (guest := getattr(event, field)).details is not None:
        event = msgspec.structs.replace(event, **{field: Guest(guest.id, guest.version, guest.hash)})
    return _TYPE_NAMES[kind], _encode(event)


def encode_fields(message: Message) -> bytes:
    """Encodes the fields of a message, without its name and version."""
    return _encode(message)


def decode_event(type_name: str, fields: bytes) -> Event:
    """Decodes an event, and converts an older version of it. Raises `UnknownMessageType`."""
    if type_name not in _EVENT_TYPES:
        raise UnknownMessageType(f"event type {type_name!r} is unknown; a newer Innkeeper wrote it")
    event: Event = _decode_fields(*_EVENT_TYPES[type_name], fields)
    return event


def decode_event_json(type_name: str, fields: msgspec.Raw) -> Event:
    """Decodes an event from fields in JSON; see `decode_event`."""
    if type_name not in _EVENT_TYPES:
        raise UnknownMessageType(f"event type {type_name!r} is unknown; a newer Innkeeper wrote it")
    kind, version = _EVENT_TYPES[type_name]
    if version == _VERSIONS[kind]:
        return msgspec.json.decode(fields, type=kind)
    return decode_event(type_name, _encode(msgspec.json.decode(fields)))


def encode(message: Message) -> bytes:
    """Encodes a message with its name and the version of its fields."""
    kind = type(message)
    if isinstance(message, ApplyReservationEvent):
        fields = _encode((message.hotel, encode_record(message.record), message.previous))
    else:
        fields = _encode(message)
    return _encode((_NAMES[kind], _VERSIONS[kind], fields))


def encode_kept(message: Message) -> bytes:
    """Encodes a message that is to be kept, without details of guests."""
    kind = type(message)
    path = _GUESTS_OF_REPLIES.get(kind)
    if path is None:
        return encode(bare(message))
    outer, inner = path
    part = getattr(message, outer)
    guest = getattr(part, inner)
    part = msgspec.structs.replace(part, **{inner: Guest(guest.id, guest.version, guest.hash)})
    return _encode((_NAMES[kind], _VERSIONS[kind], _encode(msgspec.structs.replace(message, **{outer: part}))))


def decode(body: bytes) -> Message:
    """Decodes what `encode` encodes. Raises `UnknownMessageType`."""
    name, version, fields = _decode_message(body)
    kind = TABLE.get(name)
    if kind is None or version > _VERSIONS[kind]:
        raise UnknownMessageType(f"message {name!r} of version {version} is unknown; a newer Innkeeper wrote it")
    message: Message = _decode_apply(fields) if kind is ApplyReservationEvent else _decode_fields(kind, version, fields)
    return message


def fingerprint(message: Message) -> bytes:
    """Returns the digest of a message; equal messages have equal digests."""
    return blake2b(_encode((_NAMES[type(message)], _encode(message))), digest_size=16).digest()


def encode_record(record: RecordedEvent) -> bytes:
    """Encodes an event with its place in the journal; the event has a type and version of its own."""
    place = (record.hotel, record.hotel_seq, record.at, record.by, record.correlation, record.cause)
    return _encode((*place, event_type(record.event), encode_fields(record.event), record.timeline))


def decode_record(body: bytes) -> RecordedEvent:
    """Decodes what `encode_record` encodes. Raises `UnknownMessageType`."""
    hotel, hotel_seq, at, by, correlation, cause, type_name, event, timeline = _decode_record(body)
    return RecordedEvent(hotel, hotel_seq, at, by, correlation, cause, decode_event(type_name, event), timeline)


def _decode_apply(fields: bytes) -> ApplyReservationEvent:
    hotel, record, previous = _decode_apply_fields(fields)
    return ApplyReservationEvent(hotel, decode_record(record), previous)


def _decode_fields(kind: type[Message], version: int, fields: bytes) -> Any:
    if version == _VERSIONS[kind]:
        return _DECODERS[kind].decode(fields)
    old = msgpack.unpackb(fields)
    for step in range(version, _VERSIONS[kind]):
        old = UPCASTS[_NAMES[kind], step](old)
    return msgspec.convert(old, kind)
