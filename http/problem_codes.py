"""The codes of problems: the status of a response with each, and what it means. The responses, the OpenAPI document and
docs/errors.md are made from these tables. A refusal has its code, meaning and fields in its class."""

from typing import NamedTuple

from innkeeper.protocol.billing.refusals import DocumentIncomplete, FormatUnavailable, GuestOwes, SellerIncomplete
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.refusals import Refusal
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
from innkeeper.protocol.values import limits


class ProblemCode(NamedTuple):
    """A code, the status of a response that has it, and what it means. `refusal` is the type whose fields are members
    of the problem, beside the standard ones."""

    name: str
    status: int
    meaning: str
    refusal: type[Refusal] | None = None


STATUS: dict[type[Refusal], int] = {
    refusals.InvalidRequest: 422,
    refusals.NotFound: 404,
    HotelExists: 409,
    DayNotOver: 409,
    OverstaysOpen: 409,
    ClockInDoubt: 409,
    SoldOut: 409,
    NoSingleRoom: 409,
    RoomTaken: 409,
    RoomOccupied: 409,
    NoRoomAssigned: 409,
    RoomsStillAvailable: 409,
    RoomNeeded: 409,
    RoomTypeNeeded: 409,
    RoomTypeExists: 409,
    RoomExists: 409,
    RoomClosedAlready: 409,
    RoomNotClean: 409,
    WaitsAlready: 409,
    WaitlistFull: 409,
    refusals.ActionNotAllowed: 409,
    GuestHasStays: 409,
    GuestOwes: 409,
    SellerIncomplete: 409,
    FormatUnavailable: 406,
    DocumentIncomplete: 409,
    refusals.GuestErased: 410,
    refusals.StaleVersion: 412,
    refusals.IdempotencyKeyReused: 422,
    refusals.BadSignature: 401,
    refusals.Unavailable: 503,
}

HEADERS = {
    401: {"WWW-Authenticate": 'Basic realm="innkeeper", charset="UTF-8"'},
    503: {"Retry-After": "1"},
}
"""The headers of responses with these statuses."""

MALFORMED_HOST = ProblemCode(
    "malformed_host", 400, "The host of the request is missing, malformed, or named twice in different ways."
)
NOT_JSON = ProblemCode("not_json", 400, "The body is not JSON in UTF-8.")
TOO_DEEP = ProblemCode("too_deep", 400, "The body is nested too deeply.")
HUNG_UP = ProblemCode("hung_up", 400, "The connection was closed before the whole body had arrived.")
KEY_REQUIRED = ProblemCode("key_required", 401, "The request has no known API key.")
CROSS_ORIGIN = ProblemCode("cross_origin", 403, "The request was made by a page of another origin.")
METHOD_NOT_ALLOWED = ProblemCode(
    "method_not_allowed", 405, "The path does not support this method; the header `Allow` names those that it does."
)
BODY_TIMEOUT = ProblemCode("body_timeout", 408, f"The body did not arrive in {limits.body_seconds_max} s.")
TOO_LARGE = ProblemCode("too_large", 413, f"The body has more than {limits.body_bytes_max:,} bytes.")
UNSUPPORTED_MEDIA_TYPE = ProblemCode(
    "unsupported_media_type", 415, "The body is not sent as JSON (`Content-Type`), or is encoded (`Content-Encoding`)."
)
UNKNOWN_HOST = ProblemCode(
    "unknown_host", 421, "The host of the request is not a known one of this server (`--host-name`)."
)
INTERNAL_ERROR = ProblemCode(
    "internal_error", 500, "The server failed. It has logged the error with the `request_id`; its operator can help."
)

_OF_THE_GATEWAY = (
    MALFORMED_HOST, NOT_JSON, TOO_DEEP, HUNG_UP, KEY_REQUIRED, CROSS_ORIGIN, METHOD_NOT_ALLOWED, BODY_TIMEOUT,
    TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNKNOWN_HOST, INTERNAL_ERROR,
)  # fmt: skip


def _meaning(kind: type[Refusal]) -> str:
    return " ".join((kind.__doc__ or "").split())


CODE_OF = {kind: ProblemCode(kind.code, status, _meaning(kind), kind) for kind, status in STATUS.items()}
"""The code of each refusal."""

PROBLEM_CODES = tuple(sorted((*_OF_THE_GATEWAY, *CODE_OF.values()), key=lambda code: (code.status, code.name)))
"""All codes, by their statuses."""
