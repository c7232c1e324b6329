"""From replies to JSON: the resources as a client sees them."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web
from innkeeper.protocol import wire
from innkeeper.protocol.booking import Booking, Status
from innkeeper.protocol.hotel import CancellationPolicy, Hotel, RoomType
from innkeeper.protocol.instants import instant
from innkeeper.protocol.money import render
from innkeeper.protocol.record import Recorded
from innkeeper.protocol.replies import AuditReply, AvailabilityReply

_encode = msgspec.json.Encoder().encode


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Money as a client sees it."""

    amount: str
    currency: str


class NightPrice(msgspec.Struct, frozen=True, gc=False):
    """What one night costs."""

    date: date
    amount: str


class Price(msgspec.Struct, frozen=True, gc=False):
    """What the stay costs, night by night."""

    total: str
    currency: str
    nights: list[NightPrice]


class GuestResource(msgspec.Struct, frozen=True, gc=False):
    """The guest."""

    id: str
    name: str
    email: str | None
    phone: str | None


class BookingResource(msgspec.Struct, frozen=True, gc=False):
    """A booking."""

    id: str
    locator: str
    hotel: str
    status: Status
    room_type: str
    room: str
    pinned: bool
    arrival: date
    departure: date
    nights: int
    adults: int
    children: tuple[int, ...]
    guest: GuestResource
    price: Price
    fee: Amount | None
    notes: str
    source: str
    group: str | None
    expires_at: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    version: int


class RoomTypeResource(msgspec.Struct, frozen=True):
    """A room type."""

    code: str
    name: str
    max_guests: int
    rate: Amount
    rooms: tuple[str, ...]


class HotelResource(msgspec.Struct, frozen=True):
    """A hotel."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    night_audit: str
    cancellation: CancellationPolicy
    business_date: date
    room_types: list[RoomTypeResource]


_JSON = {"Content-Type": "application/json"}
_DAY = timedelta(days=1)


def booking_resource(booking: Booking) -> BookingResource:
    """A booking as a client sees it."""
    arrival, currency = booking.arrival, booking.currency
    nights = (booking.departure - arrival).days
    amount = render(booking.rate, currency)
    guest = booking.guest
    created_at = instant(booking.created_at)
    changed_at = created_at if booking.changed_at == booking.created_at else instant(booking.changed_at)
    return BookingResource(
        booking.id, booking.locator, booking.hotel, booking.status, booking.room_type, booking.room, booking.pinned,
        arrival, booking.departure, nights, booking.adults, booking.children,
        GuestResource(booking.guest_id, guest.name, guest.email, guest.phone),
        Price(
            render(booking.rate * nights, currency), currency,
            [NightPrice(arrival + _DAY * night, amount) for night in range(nights)],
        ),
        Amount(render(booking.fee, currency), currency) if booking.fee else None,
        guest.notes, booking.source, booking.group,
        None if booking.expires_at is None else instant(booking.expires_at),
        created_at, booking.created_by, changed_at, booking.changed_by,
        booking.version,
    )  # fmt: skip


def hotel_resource(hotel: Hotel) -> HotelResource:
    """A hotel as a client sees it."""
    return HotelResource(
        hotel.id, hotel.name, hotel.timezone, hotel.currency, hotel.check_in, hotel.check_out, hotel.night_audit,
        hotel.cancellation, hotel.business_date,
        [_room_type(kind, hotel.currency) for kind in hotel.room_types],
    )  # fmt: skip


def _room_type(kind: RoomType, currency: str) -> RoomTypeResource:
    return RoomTypeResource(
        kind.code, kind.name, kind.max_guests, Amount(render(kind.rate, currency), currency), kind.rooms
    )


def availability(reply: AvailabilityReply) -> dict[str, Any]:
    """Rooms left per type."""
    dates = [reply.arrival + _DAY * night for night in range((reply.departure - reply.arrival).days)]
    return {
        "hotel": reply.hotel,
        "arrival": reply.arrival,
        "departure": reply.departure,
        "room_types": [
            {
                "code": left.room_type.code,
                "name": left.room_type.name,
                "max_guests": left.room_type.max_guests,
                "rate": Amount(render(left.room_type.rate, reply.currency), reply.currency),
                "rooms": left.rooms,
                "nights": [{"date": day, "rooms": rooms} for day, rooms in zip(dates, left.nights, strict=True)],
            }
            for left in reply.types
        ],
    }


def audit(reply: AuditReply) -> dict[str, Any]:
    """What a night audit settled."""
    return msgspec.structs.asdict(reply)


def event(seq: int, record: Recorded) -> dict[str, Any]:
    """An event as CloudEvents 1.0 JSON. `sequence` is gapless per hotel; `position` is its place in the log."""
    subject = getattr(record.event, "booking", None)
    return {
        "specversion": "1.0",
        "id": record.id,
        "source": f"/hotels/{record.hotel}",
        "type": wire.event_type(record.event),
        "time": instant(record.at),
        "datacontenttype": "application/json",
        **({"subject": subject} if subject else {}),
        "sequence": str(record.hotel_seq),
        "correlationid": record.correlation,
        "causationid": record.cause,
        "by": record.by,
        "position": seq,
        "data": record.event,
    }


def tape_chart(hotel: Hotel, bookings: Iterable[Booking], start: date, end: date) -> dict[str, Any]:
    """The grid of rooms and nights: the rooms in their order, and the bookings that hold a night in [start, end)."""
    return {
        "hotel": hotel.id,
        "business_date": hotel.business_date,
        "from": start,
        "to": end,
        "rooms": [{"number": room, "room_type": kind.code} for kind in hotel.room_types for room in kind.rooms],
        "bookings": [
            {
                "id": booking.id,
                "locator": booking.locator,
                "status": booking.status,
                "room": booking.room,
                "room_type": booking.room_type,
                "arrival": booking.arrival,
                "departure": booking.departure,
                "pinned": booking.pinned,
                "adults": booking.adults,
                "children": booking.children,
                "guest": {"name": booking.guest.name},
            }
            for booking in bookings
        ],
    }


def page(entries: Iterable[Any], next_cursor: str | None) -> dict[str, Any]:
    """A part of a list."""
    return {"data": list(entries), "next_cursor": next_cursor}


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(body=_encode(body), status=status, headers={**_JSON, **(headers or {})})
