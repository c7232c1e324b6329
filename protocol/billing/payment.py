"""The public form of a payment: its status, what a provider was asked to do with it, and what the provider reports.

A provider may refuse what it is asked. What it has not agreed to is pending and changes no balance. Its news may come
twice, late, and in any order. Amounts are minor units of the hotel's currency, instants microseconds since 1970 UTC.
"""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.text import UNPADDED
from msgspec import Meta

PaymentOutcome = Literal[
    "requires_action", "authorised", "captured", "failed", "voided", "refunded", "refused",
    "refund_failed", "chargeback_opened", "chargeback_won", "chargeback_lost", "returned",
]  # fmt: skip
"""What a provider reports of a payment; `refused` is about one operation, `refund_failed` about a refund whose money
has come back, or never left."""


class PaymentStatus(StrEnum):
    """The status of a payment. Only captured money counts; refunded means that all of it was refunded, returned that
    the bank has taken it back."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"
    REFUNDED = "refunded"
    RETURNED = "returned"


class PaymentAction(StrEnum):
    """What a provider can be asked to do with a payment that was started."""

    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class OperationStatus(StrEnum):
    """Whether the provider has done what it was asked to do."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


class RefusalCode(StrEnum):
    """Why a provider refuses: the bank declined; the authorisation has expired; the provider does not know the payment;
    the payment is in a state that does not allow it any more."""

    DECLINED = "declined"
    EXPIRED = "expired"
    UNKNOWN_PAYMENT = "unknown_payment"
    NOT_POSSIBLE = "not_possible"


class Operation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An operation that a provider was asked for, numbered within its payment. `code` and `reason` say why it was
    refused; until then `reason` is what was written about it."""

    number: int
    action: PaymentAction
    amount: int
    status: OperationStatus = OperationStatus.PENDING
    code: RefusalCode | None = None
    reason: str = ""


class ProviderRefund(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A refund by the provider's id of it, or by that which the staff gave, and the number of the operation that it
    answers. One that has `failed` did not reach the guest."""

    id: str
    amount: int
    operation: int | None = None
    failed: bool = False


class ChargebackStatus(StrEnum):
    """Whether the bank still keeps the money back, has given it back to the hotel, or keeps it for good."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Chargeback(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An objection of the guest's bank, by the provider's id of it."""

    id: str
    amount: int
    status: ChargebackStatus
    reason: str = ""


NextActionText = Annotated[str, Meta(max_length=limits.next_action_characters_max, pattern=UNPADDED)]


class NextAction(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the guest has to do before the payment can go on (3-D Secure): open `url`, or let the provider's library use
    the `client_secret`, which allows no more than to go on with this payment."""

    url: NextActionText = ""
    client_secret: NextActionText = ""


class HoldPaymentStatus(StrEnum):
    """How a payment that was started for a hold ends: it waits for the provider or the confirmation; the booking is
    confirmed; the hold has ended, and the money is on its way back, is back, or was refused to go back."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    PAYING_BACK = "paying_back"
    PAID_BACK = "paid_back"
    NOT_PAID_BACK = "not_paid_back"


class PaymentNews(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a provider reports of a payment. `amount` is that of a capture, refund, chargeback or return, None for all
    of the payment; `id` is the provider's id of a refund, chargeback or return, `reference` that of the payment.
    `operation` is the number of the operation that it answers; `at` is the time by the provider's own clock,
    0 where it gives none."""

    outcome: PaymentOutcome
    amount: int | None = None
    reference: str = ""
    id: str = ""
    operation: int | None = None
    code: RefusalCode | None = None
    reason: str = ""
    at: int = 0
    expires_at: int = 0
    next_action: NextAction | None = None


class Payment(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A payment of a folio. `method` is cash, terminal, transfer, or a provider's name; `amount` is the requested one.
    `capture`: whether the provider is to capture the money at once or only to authorise it; an authorisation ends at
    `expires_at`. `token` is the provider's token for it, `refunds` are those with an id; `early` is news that does not
    count yet, because the money is not captured, or less is left than was refunded. `captured_at` and `failed_at` are
    the provider's times. One that was started `for_hold` confirms the hold. `version` is the number of the ledger's
    last event that changed it."""

    id: str
    folio: int
    method: str
    status: PaymentStatus
    amount: int
    started_at: int
    for_hold: bool = False
    captured: int = 0
    refunded: int = 0
    returned: int = 0
    capture: bool = True
    token: str = ""
    reference: str = ""
    code: RefusalCode | None = None
    reason: str = ""
    expires_at: int = 0
    next_action: NextAction | None = None
    operations: tuple[Operation, ...] = ()
    chargebacks: tuple[Chargeback, ...] = ()
    refunds: tuple[ProviderRefund, ...] = ()
    early: tuple[PaymentNews, ...] = ()
    captured_at: int = 0
    failed_at: int = 0
    version: int = 0

    @property
    def charged_back(self) -> int:
        """What the bank keeps back by chargebacks that are open or lost."""
        return sum(one.amount for one in self.chargebacks if one.status is not ChargebackStatus.WON)

    @property
    def refund_pending(self) -> int:
        """The refunds that the provider has not agreed to yet."""
        return sum(one.amount for one in self.pending if one.action is PaymentAction.REFUND)

    @property
    def refundable(self) -> int:
        """What can still be refunded: what is captured, and neither paid back, nor about to be, nor taken back."""
        return self.captured - self.refunded - self.refund_pending - self.charged_back - self.returned

    @property
    def pending(self) -> tuple[Operation, ...]:
        """The operations that the provider has not answered."""
        return tuple(one for one in self.operations if one.status is OperationStatus.PENDING)

    @property
    def reserved(self) -> int:
        """What is blocked on the guest's account, but not captured."""
        return self.amount if self.status is PaymentStatus.AUTHORISED else 0


def hold_payment_status(payment: Payment, booking: BookingStatus) -> HoldPaymentStatus | None:
    """How far the payment for a hold is, whose booking has this status by now; None for any other payment, and for one
    that took no money."""
    has_money = payment.captured > 0 or payment.status in (PaymentStatus.PENDING, PaymentStatus.AUTHORISED)
    if not payment.for_hold or not (has_money or payment.status is PaymentStatus.VOIDED):
        return None
    if booking is BookingStatus.HELD:
        return HoldPaymentStatus.WAITING if has_money else None
    if booking not in (BookingStatus.EXPIRED, BookingStatus.RELEASED):
        return HoldPaymentStatus.CONFIRMED if has_money else None
    left = payment.captured - payment.refunded - payment.charged_back - payment.returned
    if left <= 0 and payment.status not in (PaymentStatus.PENDING, PaymentStatus.AUTHORISED):
        return HoldPaymentStatus.PAID_BACK
    refused = payment.operations and payment.operations[-1].status is OperationStatus.REFUSED
    return HoldPaymentStatus.NOT_PAID_BACK if refused else HoldPaymentStatus.PAYING_BACK
