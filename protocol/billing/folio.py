"""The public form of a bill: its folios with their lines and payments, and the documents issued from them.

Amounts are minor units of the hotel's currency: what the guest owes is positive, what lowers the balance is negative. A
line never changes after it was posted. It is only marked later: with the line that reverses it, and with its document.
"""

from datetime import date
from enum import StrEnum

import msgspec
from innkeeper.protocol.billing.payment import Payment
from innkeeper.protocol.billing.terms import BankAccount, BillingTerms, Party
from innkeeper.protocol.reservations.booking import BookingStatus, PriceLine, RoomSegment
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.reservations.transitions import NOT_ENDED
from innkeeper.protocol.values.guests import Guest
from innkeeper.protocol.values.taxes import ChargeKind, Tax, TaxAmount, TaxCategory


class LineKind(StrEnum):
    """What a line does to the balance: charges raise it, discounts and payments lower it, reversals and refunds undo
    those. A bank takes a payment back with a chargeback, which it may give back as a payment, or with a return. A
    transfer moves a payment to another folio: it raises the balance of the one, and lowers that of the other."""

    CHARGE = "charge"
    REVERSAL = "reversal"
    PAYMENT = "payment"
    REFUND = "refund"
    TRANSFER = "transfer"
    CHARGEBACK = "chargeback"
    RETURN = "return"
    DISCOUNT = "discount"


CHARGED = (LineKind.CHARGE, LineKind.DISCOUNT)
"""What was charged, and what lowers it; a reversal undoes either."""


class ReversalReason(StrEnum):
    """Why a charge was reversed: somebody corrected it, moved it to another folio, split it or credited its invoice; or
    the booking was reinstated, its guest left early, its check-out or its check-in was undone, or it was lost with a
    part of the journal."""

    CORRECTION = "correction"
    MOVED = "moved"
    SPLIT = "split"
    CREDITED = "credited"
    REINSTATED = "reinstated"
    EARLY_DEPARTURE = "early_departure"
    CHECK_OUT_UNDONE = "check_out_undone"
    CHECK_IN_UNDONE = "check_in_undone"
    BOOKING_LOST = "booking_lost"


class LinePosition(msgspec.Struct, frozen=True, gc=False):
    """A line on a folio of a booking. Line numbers are unique in the hotel."""

    booking: str
    folio: int
    line: int


class FolioLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One line of a folio. `amount` includes all taxes.

    Charges and reversals have a `charge`, a `quantity`, and for a room the `night` that was slept, and the `room`; what
    was supplied on another day than the business date says when (`supplied_on`). A reversal names the line that it
    `reverses`, as a whole or in part, says why (`reason_code`, and in the words of the staff `reason`), and names the
    lines to which the charge was moved or split (`moved_to`), which name it in `moved_from`. Payments and refunds name
    their `payment`. `reversed_by` (the reversal after which nothing is left) and `invoice` are marks."""

    id: int
    kind: LineKind
    business_date: date
    amount: int
    charge: ChargeKind | None = None
    text: str = ""
    quantity: int = 1
    taxes: tuple[TaxAmount, ...] = ()
    night: date | None = None
    room: str = ""
    supplied_on: date | None = None
    payment: str | None = None
    reverses: int | None = None
    reason_code: ReversalReason | None = None
    reason: str = ""
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
    def supplied(self) -> date:
        """The day on which it was supplied: the night, or the day of the breakfast."""
        return self.night or self.supplied_on or self.business_date

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
    that the booking keeps; `booked_on` is the business date of the booking. `rooms` are those in which the guest is or
    was, none before the arrival."""

    locator: str
    status: BookingStatus
    booked_on: date
    arrival: date
    departure: date
    lines: tuple[PriceLine, ...]
    terms: int
    room_type: str = ""
    rooms: tuple[RoomSegment, ...] = ()

    @property
    def price(self) -> int:
        """The price of all nights, with all taxes and fees."""
        return sum(line.total for line in self.lines)


class Bill(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """All folios of one booking, numbered from 1, which is the guest's own. Nights before `posted_until` have been
    posted; `fee` is the line of the last fee for a cancellation or a no-show. `version` is the number of the ledger's
    last event that changed it."""

    booking: str
    guest_id: str
    stay: StayTerms
    folios: tuple[Folio, ...] = ()
    posted_until: date | None = None
    fee: int | None = None
    version: int = 0

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
    """The kind of a numbered document. Invoices and deposit invoices share one series of numbers."""

    INVOICE = "invoice"
    DEPOSIT_INVOICE = "deposit_invoice"
    CREDIT_NOTE = "credit_note"


class IssuedNumbers(msgspec.Struct, frozen=True, gc=False):
    """The highest number that was issued in a series: of invoices or of credit notes, since the beginning (`series` 0)
    or in a year."""

    kind: DocumentKind
    series: int
    number: int


class TaxTotal(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A document's total of one tax at one rate, as it was invoiced. `net` is the amount on which the tax was computed:
    0 for a fixed amount, such as a tax per guest and night. An empty code is for lines without a tax by rate. Of two
    taxes by rate on one line, both include its net. `exemption` says why nothing is due."""

    code: str
    name: str
    rate: int
    net: int
    tax: int
    gross: int
    category: TaxCategory = TaxCategory.STANDARD
    exemption: str = ""


class Corrected(msgspec.Struct, frozen=True, gc=False):
    """The line of an invoice that a line corrects: its position on the invoice, from 1."""

    invoice: str
    position: int


class DocumentLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One line of a document. `amount` includes all taxes; what lowers the total is negative, as its `quantity` is.

    `line` is its line of the folio; a deposit has none. It was supplied on `supplied_on`: the night slept, or the day
    of the breakfast, also where the charge was moved later. `night` and `room` are those of a night, and `charge` is
    None for a deposit: on a deposit invoice the advance payment, on the final invoice the `deposit_invoice` that is
    settled. `text` is what the hotel wrote, or in English what the program charged. A correction names the line that it
    `corrects`, and says why: by the program's `reason_code`, and in the words of the staff (`reason`)."""

    text: str
    supplied_on: date
    quantity: int
    amount: int
    taxes: tuple[TaxAmount, ...] = ()
    line: int | None = None
    charge: ChargeKind | None = None
    night: date | None = None
    room: str = ""
    deposit_invoice: str | None = None
    corrects: Corrected | None = None
    reason_code: ReversalReason | None = None
    reason: str = ""

    @property
    def tax(self) -> int:
        """The sum of the taxes in the amount."""
        return sum(tax.amount for tax in self.taxes)

    @property
    def net(self) -> int:
        """The amount without its taxes. The unit price without tax is `money.unit_price(net, quantity, currency)`."""
        return self.amount - self.tax


class PaymentOnAccount(msgspec.Struct, frozen=True, gc=False):
    """A payment that a document counts as paid, in whole or in part, and the business date on which it was made."""

    payment: str
    method: str
    paid_on: date
    amount: int


class DocumentStay(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The stay that a document is about. `rooms` are the rooms in which the guest was, in order; none before the
    arrival. The guest's name is kept with the document only where it is the buyer's; another guest is shown as long as
    the guest is not forgotten."""

    locator: str
    guest: str
    room_type: str
    arrival: date
    departure: date
    rooms: tuple[str, ...] = ()


class Invoice(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An invoice, a deposit invoice or a credit note, as it was issued; never changed. `issued_at` is in microseconds
    since 1970 UTC. The number is one of its `series`: the year where the numbers begin anew each year, else 0.

    `paid` is what was paid of the total, by the `payments` on account; on a credit note, what was set off against the
    unpaid part of its invoice. `due` is the rest: owed by the buyer until `due_on`, or where it is negative by the
    hotel. A credit note that `credits` an invoice, as a whole or in part, has the `reason`; one that credits none
    carries corrections of lines that are on earlier invoices. An invoice that `replaces` another was issued instead of
    it, to another buyer. `language` is a tag of BCP 47. `credit_notes` (all that credit it), `credited_by` (the one
    after which nothing is left) and `settled_by` (the final invoice of a deposit) are marks, and
    `version` counts their changes."""

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
    lines: tuple[DocumentLine, ...]
    totals: tuple[TaxTotal, ...]
    net: int
    total: int
    stay: DocumentStay
    due_on: date
    series: int = 0
    language: str = "en"
    paid: int = 0
    payments: tuple[PaymentOnAccount, ...] = ()
    bank: BankAccount | None = None
    note: str = ""
    credits: str | None = None
    replaces: str | None = None
    reason: str = ""
    credit_notes: tuple[str, ...] = ()
    credited_by: str | None = None
    settled_by: str | None = None
    version: int = 1

    @property
    def tax(self) -> int:
        """The sum of all taxes."""
        return self.total - self.net

    @property
    def due(self) -> int:
        """What is left to pay; where it is negative, the hotel owes it."""
        return self.total - self.paid


class LedgerDetails(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A hotel in billing, with its terms, and all versions of its terms of sale, in order. `version` is the number of
    the ledger's last event that changed its billing terms."""

    hotel: str
    title: str
    currency: str
    business_date: date
    terms: BillingTerms
    terms_of_sale: tuple[TermsOfSale, ...]
    version: int = 0

    @property
    def taxes(self) -> tuple[Tax, ...]:
        """The current taxes."""
        return self.terms_of_sale[-1].taxes

    def terms_of(self, stay: StayTerms) -> TermsOfSale:
        """The terms of sale that a booking keeps."""
        return self.terms_of_sale[stay.terms - 1]
