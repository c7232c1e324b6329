"""The opening of a hotel: its room types and rooms, and the room numbers where only a count is given."""

from innkeeper.actors.reservations.rules.pricing import local_date
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.commands import HotelPlan, RoomTypeOffer


def opening_events(plan: HotelPlan, at: int) -> tuple[Event, ...]:
    """The events of opening this hotel at this instant."""
    opened = events.HotelOpened(
        plan.name,
        plan.timezone,
        plan.currency,
        plan.check_in,
        plan.check_out,
        plan.night_audit,
        plan.cancellation,
        plan.business_date or local_date(plan.timezone, at),
    )
    done: list[Event] = [opened]
    numbers = _numbers(plan)
    for offer in plan.room_types:
        done.append(events.RoomTypeAdded(offer.code, offer.name, offer.max_guests, offer.rate.minor_units()))
        done.extend(events.RoomAdded(number, offer.code) for number in numbers[offer.code])
    return tuple(done)


def _numbers(plan: HotelPlan) -> dict[str, list[str]]:
    """The room numbers of each type; a type with only a count gets a floor of its own: 101, 102, …; 201, …"""
    width = max(2, *(len(str(offer.room_count)) for offer in plan.room_types))
    numbers = {offer.code: _of(offer, floor, width) for floor, offer in enumerate(plan.room_types, start=1)}
    every = [number for rooms in numbers.values() for number in rooms]
    if len(set(every)) < len(every):
        raise invalid("room_types", "unique", "a given room number is also made from room_count; give another one")
    return numbers


def _of(offer: RoomTypeOffer, floor: int, width: int) -> list[str]:
    return list(offer.rooms) or [f"{floor}{number:0{width}d}" for number in range(1, offer.room_count + 1)]
