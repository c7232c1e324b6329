"""A hotel's terms of billing: who sells, which taxes, which deposits, and how its documents are numbered."""

from enum import StrEnum
from typing import Annotated

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import AddressLines, BasisPoints, Code, DocumentPrefix, Line, Name, Percent
from msgspec import Meta


class ChargeKind(StrEnum):
    """What a charge is for; each kind is revenue of its own, and taxes apply by kind."""

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
    """Who sells or who pays, as it stands on an invoice. For a buyer it is guest data."""

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
    exempt_below: int = 18


class Deposit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """So many percent of the stay's price are due so many days before arrival; at booking, when not said."""

    percent: int
    days_before_arrival: int | None = None


class BillingTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The terms as the ledger keeps them."""

    seller: Party
    taxes: tuple[Tax, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    invoice_prefix: str = "INV-"
    credit_note_prefix: str = "CN-"


class PartyPlan(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Who sells or who pays, as the outside says it; see `Party`."""

    name: Name
    address: AddressLines = ()
    tax_number: Line = ""

    def party(self) -> Party:
        """The same, as it is kept."""
        return Party(self.name, self.address, self.tax_number)


class DepositPlan(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A deposit as the outside says it; see `Deposit`."""

    percent: Percent
    days_before_arrival: Annotated[int, Meta(ge=0, le=limits.arrival_days_ahead_max)] | None = None


class TaxPlan(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A tax as the outside says it; see `Tax`."""

    code: Code
    name: Name
    applies_to: Annotated[tuple[ChargeKind, ...], Meta(min_length=1, max_length=len(ChargeKind))]
    rate: BasisPoints = 0
    per_night: Money | None = None
    included: bool = False
    exempt_below: Annotated[int, Meta(ge=0, le=18)] = 18

    def __post_init__(self) -> None:
        if bool(self.rate) == (self.per_night is not None):
            raise invalid("rate", "one_of", "give either rate, in basis points and above 0, or per_night")
        if self.per_night is not None and self.applies_to != (ChargeKind.ROOM,):
            raise invalid("applies_to", "only_room", "a tax per night applies to room charges, and to nothing else")


class BillingPlan(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """The terms that a hotel shall have, all of them. Deposits add up to 100 percent at most; what they leave is due
    when the guest leaves."""

    seller: PartyPlan
    taxes: Annotated[tuple[TaxPlan, ...], Meta(max_length=limits.taxes_per_hotel_max)] = ()
    deposits: Annotated[tuple[DepositPlan, ...], Meta(max_length=limits.deposits_per_hotel_max)] = ()
    invoice_prefix: DocumentPrefix = "INV-"
    credit_note_prefix: DocumentPrefix = "CN-"

    def __post_init__(self) -> None:
        if len({tax.code for tax in self.taxes}) < len(self.taxes):
            raise invalid("taxes", "unique", "two taxes have the same code")
        if sum(deposit.percent for deposit in self.deposits) > 100:
            raise invalid("deposits", "percent_max", "deposits are more than 100 percent together")
        if self.invoice_prefix == self.credit_note_prefix:
            raise invalid("credit_note_prefix", "unique", "invoices and credit notes need prefixes of their own")
