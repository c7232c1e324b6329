"""Every error as RFC 9457 problem details: a table of statuses, and a middleware that catches and counts all."""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import Malformed
from innkeeper.http.api.resources import Problem
from innkeeper.http.metrics import Metrics
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.refusals import FieldError, Refusal, Refused
from innkeeper.protocol.reservations.refusals import (
    HotelExists,
    NoSingleRoom,
    RoomsLeft,
    RoomTaken,
    SoldOut,
    WaitlistFull,
)
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

STATUS: dict[type[Refusal], int] = {
    refusals.Invalid: 422,
    refusals.NotFound: 404,
    HotelExists: 409,
    SoldOut: 409,
    NoSingleRoom: 409,
    RoomTaken: 409,
    RoomsLeft: 409,
    WaitlistFull: 409,
    refusals.NotAllowed: 409,
    refusals.StaleVersion: 412,
    refusals.KeyReused: 422,
    refusals.BadSignature: 401,
    refusals.Unavailable: 503,
}

_AGAIN = {
    False: "nothing was done, try again",
    True: "it may have been done: ask again, with the same Idempotency-Key",
}
_DETAILS: dict[type[Refusal], Callable[[Any], str]] = {
    refusals.Invalid: lambda refusal: "; ".join(f"{e.field}: {e.message}" for e in refusal.errors),
    refusals.NotFound: lambda refusal: f"there is no {refusal.kind} {refusal.name!r} here",
    HotelExists: lambda refusal: f"a hotel {refusal.hotel!r} is open already",
    SoldOut: lambda refusal: f"no {refusal.room_type} is left on " + ", ".join(map(str, refusal.nights)),
    NoSingleRoom: lambda refusal: f"pinned rooms leave no single {refusal.room_type} for the whole stay",
    RoomTaken: lambda refusal: f"room {refusal.room} is taken on " + ", ".join(map(str, refusal.nights)),
    RoomsLeft: lambda refusal: f"there is a {refusal.room_type} to book for this stay: nobody needs to wait",
    WaitlistFull: lambda refusal: f"{refusal.entries} guests wait already, which is as many as can",
    refusals.NotAllowed: lambda refusal: refusal.reason,
    refusals.StaleVersion: lambda refusal: f"the booking has changed; its version is {refusal.version} now",
    refusals.BadSignature: lambda refusal: f"the signature is not good: {refusal.reason}",
    refusals.KeyReused: lambda _: "this idempotency key was used before, for another request",
    refusals.Unavailable: lambda refusal: f"{refusal.reason}; {_AGAIN[refusal.unknown]}",
}

_TITLES = {
    "invalid": "The request breaks a rule",
    "not_found": "Not found",
    "sold_out": "Sold out",
    "not_allowed": "Not allowed in this state",
    "stale_version": "Changed since you saw it",
    "unavailable": "Not available now",
    "unknown_host": "Not a name of this server",
    "malformed_host": "The host is missing, malformed or not the only one",
    "cross_origin": "Not for a page of another origin",
}

_HEADERS = {503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": 'Basic realm="innkeeper", charset="UTF-8"'}}

_REQUEST_ID = re.compile(rf"[\x21-\x7e]{{1,{limits.request_id_characters_max}}}")
_SLOW_SECONDS = 0.5
_PROCESS = os.urandom(8).hex()  # our own request ids: unique to this process, and counted within it
_requests = count(1)

METRICS: web.AppKey[Metrics] = web.AppKey("metrics")
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)

NOT_FOR_OTHER_ORIGINS = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
"""What every response carries: a browser gives it to no page of another origin, whatever that takes it for."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem(
    request: web.Request,
    status: int,
    code: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    **more: object,
) -> web.Response:
    """A problem as a response."""
    title = _TITLES.get(code, code.replace("_", " ").capitalize())
    told = Problem(f"/problems/{code}", title, status, detail, code, errors, request.get(REQUEST_ID, ""))
    body = {**msgspec.structs.asdict(told), **more}
    headers = _HEADERS.get(status)
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/problem+json"
    )


def refusal_response(request: web.Request, refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as a problem; what it knows more (nights, allowed actions) goes along."""
    more = msgspec.structs.asdict(refusal)
    errors = more.pop("errors", ())
    kind = type(refusal)
    response = problem(request, STATUS[kind], refusal.code, _DETAILS[kind](refusal), errors, **more)
    response.headers.update(headers or {})
    return response


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give each request its id, turn all that goes wrong into problems, and warn of what is slow."""
    asked = request.headers.get("X-Request-ID")
    request_id = asked if asked is not None and _REQUEST_ID.fullmatch(asked) else f"{_PROCESS}-{next(_requests):x}"
    request[REQUEST_ID] = request_id
    start = time.perf_counter()
    try:
        response = await handler(request)
    except Refused as refused:
        response = refusal_response(request, refused.refusal, getattr(refused, "headers", None))
    except Malformed as error:
        response = problem(request, error.status, error.code, error.detail)
    except web.HTTPRequestEntityTooLarge:
        response = problem(request, 413, "too_large", f"a body has at most {limits.body_bytes_max} bytes")
    except web.HTTPMethodNotAllowed as error:
        response = problem(request, 405, "method_not_allowed", f"{request.method} is not for this resource")
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    except web.HTTPNotFound:
        response = problem(request, 404, "not_found", "nothing is served at this path")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = problem(request, error.status, error.reason.lower().replace(" ", "_"), error.text or error.reason)
    except Exception:
        logger.exception("request %s failed: %s %s", request_id, request.method, request.path)
        response = problem(request, 500, "internal_error", "this is our fault; it was logged under the request id")
    if response.prepared:  # it was streamed, and took as long as its listener wished
        return response
    response.headers["X-Request-ID"] = request_id
    response.headers.update(NOT_FOR_OTHER_ORIGINS)
    took = time.perf_counter() - start
    request.app[METRICS].count(request, response.status, took)
    if took > _SLOW_SECONDS:
        logger.warning("request %s took %.0f ms: %s %s", request_id, took * 1e3, request.method, request.path)
    return response
