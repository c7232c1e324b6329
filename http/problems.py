"""Errors as RFC 9457 problem details: how each is rendered."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import RequestRejected
from innkeeper.http.api.resources import Problem
from innkeeper.http.problem_codes import (
    CODE_OF,
    HEADERS,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    TOO_LARGE,
    ProblemCode,
)
from innkeeper.protocol.billing.refusals import (
    DocumentIncomplete,
    FormatUnavailable,
    GuestOwes,
    SellerIncomplete,
)
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.refusals import FieldError, Refusal, Refused
from innkeeper.protocol.ports.journal import JournalError, unavailable_reason
from innkeeper.protocol.reservations.refusals import (
    ClockInDoubt,
    DayNotOver,
    DisplacedBooking,
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
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

logger = logging.getLogger(__name__)

_OUTCOMES = {
    False: "nothing was changed, try again",
    True: "it may have been carried out, repeat the request with the same Idempotency-Key",
}
_OBSTACLES = {
    "in_house": "the guest is in house",
    "pinned": "its room is pinned",
    "left": "it keeps tonight",
    "divided": "the stay is divided between rooms",
    "no_room": "no other room of the type is free",
}


def _displaced(displaced: tuple[DisplacedBooking, ...]) -> str:
    return ", ".join(f"{one.locator} ({_OBSTACLES[one.obstacle]})" for one in displaced)


_DETAILS: dict[type[Refusal], Callable[[Any], str]] = {
    refusals.InvalidRequest: lambda refusal: "; ".join(f"{e.field}: {e.message}" for e in refusal.errors),
    refusals.NotFound: lambda refusal: f"there is no {refusal.kind} {refusal.name!r}",
    HotelExists: lambda refusal: f"a hotel {refusal.hotel!r} already exists",
    DayNotOver: lambda refusal: f"{refusal.date} can be closed from {refusal.over_at_local} on",
    OverstaysOpen: lambda refusal: (
        "guests who were due out are in house: "
        + ", ".join(one.locator for one in refusal.bookings)
        + "; check them out, or give them a later departure"
    ),
    ClockInDoubt: lambda refusal: f"{refusal.reason}; send confirm_clock, if what it shows is right",
    SoldOut: lambda refusal: f"no {refusal.room_type} is left on " + ", ".join(map(str, refusal.nights)),
    NoSingleRoom: lambda refusal: f"pinned rooms leave no single {refusal.room_type} for the whole stay",
    RoomTaken: lambda refusal: f"room {refusal.room} is taken on " + ", ".join(map(str, refusal.nights)),
    RoomOccupied: lambda refusal: (
        f"the guest of booking {refusal.locator} is in room {refusal.room}; check that guest out, or use move to give"
        f" this one another room; {_free(refusal.rooms)}"
    ),
    NoRoomAssigned: lambda refusal: (
        f"no {refusal.room_type} is assigned for tonight; use move to give the booking a room; {_free(refusal.rooms)}"
    ),
    RoomsStillAvailable: lambda refusal: f"a {refusal.room_type} is available for this stay; book it instead",
    RoomNeeded: lambda refusal: (
        f"room {refusal.room} is needed: {_displaced(refusal.displaced)} cannot have another room"
    ),
    RoomTypeNeeded: lambda refusal: (
        f"room type {refusal.room_type} is needed: "
        + ", ".join(
            [one.locator for one in refusal.displaced]
            + [f"{len(refusal.waitlist)} on the waitlist"] * bool(refusal.waitlist)
        )
    ),
    RoomTypeExists: lambda refusal: f"this hotel already has a room type {refusal.room_type}",
    RoomExists: lambda refusal: f"this hotel already has a room {refusal.room}, of type {refusal.room_type}",
    RoomClosedAlready: lambda refusal: (
        f"room {refusal.room} is closed on some of these nights already, by closure {refusal.closure}"
    ),
    RoomNotClean: lambda refusal: (
        f"room {refusal.room} is {refusal.condition}; clean, vacant and free for this stay: "
        + (", ".join(refusal.clean_rooms) or "none")
    ),
    WaitsAlready: lambda refusal: f"the guest waits for this stay already: {refusal.entry}",
    WaitlistFull: lambda refusal: f"the waitlist already has {refusal.entries} entries, which is the maximum",
    GuestHasStays: lambda refusal: (
        "the guest cannot be forgotten: " + ", ".join((*refusal.bookings, *refusal.waitlist)) + " has not ended"
    ),
    GuestOwes: lambda refusal: (
        "the guest cannot be forgotten: the balance of " + ", ".join(refusal.bookings) + " is not zero"
    ),
    SellerIncomplete: lambda refusal: (
        "no document can be issued: the seller in the hotel's billing terms lacks " + ", ".join(refusal.lacking)
    ),
    FormatUnavailable: lambda refusal: (
        f"{refusal.reason}; "
        + (f"install {refusal.extra}, or request" if refusal.extra else "request")
        + " another format"
    ),
    DocumentIncomplete: lambda refusal: "; ".join(f"{e.field}: {e.message}" for e in refusal.errors),
    refusals.GuestErased: lambda _: (
        "the reply that was given under this idempotency key had details of a guest who is forgotten; what was done"
        " stays done"
    ),
    refusals.ActionNotAllowed: lambda refusal: refusal.reason,
    refusals.StaleVersion: lambda refusal: f"it has changed; its current version is {refusal.version}",
    refusals.BadSignature: lambda refusal: f"the signature is invalid: {refusal.reason}",
    refusals.IdempotencyKeyReused: lambda _: "this idempotency key was already used for another request",
    refusals.Unavailable: lambda refusal: f"{refusal.reason}; {_OUTCOMES[refusal.unknown]}",
}


def _free(rooms: tuple[str, ...]) -> str:
    return "free and vacant: " + ", ".join(rooms) if rooms else "no other is free"


_TITLES = {
    "invalid": "Invalid request",
    "not_found": "Not found",
    "sold_out": "Sold out",
    "not_allowed": "Not allowed in this state",
    "stale_version": "Version conflict",
    "unavailable": "Temporarily unavailable",
    "unknown_host": "Unknown host",
    "malformed_host": "Missing, malformed or repeated Host header",
    "cross_origin": "Forbidden for pages of another origin",
}

_logged = RepeatedMessages()

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)


def _details(
    code: ProblemCode, detail: str, request_id: str, errors: tuple[FieldError, ...] = (), **more: object
) -> dict[str, Any]:
    """The members of a problem; `more` are those beside the standard ones."""
    title = _TITLES.get(code.name, code.name.replace("_", " ").capitalize())
    standard = Problem(f"/docs#error-{code.name}", title, code.status, detail, code.name, errors, request_id)
    return {**msgspec.structs.asdict(standard), **more}


def refusal_details(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """The members of the problem that a refusal is: its own fields (nights, allowed actions) are among them."""
    more = msgspec.structs.asdict(refusal)
    errors = more.pop("errors", ())
    kind = type(refusal)
    return _details(CODE_OF[kind], _DETAILS[kind](refusal), request_id, errors, **more)


def _response(details: dict[str, Any]) -> web.Response:
    status = details["status"]
    headers = HEADERS.get(status)
    return web.Response(
        body=msgspec.json.encode(details), status=status, headers=headers, content_type="application/problem+json"
    )


def _problem(request: web.Request, code: ProblemCode, detail: str) -> web.Response:
    return _response(_details(code, detail, request.get(REQUEST_ID, "")))


def _refusal_response(request: web.Request, refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    response = _response(refusal_details(refusal, request.get(REQUEST_ID, "")))
    response.headers.update(headers or {})
    return response


def error_response(request: web.Request, error: Exception) -> web.Response:
    """An error of a handler as problem details. Raises a redirection again."""
    match error:
        case Refused():
            return _refusal_response(request, error.refusal, getattr(error, "headers", None))
        case JournalError():
            if _logged.is_due(error):
                logger.error("request %s cannot be answered: %s", request[REQUEST_ID], error)
            unknown = request.method != "GET"  # a command may have been carried out before its reply was read
            return _refusal_response(request, refusals.Unavailable(unavailable_reason(error), unknown))
        case RequestRejected():
            return _problem(request, error.code, error.detail)
        case web.HTTPRequestEntityTooLarge():
            return _problem(request, TOO_LARGE, f"the body may have at most {limits.body_bytes_max} bytes")
        case web.HTTPMethodNotAllowed():
            response = _problem(request, METHOD_NOT_ALLOWED, f"this resource does not support {request.method}")
            response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
            return response
        case web.HTTPNotFound():
            return _refusal_response(request, refusals.NotFound("resource", request.path))
        case web.HTTPException() if error.status < 400:
            raise error
    logger.error("request %s failed: %s %s", request[REQUEST_ID], request.method, request.path, exc_info=error)
    return _problem(request, INTERNAL_ERROR, "the server failed; it has logged the error with the request id")
