"""What a hotel's ledger can be told to do: hear of reservations, and what staff and payment providers want of it."""

from typing import Annotated, Literal

from innkeeper.protocol.billing.terms import BillingPlan, ChargeKind, PartyPlan
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import Line, Name, Quantity, Slug
from msgspec import Meta

ManualMethod = Literal["cash", "terminal", "transfer"]
MANUAL_METHODS: tuple[str, ...] = ("cash", "terminal", "transfer")


class ApplyReservationEvent(Command, frozen=True):
    """Hear of an event of reservations, in their order. Hearing of one again changes nothing."""

    record: RecordedEvent


class ChangeBillingTerms(Command, frozen=True):
    """Bill on these terms from now on."""

    plan: BillingPlan


class BillCommand(Command, frozen=True):
    """The base of the commands for one booking's bill."""

    booking: str


class OpenFolio(BillCommand, frozen=True):
    """Open another folio for who else pays: a company, an agency, the other guest."""

    buyer: PartyPlan


class PostCharge(BillCommand, frozen=True, kw_only=True):
    """Charge so many of something. Taxes that are not included in the price come on top of it."""

    charge: ChargeKind
    text: Name
    unit_amount: Money
    quantity: Quantity = 1
    folio: int = 1


class ReverseCharge(BillCommand, frozen=True):
    """Take a charge back, as long as it stands on no invoice."""

    line: int
    reason: Name


class MoveCharges(BillCommand, frozen=True):
    """Move lines to another folio, of this booking or of another one. All of them move, or none."""

    lines: Annotated[tuple[int, ...], Meta(min_length=1, max_length=limits.lines_per_folio_max)]
    to_folio: int
    to_booking: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.lines)) < len(self.lines):
            raise invalid("lines", "unique", "a line is given twice")


class SplitCharge(BillCommand, frozen=True):
    """Split a charge in two, of which the first has this amount, so that they can be moved apart."""

    line: int
    amount: Money


class RecordPayment(BillCommand, frozen=True, kw_only=True):
    """The guest has paid by hand: the money is here."""

    method: ManualMethod
    amount: Money
    folio: int = 1
    reference: Line = ""


class StartPayment(BillCommand, frozen=True, kw_only=True):
    """Ask a provider for money: to take it, or (without `capture`) to authorise it. The provider settles it later.
    `token` is what the provider gave the guest for this payment."""

    provider: Slug
    amount: Money
    folio: int = 1
    capture: bool = True
    token: Line = ""

    def __post_init__(self) -> None:
        if self.provider in MANUAL_METHODS:
            raise invalid("provider", "not_manual", f"{self.provider} is paid by hand, with no provider to wait for")


class PaymentCommand(Command, frozen=True):
    """The base of the commands for one payment."""

    payment: str


class SettlePayment(PaymentCommand, frozen=True, kw_only=True):
    """What the provider says of a payment; old news change nothing. Captured is the whole amount unless said."""

    outcome: Literal["authorised", "captured", "failed", "voided"]
    reference: Line = ""
    reason: Line = ""
    amount: Money | None = None

    def __post_init__(self) -> None:
        if self.amount is not None and self.outcome != "captured":
            raise invalid("amount", "only_captured", 'amount goes with the outcome "captured"')


class CapturePayment(PaymentCommand, frozen=True):
    """Take what was authorised, all of it unless said; the rest is let go."""

    amount: Money | None = None
    reference: Line = ""


class VoidPayment(PaymentCommand, frozen=True):
    """Let go of what was authorised, or asked for, before it is captured."""

    reason: Line = ""


class RefundPayment(PaymentCommand, frozen=True):
    """Give captured money back: all that is left of it unless said."""

    amount: Money | None = None
    reason: Line = ""
    reference: Line = ""


class IssueInvoice(BillCommand, frozen=True):
    """Invoice a folio's lines that stand on no document yet; `buyer` only if it is not whom the folio names."""

    folio: int = 1
    buyer: PartyPlan | None = None


class IssueCreditNote(Command, frozen=True):
    """Take a whole invoice back: its lines are reversed, and stand on a credit note."""

    number: Line
    reason: Name


BILLING_COMMANDS: tuple[type[Command], ...] = (
    ApplyReservationEvent, ChangeBillingTerms, OpenFolio, PostCharge, ReverseCharge, MoveCharges, SplitCharge,
    RecordPayment, StartPayment, SettlePayment, CapturePayment, VoidPayment, RefundPayment, IssueInvoice,
    IssueCreditNote,
)  # fmt: skip
