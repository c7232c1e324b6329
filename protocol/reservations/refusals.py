"""What a hotel refuses, beside what every context can refuse."""

from datetime import date
from typing import ClassVar

from innkeeper.protocol.messages.refusals import Refusal


class HotelExists(Refusal, frozen=True):
    """A hotel with this id is open already."""

    code: ClassVar[str] = "hotel_exists"
    hotel: str


class SoldOut(Refusal, frozen=True):
    """On these nights no room of the type is left."""

    code: ClassVar[str] = "sold_out"
    room_type: str
    nights: tuple[date, ...]


class NoSingleRoom(Refusal, frozen=True):
    """Each night has a room left, but pinned rooms stand in the way of giving one room for the whole stay."""

    code: ClassVar[str] = "no_single_room"
    room_type: str


class RoomTaken(Refusal, frozen=True):
    """The room that was asked for is held by someone who cannot be moved out of it."""

    code: ClassVar[str] = "room_taken"
    room: str
    nights: tuple[date, ...]


class RoomsLeft(Refusal, frozen=True):
    """Nobody needs to wait for this stay: there is a room to book."""

    code: ClassVar[str] = "rooms_left"
    room_type: str


class WaitlistFull(Refusal, frozen=True):
    """As many as `entries` guests wait already."""

    code: ClassVar[str] = "waitlist_full"
    entries: int
