"""The handlers of the routes of hotels and their room types."""

import msgspec
from aiohttp import web
from innkeeper.http.api import rendering
from innkeeper.http.api.parsing import PageQuery, body_of, query_of, slug_of
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import SIMULATED_CLOCKS, ask, view
from innkeeper.protocol.messages.refusals import NotFound, Refused, invalid
from innkeeper.protocol.reservations.commands import (
    AddRoomType,
    ChangeHotel,
    ChangeRoomType,
    OpenHotel,
    RetireRoomType,
)
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.hotel_requests import HotelChange, RoomTypeAddition, RoomTypeChange
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import HotelReply
from innkeeper.protocol.reservations.requests import HotelRequest

_hotel_request = msgspec.json.Decoder(HotelRequest)
_hotel_change = msgspec.json.Decoder(HotelChange)
_type_addition = msgspec.json.Decoder(RoomTypeAddition)
_type_change = msgspec.json.Decoder(RoomTypeChange)


async def open_hotel(request: web.Request) -> web.Response:
    """POST /v1/hotels"""
    body = await body_of(request, _hotel_request)
    if body.clock is HotelClock.SIMULATED and not request.app[SIMULATED_CLOCKS]:
        raise invalid("clock", "wall", "this server opens no hotels with a simulated clock; see --simulated-clocks")
    hotel = body.id or slug_of(body.name)
    reply, headers = await ask(request, OpenHotel(hotel, body), HotelReply)
    headers["Location"] = f"/v1/hotels/{hotel}"
    return _hotel_response(reply, headers, 201)


async def list_hotels(request: web.Request) -> web.Response:
    """GET /v1/hotels"""
    query = query_of(request, PageQuery)
    hotels, cursor = await view(request, None, lambda views, ends: views.hotels(ends, query.limit, query.cursor))
    return json_response(rendering.page(map(rendering.hotel_resource, hotels), cursor))


async def show_hotel(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}"""
    return _hotel_response(*await ask(request, DescribeHotel(request.match_info["hotel"]), HotelReply))


async def change_hotel(request: web.Request) -> web.Response:
    """PATCH /v1/hotels/{hotel}"""
    change = await body_of(request, _hotel_change)
    return _hotel_response(*await ask(request, ChangeHotel(request.match_info["hotel"], change), HotelReply))


def _hotel_response(reply: HotelReply, headers: dict[str, str], status: int = 200) -> web.Response:
    headers["ETag"] = f'"{reply.hotel.version}"'
    return json_response(rendering.hotel_resource(reply.hotel), status, headers)


async def add_room_type(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/room-types"""
    hotel = request.match_info["hotel"]
    addition = await body_of(request, _type_addition)
    reply, headers = await ask(request, AddRoomType(hotel, addition), HotelReply)
    headers["Location"] = f"/v1/hotels/{hotel}/room-types/{addition.code}"
    return _type_response(reply, headers, addition.code, 201)


async def list_room_types(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/room-types"""
    reply, _ = await ask(request, DescribeHotel(request.match_info["hotel"]), HotelReply)
    hotel = reply.hotel
    types = [rendering.room_type_resource(kind, hotel.currency) for kind in hotel.room_types]
    return json_response(rendering.page(types, None), headers={"ETag": f'"{hotel.version}"'})


async def show_room_type(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/room-types/{code}"""
    reply, headers = await ask(request, DescribeHotel(request.match_info["hotel"]), HotelReply)
    return _type_response(reply, headers, request.match_info["code"])


async def change_room_type(request: web.Request) -> web.Response:
    """PATCH /v1/hotels/{hotel}/room-types/{code}"""
    hotel, code = request.match_info["hotel"], request.match_info["code"]
    change = await body_of(request, _type_change)
    return _type_response(*await ask(request, ChangeRoomType(hotel, code, change), HotelReply), code)


async def retire_room_type(request: web.Request) -> web.Response:
    """DELETE /v1/hotels/{hotel}/room-types/{code}"""
    hotel, code = request.match_info["hotel"], request.match_info["code"]
    return _type_response(*await ask(request, RetireRoomType(hotel, code), HotelReply), code)


def _type_response(reply: HotelReply, headers: dict[str, str], code: str, status: int = 200) -> web.Response:
    hotel = reply.hotel
    for kind in (*hotel.room_types, *hotel.retired_types):
        if kind.code == code:
            headers["ETag"] = f'"{hotel.version}"'
            retired = kind in hotel.retired_types
            return json_response(rendering.room_type_resource(kind, hotel.currency, retired), status, headers)
    raise Refused(NotFound("room type", code))
