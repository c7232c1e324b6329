"""Payments: manual ones, which are paid at once, and those of a provider, whose outcome is reported later.

What may follow in which status is in `protocol/billing/transitions.py`.
"""

from innkeeper.actors.billing.rules.lookups import (
    Decision,
    check_room,
    find_bill,
    find_folio,
    find_payment,
    line_numbers,
    positive,
    the_payment,
)
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import Folio, FolioLine, LineKind, Payment
from innkeeper.protocol.billing.transitions import ACTIONS, OUTCOMES, PAYMENT_TRANSITIONS
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money, render
from innkeeper.protocol.values.sentences import one_of

_DONE = {"void": "voided", "capture": "captured", "refund": "refunded"}


def allowed(payment: Payment) -> tuple[str, ...]:
    """The actions of staff that the payment allows now."""
    return tuple(action for status, action in ACTIONS if status is payment.status)


def record_payment(state: LedgerState, command: commands.RecordPayment, envelope: Envelope) -> Decision:
    """Records a manual payment."""
    folio = find_folio(find_bill(state, command.booking), command.folio)
    amount = positive(state, command.amount)
    _check_payments(folio)
    check_room(folio)
    line = _line(state, LineKind.PAYMENT, envelope.id, command.method, -amount)
    done = events.PaymentRecorded(command.booking, folio.number, envelope.id, command.method, line, command.reference)
    return Decision((done,), the_payment(envelope.id))


def start_payment(state: LedgerState, command: commands.StartPayment, envelope: Envelope) -> Decision:
    """Starts a payment with a provider."""
    folio = find_folio(find_bill(state, command.booking), command.folio)
    amount = positive(state, command.amount)
    _check_payments(folio)
    started = events.PaymentStarted(
        command.booking, folio.number, envelope.id, command.provider, amount, command.capture, command.token
    )
    return Decision((started,), the_payment(envelope.id))


def _check_payments(folio: Folio) -> None:
    if len(folio.payments) >= limits.payments_per_folio_max:
        raise invalid("folio", "payments_max", f"a folio has at most {limits.payments_per_folio_max} payments")


def _line(state: LedgerState, kind: LineKind, payment: str, method: str, amount: int) -> FolioLine:
    return FolioLine(
        id=next(line_numbers(state)),
        kind=kind,
        business_date=state.opened().business_date,
        amount=amount,
        text=method,
        payment=payment,
    )


def settle_payment(state: LedgerState, command: commands.SettlePayment, envelope: Envelope) -> Decision:
    """Applies the outcome that a provider reports."""
    payment = find_payment(state, command.payment)
    booking = state.payments[payment.id]
    done: tuple[events.PaymentEvent, ...] = ()
    if (payment.status, OUTCOMES[command.outcome]) in PAYMENT_TRANSITIONS:
        match command.outcome:
            case "authorised":
                done = (events.PaymentAuthorised(booking, payment.folio, payment.id, command.reference),)
            case "captured":
                done = (_captured(state, payment, command.amount, command.reference),)
            case "failed":
                done = (events.PaymentFailed(booking, payment.folio, payment.id, command.reason, command.reference),)
            case "voided":
                done = (events.PaymentVoided(booking, payment.folio, payment.id, command.reason),)
    return Decision(done, the_payment(payment.id))


def capture_payment(state: LedgerState, command: commands.CapturePayment, envelope: Envelope) -> Decision:
    """Captures the authorised amount, or less."""
    payment = _find_for("capture", state, command.payment)
    return Decision((_captured(state, payment, command.amount, command.reference),), the_payment(payment.id))


def _captured(state: LedgerState, payment: Payment, requested: Money | None, reference: str) -> events.PaymentRecorded:
    amount = payment.amount if requested is None else positive(state, requested)
    if amount > payment.amount:
        most = render(payment.amount, state.opened().currency)
        raise invalid("amount", "authorised_max", f"the maximum is {most}, the amount of the payment")
    line = _line(state, LineKind.PAYMENT, payment.id, payment.method, -amount)
    booking = state.payments[payment.id]
    return events.PaymentRecorded(booking, payment.folio, payment.id, payment.method, line, reference)


def void_payment(state: LedgerState, command: commands.VoidPayment, envelope: Envelope) -> Decision:
    """Voids a payment that is not captured."""
    payment = _find_for("void", state, command.payment)
    voided = events.PaymentVoided(state.payments[payment.id], payment.folio, payment.id, command.reason)
    return Decision((voided,), the_payment(payment.id))


def refund_payment(state: LedgerState, command: commands.RefundPayment, envelope: Envelope) -> Decision:
    """Refunds a payment, at most what is left of the captured amount."""
    payment = _find_for("refund", state, command.payment)
    left = payment.captured - payment.refunded
    amount = left if command.amount is None else positive(state, command.amount)
    if amount > left:
        most = render(left, state.opened().currency)
        raise invalid("amount", "captured_max", f"the maximum is {most}, what is left of the captured amount")
    booking = state.payments[payment.id]
    lines = state.folio(booking, payment.folio).lines
    refunds = sum(line.kind is LineKind.REFUND and line.payment == payment.id for line in lines)
    if refunds >= limits.refunds_per_payment_max and amount < left:
        currency = state.opened().currency
        raise invalid(
            "amount",
            "refunds_max",
            f"after {limits.refunds_per_payment_max} refunds, expected all that is left, {render(left, currency)}",
        )
    line = _line(state, LineKind.REFUND, payment.id, payment.method, amount)
    refunded = events.PaymentRefunded(
        booking, payment.folio, payment.id, payment.method, line, command.reason, command.reference
    )
    return Decision((refunded,), the_payment(payment.id))


def _find_for(action: str, state: LedgerState, payment: str) -> Payment:
    found = find_payment(state, payment)
    if (found.status, action) not in ACTIONS:
        done = {PAYMENT_TRANSITIONS[status, kind] for (status, by), kind in ACTIONS.items() if by == action}
        already = " already" if found.status in done else ""
        instead = [_DONE[other] for other in allowed(found)]
        what = f"can be {one_of(instead)}" if instead else "cannot be changed any more"
        reason = f"the payment is {found.status.value}{already}; it {what}"
        raise Refused(ActionNotAllowed(action, reason, allowed(found)))
    return found
