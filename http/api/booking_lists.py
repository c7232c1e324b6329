"""The handler of the list of bookings: its filters, and the views of the front desk."""

import msgspec
from aiohttp import web
from innkeeper.http.api import rendering
from innkeeper.http.api.parsing import BookingsQuery, BookingsView, query_of
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import ask, view
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.ports.views import BookingSearch
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import HotelReply


async def list_bookings(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings"""
    query = query_of(request, BookingsQuery)
    hotel = request.match_info["hotel"]
    reply, _ = await ask(request, DescribeHotel(hotel), HotelReply)
    _check_filter(reply.hotel, query)
    search = _search(reply.hotel, query)
    found = await view(request, hotel, lambda views, ends: views.bookings(ends, search, query.limit, query.cursor))
    return json_response(rendering.page(map(rendering.booking_resource, found.bookings), found.cursor))


def _search(hotel: Hotel, query: BookingsQuery) -> BookingSearch:
    """The bookings that the query selects. A reinstated guest may be due in since an earlier date."""
    search = BookingSearch(
        hotel.id, query.status, query.room_type, query.room, query.arrival_from, query.arrival_to,
        query.departure_from, query.departure_to, text=query.q,
    )  # fmt: skip
    today, in_house = hotel.business_date, BookingStatus.IN_HOUSE
    match query.view:
        case BookingsView.DUE_IN:
            return msgspec.structs.replace(search, status=BookingStatus.CONFIRMED, arrival_to=today)
        case BookingsView.DUE_OUT:
            return msgspec.structs.replace(search, status=in_house, departure_from=today, departure_to=today)
        case BookingsView.IN_HOUSE:
            return msgspec.structs.replace(search, status=in_house)
        case BookingsView.OVERSTAY:
            return msgspec.structs.replace(search, status=in_house, overstayed=True)
        case BookingsView.MOVING:
            return msgspec.structs.replace(search, status=in_house, moves_on=today)
        case None:
            return search


def _check_filter(hotel: Hotel, query: BookingsQuery) -> None:
    """Refuses a room type or room that the hotel never had."""
    types = (*hotel.room_types, *hotel.retired_types)
    if query.room_type is not None and all(query.room_type != one.code for one in types):
        raise Refused(NotFound("room type", query.room_type))
    retired = {one.room for one in hotel.retired_rooms}
    if query.room is not None and query.room not in retired and all(query.room not in one.rooms for one in types):
        raise Refused(NotFound("room", query.room))
