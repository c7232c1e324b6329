"""The fold of one booking and of one hotel: the state of each after an event about it."""

from collections.abc import Callable
from typing import Any

import msgspec
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.hotel import Hotel, RoomType


def _made(record: RecordedEvent, currency: str) -> Booking:
    event = record.event
    assert isinstance(event, events.StayEvent)
    expires_at = event.expires_at if isinstance(event, events.BookingHeld) else None
    return Booking(
        id=event.booking,
        locator=event.locator,
        hotel=record.hotel,
        status=BookingStatus.CONFIRMED if expires_at is None else BookingStatus.HELD,
        room_type=event.room_type,
        room=event.room,
        arrival=event.arrival,
        departure=event.departure,
        adults=event.adults,
        children=event.children,
        guest_id=event.guest_id,
        guest=event.guest,
        rate=event.rate,
        currency=currency,
        pinned=event.pinned,
        source=event.source,
        group=event.group,
        reminder_on=event.reminder_on,
        expires_at=expires_at,
        created_at=record.at,
        created_by=record.by,
        changed_at=record.at,
        changed_by=record.by,
    )


_TERMS = (
    "room_type", "room", "arrival", "departure", "adults", "children", "guest_id", "guest", "rate", "pinned", "source",
    "group", "reminder_on",
)  # fmt: skip


_CHANGES: dict[type[Event], Callable[[Any], dict[str, Any]]] = {
    events.BookingConfirmed: lambda _: {"status": BookingStatus.CONFIRMED, "expires_at": None},
    events.BookingModified: lambda event: {term: getattr(event, term) for term in _TERMS},
    events.HoldExtended: lambda event: {"expires_at": event.expires_at},
    events.HoldExpired: lambda _: {"status": BookingStatus.EXPIRED, "expires_at": None},
    events.HoldReleased: lambda _: {"status": BookingStatus.RELEASED, "expires_at": None},
    events.RoomMoved: lambda event: {"room": event.to_room},
    events.BookingPinned: lambda _: {"pinned": True},
    events.BookingUnpinned: lambda _: {"pinned": False},
    events.BookingCancelled: lambda event: {"status": BookingStatus.CANCELLED, "fee": event.fee},
    events.BookingReinstated: lambda event: {"status": BookingStatus.CONFIRMED, "room": event.room, "fee": 0},
    events.GuestCheckedIn: lambda event: {"status": BookingStatus.IN_HOUSE, "room": event.room},
    events.GuestCheckedOut: lambda event: {"status": BookingStatus.CHECKED_OUT, "departure": event.departure},
    events.GuestNoShow: lambda event: {"status": BookingStatus.NO_SHOW, "fee": event.fee},
    events.NoteChanged: lambda event: {"guest": event.guest},
    events.ReminderChanged: lambda event: {"reminder_on": event.reminder_on},
}


def apply_event(booking: Booking | None, record: RecordedEvent, currency: str) -> Booking:
    """Returns the booking after an event about it; None is a booking that does not exist yet."""
    if booking is None:
        return _made(record, currency)
    return msgspec.structs.replace(
        booking,
        changed_at=record.at,
        changed_by=record.by,
        version=booking.version + 1,
        **_CHANGES[type(record.event)](record.event),
    )


def apply_hotel_event(hotel: Hotel | None, record: RecordedEvent) -> Hotel:
    """Returns the hotel after an event about it; None is a hotel that is not open yet."""
    event = record.event
    if isinstance(event, events.HotelOpened):
        return Hotel(
            id=record.hotel,
            name=event.title,
            timezone=event.timezone,
            currency=event.currency,
            check_in=event.check_in,
            check_out=event.check_out,
            night_audit=event.night_audit,
            cancellation=event.cancellation,
            business_date=event.business_date,
        )
    assert hotel is not None
    kinds = hotel.room_types
    match event:
        case events.RoomTypeAdded():
            kind = RoomType(event.code, event.title, event.max_guests, event.rate)
            return msgspec.structs.replace(hotel, room_types=(*kinds, kind))
        case events.RoomAdded():
            kinds = tuple(
                msgspec.structs.replace(kind, rooms=(*kind.rooms, event.room)) if kind.code == event.room_type else kind
                for kind in kinds
            )
            return msgspec.structs.replace(hotel, room_types=kinds)
        case events.BusinessDateRolled():
            return msgspec.structs.replace(hotel, business_date=event.opened)
        case _:
            return hotel
