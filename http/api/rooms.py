"""The handlers of the routes of rooms: adding and retiring them, their condition, their closures, and the list of
housekeeping."""

from datetime import date

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import PageQuery, body_of, query_of, unknown_cursor
from innkeeper.http.api.rendering import closure_resource, json_response, page
from innkeeper.http.api.reservations import ask
from innkeeper.http.api.resources import ClosureResource
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import (
    AddRoom,
    ChangeClosure,
    ChangeRoom,
    CloseRoom,
    ReopenRoom,
    RetireRoom,
)
from innkeeper.protocol.reservations.hotel_requests import ClosureChange, ClosureRequest, RoomAddition, RoomChange
from innkeeper.protocol.reservations.queries import ListRooms
from innkeeper.protocol.reservations.replies import RoomDetails, RoomsReply
from innkeeper.protocol.reservations.room_events import RoomCondition


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


class HousekeepingResource(msgspec.Struct, frozen=True):
    """A room on the list of housekeeping for the business date. Its guests are `due_out` today, or stay over
    (`stay_over`: they slept here and do not leave today); others are expected (`due_in`). `adults` and `children` are
    those in house, `arriving_adults` and `arriving_children` those expected. `closure` is the one of today."""

    room: str
    room_type: str
    condition: RoomCondition
    occupied: bool
    due_out: bool
    stay_over: bool
    due_in: bool
    adults: int
    children: int
    arriving_adults: int
    arriving_children: int
    closure: ClosureResource | None


_room_change = msgspec.json.Decoder(RoomChange)
_closure_request = msgspec.json.Decoder(ClosureRequest)
_closure_change = msgspec.json.Decoder(ClosureChange)
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


async def change_room(request: web.Request) -> web.Response:
    """PATCH /v1/hotels/{hotel}/rooms/{room}"""
    change = await body_of(request, _room_change)
    command = ChangeRoom(request.match_info["hotel"], request.match_info["room"], change)
    return _room_response(*await ask(request, command, RoomsReply))


async def retire_room(request: web.Request) -> web.Response:
    """DELETE /v1/hotels/{hotel}/rooms/{room}"""
    command = RetireRoom(request.match_info["hotel"], request.match_info["room"])
    return _room_response(*await ask(request, command, RoomsReply))


async def close_room(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/rooms/{room}/closures"""
    hotel, room = request.match_info["hotel"], request.match_info["room"]
    closure = await body_of(request, _closure_request)
    reply, headers = await ask(request, CloseRoom(hotel, room, closure), RoomsReply)
    assert reply.closure is not None
    headers["Location"] = f"/v1/hotels/{hotel}/rooms/{room}/closures/{reply.closure.id}"
    return _closure_response(reply, headers, 201)


async def list_closures(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/rooms/{room}/closures"""
    query = ListRooms(request.match_info["hotel"], request.match_info["room"])
    reply, _ = await ask(request, query, RoomsReply)
    return json_response(page(map(closure_resource, reply.rooms[0].closures), None))


async def show_closure(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/rooms/{room}/closures/{closure}"""
    query = ListRooms(request.match_info["hotel"], request.match_info["room"])
    reply, headers = await ask(request, query, RoomsReply)
    for closure in reply.rooms[0].closures:
        if closure.id == request.match_info["closure"]:
            return _closure_response(msgspec.structs.replace(reply, closure=closure), headers)
    raise Refused(NotFound("closure", request.match_info["closure"]))


async def change_closure(request: web.Request) -> web.Response:
    """PATCH /v1/hotels/{hotel}/rooms/{room}/closures/{closure}"""
    hotel, room, closure = (request.match_info[name] for name in ("hotel", "room", "closure"))
    change = await body_of(request, _closure_change)
    return _closure_response(*await ask(request, ChangeClosure(hotel, room, closure, change), RoomsReply))


async def reopen_room(request: web.Request) -> web.Response:
    """DELETE /v1/hotels/{hotel}/rooms/{room}/closures/{closure}"""
    hotel, room, closure = (request.match_info[name] for name in ("hotel", "room", "closure"))
    return _closure_response(*await ask(request, ReopenRoom(hotel, room, closure), RoomsReply))


async def list_housekeeping(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/housekeeping"""
    reply, shown, cursor = await rooms_of_page(request)
    return json_response(page((_housekeeping(room, reply.business_date) for room in shown), cursor))


def _housekeeping(room: RoomDetails, today: date) -> HousekeepingResource:
    closed = [closure for closure in room.closures if closure.first <= today]
    return HousekeepingResource(
        room.number, room.room_type, room.condition, bool(room.in_house),
        any(booking.departure <= today for booking in room.in_house),
        any(booking.arrival < today < booking.departure for booking in room.in_house),
        bool(room.due_in),
        sum(booking.adults for booking in room.in_house), sum(len(booking.children) for booking in room.in_house),
        sum(booking.adults for booking in room.due_in), sum(len(booking.children) for booking in room.due_in),
        closure_resource(closed[0]) if closed else None,
    )  # fmt: skip


def _closure_response(reply: RoomsReply, headers: dict[str, str], status: int = 200) -> web.Response:
    assert reply.closure is not None
    headers["ETag"] = f'"{reply.version}"'
    return json_response(closure_resource(reply.closure), status, headers)


def _room_response(reply: RoomsReply, headers: dict[str, str], status: int = 200) -> web.Response:
    headers["ETag"] = f'"{reply.version}"'
    return json_response(room_resource(reply.rooms[0]), status, headers)


def room_resource(room: RoomDetails) -> RoomResource:
    """The resource of a room."""
    return RoomResource(
        room.number, room.room_type, room.condition, bool(room.in_house), room.retired,
        list(map(closure_resource, room.closures)), list(map(_guest, room.in_house)), list(map(_guest, room.due_in)),
    )  # fmt: skip


def _guest(booking: Booking) -> RoomGuest:
    return RoomGuest(
        booking.id, booking.locator, booking.guest.name or None, booking.arrival, booking.departure, booking.adults,
        booking.children,
    )  # fmt: skip
