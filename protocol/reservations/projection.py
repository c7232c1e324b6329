"""The fold of one booking and of one hotel: the state of each after an event about it."""

from collections.abc import Callable
from typing import Any

import msgspec
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.booking import BookedStay, Booking, BookingStatus
from innkeeper.protocol.reservations.hotel import Hotel, RetiredRoom, RoomType
from innkeeper.protocol.reservations.transitions import NOT_ARRIVED, TRANSITIONS
from innkeeper.protocol.values.contexts import BILLING, DELIVERY


def _made(record: RecordedEvent, currency: str, status: BookingStatus, changes: dict[str, Any]) -> Booking:
    event = record.event
    assert isinstance(event, events.StayEvent)
    return Booking(
        id=event.booking,
        locator=event.locator,
        hotel=record.hotel,
        status=status,
        room_type=event.room_type,
        room=event.rooms[0].room or "",
        rooms=event.rooms,
        arrival=event.arrival,
        departure=event.departure,
        adults=event.adults,
        children=event.children,
        exemptions=event.exemptions,
        guest=event.guest,
        lines=event.lines,
        terms=event.terms,
        free_until=event.free_until,
        late_fee=event.late_fee,
        no_show_fee=event.no_show_fee,
        currency=currency,
        pinned=event.pinned,
        source=event.source,
        group=event.group,
        reminder_on=event.reminder_on,
        created_at=record.at,
        created_by=record.by,
        changed_at=record.at,
        changed_by=record.by,
        **changes,
    )


_TERMS = (
    "room_type", "rooms", "arrival", "departure", "adults", "children", "exemptions", "guest", "lines", "terms",
    "free_until", "late_fee", "no_show_fee", "pinned", "source", "group", "reminder_on",
)  # fmt: skip


def _rooms(was: Booking | None, event: Any) -> dict[str, Any]:
    """The rooms, and of them the first before the arrival; a guest in house is where the guest was."""
    in_house = was is not None and was.status not in NOT_ARRIVED
    return {"rooms": event.rooms} | ({} if in_house else {"room": event.rooms[0].room or ""})


def _reinstated(_: Booking | None, event: events.BookingReinstated) -> dict[str, Any]:
    return {
        "rooms": event.rooms,
        "room": event.rooms[0].room or "",
        "lines": event.lines,
        "late_fee": event.late_fee,
        "no_show_fee": event.no_show_fee,
        "fee": 0,
        "kept_until": None,
    }


def _modified(was: Booking | None, event: events.BookingModified) -> dict[str, Any]:
    """A departure that was agreed on ends an overstay."""
    agreed = was is None or was.departure != event.departure
    return (
        _rooms(was, event)
        | {term: getattr(event, term) for term in _TERMS}
        | ({"overstayed_nights": 0} if agreed else {})
    )


def _overstayed(was: Booking | None, event: events.GuestOverstayed) -> dict[str, Any]:
    assert was is not None
    nights = was.overstayed_nights + (event.departure - was.departure).days
    return {
        "rooms": event.rooms,
        "departure": event.departure,
        "lines": event.lines,
        "overstayed_nights": nights,
    }


def _moved(was: Booking | None, event: events.RoomMoved) -> dict[str, Any]:
    return {"rooms": event.rooms, "room": event.to_room} if event.moved_in else _rooms(was, event)


def _checked_out(was: Booking | None, event: events.GuestCheckedOut) -> dict[str, Any]:
    assert was is not None
    left_early = (was.departure, was.rooms, was.lines) != (event.departure, event.rooms, event.lines)
    return {
        "rooms": event.rooms,
        "departure": event.departure,
        "lines": event.lines,
        "checked_out_on": event.business_date,
        "booked": BookedStay(was.departure, was.rooms, was.lines) if left_early else None,
    }


def _check_out_undone(_: Booking | None, event: events.CheckOutUndone) -> dict[str, Any]:
    return {
        "room": event.room,
        "rooms": event.rooms,
        "departure": event.departure,
        "lines": event.lines,
        "checked_out_on": None,
        "booked": None,
    }


BOOKING_PROJECTION = EventTable[Callable[[Booking | None, Any], dict[str, Any]]](
    "the projection of a booking",
    handles={
        events.BookingHeld: lambda _, event: {"expires_at": event.expires_at},
        events.BookingConfirmed: lambda *_: {"expires_at": None},
        events.BookingModified: _modified,
        events.HoldExtended: lambda _, event: {"expires_at": event.expires_at},
        events.HoldExpired: lambda *_: {"expires_at": None},
        events.HoldReleased: lambda *_: {"expires_at": None},
        events.RoomMoved: _moved,
        events.RoomUnassigned: _rooms,
        events.RoomAssigned: _rooms,
        events.BookingPinned: lambda *_: {"pinned": True},
        events.BookingUnpinned: lambda *_: {"pinned": False},
        events.BookingCancelled: lambda _, event: {"fee": event.fee},
        events.BookingReinstated: _reinstated,
        events.GuestCheckedIn: lambda _, event: {"room": event.room, "checked_in_on": event.business_date},
        events.CheckInUndone: lambda *_: {"checked_in_on": None},
        events.GuestCheckedOut: _checked_out,
        events.CheckOutUndone: _check_out_undone,
        events.GuestOverstayed: _overstayed,
        events.GuestNoShow: lambda _, event: {"fee": event.fee, "kept_until": event.kept_until},
        events.GuestChanged: lambda _, event: {"guest": event.guest},
        events.ReminderChanged: lambda _, event: {"reminder_on": event.reminder_on},
    },
    ignores=(
        events.HotelChanged,
        events.WaitlistChanged,
        room_events.RoomTypeChanged, room_events.RoomTypeRetired, room_events.RoomRetired, room_events.RoomClosed,
        room_events.RoomClosureChanged, room_events.RoomReopened,
        room_events.RoomConditionChanged,
        events.HotelOpened, events.TermsOfSaleChanged, events.RoomTypeAdded, events.RoomAdded, events.WaitlistJoined,
        events.WaitlistLeft, events.GuestForgotten, events.GuestAddressRefused, events.GuestAddressAccepted,
        events.BusinessDateRolled, events.TimelineBegun,
    ),
    not_followed=(BILLING, DELIVERY),
)  # fmt: skip
"""What each event changes of a booking, besides its status, which `TRANSITIONS` has."""


def apply_event(booking: Booking | None, record: RecordedEvent, currency: str) -> Booking:
    """Returns the booking after an event about it; None is a booking that does not exist yet. Raises `KeyError` where
    no such event can follow in the booking's status."""
    event = record.event
    kind = type(event)
    rule = BOOKING_PROJECTION[kind]
    assert rule is not None, f"{kind.__name__} is not about a booking"
    if booking is None:
        return _made(record, currency, TRANSITIONS[None, kind], rule(None, event))
    return msgspec.structs.replace(
        booking,
        status=TRANSITIONS[booking.status, kind],
        changed_at=record.at,
        changed_by=record.by,
        version=booking.version + 1,
        **rule(booking, event),
    )


def _opened(_: Hotel | None, record: RecordedEvent, event: events.HotelOpened) -> Hotel:
    return Hotel(
        id=record.hotel,
        name=event.title,
        timezone=event.timezone,
        currency=event.currency,
        check_in=event.check_in,
        check_out=event.check_out,
        night_audit=event.night_audit,
        business_date=event.business_date,
        opened_on=event.business_date,
        terms_of_sale=(event.terms,),
        clock=event.clock,
        housekeeping=event.housekeeping,
        infants_below=event.infants_below,
        overstays_block_audit=event.overstays_block_audit,
    )


def _hotel_changed(hotel: Hotel, _: RecordedEvent, event: events.HotelChanged) -> Hotel:
    return msgspec.structs.replace(
        hotel,
        name=event.title,
        check_in=event.check_in,
        check_out=event.check_out,
        night_audit=event.night_audit,
        housekeeping=event.housekeeping,
        infants_below=event.infants_below,
        overstays_block_audit=event.overstays_block_audit,
    )


def _terms_changed(hotel: Hotel, _: RecordedEvent, event: events.TermsOfSaleChanged) -> Hotel:
    return msgspec.structs.replace(hotel, terms_of_sale=(*hotel.terms_of_sale, event.terms))


def _room_type_added(hotel: Hotel, _: RecordedEvent, event: events.RoomTypeAdded) -> Hotel:
    kind = RoomType(event.code, event.title, event.max_guests, event.rate, (), event.max_adults, event.cots)
    retired = tuple(kind for kind in hotel.retired_types if kind.code != event.code)
    return msgspec.structs.replace(hotel, room_types=(*hotel.room_types, kind), retired_types=retired)


def _room_type_changed(hotel: Hotel, _: RecordedEvent, event: room_events.RoomTypeChanged) -> Hotel:
    kinds = tuple(
        RoomType(event.code, event.title, event.max_guests, event.rate, kind.rooms, event.max_adults, event.cots)
        if kind.code == event.code
        else kind
        for kind in hotel.room_types
    )
    return msgspec.structs.replace(hotel, room_types=kinds)


def _room_type_retired(hotel: Hotel, _: RecordedEvent, event: room_events.RoomTypeRetired) -> Hotel:
    return msgspec.structs.replace(
        hotel,
        room_types=tuple(kind for kind in hotel.room_types if kind.code != event.code),
        retired_types=(*hotel.retired_types, *(kind for kind in hotel.room_types if kind.code == event.code)),
    )


def _room_added(hotel: Hotel, _: RecordedEvent, event: events.RoomAdded) -> Hotel:
    kinds = tuple(
        msgspec.structs.replace(kind, rooms=(*kind.rooms, event.room)) if kind.code == event.room_type else kind
        for kind in hotel.room_types
    )
    retired = tuple(one for one in hotel.retired_rooms if one.room != event.room)
    return msgspec.structs.replace(hotel, room_types=kinds, retired_rooms=retired)


def _room_retired(hotel: Hotel, _: RecordedEvent, event: room_events.RoomRetired) -> Hotel:
    kinds, retired = [], [*hotel.retired_rooms]
    for kind in hotel.room_types:
        if event.room in kind.rooms:
            retired.append(RetiredRoom(event.room, kind.code))
            rooms = tuple(room for room in kind.rooms if room != event.room)
            kinds.append(msgspec.structs.replace(kind, rooms=rooms))
        else:
            kinds.append(kind)
    return msgspec.structs.replace(hotel, room_types=tuple(kinds), retired_rooms=tuple(retired))


def _rolled(hotel: Hotel, _: RecordedEvent, event: events.BusinessDateRolled) -> Hotel:
    return msgspec.structs.replace(hotel, business_date=event.opened)


HOTEL_PROJECTION = EventTable[Callable[[Any, RecordedEvent, Any], Hotel]](
    "the projection of a hotel",
    handles={
        events.HotelOpened: _opened,
        events.TermsOfSaleChanged: _terms_changed,
        events.HotelChanged: _hotel_changed,
        events.RoomTypeAdded: _room_type_added,
        room_events.RoomTypeChanged: _room_type_changed,
        room_events.RoomTypeRetired: _room_type_retired,
        events.RoomAdded: _room_added,
        room_events.RoomRetired: _room_retired,
        events.BusinessDateRolled: _rolled,
    },
    ignores=(
        events.WaitlistChanged,
        room_events.RoomClosed, room_events.RoomClosureChanged, room_events.RoomReopened,
        room_events.RoomConditionChanged,
        events.RoomUnassigned, events.RoomAssigned,
        events.CheckInUndone, events.CheckOutUndone,
        events.GuestOverstayed,
        events.BookingHeld, events.BookingConfirmed, events.BookingModified, events.HoldExtended, events.HoldExpired,
        events.HoldReleased, events.RoomMoved, events.BookingPinned, events.BookingUnpinned, events.BookingCancelled,
        events.BookingReinstated, events.GuestCheckedIn, events.GuestCheckedOut, events.GuestNoShow,
        events.GuestChanged, events.ReminderChanged, events.WaitlistJoined, events.WaitlistLeft, events.GuestForgotten,
        events.GuestAddressRefused, events.GuestAddressAccepted, events.TimelineBegun,
    ),
    not_followed=(BILLING, DELIVERY),
)  # fmt: skip


def apply_hotel_event(hotel: Hotel | None, record: RecordedEvent) -> Hotel:
    """Returns the hotel after an event of it; None is a hotel that is not open yet."""
    rule = HOTEL_PROJECTION[type(record.event)]
    if rule is None:
        assert hotel is not None
        return hotel
    changed = rule(hotel, record, record.event)
    return changed if hotel is None else msgspec.structs.replace(changed, version=hotel.version + 1)
