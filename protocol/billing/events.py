"""The events of a hotel's ledger, in a journal of their own.

Nothing that was posted is ever edited: another line reverses a charge, and the event that posted a line keeps it
unchanged. The buyer of a folio is named like a guest of reservations, by the guest's id and a version of the details;
only a document contains its buyer. Amounts are minor units of the hotel's currency.
"""

from datetime import date
from typing import ClassVar

from innkeeper.protocol.billing.folio import (
    DocumentLine,
    DocumentStay,
    FolioLine,
    IssuedNumbers,
    LinePosition,
    PaymentOnAccount,
    StayTerms,
    TaxTotal,
)
from innkeeper.protocol.billing.payment import NextAction, Operation, PaymentNews, RefusalCode
from innkeeper.protocol.billing.terms import BankAccount, BillingTerms, Party
from innkeeper.protocol.messages.event import Event, ForgettingEvent
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.protocol.values.guests import Guest


class LedgerOpened(Event, frozen=True):
    """The ledger of a new hotel was opened, on its terms of sale, and with the hotel as the seller."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.opened"
    title: str
    currency: str
    business_date: date
    terms_of_sale: TermsOfSale


class LedgerDayOpened(Event, frozen=True):
    """Lines are posted on this business date from now on."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.day_opened"
    business_date: date


class LedgerTimelineBegun(Event, frozen=True):
    """The ledger goes on from here on another timeline; see `TimelineBegun`. It follows the hotel again from the event
    after its event `after`, whatever it has followed before. Documents up to these numbers were issued, also if the
    ledger does not have them any more."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.timeline_begun"
    timeline: str
    after: int
    issued: tuple[IssuedNumbers, ...] = ()


class LedgerBookingsLost(Event, frozen=True):
    """These bookings are not part of the hotel any more; their charges were reversed. Payments stay as they are."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.bookings_lost"
    bookings: tuple[str, ...]


class BillingTermsChanged(Event, frozen=True):
    """The hotel bills on these terms from now on; what was posted stays as it is."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.terms_changed"
    terms: BillingTerms


class LedgerTermsOfSaleChanged(Event, frozen=True):
    """The hotel sells on these terms from now on; the ledger keeps the earlier ones for the bookings made on them."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.terms_of_sale_changed"
    terms_of_sale: TermsOfSale


class LedgerRenamed(Event, frozen=True):
    """The hotel has another name. Where it was the seller's name, it still is."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.renamed"
    title: str


class FolioTermsChanged(BookingEvent, frozen=True):
    """The stay's terms that billing uses changed; these are all of them."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "folio.terms_changed"
    stay: StayTerms


class FolioEvent(BookingEvent, frozen=True):
    """The base of all events about one folio of a booking."""

    context: ClassVar[str] = BILLING
    folio: int


class FolioOpened(FolioEvent, frozen=True, kw_only=True):
    """A folio of a booking was opened for this buyer; the first folio, the guest's own, also has the stay."""

    name: ClassVar[str] = "folio.opened"
    buyer: Guest
    stay: StayTerms | None = None


class BuyerChanged(FolioEvent, frozen=True):
    """The folio has another buyer, or its buyer has other data."""

    name: ClassVar[str] = "folio.buyer_changed"
    buyer: Guest


class LedgerGuestForgotten(ForgettingEvent, frozen=True):
    """The guest is forgotten, and with the guest the buyers of all folios of the guest's bookings. What was invoiced
    keeps its buyer, as the law demands."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.guest_forgotten"


class ChargePosted(FolioEvent, frozen=True):
    """A charge was posted."""

    name: ClassVar[str] = "folio.charge_posted"
    line: FolioLine


class ChargeReversed(FolioEvent, frozen=True):
    """A charge was reversed, in whole or in part, moved or split: `line` has the opposite amounts, names the line that
    it reverses, and says why."""

    name: ClassVar[str] = "folio.charge_reversed"
    line: FolioLine


class PaymentEvent(FolioEvent, frozen=True):
    """The base of all events about one payment."""

    payment: str


class PaymentStarted(PaymentEvent, frozen=True):
    """A payment was started at a provider, which is to capture it (`capture`) or only to authorise it. `token` is the
    provider's token for this payment, from the guest. One `for_hold` confirms the hold of its booking."""

    name: ClassVar[str] = "payment.started"
    method: str
    amount: int
    capture: bool
    token: str = ""
    for_hold: bool = False


class PaymentActionRequired(PaymentEvent, frozen=True):
    """The payment waits for the guest, who has to do this first."""

    name: ClassVar[str] = "payment.action_required"
    next_action: NextAction
    reference: str = ""


class PaymentAuthorised(PaymentEvent, frozen=True):
    """The provider authorised the payment until `expires_at` (microseconds since 1970 UTC, 0 if it did not say); no
    money was captured yet."""

    name: ClassVar[str] = "payment.authorised"
    reference: str = ""
    expires_at: int = 0


class PaymentOperationRequested(PaymentEvent, frozen=True):
    """The hotel asks the provider for an operation. Nothing has happened until the provider agrees."""

    name: ClassVar[str] = "payment.operation_requested"
    operation: Operation


class PaymentOperationRefused(PaymentEvent, frozen=True):
    """The provider refused this operation of the payment; no money has moved."""

    name: ClassVar[str] = "payment.operation_refused"
    operation: int
    code: RefusalCode
    reason: str = ""


class PaymentRecorded(PaymentEvent, frozen=True):
    """The hotel received a payment: by hand, or captured by a provider, which may have done it at `at`. `line` lowers
    the balance by it."""

    name: ClassVar[str] = "payment.recorded"
    method: str
    line: FolioLine
    reference: str = ""
    at: int = 0


class PaymentFailed(PaymentEvent, frozen=True):
    """The payment failed at the provider, or its authorisation is no longer valid."""

    name: ClassVar[str] = "payment.failed"
    reason: str = ""
    reference: str = ""
    code: RefusalCode | None = None
    at: int = 0


class PaymentVoided(PaymentEvent, frozen=True):
    """The payment was cancelled before it was captured; what was reserved is free again."""

    name: ClassVar[str] = "payment.voided"
    reason: str = ""


class PaymentRefunded(PaymentEvent, frozen=True):
    """A payment was refunded, in whole or in part: by this operation, by hand, or at the provider, whose id of the
    refund is `reference`. `line` raises the balance by it."""

    name: ClassVar[str] = "payment.refunded"
    method: str
    line: FolioLine
    reason: str = ""
    reference: str = ""
    operation: int | None = None


class PaymentRefundFailed(PaymentEvent, frozen=True):
    """A refund did not reach the guest, and the money is the hotel's again; `reference` is the provider's id of it,
    `operation` the one that asked for it. `line` lowers the balance by a refund that had counted; it is None where it
    had not."""

    name: ClassVar[str] = "payment.refund_failed"
    method: str
    reference: str
    line: FolioLine | None = None
    code: RefusalCode = RefusalCode.DECLINED
    reason: str = ""
    operation: int | None = None


class PaymentChargedBack(PaymentEvent, frozen=True):
    """The guest's bank took money back, because the guest objects to the payment; `chargeback` is the provider's id.
    `line` raises the balance by it."""

    name: ClassVar[str] = "payment.charged_back"
    method: str
    line: FolioLine
    chargeback: str
    reason: str = ""


class PaymentChargebackClosed(PaymentEvent, frozen=True):
    """A chargeback of this amount was decided. Where the hotel won, `line` lowers the balance by what it got back; it
    is None where nothing had been taken back."""

    name: ClassVar[str] = "payment.chargeback_closed"
    method: str
    chargeback: str
    amount: int
    won: bool
    line: FolioLine | None = None


class PaymentReturned(PaymentEvent, frozen=True):
    """The bank returned a payment that was captured, such as a direct debit. `line` raises the balance by it."""

    name: ClassVar[str] = "payment.returned"
    method: str
    line: FolioLine
    reason: str = ""
    reference: str = ""


class PaymentNewsKept(PaymentEvent, frozen=True):
    """The provider reports something about money that it has not reported as captured yet; it counts once that is."""

    name: ClassVar[str] = "payment.news_kept"
    news: PaymentNews


class PaymentMoved(FolioEvent, frozen=True):
    """What is left of a payment was moved to another folio, of this booking or of another one: `line` raises the
    balance of its folio until now, and `moved` lowers that of the folio at `to`. No money moved."""

    name: ClassVar[str] = "payment.moved"
    payment: str
    line: FolioLine
    to: LinePosition
    moved: FolioLine


class BookingPaid(BookingEvent, frozen=True):
    """All charges of the booking, which are `amount`, are paid. It can happen again, after new charges."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "booking.paid"
    amount: int


class DocumentEvent(FolioEvent, frozen=True, kw_only=True):
    """The base of the events that issue a document; they contain all of it, see `Invoice`. The number is the next one
    of its `series`, which is the year where the numbers begin anew each year, else 0."""

    number: str
    business_date: date
    seller: Party
    guest_id: str
    buyer: Party
    lines: tuple[DocumentLine, ...]
    totals: tuple[TaxTotal, ...]
    net: int
    total: int
    stay: DocumentStay
    due_on: date
    language: str = "en"
    series: int = 0
    paid: int = 0
    payments: tuple[PaymentOnAccount, ...] = ()
    bank: BankAccount | None = None
    note: str = ""


class InvoiceIssued(DocumentEvent, frozen=True, kw_only=True):
    """An invoice was issued, with the next number of its series; `replaces` is the credited one that it was issued
    instead of."""

    name: ClassVar[str] = "invoice.issued"
    replaces: str | None = None


class DepositInvoiceIssued(DocumentEvent, frozen=True, kw_only=True):
    """A deposit invoice was issued: for payments on account of a stay that is not invoiced yet. It has the next number
    of the series of invoices."""

    name: ClassVar[str] = "deposit_invoice.issued"


class CreditNoteIssued(DocumentEvent, frozen=True, kw_only=True):
    """A credit note was issued, with the next number of its series; see `Invoice`. `whole`: nothing is left of the
    invoice that it credits."""

    name: ClassVar[str] = "credit_note.issued"
    credits: str | None = None
    reason: str = ""
    whole: bool = False


BILLING_EVENTS: tuple[type[Event], ...] = (
    LedgerOpened, LedgerDayOpened, LedgerTermsOfSaleChanged, LedgerRenamed, BillingTermsChanged, FolioOpened,
    FolioTermsChanged, BuyerChanged, LedgerGuestForgotten, ChargePosted,
    ChargeReversed, PaymentStarted, PaymentActionRequired, PaymentAuthorised, PaymentOperationRequested,
    PaymentOperationRefused, PaymentRecorded, PaymentFailed, PaymentVoided, PaymentRefunded, PaymentRefundFailed,
    PaymentChargedBack,
    PaymentChargebackClosed, PaymentReturned, PaymentNewsKept, PaymentMoved,
    BookingPaid, InvoiceIssued, DepositInvoiceIssued, CreditNoteIssued, LedgerTimelineBegun, LedgerBookingsLost,
)  # fmt: skip
