"""The handlers of the routes of reservations: each parses the request, sends the message and renders the reply."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from innkeeper.http.api import rendering
from innkeeper.http.api.parsing import (
    AvailabilityQuery,
    EventsQuery,
    NightsQuery,
    StreamQuery,
    body_of,
    idempotency_key,
    if_version,
    is_dry_run,
    query_of,
    resume_after,
    unknown_cursor,
)
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.resources import BookingResource, Health
from innkeeper.http.keys import BY
from innkeeper.http.live_stream import EventFilter, LiveStream
from innkeeper.http.middleware import METRICS, NOT_FOR_OTHER_ORIGINS
from innkeeper.http.problems import REQUEST_ID
from innkeeper.protocol.codec.cloud_event import cloud_event
from innkeeper.protocol.codec.public_events import public_entry
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refusal, Refused, Unavailable, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.subscriptions import EventLog, Positions
from innkeeper.protocol.ports.views import InvalidCursor, Views
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import (
    BookingCommand,
    BookRoom,
    ChangeBooking,
)
from innkeeper.protocol.reservations.queries import (
    DescribeHotel,
    FindAvailability,
    FindBooking,
    ListRooms,
)
from innkeeper.protocol.reservations.replies import (
    AvailabilityReply,
    BookingReply,
    HotelReply,
    PreviewReply,
    RoomsReply,
)
from innkeeper.protocol.reservations.requests import BookingChange, BookingRequest, check_stay
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import RESERVATIONS, context_of, partition_of, reservations_logs
from prometheus_client import CONTENT_TYPE_LATEST

RESERVATIONS_BUS: web.AppKey[MessageBus] = web.AppKey("reservations_bus")
VIEWS: web.AppKey[Views] = web.AppKey("views")
BUSES: web.AppKey[Mapping[str, MessageBus]] = web.AppKey("buses")
LOGS: web.AppKey[Mapping[str, EventLog]] = web.AppKey("logs")
STREAM: web.AppKey[LiveStream] = web.AppKey("stream")
SILENT_PARTS: web.AppKey[Callable[[], list[str]]] = web.AppKey("silent_parts")
SIMULATED_CLOCKS: web.AppKey[bool] = web.AppKey("simulated_clocks")
OPENAPI: web.AppKey[dict[str, Any]] = web.AppKey("openapi")
ASYNCAPI: web.AppKey[dict[str, Any]] = web.AppKey("asyncapi")
PAGES = Path(__file__).parents[1] / "pages"

T = TypeVar("T")
R = TypeVar("R", bound=Reply)

_booking_request = msgspec.json.Decoder(BookingRequest)
_booking_change = msgspec.json.Decoder(BookingChange)
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Set here, because the types that Python finds depend on the machine.
_PAGE_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PARTS = frozenset(part.name for part in PAGES.iterdir())
_REPLAYED = {"Idempotent-Replayed": "true"}


async def ask(
    request: web.Request, message: Command | Query, kind: type[R], context: str = RESERVATIONS
) -> tuple[R, dict[str, str]]:
    """Sends a message to the bus of a context. Returns the reply and headers for the response. Raises `Refused`."""
    by = request[BY]
    version = if_version(request) if "If-Match" in request.headers else None
    envelope = Envelope(message, idempotency_key(request, by), request[REQUEST_ID], by, version)
    return reply_of(await request.app[BUSES][context].ask(envelope), kind)


async def preview(request: web.Request, command: Command, kind: type[R]) -> R:
    """What a command would do; it takes no idempotency key, because nothing is done. Raises `Refused`."""
    version = if_version(request) if "If-Match" in request.headers else None
    envelope = Envelope(command, None, request[REQUEST_ID], request[BY], version, dry_run=True)
    return reply_of(await request.app[RESERVATIONS_BUS].ask(envelope), kind)[0]


def reply_of(result: Result, kind: type[R]) -> tuple[R, dict[str, str]]:
    """The reply, and headers for the response. Raises `Refused`."""
    headers = dict(_REPLAYED) if result.replayed else {}
    if isinstance(result.response, Refusal):
        raise RefusedResponse(result.response, headers)
    assert isinstance(result.response, kind)
    return result.response, headers


class RefusedResponse(Refused):
    """A refusal, with headers for the response."""

    def __init__(self, refusal: Refusal, headers: dict[str, str]) -> None:
        super().__init__(refusal)
        self.headers = headers


async def view(request: web.Request, hotel: str | None, read: Callable[[Views, Positions], T]) -> T:
    """Reads from the views, after they contain everything of the hotel (None: of all) that was acknowledged before."""
    positions = await request.app[RESERVATIONS_BUS].positions(hotel)
    try:
        return await asyncio.to_thread(read, request.app[VIEWS], positions)
    except InvalidCursor:
        raise unknown_cursor() from None


async def show_availability(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/availability"""
    query = query_of(request, AvailabilityQuery)
    find = FindAvailability(
        request.match_info["hotel"], query.arrival, query.departure, query.adults, query.ages(), query.allow_split
    )
    reply, _ = await ask(request, find, AvailabilityReply)
    return json_response(rendering.availability(reply))


async def book(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings"""
    hotel = request.match_info["hotel"]
    booking_request = await body_of(request, _booking_request)
    command = BookRoom(hotel, booking_request, booking_request.guest.id)
    if request.query_string and is_dry_run(request):
        return json_response(shown(await preview(request, command, PreviewReply)))
    reply, headers = await ask(request, command, BookingReply)
    booking = reply.booking
    headers["Location"] = f"/v1/hotels/{hotel}/bookings/{booking.id}"
    headers["ETag"] = f'"{booking.version}"'
    return json_response(rendering.booking_resource(booking), 201, headers)


async def show_booking(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}"""
    found = await find_booking(request)
    return json_response(rendering.booking_resource(found), headers={"ETag": f'"{found.version}"'})


async def find_booking(request: web.Request) -> Booking:
    """The booking that the path names, however old. Raises `Refused`."""
    hotel, booking = request.match_info["hotel"], request.match_info["booking"]
    try:
        reply, _ = await ask(request, FindBooking(hotel, booking), BookingReply)
        return reply.booking
    except Refused as refused:
        known = await _booking_in_views(request, hotel, booking, refused)
        if known is None:
            raise
        return known


async def _booking_in_views(request: web.Request, hotel: str, booking: str, refused: Refused) -> Booking | None:
    """The booking from the views, where the hotel has dropped it from memory because it cannot change any more."""
    if not isinstance(refused.refusal, NotFound) or refused.refusal.kind != "booking":
        return None
    return await view(request, hotel, lambda views, ends: views.booking(ends, hotel, booking))


async def carry_out(
    request: web.Request, command: BookingCommand
) -> tuple[BookingReply | PreviewReply, dict[str, str]]:
    """Sends an action on a booking, or asks what it would do. Returns the reply and headers for the response. Raises
    `Refused`."""
    try:
        if is_dry_run(request):
            return await preview(request, command, PreviewReply), {}
        reply, headers = await ask(request, command, BookingReply)
    except RefusedResponse as refused:
        if await _booking_in_views(request, command.hotel, command.booking, refused) is None:
            raise
        refusal = ActionNotAllowed(command.action, "the stay is over; the booking cannot be changed any more", ())
        raise RefusedResponse(refusal, refused.headers) from refused
    headers["ETag"] = f'"{reply.booking.version}"'
    return reply, headers


def shown(reply: BookingReply | PreviewReply) -> BookingResource:
    """The resource of the booking in a reply."""
    if isinstance(reply, PreviewReply):
        return rendering.preview_resource(reply)
    return rendering.booking_resource(reply.booking)


async def change_booking(request: web.Request) -> web.Response:
    """PATCH /v1/hotels/{hotel}/bookings/{booking}"""
    change = await body_of(request, _booking_change)
    command = ChangeBooking(request.match_info["hotel"], request.match_info["booking"], change)
    reply, headers = await carry_out(request, command)
    return json_response(shown(reply), headers=headers)


async def show_history(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}/history"""
    hotel, booking = request.match_info["hotel"], request.match_info["booking"]
    records = await view(request, hotel, lambda views, ends: views.history(ends, hotel, booking))
    if not records:
        raise Refused(NotFound("booking", booking))
    return json_response(rendering.page((cloud_event(public_entry(entry)) for entry in records), None))


async def show_tape_chart(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/tape-chart"""
    hotel, window = request.match_info["hotel"], query_of(request, NightsQuery)
    check_stay(window.from_, window.to, limits.tape_chart_nights_max, ("from", "to"))
    chart = await view(request, hotel, lambda views, ends: views.chart(ends, hotel, window.from_, window.to))
    if chart is None:
        raise Refused(NotFound("hotel", hotel))
    rooms, _ = await ask(request, ListRooms(hotel, guests=False), RoomsReply)
    return json_response(rendering.tape_chart(*chart, rooms.rooms, window.from_, window.to))


def log_of(request: web.Request, name: str) -> EventLog:
    """The log of this name. Raises `Refused` for an unknown one."""
    logs = request.app[LOGS]
    if name not in logs:
        raise invalid("log", "one_of", f"expected one of the logs: {', '.join(logs)}")
    return logs[name]


def log_of_hotel(request: web.Request, name: str, hotel: str) -> str:
    """The name of the log that has this hotel's events, where the context has several."""
    if name != RESERVATIONS:
        return name
    partitions = sum(context_of(log) == RESERVATIONS for log in request.app[LOGS])
    return reservations_logs(partitions)[partition_of(hotel, partitions)]


async def list_events(request: web.Request) -> web.Response:
    """GET /v1/events"""
    query = query_of(request, EventsQuery)
    after, name = query.after if query.cursor is None else query.cursor, query.log
    if query.hotel is not None:
        await ask(request, DescribeHotel(query.hotel), HotelReply)
        name = log_of_hotel(request, name, query.hotel)
    records = await asyncio.to_thread(log_of(request, name).read, after, query.limit, query.hotel)
    cursor = str(records[-1][0]) if len(records) == query.limit else None
    return json_response(rendering.page((cloud_event(public_entry(entry)) for entry in records), cursor))


async def stream_events(request: web.Request) -> web.StreamResponse:
    """GET /v1/events/stream"""
    query = query_of(request, StreamQuery)
    after = resume_after(request, query, request.app[STREAM].positions)
    event_filter = EventFilter(query.hotel, query.types())
    if query.hotel is not None:
        await ask(request, DescribeHotel(query.hotel), HotelReply)
    headers = {"X-Request-ID": request[REQUEST_ID], **NOT_FOR_OTHER_ORIGINS}
    return await request.app[STREAM].serve(request, event_filter, after, headers)


async def show_live(_: web.Request) -> web.Response:
    """GET /health/live"""
    return json_response(Health("live"))


async def show_ready(request: web.Request) -> web.Response:
    """GET /health/ready"""
    if fault := await request.app[RESERVATIONS_BUS].fault():
        raise Refused(Unavailable(fault))
    doubt = await request.app[RESERVATIONS_BUS].clock_doubt()
    return json_response(Health("ready", request.app[SILENT_PARTS](), doubt))


async def show_metrics(request: web.Request) -> web.Response:
    """GET /metrics"""
    body = await request.app[METRICS].render()
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def show_openapi(request: web.Request) -> web.Response:
    """GET /openapi.json"""
    return json_response(request.app[OPENAPI])


async def show_asyncapi(request: web.Request) -> web.Response:
    """GET /asyncapi.json"""
    return json_response(request.app[ASYNCAPI])


async def show_docs(_: web.Request) -> web.FileResponse:
    """GET /docs"""
    return _page("docs.html")


async def show_page_part(request: web.Request) -> web.FileResponse:
    """GET /pages/{part}"""
    part = request.match_info["part"]
    if part not in _PARTS:
        raise web.HTTPNotFound
    return _page(part)


async def show_front_desk(_: web.Request) -> web.FileResponse:
    """GET /"""
    return _page("front_desk.html")


def _page(part: str) -> web.FileResponse:
    kind = _PAGE_TYPES[Path(part).suffix]
    return web.FileResponse(PAGES / part, headers={**PAGE_HEADERS, "Content-Type": f"{kind}; charset=utf-8"})
