"""The fold of one payment: what each event changes of it."""

from collections.abc import Callable
from typing import Any

import msgspec
from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.payment import (
    Chargeback,
    ChargebackStatus,
    Operation,
    OperationStatus,
    Payment,
    PaymentAction,
    PaymentStatus,
    ProviderRefund,
    RefusalCode,
)
from innkeeper.protocol.billing.transitions import KEEPING_STATUS, PAYMENT_TRANSITIONS
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS

_replace = msgspec.structs.replace
Changes = dict[str, Any]


def payment_after(payment: Payment, event: Event) -> Payment:
    """The payment after an event about it."""
    rule = PAYMENT_FOLD[type(event)]
    if rule is None:
        return payment
    changes = rule(payment, event)
    if type(event) not in KEEPING_STATUS and "status" not in changes:
        changes["status"] = PAYMENT_TRANSITIONS[payment.status, type(event)]
    if changes.get("reference") == "":
        del changes["reference"]  # an earlier reference is kept
    return _replace(payment, **changes)


def _action_required(_: Payment, event: events.PaymentActionRequired) -> Changes:
    return {"next_action": event.next_action, "reference": event.reference}


def _authorised(_: Payment, event: events.PaymentAuthorised) -> Changes:
    return {"reference": event.reference, "expires_at": event.expires_at, "next_action": None}


def _requested(payment: Payment, event: events.PaymentOperationRequested) -> Changes:
    return {"operations": (*payment.operations, event.operation)}


def _refused(payment: Payment, event: events.PaymentOperationRefused) -> Changes:
    return {
        "operations": tuple(
            _replace(one, status=OperationStatus.REFUSED, code=event.code, reason=event.reason)
            if one.number == event.operation
            else one
            for one in payment.operations
        )
    }


def _recorded(payment: Payment, event: events.PaymentRecorded) -> Changes:
    return {
        "captured": -event.line.amount,
        "reference": event.reference,
        "code": None,
        "reason": "",
        "expires_at": 0,
        "next_action": None,
        "captured_at": event.at,
        "early": (),
        "operations": _answered(payment, PaymentAction.CAPTURE, OperationStatus.DONE),
    }


def _failed(payment: Payment, event: events.PaymentFailed) -> Changes:
    return {
        "code": event.code,
        "reason": event.reason,
        "reference": event.reference,
        "expires_at": 0,
        "next_action": None,
        "failed_at": event.at,
        "operations": _nothing_reserved(payment),
    }


def _voided(payment: Payment, event: events.PaymentVoided) -> Changes:
    return {"reason": event.reason, "expires_at": 0, "next_action": None, "operations": _nothing_reserved(payment)}


def _nothing_reserved(payment: Payment) -> tuple[Operation, ...]:
    """The operations once nothing is reserved any more: a void is done, a capture is not possible."""
    voided = _answered(payment, PaymentAction.VOID, OperationStatus.DONE)
    return _answered(_replace(payment, operations=voided), PaymentAction.CAPTURE, OperationStatus.REFUSED)


def _answered(payment: Payment, action: PaymentAction, status: OperationStatus) -> tuple[Operation, ...]:
    code = RefusalCode.NOT_POSSIBLE if status is OperationStatus.REFUSED else None
    return tuple(
        _replace(one, status=status, code=code)
        if one.action is action and one.status is OperationStatus.PENDING
        else one
        for one in payment.operations
    )


def _refunded(payment: Payment, event: events.PaymentRefunded) -> Changes:
    refunded = payment.refunded + event.line.amount
    changes: Changes = {
        "refunded": refunded,
        "reason": event.reason,
        "operations": tuple(
            _replace(one, status=OperationStatus.DONE, code=None) if one.number == event.operation else one
            for one in payment.operations
        ),
    }
    if event.reference or event.operation is not None:
        refund = ProviderRefund(event.reference, event.line.amount, event.operation)
        changes["refunds"] = (*payment.refunds, refund)
    return changes | ({"status": payment.status} if refunded < payment.captured else {})


def _refund_failed(payment: Payment, event: events.PaymentRefundFailed) -> Changes:
    """News that was kept may count now."""
    amount = 0 if event.line is None else -event.line.amount
    known = refund_of(payment, event.reference, event.operation)
    failed = ProviderRefund(event.reference, amount, event.operation, failed=True)
    changes: Changes = {
        "refunded": payment.refunded - amount,
        "refunds": (*(one for one in payment.refunds if one is not known), failed),
        "reason": event.reason,
        "early": (),
        "operations": tuple(
            _replace(one, status=OperationStatus.REFUSED, code=event.code, reason=event.reason)
            if one.number == event.operation
            else one
            for one in payment.operations
        ),
    }
    return changes | ({} if amount and payment.status is PaymentStatus.REFUNDED else {"status": payment.status})


def refund_of(payment: Payment, reference: str, operation: int | None) -> ProviderRefund | None:
    """The refund with this id; else the one without an id that answers this operation; None where it is not known."""
    for one in payment.refunds:
        if reference and one.id == reference:
            return one
    for one in payment.refunds:
        if operation is not None and one.operation == operation and not (one.id and reference):
            return one
    return None


def _charged_back(payment: Payment, event: events.PaymentChargedBack) -> Changes:
    opened = Chargeback(event.chargeback, event.line.amount, ChargebackStatus.OPEN, event.reason)
    return {"chargebacks": (*payment.chargebacks, opened)}


def _chargeback_closed(payment: Payment, event: events.PaymentChargebackClosed) -> Changes:
    status = ChargebackStatus.WON if event.won else ChargebackStatus.LOST
    known = {one.id: one for one in payment.chargebacks}
    was = known.get(event.chargeback) or Chargeback(event.chargeback, event.amount, status)
    return {"chargebacks": tuple((known | {was.id: _replace(was, status=status)}).values())}


def _returned(payment: Payment, event: events.PaymentReturned) -> Changes:
    return {"returned": payment.returned + event.line.amount, "reason": event.reason}


def _news_kept(payment: Payment, event: events.PaymentNewsKept) -> Changes:
    return {"early": (*payment.early, event.news)}


PAYMENT_FOLD = EventTable[Callable[[Payment, Any], Changes]](
    "a payment",
    handles={
        events.PaymentActionRequired: _action_required,
        events.PaymentAuthorised: _authorised,
        events.PaymentOperationRequested: _requested,
        events.PaymentOperationRefused: _refused,
        events.PaymentRecorded: _recorded,
        events.PaymentFailed: _failed,
        events.PaymentVoided: _voided,
        events.PaymentRefunded: _refunded,
        events.PaymentRefundFailed: _refund_failed,
        events.PaymentChargedBack: _charged_back,
        events.PaymentChargebackClosed: _chargeback_closed,
        events.PaymentReturned: _returned,
        events.PaymentNewsKept: _news_kept,
    },
    ignores=(
        events.LedgerTimelineBegun, events.LedgerBookingsLost, events.LedgerOpened, events.LedgerDayOpened,
        events.LedgerTermsOfSaleChanged, events.LedgerRenamed, events.BillingTermsChanged, events.FolioOpened,
        events.FolioTermsChanged, events.BuyerChanged, events.LedgerGuestForgotten, events.ChargePosted,
        events.ChargeReversed, events.PaymentStarted, events.PaymentMoved, events.BookingPaid, events.InvoiceIssued,
        events.DepositInvoiceIssued, events.CreditNoteIssued,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip
"""What each event changes of a payment that was started, or made by hand, before it."""

UNSETTLED = (PaymentStatus.PENDING, PaymentStatus.AUTHORISED)
"""In these, nothing is captured, but something is or may become reserved."""
