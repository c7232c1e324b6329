"""The events of a hotel's rooms and room types, beside those by which they are added.

A room is out of order or out of service for a number of nights (a closure), and needs cleaning after each stay.
"""

from datetime import date
from enum import StrEnum
from typing import ClassVar

from innkeeper.protocol.messages.event import Event


class ClosureKind(StrEnum):
    """Out of order: the room cannot be sold. Out of service: it can be sold, but is given last."""

    OUT_OF_ORDER = "out_of_order"
    OUT_OF_SERVICE = "out_of_service"


class RoomCondition(StrEnum):
    """What housekeeping says of a room. A check-out makes it dirty, and so does a night with a guest in it."""

    DIRTY = "dirty"
    CLEAN = "clean"
    INSPECTED = "inspected"


class RoomTypeChanged(Event, frozen=True):
    """A room type has another name, another capacity or another rate; these are all of them. Bookings keep their
    price."""

    name: ClassVar[str] = "room_type.changed"
    code: str
    title: str
    max_guests: int
    rate: int
    max_adults: int | None = None
    cots: int | None = None


class RoomTypeRetired(Event, frozen=True):
    """The hotel does not sell this room type any more."""

    name: ClassVar[str] = "room_type.retired"
    code: str


class RoomRetired(Event, frozen=True):
    """The hotel does not have this room any more. A room that is added under its number later is the same room."""

    name: ClassVar[str] = "room.retired"
    room: str


class ClosureEvent(Event, frozen=True):
    """The base of all events about one closure."""

    closure: str


class RoomClosed(ClosureEvent, frozen=True):
    """A room is out of order or out of service on the nights [first, until)."""

    name: ClassVar[str] = "room.closed"
    room: str
    kind: ClosureKind
    first: date
    until: date
    reason: str = ""


class RoomClosureChanged(ClosureEvent, frozen=True):
    """A closure has other nights, earlier or later, or another reason; these are all of them."""

    name: ClassVar[str] = "room.closure_changed"
    first: date
    until: date
    reason: str = ""


class RoomReopened(ClosureEvent, frozen=True):
    """A closure is over, or was a mistake: the room can be sold from the business date on."""

    name: ClassVar[str] = "room.reopened"


class RoomConditionChanged(Event, frozen=True):
    """Housekeeping says that a room is dirty, clean or inspected."""

    name: ClassVar[str] = "room.condition_changed"
    room: str
    condition: RoomCondition


ROOM_EVENTS: tuple[type[Event], ...] = (
    RoomTypeChanged, RoomTypeRetired, RoomRetired, RoomClosed, RoomClosureChanged, RoomReopened, RoomConditionChanged,
)  # fmt: skip
