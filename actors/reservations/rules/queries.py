"""The replies of a hotel to queries. They only read the state."""

from collections.abc import Callable
from typing import Any

from innkeeper.actors.reservations.rules.availability import rooms_for_stay
from innkeeper.actors.reservations.rules.guests import named_guest
from innkeeper.actors.reservations.rules.night_audit import preview
from innkeeper.actors.reservations.rules.room_details import rooms_reply
from innkeeper.actors.reservations.rules.rooming import check_arrival, excess_of
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import queries
from innkeeper.protocol.reservations.replies import (
    AvailabilityReply,
    BookingReply,
    GuestReply,
    HotelReply,
    TypeAvailability,
    WaitlistReply,
)


def answer(state: HotelState, envelope: Envelope) -> Reply:
    """The reply to a query. Raises `Refused`."""
    query = envelope.message
    assert isinstance(query, Query)
    if state.hotel is None:
        raise Refused(NotFound("hotel", query.hotel))
    if isinstance(query, queries.FindGuest):
        return _guest(state, query, envelope)
    if isinstance(query, queries.PreviewNightAudit):
        return preview(state, query.day, envelope.at, query.early)
    return _REPLIES[type(query)](state, query)


def _hotel(state: HotelState, _: queries.DescribeHotel) -> Reply:
    return HotelReply(state.opened())


def _rooms(state: HotelState, query: queries.ListRooms) -> Reply:
    if query.room is not None and query.room not in state.rooms:
        raise Refused(NotFound("room", query.room))
    rooms = None if query.room is None else (query.room,)
    return rooms_reply(state, state.opened(), rooms, guests=query.guests)


def _booking(state: HotelState, query: queries.FindBooking) -> Reply:
    if query.booking not in state.bookings:
        raise Refused(NotFound("booking", query.booking))
    return BookingReply(state.bookings[query.booking])


def _guest(state: HotelState, query: queries.FindGuest, envelope: Envelope) -> Reply:
    guest = named_guest(state, envelope)
    if guest is None:
        raise Refused(NotFound("guest", query.guest))
    return GuestReply(query.hotel, guest)


def _availability(state: HotelState, query: queries.FindAvailability) -> Reply:
    hotel = state.opened()
    check_arrival(state, query.arrival)
    arrival, departure = query.arrival.toordinal(), query.departure.toordinal()
    types = []
    for kind in hotel.room_types:
        if excess_of(kind, query.adults, query.children, hotel.infants_below) is None:
            nights = state.calendars[kind.code].left(arrival, departure)
            most = min(nights)
            rooms = rooms_for_stay(state, kind.code, arrival, departure, most)
            needs_move = rooms < most
            types.append(TypeAvailability(kind, most if query.allow_split else rooms, tuple(nights), needs_move))
    return AvailabilityReply(hotel.id, hotel.currency, query.arrival, query.departure, tuple(types))


def _waitlist(state: HotelState, query: queries.ListWaitlist) -> Reply:
    return WaitlistReply(query.hotel, tuple(state.waitlist.values()))


def _state(state: HotelState, _: queries.DescribeHotelState) -> Reply:
    return describe(state)


_REPLIES: dict[type[Query], Callable[[HotelState, Any], Reply]] = {
    queries.DescribeHotel: _hotel,
    queries.ListRooms: _rooms,
    queries.FindBooking: _booking,
    queries.FindAvailability: _availability,
    queries.ListWaitlist: _waitlist,
    queries.DescribeHotelState: _state,
}
