"""The booking document of every contestant's responses, made by the same code as Innkeeper's own."""

import time
from datetime import timedelta

from innkeeper.http.api.rendering import booking_resource
from innkeeper.http.api.resources import BookingResource
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, PriceLine, RoomSegment
from innkeeper.protocol.reservations.requests import BookingRequest
from innkeeper.protocol.values.guests import Guest, GuestDetails

RATE = 12_000  # minor units a night


def booking_document(booking: str, hotel: str, room: str, wanted: BookingRequest) -> BookingResource:
    """A confirmed booking of this room, as in a response of Innkeeper."""
    now = time.time_ns() // 1_000
    guest = wanted.guest
    nights = (wanted.departure - wanted.arrival).days
    return booking_resource(
        Booking(
            id=booking,
            locator=booking[-8:],
            hotel=hotel,
            status=BookingStatus.CONFIRMED,
            room_type=wanted.room_type,
            room=room,
            rooms=(RoomSegment(room, wanted.arrival, wanted.departure),),
            arrival=wanted.arrival,
            departure=wanted.departure,
            adults=wanted.adults,
            guest=Guest(booking, 1, b"", GuestDetails(guest.name or "", guest.email, guest.phone, wanted.notes)),
            lines=tuple(PriceLine(wanted.arrival + timedelta(days=place), RATE, RATE, 1) for place in range(nights)),
            terms=1,
            free_until=now,
            late_fee=RATE,
            no_show_fee=RATE,
            currency="EUR",
            created_at=now,
            created_by="anyone",
            changed_at=now,
            changed_by="anyone",
            children=wanted.children,
            source=wanted.source,
        )
    )
