"""Errors as RFC 9457 problem details: the table of statuses, and the middleware that renders and counts them."""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import RequestRejected
from innkeeper.http.api.resources import Problem
from innkeeper.http.metrics import Metrics
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.refusals import FieldError, Refusal, Refused
from innkeeper.protocol.reservations.refusals import (
    HotelExists,
    NoSingleRoom,
    RoomsStillAvailable,
    RoomTaken,
    SoldOut,
    WaitlistFull,
)
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

STATUS: dict[type[Refusal], int] = {
    refusals.InvalidRequest: 422,
    refusals.NotFound: 404,
    HotelExists: 409,
    SoldOut: 409,
    NoSingleRoom: 409,
    RoomTaken: 409,
    RoomsStillAvailable: 409,
    WaitlistFull: 409,
    refusals.ActionNotAllowed: 409,
    refusals.StaleVersion: 412,
    refusals.IdempotencyKeyReused: 422,
    refusals.BadSignature: 401,
    refusals.Unavailable: 503,
}

_OUTCOMES = {
    False: "nothing was changed, try again",
    True: "it may have been carried out, repeat the request with the same Idempotency-Key",
}
_DETAILS: dict[type[Refusal], Callable[[Any], str]] = {
    refusals.InvalidRequest: lambda refusal: "; ".join(f"{e.field}: {e.message}" for e in refusal.errors),
    refusals.NotFound: lambda refusal: f"there is no {refusal.kind} {refusal.name!r}",
    HotelExists: lambda refusal: f"a hotel {refusal.hotel!r} already exists",
    SoldOut: lambda refusal: f"no {refusal.room_type} is left on " + ", ".join(map(str, refusal.nights)),
    NoSingleRoom: lambda refusal: f"pinned rooms leave no single {refusal.room_type} for the whole stay",
    RoomTaken: lambda refusal: f"room {refusal.room} is taken on " + ", ".join(map(str, refusal.nights)),
    RoomsStillAvailable: lambda refusal: f"a {refusal.room_type} is available for this stay; book it instead",
    WaitlistFull: lambda refusal: f"the waitlist already has {refusal.entries} entries, which is the maximum",
    refusals.ActionNotAllowed: lambda refusal: refusal.reason,
    refusals.StaleVersion: lambda refusal: f"the booking has changed; its current version is {refusal.version}",
    refusals.BadSignature: lambda refusal: f"the signature is invalid: {refusal.reason}",
    refusals.IdempotencyKeyReused: lambda _: "this idempotency key was already used for another request",
    refusals.Unavailable: lambda refusal: f"{refusal.reason}; {_OUTCOMES[refusal.unknown]}",
}

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

_HEADERS = {503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": 'Basic realm="innkeeper", charset="UTF-8"'}}

_REQUEST_ID = re.compile(rf"[\x21-\x7e]{{1,{limits.request_id_characters_max}}}")
_SLOW_SECONDS = 0.5
_PROCESS = os.urandom(8).hex()  # prefix of generated request ids: unique to this process
_requests = count(1)

METRICS: web.AppKey[Metrics] = web.AppKey("metrics")
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)

NOT_FOR_OTHER_ORIGINS = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
"""Headers of every response: a browser does not give it to a page of another origin, whatever its media type."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem(
    request: web.Request,
    status: int,
    code: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    **more: object,
) -> web.Response:
    """A response with problem details; `more` are members beside the standard ones."""
    title = _TITLES.get(code, code.replace("_", " ").capitalize())
    details = Problem(f"/problems/{code}", title, status, detail, code, errors, request.get(REQUEST_ID, ""))
    body = {**msgspec.structs.asdict(details), **more}
    headers = _HEADERS.get(status)
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/problem+json"
    )


def refusal_response(request: web.Request, refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as problem details, with its further fields (nights, allowed actions) as members."""
    more = msgspec.structs.asdict(refusal)
    errors = more.pop("errors", ())
    kind = type(refusal)
    response = problem(request, STATUS[kind], refusal.code, _DETAILS[kind](refusal), errors, **more)
    response.headers.update(headers or {})
    return response


@web.middleware
async def handle_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Assigns each request an id, renders all errors as problem details, and logs slow requests."""
    given = request.headers.get("X-Request-ID")
    request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else f"{_PROCESS}-{next(_requests):x}"
    request[REQUEST_ID] = request_id
    start = time.perf_counter()
    try:
        response = await handler(request)
    except Refused as refused:
        response = refusal_response(request, refused.refusal, getattr(refused, "headers", None))
    except RequestRejected as error:
        response = problem(request, error.status, error.code, error.detail)
    except web.HTTPRequestEntityTooLarge:
        response = problem(request, 413, "too_large", f"the body may have at most {limits.body_bytes_max} bytes")
    except web.HTTPMethodNotAllowed as error:
        response = problem(request, 405, "method_not_allowed", f"this resource does not support {request.method}")
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    except web.HTTPNotFound:
        response = problem(request, 404, "not_found", "there is no resource at this path")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = problem(request, error.status, error.reason.lower().replace(" ", "_"), error.text or error.reason)
    except Exception:
        logger.exception("request %s failed: %s %s", request_id, request.method, request.path)
        response = problem(
            request, 500, "internal_error", "the server failed; it has logged the error with the request id"
        )
    if response.prepared:  # a stream, whose duration the client decides
        return response
    response.headers["X-Request-ID"] = request_id
    response.headers.update(NOT_FOR_OTHER_ORIGINS)
    seconds = time.perf_counter() - start
    request.app[METRICS].count(request, response.status, seconds)
    if seconds > _SLOW_SECONDS:
        logger.warning("request %s took %.0f ms: %s %s", request_id, seconds * 1e3, request.method, request.path)
    return response
