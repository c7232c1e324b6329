"""A hotel's billing terms: its seller, and the numbering of its documents."""

from typing import Annotated

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.countries import COUNTRIES
from innkeeper.protocol.values.guests import GuestDetails
from innkeeper.protocol.values.text import (
    AddressLines,
    Bic,
    Country,
    DocumentPrefix,
    Email,
    Iban,
    Language,
    Line,
    Name,
    Notes,
    PostalCode,
    VatId,
)
from msgspec import Meta


class Party(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The seller or buyer of an invoice. `address` are the lines above the place: street, house, floor. `country` is a
    code of ISO 3166-1, such as PT; `vat_id` has the prefix of its state, such as PT500000000, and `tax_number` is that
    of the local tax office."""

    name: str
    address: tuple[str, ...] = ()
    tax_number: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""
    vat_id: str = ""
    email: str = ""

    @classmethod
    def of(cls, details: GuestDetails) -> "Party":
        """Returns what an invoice needs of these details."""
        return cls(
            details.name, details.address, details.tax_number, details.postal_code, details.city, details.country,
            details.vat_id, details.email or "",
        )  # fmt: skip

    @property
    def lacking(self) -> tuple[str, ...]:
        """What a seller lacks for an invoice: its full address, and one of its tax numbers (Directive 2006/112/EC,
        article 226, points 3 and 5)."""
        given = {
            "address": self.address, "city": self.city, "country": self.country,
            "tax_number": self.tax_number or self.vat_id,
        }  # fmt: skip
        return tuple(field for field, value in given.items() if not value)


_IBAN_GROUP = 4


class BankAccount(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The account to which an invoice is paid. `holder` is empty where it is the seller."""

    iban: str
    bic: str = ""
    holder: str = ""

    @property
    def printed_iban(self) -> str:
        """The IBAN in groups of four, as it is printed (ISO 13616)."""
        return " ".join(self.iban[start : start + _IBAN_GROUP] for start in range(0, len(self.iban), _IBAN_GROUP))


class BillingTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The billing terms in the ledger's state. `{year}` in a prefix is the year of the business date; such numbers
    begin anew each year. What is not paid is due `payment_days` after the invoice. `note` stands on every document."""

    seller: Party
    invoice_prefix: str = "INV-"
    credit_note_prefix: str = "CN-"
    payment_days: int = 0
    language: str = "en"
    bank: BankAccount | None = None
    note: str = ""


class PartyRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A seller or buyer in a request; see `Party`."""

    name: Name
    address: AddressLines = ()
    tax_number: Line = ""
    postal_code: PostalCode = ""
    city: Line = ""
    country: Country = ""
    vat_id: VatId = ""
    email: Email | None = None

    def __post_init__(self) -> None:
        if self.country and self.country not in COUNTRIES:
            raise invalid("country", "iso_3166", f"{self.country!r} is not a country code of ISO 3166-1")

    def party(self) -> Party:
        """Returns the `Party` of the ledger's state."""
        return Party.of(self.details())

    def details(self) -> GuestDetails:
        """Returns the details of the buyer of a folio, which can be forgotten."""
        return GuestDetails(**msgspec.structs.asdict(self))


class BankAccountRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A bank account in a request; see `BankAccount`."""

    iban: Iban
    bic: Bic = ""
    holder: Line = ""

    def __post_init__(self) -> None:
        if int("".join(str(int(letter, 36)) for letter in self.iban[4:] + self.iban[:4])) % 97 != 1:
            raise invalid("iban", "checksum", "expected an IBAN whose two check digits are right (ISO 13616)")

    def account(self) -> BankAccount:
        """Returns the account of the billing terms."""
        return BankAccount(self.iban, self.bic, self.holder)


class BillingTermsRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """All billing terms of a hotel, in a request. Taxes and deposits are terms of sale, see `HotelRequest`."""

    seller: PartyRequest
    invoice_prefix: DocumentPrefix = "INV-"
    credit_note_prefix: DocumentPrefix = "CN-"
    payment_days: Annotated[int, Meta(ge=0, le=limits.payment_days_max)] = 0
    language: Language = "en"
    bank: BankAccountRequest | None = None
    note: Notes = ""

    def terms(self) -> BillingTerms:
        """Returns the billing terms of the ledger's state."""
        return BillingTerms(
            seller=self.seller.party(),
            invoice_prefix=self.invoice_prefix,
            credit_note_prefix=self.credit_note_prefix,
            payment_days=self.payment_days,
            language=self.language,
            bank=None if self.bank is None else self.bank.account(),
            note=self.note,
        )
