"""A bill as everyone sees it: its folios with their lines and payments, and the documents that are issued of them.

Amounts are minor units of the hotel's currency: what the guest comes to owe is positive, what lowers the balance is
negative. A line says for ever what it said when it was posted. Later it is only marked: by what reversed it, and with
the document on which it stands.
"""

from datetime import date
from enum import StrEnum

import msgspec
from innkeeper.protocol.billing.terms import BillingTerms, ChargeKind, Party
from innkeeper.protocol.reservations.booking import Status


class LineKind(StrEnum):
    """What a line does to the balance: charges raise it, payments lower it, reversals and refunds take those back."""

    CHARGE = "charge"
    REVERSAL = "reversal"
    PAYMENT = "payment"
    REFUND = "refund"


class TaxAmount(msgspec.Struct, frozen=True, gc=False):
    """How much of a line's amount is this tax; `rate` in basis points, 0 for a tax per guest and night."""

    code: str
    rate: int
    amount: int


class LinePosition(msgspec.Struct, frozen=True, gc=False):
    """Where a line stands: on a folio of a booking. Line numbers are unique in the hotel."""

    booking: str
    folio: int
    line: int


class FolioLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One line of a folio. `amount` has all taxes in it.

    Charges and reversals say what they are for (`charge`), how many of it, and for a room which night was slept.
    A reversal says which line it `reverses`, and where the charge went if it was moved or split; the new line says
    where it came from. Payments and refunds say which `payment` they are of. `reversed_by` and `invoice` are marks."""

    id: int
    kind: LineKind
    business_date: date
    amount: int
    charge: ChargeKind | None = None
    text: str = ""
    quantity: int = 1
    taxes: tuple[TaxAmount, ...] = ()
    night: date | None = None
    payment: str | None = None
    reverses: int | None = None
    moved_from: LinePosition | None = None
    moved_to: tuple[LinePosition, ...] = ()
    reversed_by: int | None = None
    invoice: str | None = None

    @property
    def tax(self) -> int:
        """All taxes in the amount."""
        return sum(tax.amount for tax in self.taxes)

    @property
    def net(self) -> int:
        """The amount without its taxes."""
        return self.amount - self.tax

    @property
    def is_charge(self) -> bool:
        """Is it a charge, or the reversal of one? Only these stand on documents."""
        return self.charge is not None


class PaymentStatus(StrEnum):
    """Where a payment stands. Only captured money counts; refunded means that all of it went back."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"
    REFUNDED = "refunded"


class Payment(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A payment of a folio. `method` is cash, terminal, transfer, or a provider's name; `amount` is what was asked for.
    `capture` says whether the provider is to take the money at once or only to authorise it."""

    id: str
    folio: int
    method: str
    status: PaymentStatus
    amount: int
    started_at: int
    captured: int = 0
    refunded: int = 0
    capture: bool = True
    reference: str = ""
    reason: str = ""


class Folio(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One account of a booking and who pays it. `charged` is the sum of its charges and reversals, `balance` of all
    its lines: what is still owed, or below zero what the hotel owes."""

    number: int
    buyer: Party
    lines: tuple[FolioLine, ...] = ()
    payments: tuple[Payment, ...] = ()
    charged: int = 0
    balance: int = 0


class StayTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What billing needs to know of a booking. `rate` is per night; `booked_on` the business date it was made on."""

    locator: str
    status: Status
    booked_on: date
    arrival: date
    departure: date
    rate: int
    adults: int
    children: tuple[int, ...] = ()

    @property
    def nights(self) -> int:
        """How many nights it has."""
        return (self.departure - self.arrival).days


class Bill(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """All folios of one booking, numbered from 1, which is the guest's own. Nights before `posted_until` have been
    posted; `fee` is the line of the fee that was owed last for not coming."""

    booking: str
    guest_id: str
    stay: StayTerms
    folios: tuple[Folio, ...] = ()
    posted_until: date | None = None
    fee: int | None = None

    @property
    def charged(self) -> int:
        """All charges less what was reversed."""
        return sum(folio.charged for folio in self.folios)

    @property
    def balance(self) -> int:
        """What is still owed for this booking."""
        return sum(folio.balance for folio in self.folios)

    @property
    def paid(self) -> int:
        """What was captured less what was refunded."""
        return self.charged - self.balance


class DepositDue(msgspec.Struct, frozen=True, gc=False):
    """A deposit: on `due` so much is to be paid, of which `covered` has been."""

    due: date
    amount: int
    covered: int


class DocumentKind(StrEnum):
    """What a numbered document is."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class TaxTotal(msgspec.Struct, frozen=True, gc=False):
    """What a document has under one tax. `net` is what the tax was reckoned on: 0 for a tax per guest and night.
    An empty code stands for lines that bear no tax by rate. Of two taxes by rate on one line, both have its net."""

    code: str
    name: str
    rate: int
    net: int
    tax: int
    gross: int


class Invoice(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An invoice, or a credit note, as it was issued; never changed. `issued_at` is in microseconds since 1970 UTC.

    A credit note names the invoice that it `credits` as a whole, with the reason; one that credits none carries only
    corrections of lines that stand on earlier invoices. `credited_by` is a mark."""

    number: str
    kind: DocumentKind
    booking: str
    folio: int
    issued_at: int
    business_date: date
    currency: str
    seller: Party
    guest_id: str
    buyer: Party
    lines: tuple[FolioLine, ...]
    totals: tuple[TaxTotal, ...]
    net: int
    total: int
    credits: str | None = None
    reason: str = ""
    credited_by: str | None = None


class Ledger(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A hotel as billing knows it."""

    hotel: str
    title: str
    currency: str
    business_date: date
    terms: BillingTerms
