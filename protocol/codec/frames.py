"""What the processes of one inn say to each other through their doors: frames of msgpack, one behind the other.

A question is `[number, verb, …]`, its answer `[number, kind, body]`; what is told unasked has the number 0. Everything
in them is plain data: whoever comes through a door can ask, and can make nobody run anything.
"""

from collections.abc import Sequence
from typing import Any, Final, get_type_hints, overload

import msgpack
import msgspec
from innkeeper.protocol.billing import payments
from innkeeper.protocol.codec import wire
from innkeeper.protocol.delivery import webhooks
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.notifications import terms as notification_terms
from innkeeper.protocol.ports import subscriptions as subscribing
from innkeeper.protocol.ports.message_bus import Envelope, Result
from innkeeper.protocol.ports.views import Views

FRAME_BYTES_MAX = 64 * 1_024 * 1_024
NEWS: Final = 0

ASK: Final = "ask"
TELL: Final = "tell"
POSITIONS: Final = "positions"
READ: Final = "read"
VIEW: Final = "view"
HEAR: Final = "hear"

DONE: Final = 0
REFUSED: Final = 1
BAD_CURSOR: Final = 2

_encode = msgspec.msgpack.Encoder().encode
_LISTENING = (notification_terms, payments, subscribing, webhooks)
MESSAGES: dict[str, type[msgspec.Struct]] = {
    name: kind
    for module in _LISTENING
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, ServiceMessage | Reply) and kind.__module__ == module.__name__
}
_VIEWS = {name: get_type_hints(getattr(Views, name)) for name in ("hotels", "bookings", "booking", "history", "chart")}


def frames_of() -> msgpack.Unpacker:
    """Takes bytes as they come in (`feed`), and gives the frames that are whole."""
    return msgpack.Unpacker(max_buffer_size=FRAME_BYTES_MAX)


def pack(*frame: Any) -> bytes:
    """A frame."""
    return _encode(frame)


def message_body(message: object) -> tuple[str, Any]:
    """What a service is told, or answers, as the body of a frame."""
    return type(message).__name__, msgspec.to_builtins(message, builtin_types=(bytes,))


def message_of(body: Sequence[Any]) -> Any:
    """See `message_body`."""
    name, fields = body
    return msgspec.convert(fields, MESSAGES[name])


def asked_fields(asked: Envelope) -> tuple[Any, ...]:
    """What is asked of a desk, as parts of a frame."""
    return wire.encode(asked.message), asked.key, asked.correlation, asked.by, asked.if_version


def asked_of(fields: Sequence[Any]) -> Envelope:
    """See `asked_fields`."""
    message, key, correlation, by, if_version = fields
    return Envelope(wire.decode(message), key, correlation, by, if_version)  # type: ignore[arg-type]


def answer_body(answer: Result) -> tuple[bytes, bool]:
    """What a desk answers, as the body of a frame."""
    return wire.encode(answer.answer), answer.replayed


def answer_of(body: Sequence[Any]) -> Result:
    """See `answer_body`."""
    return Result(wire.decode(body[0]), body[1])  # type: ignore[arg-type]


def refusal_of(body: bytes) -> Refusal:
    """Why not."""
    refusal = wire.decode(body)
    assert isinstance(refusal, Refusal)
    return refusal


def records_body(records: Sequence[RecordedEvent]) -> list[bytes]:
    """Events, as the body of a frame."""
    return [wire.encode_record(record) for record in records]


class Records(Sequence[RecordedEvent]):
    """See `records_body`. Each event is decoded when it is first asked for: a gateway to whom nobody listens never
    asks."""

    def __init__(self, body: Sequence[bytes]) -> None:
        self._told: list[bytes | RecordedEvent] = [*body]

    def __len__(self) -> int:
        return len(self._told)

    @overload
    def __getitem__(self, place: int) -> RecordedEvent: ...

    @overload
    def __getitem__(self, place: slice) -> list[RecordedEvent]: ...

    def __getitem__(self, place: int | slice) -> RecordedEvent | list[RecordedEvent]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        told = self._told[place]
        if isinstance(told, bytes):
            told = self._told[place] = wire.decode_record(told)
        return told


def entries_body(entries: Sequence[LogEntry]) -> list[tuple[int, bytes]]:
    """Entries of a log, as the body of a frame."""
    return [(position, wire.encode_record(record)) for position, record in entries]


def entries_of(body: Sequence[Any]) -> list[LogEntry]:
    """See `entries_body`."""
    return [(position, wire.decode_record(record)) for position, record in body]


def view_fields(name: str, question: Sequence[Any]) -> tuple[Any, ...]:
    """What is asked of the read models, as parts of a frame."""
    return name, *msgspec.to_builtins(question)


def view_of(fields: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """See `view_fields`."""
    name, *question = fields
    *kinds, _ = _VIEWS[name].values()
    return name, msgspec.convert(question, tuple[*kinds])  # type: ignore[valid-type]


def seen_body(name: str, seen: Any) -> Any:
    """What the read models show, as the body of a frame."""
    return entries_body(seen) if name == "history" else msgspec.to_builtins(seen)


def seen_of(name: str, body: Any) -> Any:
    """See `seen_body`."""
    return entries_of(body) if name == "history" else msgspec.convert(body, _VIEWS[name]["return"])
