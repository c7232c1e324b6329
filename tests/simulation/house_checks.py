"""Checks answers about the rooms of a hotel against the event model. Each violation is a sentence."""

from collections.abc import Iterator
from datetime import date

from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import NotFound
from innkeeper.protocol.reservations import replies
from innkeeper.protocol.reservations.commands import RetireRoomType
from innkeeper.protocol.reservations.refusals import DisplacedBooking
from simulation.event_model import EventModel


def needed(model: EventModel, message: Command | Query, displaced: tuple[DisplacedBooking, ...]) -> Iterator[str]:
    """A room is kept only for bookings that cannot have another one."""
    hotel = message.hotel
    for one in displaced:
        facts = model.bookings[one.booking]
        if (facts.hotel, facts.status) != (hotel, one.status.value):
            yield f"{one.booking} is listed as {one}, but is {facts} (P3)"
        expected = {"in_house": facts.status == "in_house", "left": facts.status == "checked_out"}
        expected |= {"pinned": facts.pinned, "divided": len(facts.rooms) > 1}
        expected["no_room"] = isinstance(message, RetireRoomType) or _no_room(model, hotel, one)
        if not expected[one.obstacle]:
            yield f"{one.booking} could have another room than {one.room}, but is {one.obstacle} (P4)"


def _no_room(model: EventModel, hotel: str, booking: DisplacedBooking) -> bool:
    """Whether a night of the booking has no other room, or rooms of the type cannot be moved freely."""
    kind = model.auditor.hotels[hotel].rooms[booking.room]
    first = max(booking.arrival, model.today(hotel)).toordinal()
    nights = map(date.fromordinal, range(first, booking.departure.toordinal()))
    return model.has_fixed_stay(hotel, kind) or any(not model.rooms_left(hotel, kind, night) for night in nights)


def rooms(model: EventModel, answer: replies.RoomsReply) -> Iterator[str]:
    """Each room has the condition and the closures that its events give it."""
    closed = model.auditor.hotels[answer.hotel].closed.closures
    for room in answer.rooms:
        condition = model.conditions.get((answer.hotel, room.number), "clean")
        if room.condition.value != condition:
            yield f"room {room.number} is {condition}, not {room.condition.value} (P3)"
        known = {id_ for id_, one in closed.items() if one.room == room.number}
        if answer.closure is None and {one.id for one in room.closures} != known:
            yield f"room {room.number} has the closures {known}, not {room.closures} (P3)"
    if {room.number for room in answer.rooms if not room.retired} - {*model.all_rooms(answer.hotel)}:
        yield "a room is listed that the hotel does not have"


def missing(model: EventModel, hotel: str, answer: NotFound) -> Iterator[str]:
    """What was not found is not there."""
    closures = {closure for _, closure in model.closures(hotel)}
    if answer.name in (model.all_rooms(hotel) if answer.kind == "room" else closures):
        yield f"{answer.kind} {answer.name} is there, but was not found (P3)"
