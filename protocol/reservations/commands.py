"""The commands of a hotel: imperative, frozen, and valid in form, so that the hotel checks only its own state.

Their fields are decoded directly from a client's request; only the limits of `text` and the checks here validate form.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations.hotel import MANUAL_AUDIT
from innkeeper.protocol.reservations.reasons import CancellationReason
from innkeeper.protocol.reservations.terms import (
    CancellationRequest,
    DepositRequests,
    HotelChange,
    TaxRequests,
    TermsOfSale,
    check_deposits,
    check_taxes,
    deposits_of,
)
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.email_address import InvalidEmail, email_address
from innkeeper.protocol.values.money import Money, digits
from innkeeper.protocol.values.text import (
    UNPADDED,
    AddressLines,
    Adults,
    Children,
    ClockTime,
    Code,
    CurrencyCode,
    Email,
    HoldSeconds,
    Line,
    Name,
    Notes,
    Slug,
    TimeZone,
)
from msgspec import UNSET, Meta, UnsetType


class BookingCommand(Command, frozen=True):
    """An action on one booking; `action` is its name in the API and in `transitions.ACTIONS`."""

    action: ClassVar[str]
    booking: str


class RoomTypeRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A room type of a new hotel: either its room numbers, or how many rooms to number by floor."""

    code: Code
    name: Name
    max_guests: Annotated[int, Meta(ge=1, le=limits.guests_per_room_max)]
    rate: Money
    rooms: Annotated[tuple[Code, ...], Meta(max_length=limits.rooms_per_hotel_max)] = ()
    room_count: Annotated[int, Meta(ge=0, le=limits.rooms_per_hotel_max)] = 0

    def __post_init__(self) -> None:
        if bool(self.rooms) == bool(self.room_count):
            raise invalid("rooms", "one_of", "expected either rooms or room_count, and at least one room")


class HotelRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """The properties of a new hotel."""

    name: Name
    timezone: TimeZone
    currency: CurrencyCode
    room_types: Annotated[tuple[RoomTypeRequest, ...], Meta(min_length=1, max_length=limits.room_types_per_hotel_max)]
    id: Slug | None = None
    check_in: ClockTime = "15:00"
    check_out: ClockTime = "11:00"
    night_audit: Annotated[str, Meta(max_length=limits.clock_characters_max, pattern=UNPADDED)] = MANUAL_AUDIT
    business_date: date | None = None
    taxes: TaxRequests = ()
    deposits: DepositRequests = ()
    cancellation: CancellationRequest = CancellationRequest()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise invalid("timezone", "iana", "expected a name of the IANA database, such as Europe/Lisbon") from None
        digits(self.currency)
        self._check_night_audit()
        first, last = limits.business_date_year_min, limits.business_date_year_max
        if self.business_date is not None and not first <= self.business_date.year <= last:
            raise invalid("business_date", "range", f"expected a date in the years {first} to {last}")
        self._check_room_types()
        check_taxes(self.taxes)
        check_deposits(self.deposits)

    def terms(self) -> TermsOfSale:
        """Returns the first terms of sale. Refuses amounts in another currency than the hotel's."""
        return TermsOfSale(
            taxes=tuple(tax.tax(self.currency) for tax in self.taxes),
            deposits=deposits_of(self.deposits),
            cancellation=self.cancellation.policy(),
        )

    def _check_night_audit(self) -> None:
        if self.night_audit != MANUAL_AUDIT:
            try:
                msgspec.convert(self.night_audit, ClockTime)
            except msgspec.ValidationError:
                raise invalid("night_audit", "clock", 'expected "manual" or a local time such as "03:00"') from None

    def _check_room_types(self) -> None:
        codes = [room_type.code for room_type in self.room_types]
        rooms = [room for room_type in self.room_types for room in room_type.rooms]
        if len(set(codes)) < len(codes):
            raise invalid("room_types", "unique", "two room types have the same code")
        if len(set(rooms)) < len(rooms):
            raise invalid("room_types", "unique", "a room number is given twice")
        if any(room_type.rate.currency != self.currency for room_type in self.room_types):
            raise invalid("room_types", "currency", f"every rate must be in the currency of the hotel, {self.currency}")
        if len(rooms) + sum(room_type.room_count for room_type in self.room_types) > limits.rooms_per_hotel_max:
            raise invalid("room_types", "rooms_max", f"a hotel has at most {limits.rooms_per_hotel_max} rooms")


class Contact(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The guest of a new booking, as the caller sends it: contact data, or only the `id` of a guest whom the hotel
    knows."""

    name: Name | None = None
    email: Email | None = None
    phone: Line | None = None
    address: AddressLines = ()
    id: Annotated[str, Meta(max_length=limits.name_characters_max, pattern=UNPADDED)] | None = None

    def __post_init__(self) -> None:
        if self.id is None and self.name is None:
            raise invalid("name", "required", "is required, unless the id of a known guest is given")
        if self.id is not None and (self.name, self.email, self.phone, self.address) != (None, None, None, ()):
            raise invalid("id", "alone", "a known guest keeps the contact data: give only the id")
        if self.email is not None:
            check_email(self.email)


def check_email(email: str) -> None:
    """Refuses an address that no letter can be sent to."""
    try:
        email_address(email)
    except InvalidEmail as error:
        raise invalid("email", "address", str(error)) from None


def check_stay(
    arrival: date,
    departure: date,
    nights_max: int = limits.stay_nights_max,
    names: tuple[str, str] = ("arrival", "departure"),
) -> None:
    """Refuses a stay that does not end after it starts, or is too long. `names` are those of the two fields."""
    start, end = names
    nights = (departure - arrival).days
    if nights < 1:
        raise invalid(end, f"after_{start}", f"expected a date after {start}, {arrival}")
    if nights > nights_max:
        raise invalid(end, "nights_max", f"{nights} nights after {start}; the maximum is {nights_max}")


class BookingRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A request for a booking. `room` pins this room; `rate` (per night) is for staff; `hold_seconds` is for a hold.
    The guest is reminded of the stay on `reminder_on`, or on the hotel's usual day where it is None."""

    room_type: Code
    arrival: date
    departure: date
    guest: Contact
    adults: Adults = 1
    children: Children = ()
    status: Literal["confirmed", "held"] = "confirmed"
    hold_seconds: HoldSeconds | None = None
    room: Code | None = None
    rate: Money | None = None
    notes: Notes = ""
    source: Line = ""
    reminder_on: date | None = None

    def __post_init__(self) -> None:
        check_stay(self.arrival, self.departure)
        if self.hold_seconds is not None and self.status != "held":
            raise invalid("hold_seconds", "only_held", 'allowed only with status "held"')


class WaitlistRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """The stay that a guest waits for."""

    room_type: Code
    arrival: date
    departure: date
    guest: Contact
    adults: Adults = 1
    children: Children = ()
    notes: Notes = ""
    source: Line = ""

    def __post_init__(self) -> None:
        check_stay(self.arrival, self.departure)


class ContactChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of the guest's contact data: null removes the e-mail or the phone; the name cannot be removed. It is
    changed at all bookings of the guest that have not ended."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Line | UnsetType | None = UNSET
    address: AddressLines | UnsetType = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.email, str):
            check_email(self.email)


class BookingChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of a booking; fields that are not set stay as they are."""

    room_type: Code | UnsetType = UNSET
    arrival: date | UnsetType = UNSET
    departure: date | UnsetType = UNSET
    guest: ContactChange | UnsetType = UNSET
    adults: Adults | UnsetType = UNSET
    children: Children | UnsetType = UNSET
    rate: Money | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    source: Line | UnsetType = UNSET
    reminder_on: date | UnsetType | None = UNSET


class OpenHotel(Command, frozen=True):
    """Open a hotel with all its room types and rooms."""

    name: ClassVar[str] = "hotel.open"
    request: HotelRequest


class ChangeHotel(Command, frozen=True):
    """Change the hotel's terms of sale: all of the change or none of it."""

    name: ClassVar[str] = "hotel.change"
    change: HotelChange


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
    """Cancel a confirmed booking; the fee follows the hotel's policy."""

    name: ClassVar[str] = "booking.cancel"
    action: ClassVar[str] = "cancel"
    reason: Line = ""
    reason_code: CancellationReason = CancellationReason.GUEST


class ReinstateBooking(BookingCommand, frozen=True):
    """Reinstate a cancelled or no-show booking, if there still is a room for it."""

    name: ClassVar[str] = "booking.reinstate"
    action: ClassVar[str] = "reinstate"


class CheckInGuest(BookingCommand, frozen=True):
    """Check the guest in; from now on the room is fixed."""

    name: ClassVar[str] = "booking.check_in"
    action: ClassVar[str] = "check-in"


class CheckOutGuest(BookingCommand, frozen=True):
    """Check the guest out; nights that were not slept can be sold again."""

    name: ClassVar[str] = "booking.check_out"
    action: ClassVar[str] = "check-out"


class MarkNoShow(BookingCommand, frozen=True):
    """Mark a guest who did not come as a no-show."""

    name: ClassVar[str] = "booking.mark_no_show"
    action: ClassVar[str] = "no-show"


class MoveBooking(BookingCommand, frozen=True, kw_only=True):
    """Give the booking another room, of its own type or of another one (an upgrade, which pins the room)."""

    name: ClassVar[str] = "booking.move"
    action: ClassVar[str] = "move"
    room: Code


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
    """The night audit: close the business date and open `to` (the next day where it is None)."""

    name: ClassVar[str] = "business_date.roll"
    to: date | None = None


ACTIONS: tuple[type[BookingCommand], ...] = (
    ConfirmBooking, ReleaseHold, ExtendHold, CancelBooking, ReinstateBooking, CheckInGuest, CheckOutGuest, MarkNoShow,
    MoveBooking, PinBooking, UnpinBooking,
)  # fmt: skip
COMMANDS: tuple[type[Command], ...] = (
    OpenHotel, ChangeHotel, BookRoom, ChangeBooking, *ACTIONS, JoinWaitlist, LeaveWaitlist, ForgetGuest, ReportAddress,
    RollBusinessDate,
)  # fmt: skip
