"""What clients ask of a hotel that is open: changes of itself, of its room types and of its rooms. See `requests`."""

from datetime import date
from typing import Annotated

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations.hotel import MANUAL_AUDIT
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition
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
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import UNPADDED, ClockTime, Code, Line, Name
from msgspec import UNSET, Meta, UnsetType

AuditTime = Annotated[str, Meta(max_length=limits.clock_characters_max, pattern=UNPADDED)]
GuestsMax = Annotated[int, Meta(ge=1, le=limits.guests_per_room_max)]
Cots = Annotated[int, Meta(ge=0, le=limits.guests_per_room_max)]
InfantAge = Annotated[int, Meta(ge=0, le=limits.child_age_max + 1)]


def check_audit_time(night_audit: str) -> None:
    """Refuses what is neither "manual" nor a local time."""
    if night_audit != MANUAL_AUDIT:
        try:
            msgspec.convert(night_audit, ClockTime)
        except msgspec.ValidationError:
            raise invalid("night_audit", "clock", 'expected "manual" or a local time such as "03:00"') from None


def check_adults(max_adults: int | None, max_guests: int) -> None:
    """Refuses more adults than guests."""
    if max_adults is not None and max_adults > max_guests:
        raise invalid("max_adults", "max_guests", f"expected at most max_guests, {max_guests}")


class HotelChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of a hotel; what is not set stays as it is. Its terms of sale and hours hold for later bookings and for
    nights that are added to a booking; bookings keep theirs."""

    name: Name | UnsetType = UNSET
    check_in: ClockTime | UnsetType = UNSET
    check_out: ClockTime | UnsetType = UNSET
    night_audit: AuditTime | UnsetType = UNSET
    housekeeping: bool | UnsetType = UNSET
    infants_below: InfantAge | UnsetType = UNSET
    overstays_block_audit: bool | UnsetType = UNSET
    taxes: TaxRequests | UnsetType = UNSET
    deposits: DepositRequests | UnsetType = UNSET
    cancellation: CancellationRequest | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.night_audit is not UNSET:
            check_audit_time(self.night_audit)
        if self.taxes is not UNSET:
            check_taxes(self.taxes)
        if self.deposits is not UNSET:
            check_deposits(self.deposits)

    def terms(self, was: TermsOfSale, currency: str) -> TermsOfSale:
        """Returns the terms of sale after this change, of the same version. Refuses amounts in another currency."""
        changed = was
        if self.taxes is not UNSET:
            changed = msgspec.structs.replace(changed, taxes=tuple(tax.tax(currency) for tax in self.taxes))
        if self.deposits is not UNSET:
            changed = msgspec.structs.replace(changed, deposits=deposits_of(self.deposits))
        if self.cancellation is not UNSET:
            changed = msgspec.structs.replace(changed, cancellation=self.cancellation.policy())
        return changed


class RoomTypeAddition(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A room type that the hotel sells from now on, with its first rooms. See `RoomType`."""

    code: Code
    name: Name
    max_guests: GuestsMax
    rate: Money
    max_adults: GuestsMax | None = None
    cots: Cots | None = None
    rooms: Annotated[tuple[Code, ...], Meta(max_length=limits.rooms_per_hotel_max)] = ()

    def __post_init__(self) -> None:
        check_adults(self.max_adults, self.max_guests)
        if len(set(self.rooms)) < len(self.rooms):
            raise invalid("rooms", "unique", "a room number is given twice")


class RoomTypeChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of a room type; what is not set stays as it is. It holds for later bookings."""

    name: Name | UnsetType = UNSET
    max_guests: GuestsMax | UnsetType = UNSET
    rate: Money | UnsetType = UNSET
    max_adults: GuestsMax | UnsetType | None = UNSET
    cots: Cots | UnsetType | None = UNSET


class RoomAddition(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A room of the hotel from now on. One that was retired under this number comes back."""

    number: Code
    room_type: Code


class RoomChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """What housekeeping says of a room."""

    condition: RoomCondition


class ClosureRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A closure of a room on the nights [first, until); `first` is the business date where it is None."""

    kind: ClosureKind
    until: date
    first: date | None = None
    reason: Line = ""


class ClosureChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A change of a closure; what is not set stays as it is."""

    first: date | UnsetType = UNSET
    until: date | UnsetType = UNSET
    reason: Line | UnsetType = UNSET
