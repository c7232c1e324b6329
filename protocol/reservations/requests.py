"""What clients ask of a hotel in the bodies of their requests: frozen, and valid in form, so that the hotel checks only
its own state.

Their fields are decoded directly from a client's request; only the limits of `text` and the checks here validate form.
"""

from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations.hotel import MANUAL_AUDIT, HotelClock
from innkeeper.protocol.reservations.hotel_requests import (
    AuditTime,
    Cots,
    GuestsMax,
    InfantAge,
    check_adults,
    check_audit_time,
)
from innkeeper.protocol.reservations.terms import (
    CancellationRequest,
    DepositRequests,
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
    Language,
    Line,
    Name,
    Notes,
    Slug,
    TimeZone,
)
from msgspec import UNSET, Meta, UnsetType


class RoomTypeRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A room type of a new hotel: either its room numbers, or how many rooms to number by floor."""

    code: Code
    name: Name
    max_guests: GuestsMax
    rate: Money
    rooms: Annotated[tuple[Code, ...], Meta(max_length=limits.rooms_per_hotel_max)] = ()
    room_count: Annotated[int, Meta(ge=0, le=limits.rooms_per_hotel_max)] = 0
    max_adults: GuestsMax | None = None
    cots: Cots | None = None

    def __post_init__(self) -> None:
        check_adults(self.max_adults, self.max_guests)
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
    night_audit: AuditTime = MANUAL_AUDIT
    business_date: date | None = None
    clock: HotelClock = HotelClock.WALL
    housekeeping: bool = True
    infants_below: InfantAge = 0
    overstays_block_audit: bool = False
    taxes: TaxRequests = ()
    deposits: DepositRequests = ()
    cancellation: CancellationRequest = CancellationRequest()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise invalid("timezone", "iana", "expected a name of the IANA database, such as Europe/Lisbon") from None
        digits(self.currency)
        check_audit_time(self.night_audit)
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


_NO_DATA = (None, None, None, None, ())


class Contact(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The guest of a new booking, as the caller sends it: contact data, or only the `id` of a guest whom the hotel
    knows. Letters are in `language` (BCP 47), or in the hotel's where it is None."""

    name: Name | None = None
    email: Email | None = None
    phone: Line | None = None
    address: AddressLines = ()
    id: Annotated[str, Meta(max_length=limits.name_characters_max, pattern=UNPADDED)] | None = None
    language: Language | None = None

    def __post_init__(self) -> None:
        if self.id is None and self.name is None:
            raise invalid("name", "required", "is required, unless the id of a known guest is given")
        if self.id is not None and (self.name, self.email, self.phone, self.language, self.address) != _NO_DATA:
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


class TaxExemptionRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An exemption from a tax in a request; see `TaxExemption`."""

    code: Code
    reason: Name


TaxExemptions = Annotated[tuple[TaxExemptionRequest, ...], Meta(max_length=limits.taxes_per_hotel_max)]


class BookingRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A request for a booking. `room` pins this room; `rate` (per night) is for staff; `hold_seconds` is for a hold.
    The guest is reminded of the stay on `reminder_on`, or on the hotel's usual day where it is None. With `allow_split`
    the stay may be in several rooms, where no single one is free for all of it."""

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
    allow_split: bool = False
    exemptions: TaxExemptions = ()

    def __post_init__(self) -> None:
        check_stay(self.arrival, self.departure)
        if self.allow_split and self.room is not None:
            raise invalid("allow_split", "not_with_room", "not allowed with a room")
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


class WaitlistChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of an entry of the waitlist; fields that are not set stay as they are."""

    room_type: Code | UnsetType = UNSET
    arrival: date | UnsetType = UNSET
    departure: date | UnsetType = UNSET
    guest: "ContactChange | UnsetType" = UNSET
    adults: Adults | UnsetType = UNSET
    children: Children | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    source: Line | UnsetType = UNSET


class ContactChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of the guest's contact data: null removes the e-mail, the phone or the language; the name cannot be
    removed. It is changed at all bookings of the guest that have not ended or whose end can be undone, and at the
    guest's entries of the waitlist."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Line | UnsetType | None = UNSET
    address: AddressLines | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.email, str):
            check_email(self.email)


class BookingChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of a booking; fields that are not set stay as they are. `room` is for a guest in house who stays longer:
    the nights that are added are in this room."""

    room_type: Code | UnsetType = UNSET
    arrival: date | UnsetType = UNSET
    departure: date | UnsetType = UNSET
    room: Code | UnsetType = UNSET
    guest: ContactChange | UnsetType = UNSET
    adults: Adults | UnsetType = UNSET
    children: Children | UnsetType = UNSET
    rate: Money | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    source: Line | UnsetType = UNSET
    reminder_on: date | UnsetType | None = UNSET
    exemptions: TaxExemptions | UnsetType = UNSET
