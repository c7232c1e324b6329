"""The commands of a hotel's ledger: of the events of reservations, of the staff, and of payment providers."""

from datetime import date
from typing import Annotated, ClassVar, Literal, get_args

import msgspec
from innkeeper.protocol.billing.payment import NextAction, PaymentOutcome, RefusalCode
from innkeeper.protocol.billing.terms import BillingTermsRequest, PartyRequest
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind
from innkeeper.protocol.values.text import Language, Line, LineNumber, Name, Quantity, Slug
from msgspec import Meta

ManualMethod = Literal["cash", "terminal", "transfer"]
MANUAL_METHODS: tuple[str, ...] = get_args(ManualMethod)


class ApplyReservationEvent(Command, frozen=True):
    """Apply an event of reservations, in their order. An event that was applied already changes nothing. `previous` is
    the `hotel_seq` of the event that was sent just before this one without waiting for its reply, else 0. Where that
    one was not applied, neither is this one: the other would be skipped for ever."""

    name: ClassVar[str] = "ledger.apply_event"
    record: RecordedEvent
    previous: int = 0


class ChangeBillingTerms(Command, frozen=True):
    """Bill on these terms from now on."""

    name: ClassVar[str] = "billing_terms.change"
    request: BillingTermsRequest


class BillCommand(Command, frozen=True):
    """The base of the commands for one booking's bill."""

    booking: str


class OpenFolio(BillCommand, frozen=True):
    """Open another folio for another buyer: a company, an agency, the other guest. Its details are forgotten with those
    of the guest; after that none is opened."""

    name: ClassVar[str] = "folio.open"
    buyer: PartyRequest


class PostCharge(BillCommand, frozen=True, kw_only=True):
    """Post a charge for a quantity of something, supplied on this day, or on the business date. Taxes that are not
    included in the price are added to it. One on a booking that was cancelled, or whose guest never came, has to be
    asked for by `allow_ended`."""

    name: ClassVar[str] = "charge.post"
    charge: ChargeKind
    text: Name
    unit_amount: Money
    quantity: Quantity = 1
    folio: int = 1
    supplied_on: date | None = None
    allow_ended: bool = False


class PostDiscount(BillCommand, frozen=True, kw_only=True):
    """Lower what was charged of a kind on a folio, for a reason, which may be a voucher. Rates that are not included in
    the price are lowered beside the amount; taxes of a fixed amount are not lowered."""

    name: ClassVar[str] = "discount.post"
    charge: ChargeKind
    amount: Money
    reason: Name
    voucher: Line = ""
    folio: int = 1


class ReverseCharge(BillCommand, frozen=True):
    """Reverse a charge that is on no invoice."""

    name: ClassVar[str] = "charge.reverse"
    line: int
    reason: Name


class MoveCharges(BillCommand, frozen=True):
    """Move lines to another folio, of this booking or of another one. All of them move, or none."""

    name: ClassVar[str] = "charges.move"
    lines: Annotated[tuple[LineNumber, ...], Meta(min_length=1, max_length=limits.lines_per_folio_max)]
    to_folio: int
    to_booking: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.lines)) < len(self.lines):
            raise invalid("lines", "unique", "a line is given twice")


class SplitCharge(BillCommand, frozen=True):
    """Split a charge in two, of which the first has this amount, or this quantity, so that they can be moved
    separately."""

    name: ClassVar[str] = "charge.split"
    line: int
    amount: Money | None = None
    quantity: Quantity | None = None

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.quantity is None):
            raise invalid("amount", "one_of", "expected either an amount or a quantity")


class RecordPayment(BillCommand, frozen=True, kw_only=True):
    """Record a payment that the hotel has received by cash, terminal or transfer. More than what is owed for the
    booking has to be asked for by `allow_overpayment`."""

    name: ClassVar[str] = "payment.record"
    method: ManualMethod
    amount: Money
    folio: int = 1
    reference: Line = ""
    allow_overpayment: bool = False


class StartPayment(BillCommand, frozen=True, kw_only=True):
    """Start a payment at a provider, which captures it, or (without `capture`) authorises it, and settles it later.
    `token` is what the provider gave the guest for this payment; `allow_overpayment`: see `RecordPayment`."""

    name: ClassVar[str] = "payment.start"
    provider: Slug
    amount: Money
    folio: int = 1
    capture: bool = True
    token: Line = ""
    allow_overpayment: bool = False

    def __post_init__(self) -> None:
        if self.provider in MANUAL_METHODS:
            raise invalid("provider", "not_manual", f"{self.provider} is a manual method, not a payment provider")


class PaymentCommand(Command, frozen=True):
    """The base of the commands for one payment."""

    payment: str


class SettlePayment(PaymentCommand, frozen=True, kw_only=True):
    """Apply what a provider reports of a payment; what is outdated or known changes nothing. See `PaymentNews`."""

    name: ClassVar[str] = "payment.settle"
    outcome: PaymentOutcome
    reference: Line = ""
    reason: Line = ""
    amount: Money | None = None
    id: Line = ""
    operation: int | None = None
    code: RefusalCode | None = None
    at: int = 0
    expires_at: int = 0
    next_action: NextAction | None = None


class CapturePayment(PaymentCommand, frozen=True):
    """Ask the provider to capture an authorised payment: this amount, or all of it where None; the rest is released."""

    name: ClassVar[str] = "payment.capture"
    amount: Money | None = None


class VoidPayment(PaymentCommand, frozen=True):
    """Ask the provider to void a pending or authorised payment before it is captured."""

    name: ClassVar[str] = "payment.void"
    reason: Line = ""


class RefundPayment(PaymentCommand, frozen=True):
    """Refund a captured payment: this amount, or all that is left of it where None. One by a provider is refunded when
    the provider agrees, and takes no `reference`; one by hand at once."""

    name: ClassVar[str] = "payment.refund"
    amount: Money | None = None
    reason: Line = ""
    reference: Line = ""


class ReturnPayment(PaymentCommand, frozen=True):
    """Record that the bank has returned a captured payment: this amount, or all of it where None."""

    name: ClassVar[str] = "payment.return"
    amount: Money | None = None
    reason: Line = ""
    reference: Line = ""


class MovePayment(PaymentCommand, frozen=True):
    """Move what is left of a payment to another folio, of this booking or of another one."""

    name: ClassVar[str] = "payment.move"
    to_folio: int
    to_booking: str | None = None


class IssueInvoice(BillCommand, frozen=True):
    """Invoice a folio's lines that are on no document yet; `buyer` only where it is not the folio's buyer, `language`
    only where it is not the guest's or the hotel's."""

    name: ClassVar[str] = "invoice.issue"
    folio: int = 1
    buyer: PartyRequest | None = None
    language: Language | None = None


class IssueDepositInvoice(BillCommand, frozen=True):
    """Invoice what was paid on account of a stay, before it is charged: this amount of it, or all where None."""

    name: ClassVar[str] = "deposit_invoice.issue"
    folio: int = 1
    amount: Money | None = None
    buyer: PartyRequest | None = None
    language: Language | None = None


class CreditedLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A line of an invoice to credit, by its position from 1: this amount or this quantity of it, or all that is left
    where both are None."""

    position: LineNumber
    amount: Money | None = None
    quantity: Quantity | None = None

    def __post_init__(self) -> None:
        if self.amount is not None and self.quantity is not None:
            raise invalid("amount", "one_of", "expected either an amount or a quantity")


CreditedLines = Annotated[tuple[CreditedLine, ...], Meta(max_length=limits.lines_per_folio_max)]


class IssueCreditNote(Command, frozen=True):
    """Credit an invoice: these lines of it, or all that is left of it where there are none. They are reversed, and are
    on a credit note."""

    name: ClassVar[str] = "credit_note.issue"
    number: Line
    reason: Name
    lines: CreditedLines = ()

    def __post_init__(self) -> None:
        if len({line.position for line in self.lines}) < len(self.lines):
            raise invalid("lines", "unique", "a line is given twice")


class ReissueInvoice(Command, frozen=True):
    """Credit an invoice, and issue another one for the same charges to this buyer, who is the right one."""

    name: ClassVar[str] = "invoice.reissue"
    number: Line
    reason: Name
    buyer: PartyRequest
    language: Language | None = None


BILLING_COMMANDS: tuple[type[Command], ...] = (
    ApplyReservationEvent, ChangeBillingTerms, OpenFolio, PostCharge, PostDiscount, ReverseCharge, MoveCharges,
    SplitCharge, RecordPayment, StartPayment, SettlePayment, CapturePayment, VoidPayment, RefundPayment, ReturnPayment,
    MovePayment, IssueInvoice, IssueDepositInvoice, IssueCreditNote, ReissueInvoice,
)  # fmt: skip
