"""What happened in a hotel's ledger. Its own journal holds these; the reservations' events stand in another one.

Nothing that was posted is ever edited: a charge is taken back by another line, and what a line says is in its event for
good. Guest data stands only in a `buyer` part, beside the guest's id. Amounts are minor units of the hotel's currency.
"""

from datetime import date
from typing import ClassVar

from innkeeper.protocol.billing.folio import FolioLine, StayTerms, TaxTotal
from innkeeper.protocol.billing.terms import BillingTerms, Party
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.values.contexts import BILLING


class LedgerOpened(Event, frozen=True):
    """A hotel opened, and its books with it: no taxes, no deposits, sold in the hotel's own name."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.opened"
    title: str
    currency: str
    business_date: date


class LedgerDayOpened(Event, frozen=True):
    """Everything is posted on this business date from now on."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.day_opened"
    business_date: date


class BillingTermsChanged(Event, frozen=True):
    """The hotel bills on these terms from now on; what was posted stays as it is."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "ledger.terms_changed"
    terms: BillingTerms


class FolioTermsChanged(BookingEvent, frozen=True):
    """What billing needs to know of the stay is different; these are all of the stay's terms."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "folio.terms_changed"
    stay: StayTerms


class FolioEvent(BookingEvent, frozen=True):
    """The base of all events about one folio of a booking."""

    context: ClassVar[str] = BILLING
    folio: int


class FolioOpened(FolioEvent, frozen=True, kw_only=True):
    """A booking has a folio that this buyer pays; the first one, the guest's own, comes with the stay."""

    name: ClassVar[str] = "folio.opened"
    guest_id: str
    buyer: Party
    stay: StayTerms | None = None


class BuyerChanged(FolioEvent, frozen=True):
    """Somebody else pays the folio, or has another name now."""

    name: ClassVar[str] = "folio.buyer_changed"
    guest_id: str
    buyer: Party


class ChargePosted(FolioEvent, frozen=True):
    """Something is owed."""

    name: ClassVar[str] = "folio.charge_posted"
    line: FolioLine


class ChargeReversed(FolioEvent, frozen=True):
    """A charge was taken back, or moved, or split: `line` has the opposite amounts, and says which line it reverses."""

    name: ClassVar[str] = "folio.charge_reversed"
    line: FolioLine
    reason: str


class PaymentEvent(FolioEvent, frozen=True):
    """The base of all events about one payment."""

    payment: str


class PaymentStarted(PaymentEvent, frozen=True):
    """A provider is asked for money: to take it (`capture`), or only to authorise it. `token` is what the provider
    gave the guest for this payment."""

    name: ClassVar[str] = "payment.started"
    method: str
    amount: int
    capture: bool
    token: str = ""


class PaymentAuthorised(PaymentEvent, frozen=True):
    """The money is reserved for the hotel; none of it has come yet."""

    name: ClassVar[str] = "payment.authorised"
    reference: str = ""


class PaymentRecorded(PaymentEvent, frozen=True):
    """The hotel has the money: handed over, or captured by a provider. `line` lowers the balance by it."""

    name: ClassVar[str] = "payment.recorded"
    method: str
    line: FolioLine
    reference: str = ""


class PaymentFailed(PaymentEvent, frozen=True):
    """The provider did not get the money, or an authorisation is worth nothing any more."""

    name: ClassVar[str] = "payment.failed"
    reason: str = ""
    reference: str = ""


class PaymentVoided(PaymentEvent, frozen=True):
    """The hotel does not want the money after all, before it came."""

    name: ClassVar[str] = "payment.voided"
    reason: str = ""


class PaymentRefunded(PaymentEvent, frozen=True):
    """Money went back, all or a part of it. `line` raises the balance by it."""

    name: ClassVar[str] = "payment.refunded"
    method: str
    line: FolioLine
    reason: str = ""
    reference: str = ""


class BookingPaid(BookingEvent, frozen=True):
    """All that was charged for the booking, which is `amount`, is paid. It can happen again, after new charges."""

    context: ClassVar[str] = BILLING
    name: ClassVar[str] = "booking.paid"
    amount: int


class DocumentEvent(FolioEvent, frozen=True, kw_only=True):
    """The base of the events that say a whole document, which begins to exist with them."""

    number: str
    business_date: date
    seller: Party
    guest_id: str
    buyer: Party
    lines: tuple[FolioLine, ...]
    totals: tuple[TaxTotal, ...]
    net: int
    total: int


class InvoiceIssued(DocumentEvent, frozen=True, kw_only=True):
    """An invoice was issued, with the next number of its series."""

    name: ClassVar[str] = "invoice.issued"


class CreditNoteIssued(DocumentEvent, frozen=True, kw_only=True):
    """A credit note was issued, with the next number of its series; see `Invoice`."""

    name: ClassVar[str] = "credit_note.issued"
    credits: str | None = None
    reason: str = ""


BILLING_EVENTS: tuple[type[Event], ...] = (
    LedgerOpened, LedgerDayOpened, BillingTermsChanged, FolioOpened, FolioTermsChanged, BuyerChanged, ChargePosted,
    ChargeReversed, PaymentStarted, PaymentAuthorised, PaymentRecorded, PaymentFailed, PaymentVoided, PaymentRefunded,
    BookingPaid, InvoiceIssued, CreditNoteIssued,
)  # fmt: skip
