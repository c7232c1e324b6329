"""Every URL of the gateway."""

from aiohttp import web
from innkeeper.http import handlers

_BOOKINGS = "/v1/hotels/{hotel}/bookings"

# The router tries them in this order, so the busiest stand first.
ROUTES: tuple[web.RouteDef, ...] = (
    web.post(_BOOKINGS, handlers.book),
    web.get(_BOOKINGS, handlers.list_bookings, allow_head=False),
    web.get("/v1/hotels/{hotel}/availability", handlers.show_availability, allow_head=False),
    web.post("/v1/hotels", handlers.open_hotel),
    web.get("/v1/hotels", handlers.list_hotels, allow_head=False),
    web.get("/v1/hotels/{hotel}", handlers.show_hotel, allow_head=False),
    web.get(_BOOKINGS + "/{booking}", handlers.show_booking, allow_head=False),
    web.patch(_BOOKINGS + "/{booking}", handlers.change_booking),
    web.get(_BOOKINGS + "/{booking}/history", handlers.show_history, allow_head=False),
    web.post(_BOOKINGS + "/{booking}/actions/{action}", handlers.act_on_booking),
    web.get("/v1/hotels/{hotel}/tape-chart", handlers.show_tape_chart, allow_head=False),
    web.post("/v1/hotels/{hotel}/night-audit", handlers.audit_night),
    web.get("/v1/events", handlers.list_events, allow_head=False),
    web.get("/v1/events/stream", handlers.stream_events, allow_head=False),
    web.get("/health/live", handlers.show_live, allow_head=False),
    web.get("/health/ready", handlers.show_ready, allow_head=False),
    web.get("/", handlers.show_front_desk, allow_head=False),
)
