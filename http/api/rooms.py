"""The handlers of the routes of rooms: adding and retiring them."""

from datetime import date

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import PageQuery, body_of, query_of, unknown_cursor
from innkeeper.http.api.rendering import json_response, page
from innkeeper.http.api.reservations import ask
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.commands import AddRoom, RetireRoom
from innkeeper.protocol.reservations.hotel_requests import RoomAddition
from innkeeper.protocol.reservations.queries import ListRooms
from innkeeper.protocol.reservations.replies import RoomDetails, RoomsReply
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition


class ClosureResource(msgspec.Struct, frozen=True):
    """A room is out of order or out of service on the nights [first, until)."""

    id: str
    room: str
    kind: ClosureKind
    first: date
    until: date
    reason: str


class RoomGuest(msgspec.Struct, frozen=True):
    """A booking whose guest is in the room, or is expected in it."""

    booking: str
    locator: str
    guest: str | None
    arrival: date
    departure: date
    adults: int
    children: tuple[int, ...]


class RoomResource(msgspec.Struct, frozen=True):
    """A room. `closures` are those that are not over, `in_house` the bookings whose guests are in it, and `due_in`
    those whose guests are expected in it today."""

    number: str
    room_type: str
    condition: RoomCondition
    occupied: bool
    retired: bool
    closures: list[ClosureResource]
    in_house: list[RoomGuest]
    due_in: list[RoomGuest]


_addition = msgspec.json.Decoder(RoomAddition)


async def add_room(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/rooms"""
    hotel = request.match_info["hotel"]
    addition = await body_of(request, _addition)
    reply, headers = await ask(request, AddRoom(hotel, addition), RoomsReply)
    headers["Location"] = f"/v1/hotels/{hotel}/rooms/{addition.number}"
    return _room_response(reply, headers, 201)


async def list_rooms(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/rooms"""
    reply, shown, cursor = await rooms_of_page(request)
    return json_response(page(map(room_resource, shown), cursor), headers={"ETag": f'"{reply.version}"'})


async def rooms_of_page(request: web.Request) -> tuple[RoomsReply, list[RoomDetails], str | None]:
    """The rooms of a hotel, those of the requested page, and the cursor of the next one."""
    query = query_of(request, PageQuery)
    reply, _ = await ask(request, ListRooms(request.match_info["hotel"]), RoomsReply)
    numbers = [room.number for room in reply.rooms]
    if query.cursor is not None and query.cursor not in numbers:
        raise unknown_cursor()
    start = 0 if query.cursor is None else numbers.index(query.cursor) + 1
    shown = list(reply.rooms[start : start + query.limit])
    return reply, shown, shown[-1].number if start + query.limit < len(numbers) else None


async def show_room(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/rooms/{room}"""
    query = ListRooms(request.match_info["hotel"], request.match_info["room"])
    return _room_response(*await ask(request, query, RoomsReply))


async def retire_room(request: web.Request) -> web.Response:
    """DELETE /v1/hotels/{hotel}/rooms/{room}"""
    command = RetireRoom(request.match_info["hotel"], request.match_info["room"])
    return _room_response(*await ask(request, command, RoomsReply))


def _room_response(reply: RoomsReply, headers: dict[str, str], status: int = 200) -> web.Response:
    headers["ETag"] = f'"{reply.version}"'
    return json_response(room_resource(reply.rooms[0]), status, headers)


def room_resource(room: RoomDetails) -> RoomResource:
    """The resource of a room."""
    return RoomResource(
        room.number, room.room_type, room.condition, bool(room.in_house), room.retired,
        list(map(closure_resource, room.closures)), list(map(_guest, room.in_house)), list(map(_guest, room.due_in)),
    )  # fmt: skip


def closure_resource(closure: Closure) -> ClosureResource:
    """The resource of a closure."""
    return ClosureResource(closure.id, closure.room, closure.kind, closure.first, closure.until, closure.reason)


def _guest(booking: Booking) -> RoomGuest:
    return RoomGuest(
        booking.id, booking.locator, booking.guest.name or None, booking.arrival, booking.departure, booking.adults,
        booking.children,
    )  # fmt: skip
