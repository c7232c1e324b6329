"""A hotel's billing terms: its seller, taxes, deposits, and the numbering of its documents."""

from enum import StrEnum
from typing import Annotated

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.percentage import basis_points
from innkeeper.protocol.values.text import AddressLines, Code, DocumentPrefix, Line, Name, Percent, PercentText
from msgspec import Meta


class ChargeKind(StrEnum):
    """What a charge is for; each kind has a revenue account of its own, and taxes apply by kind."""

    ROOM = "room"
    FEE = "fee"
    BREAKFAST = "breakfast"
    RESTAURANT = "restaurant"
    MINIBAR = "minibar"
    PARKING = "parking"
    LAUNDRY = "laundry"
    SPA = "spa"
    OTHER = "other"


class Party(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The seller or buyer of an invoice. A buyer is guest data."""

    name: str
    address: tuple[str, ...] = ()
    tax_number: str = ""


class Tax(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A tax on charges of these kinds: either `rate` (basis points of the price: 600 is 6 %), or `per_night` (minor
    units per guest and night, such as a city tax, which children below the age of `exempt_below` do not pay).

    An `included` tax is part of the price; any other is added on top of it."""

    code: str
    name: str
    applies_to: tuple[ChargeKind, ...]
    rate: int = 0
    per_night: int = 0
    included: bool = False
    exempt_below: int = limits.child_age_max + 1


class Deposit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A percentage of the stay's price that is due a number of days before arrival; at booking where that is None."""

    percent: int
    days_before_arrival: int | None = None


class BillingTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The billing terms in the ledger's state."""

    seller: Party
    taxes: tuple[Tax, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    invoice_prefix: str = "INV-"
    credit_note_prefix: str = "CN-"


class PartyRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A seller or buyer in a request; see `Party`."""

    name: Name
    address: AddressLines = ()
    tax_number: Line = ""

    def party(self) -> Party:
        """Returns the `Party` of the ledger's state."""
        return Party(self.name, self.address, self.tax_number)


class DepositRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A deposit in a request; see `Deposit`."""

    percent: Percent
    days_before_arrival: Annotated[int, Meta(ge=0, le=limits.arrival_days_ahead_max)] | None = None


class TaxRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A tax in a request; see `Tax`. `rate` is in percent, as "6" or "19.25", and "0" for a tax per night."""

    code: Code
    name: Name
    applies_to: Annotated[tuple[ChargeKind, ...], Meta(min_length=1, max_length=len(ChargeKind))]
    rate: PercentText = "0"
    per_night: Money | None = None
    included: bool = False
    exempt_below: Annotated[int, Meta(ge=0, le=limits.child_age_max + 1)] = limits.child_age_max + 1

    def __post_init__(self) -> None:
        if bool(basis_points(self.rate, "rate")) == (self.per_night is not None):
            raise invalid("rate", "one_of", "expected either a rate above 0 percent, or per_night")
        if self.per_night is not None and self.applies_to != (ChargeKind.ROOM,):
            raise invalid("applies_to", "only_room", "a tax per night applies only to charges of kind room")


class BillingTermsRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """All billing terms of a hotel, in a request. Deposits add up to at most 100 percent; the rest of the price is due
    at check-out."""

    seller: PartyRequest
    taxes: Annotated[tuple[TaxRequest, ...], Meta(max_length=limits.taxes_per_hotel_max)] = ()
    deposits: Annotated[tuple[DepositRequest, ...], Meta(max_length=limits.deposits_per_hotel_max)] = ()
    invoice_prefix: DocumentPrefix = "INV-"
    credit_note_prefix: DocumentPrefix = "CN-"

    def __post_init__(self) -> None:
        if len({tax.code for tax in self.taxes}) < len(self.taxes):
            raise invalid("taxes", "unique", "two taxes have the same code")
        if sum(deposit.percent for deposit in self.deposits) > 100:
            raise invalid("deposits", "percent_max", "together they must not exceed 100 percent")
        if self.invoice_prefix == self.credit_note_prefix:
            raise invalid("credit_note_prefix", "unique", "must differ from invoice_prefix")
