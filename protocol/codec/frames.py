"""The RPC protocol between the processes of one installation: frames of msgpack on a socket.

A request is `[number, verb, …]`, its response `[number, kind, body]`; a notification has the number 0. Frames contain
plain data only: a client can send requests, but no code.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, get_type_hints, overload

import msgpack
import msgspec
from innkeeper.protocol.billing import payments
from innkeeper.protocol.codec import wire
from innkeeper.protocol.delivery import webhooks
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.notifications import terms as notification_terms
from innkeeper.protocol.notifications import unsent
from innkeeper.protocol.ports import subscriptions as subscribing
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.guests import GuestDetails, GuestKey

FRAME_BYTES_MAX = 64 * 1_024 * 1_024
COMMITS: Final = 0

ASK: Final = "ask"
ASK_SERVICE: Final = "ask_service"
ASK_SERVICE_ONCE: Final = "ask_service_once"
POSITIONS: Final = "positions"
FAULT: Final = "fault"
CLOCK_DOUBT: Final = "clock_doubt"
IS_ERASING: Final = "is_erasing"
READ: Final = "read"
GUESTS: Final = "guests"
HASH: Final = "hash"
VIEW: Final = "view"
SUBSCRIBE: Final = "subscribe"

DONE: Final = 0
REFUSED: Final = 1
BAD_CURSOR: Final = 2

_encode = msgspec.msgpack.Encoder().encode
_decode_details = msgspec.msgpack.Decoder(GuestDetails).decode
_SERVICE_MODULES = (notification_terms, payments, subscribing, unsent, webhooks)


def _service_messages() -> Iterator[type[ServiceMessage] | type[Reply]]:
    for module in _SERVICE_MODULES:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, ServiceMessage | Reply) and hasattr(kind, "name"):
                yield kind


MESSAGES = {kind.name: kind for kind in _service_messages()}
"""All messages to services and their replies, by their names on the wire."""
_VIEWS = {
    name: get_type_hints(getattr(Views, name))
    for name in (
        "hotels",
        "bookings",
        "booking",
        "guest",
        "history",
        "chart",
    )
}


def frame_decoder() -> msgpack.Unpacker:
    """Returns a decoder that takes bytes as they arrive (`feed`), and yields the complete frames."""
    return msgpack.Unpacker(max_buffer_size=FRAME_BYTES_MAX)


def pack(*frame: Any) -> bytes:
    """Encodes a frame."""
    return _encode(frame)


def message_body(message: ServiceMessage | Reply) -> tuple[str, Any]:
    """Encodes a message to a service, or its reply, as the body of a frame."""
    return message.name, msgspec.to_builtins(message, builtin_types=(bytes,))


def message_of(body: Sequence[Any]) -> Any:
    """Decodes what `message_body` encodes."""
    name, fields = body
    return msgspec.convert(fields, MESSAGES[name])


def response_body(response: Reply | Refusal) -> bytes | tuple[str, Any]:
    """Encodes the reply of a service, or its refusal, as the body of a frame."""
    return wire.encode(response) if isinstance(response, Refusal) else message_body(response)


def response_of(body: bytes | Sequence[Any]) -> Reply | Refusal:
    """Decodes what `response_body` encodes."""
    response = refusal_of(body) if isinstance(body, bytes) else message_of(body)
    assert isinstance(response, Reply | Refusal)
    return response


def encode_response(response: Reply | Refusal) -> bytes:
    """Encodes the reply of a service, or its refusal, to be stored."""
    return _encode(response_body(response))


def decode_response(body: bytes) -> Reply | Refusal:
    """Decodes what `encode_response` encodes."""
    return response_of(msgspec.msgpack.decode(body))


def fingerprint_of(message: ServiceMessage) -> bytes:
    """Returns the digest of a message to a service; equal messages have equal digests."""
    return blake2b(_encode(message_body(message)), digest_size=16).digest()


def envelope_fields(envelope: Envelope) -> tuple[Any, ...]:
    """Encodes an envelope as parts of a frame."""
    message = wire.encode(envelope.message)
    return message, envelope.key, envelope.correlation, envelope.by, envelope.if_version, envelope.dry_run


def envelope_of(fields: Sequence[Any]) -> Envelope:
    """Decodes what `envelope_fields` encodes."""
    message, key, correlation, by, if_version, dry_run = fields
    return Envelope(wire.decode(message), key, correlation, by, if_version, dry_run=dry_run)  # type: ignore[arg-type]


def result_body(result: Result) -> tuple[bytes, bool]:
    """Encodes a result as the body of a frame."""
    return wire.encode(result.response), result.replayed


def result_of(body: Sequence[Any]) -> Result:
    """Decodes what `result_body` encodes."""
    return Result(wire.decode(body[0]), body[1])  # type: ignore[arg-type]


def refusal_of(body: bytes) -> Refusal:
    """Decodes the refusal that is the body of a frame."""
    refusal = wire.decode(body)
    assert isinstance(refusal, Refusal)
    return refusal


def records_body(records: Sequence[RecordedEvent]) -> list[bytes]:
    """Encodes events as the body of a frame."""
    return [wire.encode_record(record) for record in records]


class LazyRecords(Sequence[RecordedEvent]):
    """Decodes what `records_body` encodes, each event at its first access: a gateway without listeners decodes
    none."""

    def __init__(self, body: Sequence[bytes]) -> None:
        self._records: list[bytes | RecordedEvent] = [*body]

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, place: int) -> RecordedEvent: ...

    @overload
    def __getitem__(self, place: slice) -> list[RecordedEvent]: ...

    def __getitem__(self, place: int | slice) -> RecordedEvent | list[RecordedEvent]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        record = self._records[place]
        if isinstance(record, bytes):
            record = self._records[place] = wire.decode_record(record)
        return record


def entries_body(entries: Sequence[LogEntry]) -> list[tuple[int, bytes]]:
    """Encodes entries of a log as the body of a frame."""
    return [(position, wire.encode_record(record)) for position, record in entries]


def entries_of(body: Sequence[Any]) -> list[LogEntry]:
    """Decodes what `entries_body` encodes."""
    return [(position, wire.decode_record(record)) for position, record in body]


def guests_body(found: Mapping[GuestKey, GuestDetails]) -> list[tuple[str, int, bytes]]:
    """Encodes details of guests as the body of a frame."""
    return [(guest, version, _encode(details)) for (guest, version), details in found.items()]


def guests_of(body: Sequence[Any]) -> dict[GuestKey, GuestDetails]:
    """Decodes what `guests_body` encodes."""
    return {(guest, version): _decode_details(details) for guest, version, details in body}


def view_fields(name: str, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Encodes a call of a method of `Views` as parts of a frame."""
    return name, *msgspec.to_builtins(arguments)


def view_of(fields: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """Decodes what `view_fields` encodes."""
    name, *arguments = fields
    *kinds, _ = _VIEWS[name].values()
    return name, msgspec.convert(arguments, tuple[*kinds])  # type: ignore[valid-type]


def view_result_body(name: str, found: Any) -> Any:
    """Encodes the result of a method of `Views` as the body of a frame."""
    return entries_body(found) if name == "history" else msgspec.to_builtins(found)


def view_result_of(name: str, body: Any) -> Any:
    """Decodes what `view_result_body` encodes."""
    return entries_of(body) if name == "history" else msgspec.convert(body, _VIEWS[name]["return"])
