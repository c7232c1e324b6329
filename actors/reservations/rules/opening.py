"""The opening of a hotel: its room types and rooms, and the room numbers where only a count is given."""

from datetime import date, timedelta

from innkeeper.actors.reservations.rules.business_day import MANUAL_AUDIT_TIME, NOON, instant_of, local_date
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.hotel import MANUAL_AUDIT, HotelClock
from innkeeper.protocol.reservations.requests import HotelRequest, RoomTypeRequest


def opening_events(request: HotelRequest, at: int) -> tuple[Event, ...]:
    """The events of opening this hotel at this instant. Refuses a first business date that is not the hotel's own
    calendar day, unless its clock is simulated."""
    opened = events.HotelOpened(
        request.name,
        request.timezone,
        request.currency,
        request.check_in,
        request.check_out,
        request.night_audit,
        _first_date(request, at),
        request.terms(),
        request.clock,
        request.housekeeping,
        request.infants_below,
        request.overstays_block_audit,
    )
    done: list[Event] = [opened]
    numbers = _numbers(request)
    for room_type in request.room_types:
        done.append(
            events.RoomTypeAdded(
                room_type.code,
                room_type.name,
                room_type.max_guests,
                room_type.rate.minor_units(),
                room_type.max_adults,
                room_type.cots,
            )
        )
        done.extend(events.RoomAdded(number, room_type.code) for number in numbers[room_type.code])
    return tuple(done)


def _first_date(request: HotelRequest, at: int) -> date:
    today = local_date(request.timezone, at)
    first = request.business_date or today
    if request.clock is HotelClock.WALL and first != today:
        audit = MANUAL_AUDIT_TIME if request.night_audit == MANUAL_AUDIT else request.night_audit
        before_audit = audit < NOON and at < instant_of(today, audit, request.timezone)
        if not (before_audit and first == today - timedelta(days=1)):
            raise invalid("business_date", "calendar_day", f"expected the hotel's own calendar day, {today}")
    return first


def _numbers(request: HotelRequest) -> dict[str, list[str]]:
    """The room numbers of each type; a type with only a count gets a floor of its own: 101, 102, …; 201, …"""
    width = max(2, *(len(str(room_type.room_count)) for room_type in request.room_types))
    numbers = {
        room_type.code: _of(room_type, floor, width) for floor, room_type in enumerate(request.room_types, start=1)
    }
    every = [number for rooms in numbers.values() for number in rooms]
    if len(set(every)) < len(every):
        raise invalid("room_types", "unique", "a given room number is also made from room_count; give another one")
    return numbers


def _of(room_type: RoomTypeRequest, floor: int, width: int) -> list[str]:
    return list(room_type.rooms) or [f"{floor}{number:0{width}d}" for number in range(1, room_type.room_count + 1)]
