"""The replies of a hotel."""

from datetime import date
from typing import ClassVar

import msgspec
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.hotel import Hotel, RoomType
from innkeeper.protocol.reservations.night_audit import AuditPreview, ClosedDate
from innkeeper.protocol.reservations.room_events import RoomCondition
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values.guests import Guest


class HotelReply(Reply, frozen=True):
    """The hotel in its current state."""

    name: ClassVar[str] = "hotel.reply"
    hotel: Hotel


class BookingReply(Reply, frozen=True):
    """The booking in its current state."""

    name: ClassVar[str] = "booking.reply"
    booking: Booking


class PreviewedMove(msgspec.Struct, frozen=True, gc=False):
    """Another booking that would be given another room: `to_room` is the one that it would have, empty where it would
    have none."""

    booking: str
    locator: str
    from_room: str
    to_room: str


class PreviewReply(Reply, frozen=True):
    """The booking as it would be after a command, and the moves of others; nothing was done."""

    name: ClassVar[str] = "preview.reply"
    booking: Booking
    moves: tuple[PreviewedMove, ...] = ()


class GuestReply(Reply, frozen=True):
    """A guest of the hotel, without details once forgotten."""

    name: ClassVar[str] = "guest.reply"
    hotel: str
    guest: Guest


class TypeAvailability(msgspec.Struct, frozen=True, gc=False):
    """Rooms left of one type: for the whole stay, and for each of its nights in order. `needs_move`: there is a room
    for more stays than these, or some of these, only where the guest changes rooms."""

    room_type: RoomType
    rooms: int
    nights: tuple[int, ...]
    needs_move: bool = False


class AvailabilityReply(Reply, frozen=True):
    """The rooms that are left to sell, by type."""

    name: ClassVar[str] = "availability.reply"
    hotel: str
    currency: str
    arrival: date
    departure: date
    types: tuple[TypeAvailability, ...]


class NightAuditReply(Reply, frozen=True):
    """The dates that a night audit closed, and the business date that it opened. `closed` is empty where nothing was to
    be closed, or where what the audit did is not `known` any more. With a `preview` nothing was done."""

    name: ClassVar[str] = "business_date.reply"
    hotel: str
    business_date: date
    closed: tuple[ClosedDate, ...] = ()
    known: bool = True
    preview: AuditPreview | None = None


class WaitlistReply(Reply, frozen=True):
    """Entries of the waitlist: all of them, longest waiting first, or the one that the command was about."""

    name: ClassVar[str] = "waitlist.reply"
    hotel: str
    entries: tuple[WaitlistEntry, ...]


class RoomStays(msgspec.Struct, frozen=True, gc=False):
    """The bookings and closures that hold nights in a room, each with its nights [from, to) as ordinals of dates, and
    the bookings whose guests are in it."""

    room: str
    stays: tuple[tuple[str, int, int], ...]
    guests: tuple[str, ...] = ()


class RoomCare(msgspec.Struct, frozen=True, gc=False):
    """What housekeeping says of a room. A room of which nothing is said is clean."""

    room: str
    condition: RoomCondition


class RoomDetails(msgspec.Struct, frozen=True, gc=False):
    """A room of a hotel today. `closures` are those that are not over; `in_house` are the bookings whose guests are in
    the room, `due_in` those whose guests are expected in it today."""

    number: str
    room_type: str
    condition: RoomCondition
    retired: bool
    closures: tuple[Closure, ...]
    in_house: tuple[Booking, ...]
    due_in: tuple[Booking, ...]


class RoomsReply(Reply, frozen=True):
    """Rooms of a hotel: all that it has, in the order of its room types, or the one that the message is about.
    `closure` is the closure that the command was about."""

    name: ClassVar[str] = "rooms.reply"
    hotel: str
    version: int
    business_date: date
    rooms: tuple[RoomDetails, ...]
    closure: Closure | None = None


class HotelStateReply(Reply, frozen=True):
    """A hotel's whole state, as a snapshot has it. Its bookings are those that can still change; `rooms` is what the
    rooms themselves say, without those that hold nothing; `closed` are the dates that were closed last."""

    name: ClassVar[str] = "hotel_state.reply"
    hotel: Hotel
    hotel_seq: int
    bookings_made: int
    bookings: tuple[Booking, ...]
    waitlist: tuple[WaitlistEntry, ...]
    rooms: tuple[RoomStays, ...]
    closed: tuple[ClosedDate, ...] = ()
    closures: tuple[Closure, ...] = ()
    conditions: tuple[RoomCare, ...] = ()


REPLIES: tuple[type[Reply], ...] = (
    HotelReply, BookingReply, PreviewReply, GuestReply, AvailabilityReply, NightAuditReply, WaitlistReply, RoomsReply,
    HotelStateReply,
)  # fmt: skip
