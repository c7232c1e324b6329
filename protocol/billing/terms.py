"""A hotel's billing terms: its seller, and the numbering of its documents."""

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.guests import GuestDetails
from innkeeper.protocol.values.text import AddressLines, DocumentPrefix, Line, Name


class Party(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The seller or buyer of an invoice."""

    name: str
    address: tuple[str, ...] = ()
    tax_number: str = ""

    @classmethod
    def of(cls, details: GuestDetails) -> "Party":
        """Returns what an invoice needs of these details."""
        return cls(details.name, details.address, details.tax_number)


class BillingTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The billing terms in the ledger's state."""

    seller: Party
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

    def details(self) -> GuestDetails:
        """Returns the details of the buyer of a folio, which can be forgotten."""
        return GuestDetails(self.name, address=self.address, tax_number=self.tax_number)


class BillingTermsRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """All billing terms of a hotel, in a request. Taxes and deposits are terms of sale, see `HotelRequest`."""

    seller: PartyRequest
    invoice_prefix: DocumentPrefix = "INV-"
    credit_note_prefix: DocumentPrefix = "CN-"

    def __post_init__(self) -> None:
        if self.invoice_prefix == self.credit_note_prefix:
            raise invalid("credit_note_prefix", "unique", "must differ from invoice_prefix")
