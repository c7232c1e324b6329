"""The events that follow from what a provider reports of a payment, in any order, twice, and late.

A capture, refund, chargeback or return is known by the provider's id of it, or by the operation that it answers, and
counts once. What concerns money that is not captured yet is kept, and counts once it is: so the order changes nothing.
A failure after the capture, by the provider's own times, is a return; without times, a late one is outdated.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from innkeeper.actors.billing.rules.payment_fold import payment_after, refund_of
from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.folio import FolioLine, LineKind
from innkeeper.protocol.billing.payment import (
    Chargeback,
    ChargebackStatus,
    Operation,
    Payment,
    PaymentAction,
    PaymentNews,
    PaymentStatus,
    RefusalCode,
)
from innkeeper.protocol.billing.transitions import PAYMENT_TRANSITIONS

Events = Iterator[events.PaymentEvent]


class Posting(NamedTuple):
    """Where the lines of a payment go: the booking, the business date, and their numbers."""

    booking: str
    business_date: date
    numbers: Iterator[int]

    def line(self, kind: LineKind, payment: str, method: str, amount: int) -> FolioLine:
        """The next line of a payment. One that lowers the balance is negative."""
        return FolioLine(
            id=next(self.numbers),
            kind=kind,
            business_date=self.business_date,
            amount=amount,
            text=method,
            payment=payment,
        )


def follow(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    """The events that follow from a provider's news; none where it is known or outdated."""
    yield from _NEWS[news.outcome](posting, payment, news)


def _leads(payment: Payment, kind: type[events.PaymentEvent]) -> bool:
    return (payment.status, kind) in PAYMENT_TRANSITIONS


def _action_required(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    if payment.status is PaymentStatus.PENDING and news.next_action not in (None, payment.next_action):
        assert news.next_action is not None
        yield events.PaymentActionRequired(
            posting.booking, payment.folio, payment.id, news.next_action, news.reference
        )  # fmt: skip


def _authorised(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    if _leads(payment, events.PaymentAuthorised):
        yield events.PaymentAuthorised(posting.booking, payment.folio, payment.id, news.reference, news.expires_at)


def _captured(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    """Records the capture, then what was reported of it before; a later failure was the return of the money."""
    if not _leads(payment, events.PaymentRecorded):
        return
    amount = payment.amount if news.amount is None else news.amount
    line = posting.line(LineKind.PAYMENT, payment.id, payment.method, -amount)
    recorded = events.PaymentRecorded(
        posting.booking, payment.folio, payment.id, payment.method, line, news.reference, news.at
    )
    yield recorded
    early = list(payment.early)
    if payment.status is PaymentStatus.FAILED and 0 < news.at < payment.failed_at:
        early.append(PaymentNews(outcome="returned", code=payment.code, reason=payment.reason))
    yield from _follow_kept(posting, payment_after(payment, recorded), early)


def _follow_kept(posting: Posting, payment: Payment, kept: Iterable[PaymentNews]) -> Events:
    for one in kept:
        for event in follow(posting, payment, one):
            yield event
            payment = payment_after(payment, event)


def _failed(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    if _leads(payment, events.PaymentFailed):
        yield events.PaymentFailed(
            posting.booking, payment.folio, payment.id, news.reason, news.reference, news.code, news.at
        )
    elif news.at > payment.captured_at > 0:
        yield from _returned(posting, payment, news)


def _voided(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    operation = _pending(payment, news)
    if _leads(payment, events.PaymentVoided):
        reason = news.reason or (operation.reason if operation is not None else "")
        yield events.PaymentVoided(posting.booking, payment.folio, payment.id, reason)
    elif operation is not None:
        yield _refusal(posting, payment, news, RefusalCode.NOT_POSSIBLE, f"the payment is {payment.status.value}")


def _refused(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    """Nothing can be reserved any more where the provider cannot capture what has expired or it does not know; nothing
    is left to void then either."""
    operation = _pending(payment, news)
    if operation is None:
        return
    code = news.code or RefusalCode.DECLINED
    is_gone = code in (RefusalCode.EXPIRED, RefusalCode.UNKNOWN_PAYMENT)
    if operation.action is PaymentAction.VOID and is_gone and _leads(payment, events.PaymentVoided):
        yield events.PaymentVoided(posting.booking, payment.folio, payment.id, news.reason)
        return
    yield _refusal(posting, payment, news, code, news.reason)
    if operation.action is PaymentAction.CAPTURE and is_gone and _leads(payment, events.PaymentFailed):
        yield events.PaymentFailed(posting.booking, payment.folio, payment.id, news.reason, code=code, at=news.at)


def _refusal(
    posting: Posting, payment: Payment, news: PaymentNews, code: RefusalCode, reason: str
) -> events.PaymentOperationRefused:
    assert news.operation is not None
    return events.PaymentOperationRefused(posting.booking, payment.folio, payment.id, news.operation, code, reason)


def _pending(payment: Payment, news: PaymentNews) -> Operation | None:
    return next((one for one in payment.pending if one.number == news.operation), None)


def _keep(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    if all((one.outcome, one.id, one.operation) != (news.outcome, news.id, news.operation) for one in payment.early):
        yield events.PaymentNewsKept(posting.booking, payment.folio, payment.id, news)


def _refunded(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    """A refund that names no operation answers a pending one of its amount; else it was made at the provider. One of
    more than is left is kept: it counts once an earlier one is reported as failed."""
    if not payment.captured:
        yield from _keep(posting, payment, news)
        return
    answered = [one.operation for one in payment.refunds if one.operation is not None]
    if news.operation in answered or refund_of(payment, news.id, None) is not None:
        return
    asked = [one for one in payment.operations if one.action is PaymentAction.REFUND]
    operation = next((one for one in asked if one.number == news.operation), None)
    if operation is None:
        operation = next((one for one in asked if one in payment.pending and one.amount == news.amount), None)
    left = payment.captured - payment.refunded
    amount = operation.amount if operation is not None else (news.amount or left)
    if not 0 < amount <= left:
        yield from _keep(posting, payment, news)
    else:
        yield events.PaymentRefunded(
            posting.booking,
            payment.folio,
            payment.id,
            payment.method,
            posting.line(LineKind.REFUND, payment.id, payment.method, amount),
            operation.reason if operation is not None and not news.reason else news.reason,
            news.id,
            None if operation is None else operation.number,
        )


def _refund_failed(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    """Books a refund back that had counted. One that is reported as failed before it is as made never counts."""
    if not payment.captured:
        yield from _keep(posting, payment, news)
        return
    known = refund_of(payment, news.id, news.operation)
    if known is not None and known.failed:
        return
    line, operation = None, None
    if known is not None:
        line, operation = posting.line(LineKind.PAYMENT, payment.id, payment.method, -known.amount), known.operation
    elif (asked := _pending(payment, news)) is not None and asked.action is PaymentAction.REFUND:
        operation = asked.number
    failed = events.PaymentRefundFailed(
        posting.booking, payment.folio, payment.id, payment.method, news.id, line, news.code or RefusalCode.DECLINED,
        news.reason, operation,
    )  # fmt: skip
    yield failed
    yield from _follow_kept(posting, payment_after(payment, failed), payment.early)


def _chargeback_opened(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    if not payment.captured:
        yield from _keep(posting, payment, news)
    elif _chargeback(payment, news) is None:
        yield _charge_back(posting, payment, news)


def _charge_back(posting: Posting, payment: Payment, news: PaymentNews) -> events.PaymentChargedBack:
    amount = news.amount or payment.captured - payment.refunded
    line = posting.line(LineKind.CHARGEBACK, payment.id, payment.method, amount)
    return events.PaymentChargedBack(
        posting.booking, payment.folio, payment.id, payment.method, line, news.id, news.reason
    )  # fmt: skip


def _chargeback(payment: Payment, news: PaymentNews) -> Chargeback | None:
    return next((one for one in payment.chargebacks if one.id == news.id), None)


def _chargeback_closed(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    """One that is reported as lost before it is as opened is opened first. A lost one can still be won, not the other
    way."""
    if not payment.captured:
        yield from _keep(posting, payment, news)
        return
    won = news.outcome == "chargeback_won"
    known = _chargeback(payment, news)
    if known is not None and (
        known.status is ChargebackStatus.WON or (known.status is ChargebackStatus.LOST and not won)
    ):
        return
    if known is None and not won:
        yield _charge_back(posting, payment, news)
    amount = known.amount if known is not None else (news.amount or payment.captured)
    line = posting.line(LineKind.PAYMENT, payment.id, payment.method, -amount) if won and known is not None else None
    yield events.PaymentChargebackClosed(
        posting.booking, payment.folio, payment.id, payment.method, news.id, amount, won, line
    )


def _returned(posting: Posting, payment: Payment, news: PaymentNews) -> Events:
    if not payment.captured:
        yield from _keep(posting, payment, news)
    elif _leads(payment, events.PaymentReturned):
        line = posting.line(LineKind.RETURN, payment.id, payment.method, news.amount or payment.captured)
        yield events.PaymentReturned(
            posting.booking, payment.folio, payment.id, payment.method, line, news.reason, news.id
        )


_NEWS: dict[str, Callable[[Posting, Payment, PaymentNews], Events]] = {
    "requires_action": _action_required,
    "authorised": _authorised,
    "captured": _captured,
    "failed": _failed,
    "voided": _voided,
    "refused": _refused,
    "refunded": _refunded,
    "refund_failed": _refund_failed,
    "chargeback_opened": _chargeback_opened,
    "chargeback_won": _chargeback_closed,
    "chargeback_lost": _chargeback_closed,
    "returned": _returned,
}
