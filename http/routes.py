"""Every URL of the gateway: what it takes, what it answers, who handles it. The OpenAPI document is made from this."""

from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler
from innkeeper.http import handlers
from innkeeper.http.parsing import (
    AuditRequest,
    AvailabilityQuestion,
    BookingFilter,
    LogPosition,
    Page,
    StreamQuestion,
    Window,
)
from innkeeper.http.resources import (
    AuditResource,
    AvailabilityResource,
    BookingResource,
    CloudEvent,
    Health,
    HotelResource,
    Listing,
    TapeChart,
)
from innkeeper.protocol.commands import BookingChange, BookingRequest, HotelPlan


class Operation(NamedTuple):
    """One method of one path. `query` and `body` are the forms of what it takes, `answer` of what it gives; an answer
    that is no form is the media type of something else."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    status: int = 200
    query: Any = None
    body: Any = None


_HOTEL = "/v1/hotels/{hotel}"
_BOOKINGS = _HOTEL + "/bookings"
_BOOKING = _BOOKINGS + "/{booking}"
_ACTION = _BOOKING + "/actions/{action}"

# The router tries them in this order, so the busiest stand first.
OPERATIONS = (
    Operation("POST", _BOOKINGS, handlers.book, "Book a room, or hold it", BookingResource, 201, body=BookingRequest),
    Operation(
        "GET", _BOOKINGS, handlers.list_bookings, "The bookings, newest first", Listing[BookingResource],
        query=BookingFilter,
    ),
    Operation(
        "GET", _HOTEL + "/availability", handlers.show_availability, "What is left to sell", AvailabilityResource,
        query=AvailabilityQuestion,
    ),
    Operation("POST", "/v1/hotels", handlers.open_hotel, "Open a hotel", HotelResource, 201, body=HotelPlan),
    Operation("GET", "/v1/hotels", handlers.list_hotels, "All hotels", Listing[HotelResource], query=Page),
    Operation("GET", _HOTEL, handlers.show_hotel, "One hotel", HotelResource),
    Operation("GET", _BOOKING, handlers.show_booking, "One booking", BookingResource),
    Operation("PATCH", _BOOKING, handlers.change_booking, "Change a booking", BookingResource, body=BookingChange),
    Operation("GET", _BOOKING + "/history", handlers.show_history, "All events of a booking", Listing[CloudEvent]),
    Operation("POST", _ACTION, handlers.act_on_booking, "Act on a booking", BookingResource),
    Operation(
        "GET", _HOTEL + "/tape-chart", handlers.show_tape_chart, "Rooms, nights and who has them", TapeChart,
        query=Window,
    ),
    Operation(
        "POST", _HOTEL + "/night-audit", handlers.audit_night, "Close the business date", AuditResource,
        body=AuditRequest,
    ),
    Operation(
        "GET", "/v1/events", handlers.list_events, "The log of all events", Listing[CloudEvent], query=LogPosition
    ),
    Operation(
        "GET", "/v1/events/stream", handlers.stream_events, "All events as they happen", "text/event-stream",
        query=StreamQuestion,
    ),
    Operation("GET", "/health/live", handlers.show_live, "Does the process answer?", Health),
    Operation("GET", "/health/ready", handlers.show_ready, "Does it take bookings?", Health),
    Operation("GET", "/metrics", handlers.show_metrics, "Figures for Prometheus", "text/plain"),
    Operation("GET", "/openapi.json", handlers.show_openapi, "This description", "application/json"),
    Operation("GET", "/docs", handlers.show_docs, "This description as a page", "text/html"),
    Operation("GET", "/", handlers.show_front_desk, "The front desk", "text/html"),
)  # fmt: skip

ROUTES = tuple(
    web.get(each.path, each.handler, allow_head=False)
    if each.method == "GET"
    else web.route(each.method, each.path, each.handler)
    for each in OPERATIONS
)
