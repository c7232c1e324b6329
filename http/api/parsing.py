"""Parses requests into commands and queries, or refuses them with the field and the rule that it breaks."""

import re
from collections.abc import Awaitable, Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from innkeeper.http.api.validation_messages import refusal_of
from innkeeper.http.problem_codes import NOT_JSON, TOO_DEEP, ProblemCode
from innkeeper.protocol.delivery.webhooks import check_event_types
from innkeeper.protocol.messages.refusals import NotFound, Refused, invalid
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.commands import ACTIONS, BookingCommand
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.text import UNPADDED, Adults, Children, Line, SearchText
from msgspec import Meta

T = TypeVar("T")

_NO_BODY = b"{}"
_KEY = re.compile(rf"[\x21-\x7e]{{1,{limits.idempotency_key_characters_max}}}")
_CURSOR_DIGITS_MAX = 18
_POSITIONS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}){0,9}")
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')

READ_ARRIVING: web.AppKey[Callable[[web.Request], Awaitable[bytes]]] = web.AppKey("read_arriving")
"""Reads a body of which more is to arrive."""


class RequestRejected(Exception):
    """The request is rejected before it is decoded; the response has this code."""

    def __init__(self, code: ProblemCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The requested page of a list."""

    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default
    cursor: Annotated[str, Meta(max_length=200, pattern=UNPADDED)] | None = None


class DryRunQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to answer only what the request would do."""

    dry_run: bool = False


class BookingsView(StrEnum):
    """A list of the front desk, on the business date: who is to come, and has not; who is to leave, and has not; who is
    in house; who of them has stayed longer than agreed; and who of them is to change rooms, and has not."""

    DUE_IN = "due_in"
    DUE_OUT = "due_out"
    IN_HOUSE = "in_house"
    OVERSTAY = "overstay"
    MOVING = "moving"


class BookingsQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """Filters the bookings of a hotel: arrivals from `arrival_from` to `arrival_to` and departures likewise, both
    included; or a `view`, which has a status and dates of its own."""

    status: BookingStatus | None = None
    room_type: Line | None = None
    room: Line | None = None
    arrival_from: date | None = None
    arrival_to: date | None = None
    departure_from: date | None = None
    departure_to: date | None = None
    view: BookingsView | None = None
    q: SearchText | None = None

    def __post_init__(self) -> None:
        for name in ("arrival", "departure"):
            start, end = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            if start is not None and end is not None and end < start:
                message = f"expected a date that is not before {name}_from, {start}"
                raise invalid(f"{name}_to", f"from_{name}_from", message)
        own = ("status", "arrival_from", "arrival_to", "departure_from", "departure_to")
        if self.view is not None and (given := [name for name in own if getattr(self, name) is not None]):
            raise invalid("view", "alone", f"{self.view} has a status and dates of its own; leave out {given[0]}")


Ages = Annotated[
    str,
    Meta(
        max_length=limits.guests_per_room_max * 3,
        pattern=r"^([0-9]{1,2}(,[0-9]{1,2})*)?$",
        extra_json_schema={"description": "ages separated by commas, such as 5,12"},
    ),
]
"""The ages of children in a query."""


class AvailabilityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stay and its guests: the number of adults, and the ages of the children, separated by commas."""

    arrival: date
    departure: date
    adults: Adults = 1
    children: Ages = ""
    allow_split: bool = False

    def ages(self) -> tuple[int, ...]:
        """The ages of the children. Refuses those of adults, and too many."""
        try:
            return msgspec.convert(self.children.split(",") if self.children else (), Children, strict=False)
        except msgspec.ValidationError:
            text = f"expected at most {limits.guests_per_room_max} ages from 0 to {limits.child_age_max}"
            raise invalid("children", "range", text) from None


class NightsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Nights [from, to)."""

    from_: date
    to: date


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a log of events, or of one hotel's events in it. `cursor` is the end of the previous page, and takes
    precedence over `after`."""

    after: Annotated[int, Meta(ge=0, le=limits.position_max)] = 0
    cursor: Annotated[int, Meta(ge=0, le=limits.position_max)] | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default
    log: Line = RESERVATIONS
    hotel: Line | None = None


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The filter and start of a live stream: a hotel, event types separated by commas, and the position in each log
    after which the stream starts, in the form of its event ids."""

    hotel: Line | None = None
    type: Annotated[str, Meta(max_length=1_000, pattern=UNPADDED)] | None = None
    after: Annotated[str, Meta(max_length=100, pattern=UNPADDED)] | None = None

    def types(self) -> tuple[str, ...]:
        """The event types as a tuple. Refuses unknown ones."""
        names = tuple(self.type.split(",")) if self.type else ()
        check_event_types(names, "type")
        return names


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query string of a route that has no parameters."""


class NightAuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to show what the audit would do, without doing it."""

    dry_run: bool = False


class NightAuditRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"date_": "date"}):
    """The business date to close; without one, each that is over. `early` closes it from its noon on. `to` is for a
    simulated clock: the date that is open in the end. `confirm_clock` says that the server's clock is right, after it
    has jumped."""

    date_: date | None = None
    early: bool = False
    to: date | None = None
    confirm_clock: bool = False

    def __post_init__(self) -> None:
        if self.to is not None and (self.date_ is not None or self.early):
            raise invalid("to", "alone", "give either date or to; only a date is closed early")
        if self.early and self.date_ is None:
            raise invalid("early", "date", "a date that is closed early is to be named: give date")


async def read_body(request: web.Request) -> bytes:
    """Reads the whole body, once. Raises RequestRejected, and `Refused` where the gateway stops before it has all of
    it."""
    if not request.content.is_eof():
        return await request.app[READ_ARRIVING](request)
    body = request.content.read_nowait()  # `request.read()` takes several steps for that
    if len(body) > limits.body_bytes_max:
        raise web.HTTPRequestEntityTooLarge(limits.body_bytes_max)
    return body


def trimmed(value: Any) -> Any:
    """The value without the blanks around its texts: people type them by mistake."""
    match value:
        case str():
            return value.strip()
        case list():
            return [trimmed(one) for one in value]
        case dict():
            return {name: trimmed(one) for name, one in value.items()}
    return value


async def body_of(request: web.Request, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decodes the body as a value of the decoder's type, without blanks around its texts. An empty body is an empty
    object."""
    body = await read_body(request) or _NO_BODY
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            return _decode_trimmed(body, decoder, error)
    except msgspec.ValidationError as error:
        raise refusal_of(error, decoder.type) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestRejected(NOT_JSON, f"the body is not JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise RequestRejected(TOO_DEEP, "the body is nested too deeply") from error


def _decode_trimmed(body: bytes, decoder: "msgspec.json.Decoder[T]", refused: msgspec.ValidationError) -> T:
    """Decodes a body that was refused again, without blanks around its texts: no text type takes these."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.ValidationError:  # a number is too large for any field; the error that names the field says more
        raise refused from None
    return msgspec.convert(trimmed(value), decoder.type)


_RENAMED = {"from_": "from", "with_": "with"}  # words of Python


def _own_fields(kind: type[BookingCommand]) -> "msgspec.json.Decoder[msgspec.Struct]":
    """A decoder for the fields of an action other than the hotel and the booking."""
    fields = [
        (field.name, field.type) if field.default is msgspec.NODEFAULT else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(kind)[len(BookingCommand.__struct_fields__) :]
    ]
    own = msgspec.defstruct(kind.__name__, fields, kw_only=True, forbid_unknown_fields=True, rename=_RENAMED)
    return msgspec.json.Decoder(own)


_ACTIONS = {kind.action: (kind, _own_fields(kind)) for kind in ACTIONS}
ACTION_FIELDS = {action: (kind, decoder.type) for action, (kind, decoder) in _ACTIONS.items()}


async def action_of(request: web.Request) -> BookingCommand:
    """The action on a booking that the path names; the body has the action's own fields."""
    path = request.match_info
    if path["action"] not in _ACTIONS:
        raise Refused(NotFound("action", path["action"]))
    kind, decoder = _ACTIONS[path["action"]]
    fields = msgspec.structs.asdict(await body_of(request, decoder))
    return kind(path["hotel"], path["booking"], **fields)


def query_of(request: web.Request, kind: type[T]) -> T:
    """Converts the query string to a value of this type."""
    query = request.query
    for name in query:
        if len(query.getall(name)) > 1:
            raise invalid(name, "once", "may be given only once")
    try:
        return msgspec.convert({name: text.strip() for name, text in query.items()}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal_of(error, kind) from error


def is_dry_run(request: web.Request) -> bool:
    """Whether the request asks only what it would do."""
    return query_of(request, DryRunQuery).dry_run


def unknown_cursor() -> Refused:
    """The refusal of a cursor that the server has not given."""
    return invalid("cursor", "unknown", "expected the next_cursor of a page of this list")


def number_of(cursor: str) -> int:
    """The number that a cursor consists of. Refuses any other cursor."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS_MAX):
        raise unknown_cursor()
    return int(cursor)


def slug_of(name: str) -> str:
    """Derives a hotel's id from its name: "Hotel do Mar, Faro" gives `hotel-do-mar-faro`."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: limits.slug_characters_max].strip("-")
    if not slug:
        raise invalid("id", "required", "required, because none can be derived from this name")
    return slug


def idempotency_key(request: web.Request, by: str) -> str | None:
    """The idempotency key of the request, if it has one, prefixed by the client's name. A GET needs none."""
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method == "GET":
        return None
    if not _KEY.fullmatch(key):
        raise invalid(
            "Idempotency-Key", "form", f"a key is 1 to {limits.idempotency_key_characters_max} visible ASCII characters"
        )
    return f"{by}:{key}"


def resume_after(request: web.Request, question: StreamQuery, ends: tuple[int, ...]) -> tuple[int, ...]:
    """The position in each log after which the stream starts: that of `Last-Event-ID`, or of `after`, or the log's end
    where neither gives one."""
    last = request.headers.get("Last-Event-ID")
    field, text = ("after", question.after) if last is None else ("Last-Event-ID", last)
    if text is None:
        return ends
    after = tuple(map(int, text.split("."))) if _POSITIONS.fullmatch(text) else (-1,)
    if len(after) > len(ends) or not all(0 <= one <= end for one, end in zip(after, ends, strict=False)):
        logs = ".".join(map(str, ends))
        raise invalid(field, "range", f"expected a position in each log, such as {logs}, where they end")
    return after + ends[len(after) :]


def if_version(request: web.Request) -> int | None:
    """The version in `If-Match`; None for any. A tag in another form becomes -1, which no booking has."""
    tag = request.headers.get("If-Match")
    if tag is None or tag.strip() == "*":
        return None
    match = _ETAG.fullmatch(tag.strip())
    return int(match[1]) if match else -1
