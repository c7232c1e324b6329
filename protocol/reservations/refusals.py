"""The refusals of reservations, beside those that all contexts share."""

from datetime import date, datetime
from typing import Annotated, ClassVar

import msgspec
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.night_audit import AuditedBooking

BusinessDate = date  # a field that is called `date` hides the type of this name


class HotelExists(Refusal, frozen=True):
    """A hotel with this id is open already."""

    code: ClassVar[str] = "hotel_exists"
    hotel: str


class SoldOut(Refusal, frozen=True):
    """No room of the type is left on these `nights` of the stay."""

    code: ClassVar[str] = "sold_out"
    room_type: str
    nights: tuple[date, ...]


class NoSingleRoom(Refusal, frozen=True):
    """Each night has a room left, but because of pinned rooms no room is free for the whole stay."""

    code: ClassVar[str] = "no_single_room"
    room_type: str


class RoomTaken(Refusal, frozen=True):
    """The requested room is held on these `nights` by bookings that cannot be moved to another room."""

    code: ClassVar[str] = "room_taken"
    room: str
    nights: tuple[date, ...]


class RoomOccupied(Refusal, frozen=True):
    """Another guest is in the room: that of `booking`. `rooms` are those of the type that are vacant and free for the
    nights that are left of the stay."""

    code: ClassVar[str] = "room_occupied"
    room: str
    booking: str
    locator: str
    rooms: tuple[str, ...]


class NoRoomAssigned(Refusal, frozen=True):
    """The booking has no room tonight. `rooms` are those of its type that are vacant and free for the nights that are
    left of the stay."""

    code: ClassVar[str] = "no_room_assigned"
    room_type: str
    rooms: tuple[str, ...]


class RoomsStillAvailable(Refusal, frozen=True):
    """The waitlist takes no entry for this stay: a room can be booked."""

    code: ClassVar[str] = "rooms_left"
    room_type: str


class GuestHasStays(Refusal, frozen=True):
    """The guest cannot be forgotten: these `bookings` have not ended, or these entries of the `waitlist` wait."""

    code: ClassVar[str] = "guest_has_stays"
    guest: str
    bookings: tuple[str, ...]
    waitlist: tuple[str, ...]


class WaitsAlready(Refusal, frozen=True):
    """The guest waits for this stay already: `entry` is that of the waitlist."""

    code: ClassVar[str] = "waits_already"
    entry: str


class WaitlistFull(Refusal, frozen=True):
    """The waitlist is full: `entries` guests wait already."""

    code: ClassVar[str] = "waitlist_full"
    entries: int


class DayNotOver(Refusal, frozen=True):
    """The business date `date` cannot be closed before `over_at`, which is `over_at_local` in the hotel's time: then it
    is over or, for an early audit, noon."""

    code: ClassVar[str] = "day_not_over"
    date: BusinessDate
    over_at: Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    over_at_local: str


class OverstaysOpen(Refusal, frozen=True):
    """The hotel closes no date while guests who were due out are in house: those of `bookings`, which names at
    most 100."""

    code: ClassVar[str] = "overstays_open"
    bookings: tuple[AuditedBooking, ...]


class ClockInDoubt(Refusal, frozen=True):
    """The server's clock has jumped: no date is closed by it until it is right again or somebody confirms it."""

    code: ClassVar[str] = "clock_in_doubt"
    reason: str


class DisplacedBooking(msgspec.Struct, frozen=True, gc=False):
    """A booking that would lose its room. `obstacle` says why it cannot have another one: the guest is in house
    (`in_house`), or has `left` today and keeps tonight, the room is `pinned`, the stay is `divided` between rooms, or
    no other room of the type is free (`no_room`)."""

    booking: str
    locator: str
    status: BookingStatus
    room: str
    arrival: date
    departure: date
    obstacle: str


class RoomNeeded(Refusal, frozen=True):
    """The room cannot be closed or given up: the `displaced` bookings need it. They have to be moved or ended first."""

    code: ClassVar[str] = "room_needed"
    room: str
    displaced: tuple[DisplacedBooking, ...]


class RoomTypeNeeded(Refusal, frozen=True):
    """The room type cannot be given up: the `displaced` bookings have its rooms, or entries of the `waitlist`
    wait for it."""

    code: ClassVar[str] = "room_type_needed"
    room_type: str
    displaced: tuple[DisplacedBooking, ...]
    waitlist: tuple[str, ...]


class RoomTypeExists(Refusal, frozen=True):
    """The hotel sells a room type of this code already."""

    code: ClassVar[str] = "room_type_exists"
    room_type: str


class RoomExists(Refusal, frozen=True):
    """The hotel has a room of this number already."""

    code: ClassVar[str] = "room_exists"
    room: str
    room_type: str


class RoomClosedAlready(Refusal, frozen=True):
    """The room is closed on some of these nights already, by `closure`."""

    code: ClassVar[str] = "room_closed"
    room: str
    closure: str


class RoomNotClean(Refusal, frozen=True):
    """The room is not clean. `clean_rooms` are vacant ones of its type that are free for the stay and clean."""

    code: ClassVar[str] = "room_not_clean"
    room: str
    condition: str
    clean_rooms: tuple[str, ...]
