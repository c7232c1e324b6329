"""The public form of a bill: its folios with their lines and payments, and the documents issued from them.

Amounts are minor units of the hotel's currency: what the guest owes is positive, what lowers the balance is negative. A
line never changes after it was posted. It is only marked later: with the line that reverses it, and with its document.
"""

from datetime import date
from enum import StrEnum

import msgspec
from innkeeper.protocol.billing.payment import Payment
from innkeeper.protocol.billing.terms import BillingTerms, Party
from innkeeper.protocol.reservations.booking import BookingStatus, PriceLine
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.reservations.transitions import NOT_ENDED
from innkeeper.protocol.values.guests import Guest
from innkeeper.protocol.values.taxes import ChargeKind, Tax, TaxAmount


class LineKind(StrEnum):
    """What a line does to the balance: charges raise it, discounts and payments lower it, reversals and refunds undo
    those. A bank takes a payment back with a chargeback, which it may give back as a payment, or with a return."""

    CHARGE = "charge"
    REVERSAL = "reversal"
    PAYMENT = "payment"
    REFUND = "refund"
    CHARGEBACK = "chargeback"
    RETURN = "return"
    DISCOUNT = "discount"


CHARGED = (LineKind.CHARGE, LineKind.DISCOUNT)
"""What was charged, and what lowers it; a reversal undoes either."""


class ReversalReason(StrEnum):
    """Why a charge was reversed: somebody corrected it, moved it to another folio, split it or credited its invoice; or
    the booking was reinstated, its guest left early, its check-out was undone, or it was lost with a part of the
    journal."""

    CORRECTION = "correction"
    MOVED = "moved"
    SPLIT = "split"
    CREDITED = "credited"
    REINSTATED = "reinstated"
    EARLY_DEPARTURE = "early_departure"
    CHECK_OUT_UNDONE = "check_out_undone"
    BOOKING_LOST = "booking_lost"


class LinePosition(msgspec.Struct, frozen=True, gc=False):
    """A line on a folio of a booking. Line numbers are unique in the hotel."""

    booking: str
    folio: int
    line: int


class FolioLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One line of a folio. `amount` includes all taxes.

    Charges and reversals have a `charge`, a `quantity`, and for a room the `night` that was slept. A reversal names the
    line that it `reverses`, and the lines to which the charge was moved or split (`moved_to`), which name it in
    `moved_from`. Payments and refunds name their `payment`. `reversed_by` and `invoice` are marks."""

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
        """The sum of the taxes in the amount."""
        return sum(tax.amount for tax in self.taxes)

    @property
    def net(self) -> int:
        """The amount without its taxes."""
        return self.amount - self.tax

    @property
    def is_charge(self) -> bool:
        """Whether it is a charge or the reversal of one. Only these are on documents."""
        return self.charge is not None


class Folio(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One account of a booking, and its buyer. `charged` is the sum of its charges and reversals, `balance` the sum of
    all its lines: what the buyer still owes, or below zero what the hotel owes."""

    number: int
    buyer: Guest
    lines: tuple[FolioLine, ...] = ()
    payments: tuple[Payment, ...] = ()
    charged: int = 0
    balance: int = 0


class StayTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The terms of a booking that billing uses: the price of each night, and the version of the hotel's terms of sale
    that the booking keeps; `booked_on` is the business date of the booking."""

    locator: str
    status: BookingStatus
    booked_on: date
    arrival: date
    departure: date
    lines: tuple[PriceLine, ...]
    terms: int

    @property
    def price(self) -> int:
        """The price of all nights, with all taxes and fees."""
        return sum(line.total for line in self.lines)


class Bill(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """All folios of one booking, numbered from 1, which is the guest's own. Nights before `posted_until` have been
    posted; `fee` is the line of the last fee for a cancellation or a no-show."""

    booking: str
    guest_id: str
    stay: StayTerms
    folios: tuple[Folio, ...] = ()
    posted_until: date | None = None
    fee: int | None = None

    @property
    def charged(self) -> int:
        """All charges less the reversals."""
        return sum(folio.charged for folio in self.folios)

    @property
    def balance(self) -> int:
        """The amount still owed for this booking."""
        return sum(folio.balance for folio in self.folios)

    @property
    def owed(self) -> int:
        """The balance, and the price of the nights that are still to be charged."""
        if self.stay.status not in NOT_ENDED:
            return self.balance
        posted_until = self.posted_until or self.stay.arrival
        return self.balance + sum(line.total for line in self.stay.lines if line.night >= posted_until)

    @property
    def paid(self) -> int:
        """The payments less the refunds, and less what banks have taken back."""
        return self.charged - self.balance

    @property
    def payments(self) -> tuple[Payment, ...]:
        """The payments of all folios."""
        return tuple(payment for folio in self.folios for payment in folio.payments)


class DepositDue(msgspec.Struct, frozen=True, gc=False):
    """A deposit: `amount` is due on `due`, of which `covered` is paid."""

    due: date
    amount: int
    covered: int


class DocumentKind(StrEnum):
    """The kind of a numbered document."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class TaxTotal(msgspec.Struct, frozen=True, gc=False):
    """A document's total of one tax. `net` is the amount on which the tax is computed: 0 for a tax per guest and night.
    An empty code is for lines without a tax by rate. Of two taxes by rate on one line, both include its net."""

    code: str
    name: str
    rate: int
    net: int
    tax: int
    gross: int


class Invoice(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An invoice, or a credit note, as it was issued; never changed. `issued_at` is in microseconds since 1970 UTC.

    A credit note names the invoice that it `credits` as a whole, with the reason; one that credits none carries only
    corrections of lines that are on earlier invoices. `credited_by` is a mark."""

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


class LedgerDetails(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A hotel in billing, with its terms, and all versions of its terms of sale, in order."""

    hotel: str
    title: str
    currency: str
    business_date: date
    terms: BillingTerms
    terms_of_sale: tuple[TermsOfSale, ...]

    @property
    def taxes(self) -> tuple[Tax, ...]:
        """The current taxes."""
        return self.terms_of_sale[-1].taxes

    def terms_of(self, stay: StayTerms) -> TermsOfSale:
        """The terms of sale that a booking keeps."""
        return self.terms_of_sale[stay.terms - 1]
