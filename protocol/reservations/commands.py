"""The commands of a hotel: imperative and frozen. What a client's request has is in `requests`."""

from datetime import date
from typing import Annotated, ClassVar

from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations.hotel_requests import (
    ClosureChange,
    ClosureRequest,
    HotelChange,
    RoomAddition,
    RoomChange,
    RoomTypeAddition,
    RoomTypeChange,
)
from innkeeper.protocol.reservations.reasons import CancellationReason, DepartureReason
from innkeeper.protocol.reservations.requests import (
    BookingChange,
    BookingRequest,
    HotelRequest,
    WaitlistChange,
    WaitlistRequest,
)
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.text import UNPADDED, Code, HoldSeconds, Line
from msgspec import Meta


class BookingCommand(Command, frozen=True):
    """An action on one booking; `action` is its name in the API and in `transitions.ACTIONS`."""

    action: ClassVar[str]
    booking: str


class OpenHotel(Command, frozen=True):
    """Open a hotel with all its room types and rooms."""

    name: ClassVar[str] = "hotel.open"
    request: HotelRequest


class ChangeHotel(Command, frozen=True):
    """Change the hotel's name, hours or terms of sale: all of the change or none of it."""

    name: ClassVar[str] = "hotel.change"
    change: HotelChange


class AddRoomType(Command, frozen=True):
    """Sell a new room type, or again one that was retired."""

    name: ClassVar[str] = "room_type.add"
    request: RoomTypeAddition


class ChangeRoomType(Command, frozen=True):
    """Change a room type's name, rate or capacity for later bookings."""

    name: ClassVar[str] = "room_type.change"
    code: str
    change: RoomTypeChange


class RetireRoomType(Command, frozen=True):
    """Do not sell a room type any more, and retire its rooms. Refused while anything is booked in them."""

    name: ClassVar[str] = "room_type.retire"
    code: str


class AddRoom(Command, frozen=True):
    """Add a room to a type."""

    name: ClassVar[str] = "room.add"
    request: RoomAddition


class RetireRoom(Command, frozen=True):
    """Give up a room. Guests who have not arrived get other rooms of the type; refused where one cannot."""

    name: ClassVar[str] = "room.retire"
    room: str


class ChangeRoom(Command, frozen=True):
    """Say what housekeeping found or did: the room is dirty, clean or inspected."""

    name: ClassVar[str] = "room.change"
    room: str
    change: RoomChange


class CloseRoom(Command, frozen=True):
    """Take a room out of order or out of service for some nights. Guests who have not arrived get other rooms of the
    type; refused where one cannot."""

    name: ClassVar[str] = "room.close"
    room: str
    request: ClosureRequest


class ChangeClosure(Command, frozen=True):
    """Begin or end a closure on other days than planned, or give it another reason."""

    name: ClassVar[str] = "room.change_closure"
    room: str
    closure: str
    change: ClosureChange


class ReopenRoom(Command, frozen=True):
    """End a closure now."""

    name: ClassVar[str] = "room.reopen"
    room: str
    closure: str


class BookRoom(Command, frozen=True):
    """Book or hold one room of a type for one stay. Other bookings may be given other rooms to make it fit. `guest` is
    the id of the guest, where the request names a known one."""

    name: ClassVar[str] = "booking.book"
    request: BookingRequest
    guest: str | None = None


class ChangeBooking(BookingCommand, frozen=True):
    """Change a booking's stay, type, guest, rate, notes or reminder: all of the change or none of it."""

    name: ClassVar[str] = "booking.change"
    action: ClassVar[str] = "change"
    change: BookingChange


class ConfirmBooking(BookingCommand, frozen=True):
    """Turn a hold into a confirmed booking."""

    name: ClassVar[str] = "booking.confirm"
    action: ClassVar[str] = "confirm"


class ReleaseHold(BookingCommand, frozen=True):
    """Release a hold before it expires."""

    name: ClassVar[str] = "booking.release"
    action: ClassVar[str] = "release"
    reason_code: CancellationReason = CancellationReason.GUEST


class ExtendHold(BookingCommand, frozen=True):
    """Extend a hold until so many seconds from now, unless it expires later than that already."""

    name: ClassVar[str] = "booking.extend"
    action: ClassVar[str] = "extend"
    hold_seconds: HoldSeconds = limits.hold_seconds_default


class CancelBooking(BookingCommand, frozen=True):
    """Cancel a confirmed booking; the fee follows the booking's terms, or is waived for a reason."""

    name: ClassVar[str] = "booking.cancel"
    action: ClassVar[str] = "cancel"
    reason: Line = ""
    reason_code: CancellationReason = CancellationReason.GUEST
    waive_fee: bool = False

    def __post_init__(self) -> None:
        _check_waiver(self.waive_fee, self.reason)


def _check_waiver(waive_fee: bool, reason: str) -> None:
    if waive_fee and not reason:
        raise invalid("reason", "required", "is required to waive a fee")


class ReinstateBooking(BookingCommand, frozen=True):
    """Reinstate a cancelled or no-show booking, if there still is a room for the nights that are left. A no-show may
    arrive up to the day of departure."""

    name: ClassVar[str] = "booking.reinstate"
    action: ClassVar[str] = "reinstate"


class CheckInGuest(BookingCommand, frozen=True):
    """Check the guest in; from now on the room is fixed. It must be clean, unless somebody accepts that it is not."""

    name: ClassVar[str] = "booking.check_in"
    action: ClassVar[str] = "check-in"
    accept_not_clean: bool = False


class UndoCheckIn(BookingCommand, frozen=True):
    """Undo a check-in of the same business date: the guest has not arrived."""

    name: ClassVar[str] = "booking.undo_check_in"
    action: ClassVar[str] = "undo-check-in"
    reason: Line = ""


class CheckOutGuest(BookingCommand, frozen=True):
    """Check the guest out; nights that were not slept can be sold again. On the day of arrival `reason_code` must say
    whether it is a day use or an early departure; otherwise it follows from the dates."""

    name: ClassVar[str] = "booking.check_out"
    action: ClassVar[str] = "check-out"
    reason_code: DepartureReason | None = None


class UndoCheckOut(BookingCommand, frozen=True):
    """Undo a check-out of the same business date: the guest has not left."""

    name: ClassVar[str] = "booking.undo_check_out"
    action: ClassVar[str] = "undo-check-out"
    reason: Line = ""


class MarkNoShow(BookingCommand, frozen=True):
    """Mark a guest who did not come as a no-show; the fee follows the booking's terms, or is waived for a reason."""

    name: ClassVar[str] = "booking.mark_no_show"
    action: ClassVar[str] = "no-show"
    reason: Line = ""
    waive_fee: bool = False

    def __post_init__(self) -> None:
        _check_waiver(self.waive_fee, self.reason)


class MoveBooking(BookingCommand, frozen=True, kw_only=True):
    """Give the booking another room from a night on (by default from the business date or the arrival): one of its own
    type or of another one (an upgrade, which pins the room). A guest in house who changes rooms now gets a clean one,
    unless somebody accepts that it is not."""

    name: ClassVar[str] = "booking.move"
    action: ClassVar[str] = "move"
    room: Code
    from_: date | None = None
    accept_not_clean: bool = False


class SwapRooms(BookingCommand, frozen=True, kw_only=True):
    """Exchange the rooms of this booking and of another one from a night on, at once."""

    name: ClassVar[str] = "booking.swap"
    action: ClassVar[str] = "swap"
    with_: Annotated[str, Meta(max_length=limits.name_characters_max, pattern=UNPADDED)]
    from_: date | None = None


class PinBooking(BookingCommand, frozen=True):
    """Pin the room that the booking has now: the hotel does not change it any more."""

    name: ClassVar[str] = "booking.pin"
    action: ClassVar[str] = "pin"


class UnpinBooking(BookingCommand, frozen=True):
    """Unpin the booking's room, so that the hotel may change it."""

    name: ClassVar[str] = "booking.unpin"
    action: ClassVar[str] = "unpin"


class JoinWaitlist(Command, frozen=True):
    """Put a guest on the waitlist for a stay that is sold out; the hotel offers it when a room becomes free. `guest` is
    the id of the guest, where the request names a known one."""

    name: ClassVar[str] = "waitlist.join"
    request: WaitlistRequest
    guest: str | None = None


class ChangeWaitlistEntry(Command, frozen=True):
    """Change the stay or the guest of an entry of the waitlist. It keeps its place where the stay does not grow."""

    name: ClassVar[str] = "waitlist.change"
    entry: str
    change: WaitlistChange


class LeaveWaitlist(Command, frozen=True):
    """Take an entry off the waitlist."""

    name: ClassVar[str] = "waitlist.leave"
    entry: str


class ForgetGuest(Command, frozen=True):
    """Forget a guest: erase all details of the guest everywhere."""

    name: ClassVar[str] = "guest.forget"
    guest: str


class ReportAddress(Command, frozen=True):
    """Record that a letter (its kind) about this booking to the guest's address `email` was refused, with the codes of
    the mail server's reply; where these are empty, that one was accepted after another was refused."""

    name: ClassVar[str] = "guest.report_address"
    guest: str
    booking: str
    email: str
    letter: str
    reply: str


class RollBusinessDate(Command, frozen=True):
    """The night audit: close the business date `day`, or every one that is over; for a hotel with a simulated clock, up
    to the date that is open then (`to`). `early` closes the date from noon on. `confirm_clock` says that the server's
    clock is right, after it has jumped."""

    name: ClassVar[str] = "business_date.roll"
    to: date | None = None
    day: date | None = None
    early: bool = False
    confirm_clock: bool = False


ACTIONS: tuple[type[BookingCommand], ...] = (
    ConfirmBooking, ReleaseHold, ExtendHold, CancelBooking, ReinstateBooking, CheckInGuest, UndoCheckIn, CheckOutGuest,
    UndoCheckOut, MarkNoShow,
    MoveBooking, SwapRooms, PinBooking, UnpinBooking,
)  # fmt: skip
COMMANDS: tuple[type[Command], ...] = (
    OpenHotel, ChangeHotel, AddRoomType, ChangeRoomType, RetireRoomType, AddRoom, RetireRoom, ChangeRoom, CloseRoom,
    ChangeClosure, ReopenRoom, BookRoom, ChangeBooking, *ACTIONS, JoinWaitlist, ChangeWaitlistEntry, LeaveWaitlist,
    ForgetGuest, ReportAddress, RollBusinessDate,
)  # fmt: skip
