"""The baselines: bare aiohttp handlers, which read the same requests as Innkeeper and send bodies of the same size, but
decide and store nothing. One sends a body that was rendered once; the other reads and writes JSON as aiohttp's own
documentation does (`request.json()`, `web.json_response()`), which is the least that any service has to do."""

import argparse
import json
from datetime import timedelta

import msgspec
from aiohttp import web
from documents import booking_document
from hotels import FIRST_ARRIVAL, ROOM_TYPES, ROOMS_PER_TYPE, stay
from innkeeper.http.api.rendering import availability
from innkeeper.protocol.reservations.hotel import RoomType
from innkeeper.protocol.reservations.replies import AvailabilityReply, TypeAvailability
from innkeeper.protocol.reservations.requests import BookingRequest
from serving import serve

ID = "0197f000-0000-7000-8000-000000000000"
JSON = {"Content-Type": "application/json"}


def availability_document(nights: int) -> bytes:
    """The availability of a hotel of the benchmarks for this many nights, as JSON."""
    rooms = tuple(f"1{number:03d}" for number in range(ROOMS_PER_TYPE))
    per_type = TypeAvailability
    reply = AvailabilityReply(
        "hotel-1",
        "EUR",
        FIRST_ARRIVAL,
        FIRST_ARRIVAL + timedelta(days=nights),
        tuple(per_type(RoomType(code, f"Type {code}", 3, 12_000, rooms), 50, (50,) * nights) for code in ROOM_TYPES),
    )
    return msgspec.json.encode(availability(reply))


def make_app(nights: int, renders: bool) -> web.Application:
    """The three routes that the benchmarks use."""
    wanted = msgspec.convert(stay("Guest 10000 of 1", 100, 2), BookingRequest)
    booked = msgspec.json.encode(booking_document(ID, "hotel-1", "1001", wanted))
    document = json.loads(booked)
    rendered = availability_document(nights)

    async def open_hotel(request: web.Request) -> web.Response:
        msgspec.json.decode(await request.read())
        return web.Response(body=b"{}", status=201, headers=JSON)

    async def book(request: web.Request) -> web.Response:
        msgspec.json.decode(await request.read())
        hotel = request.match_info["hotel"]
        headers = {**JSON, "Location": f"/v1/hotels/{hotel}/bookings/{ID}", "ETag": '"1"'}
        return web.Response(body=booked, status=201, headers=headers)

    async def book_and_render(request: web.Request) -> web.Response:
        body = await request.json()
        hotel = request.match_info["hotel"]
        headers = {"Location": f"/v1/hotels/{hotel}/bookings/{ID}", "ETag": '"1"'}
        return web.json_response(document | {"room_type": body["room_type"]}, status=201, headers=headers)

    async def show_availability(_: web.Request) -> web.Response:
        return web.Response(body=rendered, headers=JSON)

    app = web.Application()
    app.router.add_post("/v1/hotels/{hotel}/bookings", book_and_render if renders else book)
    app.router.add_get("/v1/hotels/{hotel}/availability", show_availability, allow_head=False)
    app.router.add_post("/v1/hotels", open_hotel)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=7, help="the nights of an availability response")
    parser.add_argument("--renders", action="store_true", help="render each booking as JSON")
    options = parser.parse_args()

    async def make() -> web.Application:
        return make_app(options.nights, options.renders)

    serve(make)


if __name__ == "__main__":
    main()
