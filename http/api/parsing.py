"""From what a client sent to a command: decode, or say which field broke which rule."""

import asyncio
import re
from datetime import date
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.refusals import FieldError, Invalid, NotFound, Refused, invalid
from innkeeper.protocol.reservations.booking import Status
from innkeeper.protocol.reservations.commands import ACTIONS, ActionCommand
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.text import Line
from msgspec import Meta

T = TypeVar("T")

_NO_BODY = b"{}"
_POSITION_MAX = 2**63 - 1  # the largest integer that a database knows
_KEY = re.compile(rf"[\x21-\x7e]{{1,{limits.idempotency_key_characters_max}}}")
_POSITIONS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}){0,9}")
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')


class Malformed(Exception):
    """The request cannot be read at all; `status` and `code` say why."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default
    cursor: Annotated[str, Meta(max_length=200)] | None = None


class BookingFilter(Page, frozen=True, forbid_unknown_fields=True):
    """Which bookings of a hotel. Arrivals are from `arrival_from` to `arrival_to`, both included."""

    status: Status | None = None
    room_type: Line | None = None
    room: Line | None = None
    arrival_from: date | None = None
    arrival_to: date | None = None
    q: Line | None = None


class AvailabilityQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For which stay, and how many guests."""

    arrival: date
    departure: date
    guests: Annotated[int, Meta(ge=1, le=limits.guests_per_room_max)] = 1


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Nights [from, to)."""

    from_: date
    to: date


class LogPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of which log of events, or what stands there of one hotel; `cursor` is where the last part ended, and
    goes before `after`."""

    after: Annotated[int, Meta(ge=0, le=_POSITION_MAX)] = 0
    cursor: Annotated[int, Meta(ge=0, le=_POSITION_MAX)] | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default
    log: Line = RESERVATIONS
    hotel: Line | None = None


class StreamQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to listen to: a hotel, types of events with commas between, and from where on: the position in each log, in
    the form of the stream's own ids."""

    hotel: Line | None = None
    type: Annotated[str, Meta(max_length=1_000)] | None = None
    after: Annotated[str, Meta(max_length=100)] | None = None

    def types(self) -> tuple[str, ...]:
        """The types by themselves; refuses those that no event has."""
        wanted = tuple(self.type.split(",")) if self.type else ()
        for one in wanted:
            if not wire.is_known_type(one):
                raise invalid("type", "unknown", f"no event is of type {one!r}; see the types in GET /v1/events")
        return wanted


class AuditRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to which business date."""

    to: date | None = None


async def read_body(request: web.Request) -> bytes:
    """The whole body; nothing is an empty object. The application's own size limit holds."""
    if request.content.is_eof():
        return await request.read() or _NO_BODY
    try:
        async with asyncio.timeout(limits.body_seconds_max):
            return await request.read() or _NO_BODY
    except TimeoutError:
        raise Malformed(408, "body_timeout", f"the body did not arrive in {limits.body_seconds_max} s") from None
    except ConnectionError:
        raise Malformed(400, "hung_up", "the connection ended before the body did") from None


async def body_of(request: web.Request, decoder: "msgspec.json.Decoder[T]") -> T:
    """The body as a value of the decoder's type."""
    body = await read_body(request)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refused(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(400, "not_json", f"the body is not JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise Malformed(400, "too_deep", "the body is nested too deep") from error


def _own_fields(kind: type[ActionCommand]) -> "msgspec.json.Decoder[msgspec.Struct]":
    """A decoder for what an action needs beyond the booking."""
    fields = [
        (field.name, field.type) if field.default is msgspec.NODEFAULT else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(kind)[len(ActionCommand.__struct_fields__) :]
    ]
    return msgspec.json.Decoder(msgspec.defstruct(kind.__name__, fields, kw_only=True, forbid_unknown_fields=True))


_ACTIONS = {kind.action: (kind, _own_fields(kind)) for kind in ACTIONS}
ACTION_FIELDS = {action: (kind, decoder.type) for action, (kind, decoder) in _ACTIONS.items()}


async def action_of(request: web.Request) -> ActionCommand:
    """The action on this booking that the path names; the body holds the action's own fields, if it has any."""
    path = request.match_info
    if path["action"] not in _ACTIONS:
        raise Refused(NotFound("action", path["action"]))
    kind, decoder = _ACTIONS[path["action"]]
    fields = msgspec.structs.asdict(await body_of(request, decoder))
    return kind(path["hotel"], path["booking"], **fields)


def query_of(request: web.Request, kind: type[T]) -> T:
    """The query string as a value."""
    query = request.query
    for name in query:
        if len(query.getall(name)) > 1:
            raise invalid(name, "once", f"{name} is given more than once")
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refused(error) from error


def slug_of(name: str) -> str:
    """A hotel's id from its name: "Hotel do Mar, Faro" is `hotel-do-mar-faro`."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: limits.slug_characters_max].strip("-")
    if not slug:
        raise invalid("id", "required", "give an id: none can be made from this name")
    return slug


def idempotency_key(request: web.Request, by: str) -> str | None:
    """The key of the request, if it has one; each client has its own keys."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise invalid(
            "Idempotency-Key", "form", f"a key is 1 to {limits.idempotency_key_characters_max} visible ASCII characters"
        )
    return f"{by}:{key}"


def resume_after(request: web.Request, asked: StreamQuestion, ends: tuple[int, ...]) -> tuple[int, ...]:
    """Behind which position in each log the client's stream goes on: what it heard last, what it asks for, or now, as
    in logs of which it says nothing."""
    last = request.headers.get("Last-Event-ID")
    field, told = ("after", asked.after) if last is None else ("Last-Event-ID", last)
    if told is None:
        return ends
    after = tuple(map(int, told.split("."))) if _POSITIONS.fullmatch(told) else (-1,)
    if len(after) > len(ends) or not all(0 <= one <= end for one, end in zip(after, ends, strict=False)):
        logs = ".".join(map(str, ends))
        raise invalid(field, "range", f"expected a position in each log, with points between; they end at {logs}")
    return after + ends[len(after) :]


def if_version(request: web.Request) -> int | None:
    """The version that the client saw. What we never gave out as an ETag matches no version."""
    tag = request.headers.get("If-Match")
    if tag is None or tag.strip() == "*":
        return None
    match = _ETAG.fullmatch(tag.strip())
    return int(match[1]) if match else -1


_PATH = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_KINDS = (
    (re.compile(r"missing required field `(.*)`"), "required", "{0} is required"),
    (re.compile(r"contains unknown field `(.*)`"), "unknown", "there is no field {0}"),
    (re.compile(r"Invalid RFC3339 encoded date"), "date", "expected a date that exists, as YYYY-MM-DD"),
    (re.compile(r"Expected `str` of length (\S+) (\d+)"), "length", "expected text of length {0} {1}"),
    (re.compile(r"Expected `\w+` of length (\S+) (\d+)"), "length", "expected {0} {1} entries"),
    (re.compile(r"Expected `\w+` (>=|<=|<|>) (\S+)"), "range", "expected a number {0} {1}"),
    (re.compile(r"out of range"), "range", "this number is too large"),
    (re.compile(r"matching regex"), "form", "contains characters, or has a form, that is not allowed here"),
    (re.compile(r"Invalid enum value '?(.*?)'?$"), "one_of", "{0} is not one of the values allowed here"),
    (re.compile(r"Expected `(.*)`, got `(.*)`"), "type", "expected {0}, got {1}"),
)


def _refused(error: msgspec.ValidationError) -> Refused:
    """Our refusal for what the decoder found, with the field's whole path."""
    text = str(error)
    match = _PATH.search(text)
    path = match[1] if match else ""
    cause = error.__cause__
    if isinstance(cause, Refused) and isinstance(cause.refusal, Invalid):
        found = [FieldError(_join(path, e.field), e.rule, e.message) for e in cause.refusal.errors]
        return Refused(Invalid(tuple(found)))
    text = _PATH.sub("", text)
    for pattern, rule, message in _KINDS:
        match = pattern.search(text)
        if match:
            field = _join(path, match[1]) if rule in ("required", "unknown") else path
            return invalid(field or "body", rule, message.format(*match.groups()))
    return invalid(path or "body", "form", text)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
