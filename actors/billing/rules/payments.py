"""Payments: manual ones, which are paid at once, and those of a provider, which has to agree to each operation.

What may follow in which status is in `protocol/billing/transitions.py`, what a provider reports in `payment_news.py`.
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
from innkeeper.actors.billing.rules.payment_fold import UNSETTLED
from innkeeper.actors.billing.rules.payment_news import Posting, follow
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import Folio, LineKind
from innkeeper.protocol.billing.payment import Operation, Payment, PaymentAction, PaymentNews
from innkeeper.protocol.billing.transitions import ACTIONS, PAYMENT_TRANSITIONS
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.sentences import one_of

_DONE = {"void": "voided", "capture": "captured", "refund": "refunded", "return": "returned"}
_WITH_ID = ("refund_failed", "chargeback_opened", "chargeback_won", "chargeback_lost")


def allowed(payment: Payment) -> tuple[str, ...]:
    """The actions of staff that the payment allows now: none, while the provider has not answered a capture or a void
    of what is reserved; refunds go on, as far as something is left."""
    if payment.status in UNSETTLED and any(one.action is not PaymentAction.REFUND for one in payment.pending):
        return ()
    actions = [action for status, action in ACTIONS if status is payment.status]
    if payment.captured and payment.refundable <= 0 and "refund" in actions:
        actions.remove("refund")
    if payment.method == "cash" and "return" in actions:
        actions.remove("return")
    return tuple(actions)


def record_payment(state: LedgerState, command: commands.RecordPayment, envelope: Envelope) -> Decision:
    """Records a manual payment."""
    folio, amount = _owed_part(state, command)
    check_room(folio)
    line = _posting(state, command.booking).line(LineKind.PAYMENT, envelope.id, command.method, -amount)
    done = events.PaymentRecorded(command.booking, folio.number, envelope.id, command.method, line, command.reference)
    return Decision((done,), the_payment(envelope.id))


def start_payment(state: LedgerState, command: commands.StartPayment, envelope: Envelope) -> Decision:
    """Starts a payment with a provider."""
    folio, amount = _owed_part(state, command)
    started = events.PaymentStarted(
        command.booking, folio.number, envelope.id, command.provider, amount, command.capture, command.token,
        find_bill(state, command.booking).stay.status is BookingStatus.HELD,
    )  # fmt: skip
    return Decision((started,), the_payment(envelope.id))


def _owed_part(state: LedgerState, command: commands.RecordPayment | commands.StartPayment) -> tuple[Folio, int]:
    """The folio and the amount of a new payment. Refuses more than what is owed, where it was not asked for."""
    bill = find_bill(state, command.booking)
    folio = find_folio(bill, command.folio)
    amount = positive(state, command.amount)
    if amount > (owed := max(bill.owed, 0)) and not command.allow_overpayment:
        most = render(owed, state.opened().currency)
        raise invalid(
            "amount", "owed_max", f"{most} is owed for the booking; more has to be asked for: allow_overpayment"
        )
    _check_payments(folio)
    return folio, amount


def _check_payments(folio: Folio) -> None:
    if len(folio.payments) >= limits.payments_per_folio_max:
        raise invalid("folio", "payments_max", f"a folio has at most {limits.payments_per_folio_max} payments")


def _posting(state: LedgerState, booking: str) -> Posting:
    return Posting(booking, state.opened().business_date, line_numbers(state))


def settle_payment(state: LedgerState, command: commands.SettlePayment, envelope: Envelope) -> Decision:
    """Applies what a provider reports."""
    payment = find_payment(state, command.payment)
    amount = None if command.amount is None else positive(state, command.amount)
    if command.outcome == "captured":
        _check_authorised(state, payment, amount)
    if (command.outcome in _WITH_ID and not command.id) or (
        command.outcome == "refunded" and not command.id and command.operation is None
    ):
        raise invalid("id", "required", f"expected the provider's id with outcome {command.outcome!r}")
    if len(payment.early) >= limits.payment_operations_max:
        raise invalid("payment", "news_max", "too much was reported of the payment that does not count yet")
    news = PaymentNews(
        outcome=command.outcome, amount=amount, reference=command.reference, id=command.id, code=command.code,
        operation=command.operation, reason=command.reason, at=command.at, expires_at=command.expires_at,
        next_action=command.next_action,
    )  # fmt: skip
    done = tuple(follow(_posting(state, state.payments[payment.id]), payment, news))
    return Decision(done, the_payment(payment.id))


def _check_authorised(state: LedgerState, payment: Payment, amount: int | None) -> None:
    if amount is not None and amount > payment.amount:
        most = render(payment.amount, state.opened().currency)
        raise invalid("amount", "authorised_max", f"the maximum is {most}, the amount of the payment")


def capture_payment(state: LedgerState, command: commands.CapturePayment, envelope: Envelope) -> Decision:
    """Asks the provider to capture the authorised amount, or less."""
    payment = _find_for("capture", state, command.payment)
    amount = payment.amount if command.amount is None else positive(state, command.amount)
    _check_authorised(state, payment, amount)
    return Decision((_request(state, payment, PaymentAction.CAPTURE, amount),), the_payment(payment.id))


def void_payment(state: LedgerState, command: commands.VoidPayment, envelope: Envelope) -> Decision:
    """Asks the provider to void a payment that is not captured."""
    payment = _find_for("void", state, command.payment)
    asked = _request(state, payment, PaymentAction.VOID, payment.amount, command.reason)
    return Decision((asked,), the_payment(payment.id))


def refund_payment(state: LedgerState, command: commands.RefundPayment, envelope: Envelope) -> Decision:
    """Refunds a payment, at most what is left of it: by hand at once, else once the provider agrees."""
    payment = _find_for("refund", state, command.payment)
    is_manual = payment.method in commands.MANUAL_METHODS
    if command.reference and not is_manual:
        own = f"a refund by {payment.method} takes no reference: the provider gives its own"
        raise invalid("reference", "manual", own)
    left = payment.refundable
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
    if not is_manual:
        asked = _request(state, payment, PaymentAction.REFUND, amount, command.reason)
        return Decision((asked,), the_payment(payment.id))
    line = _posting(state, booking).line(LineKind.REFUND, payment.id, payment.method, amount)
    refunded = events.PaymentRefunded(
        booking, payment.folio, payment.id, payment.method, line, command.reason, command.reference
    )
    return Decision((refunded,), the_payment(payment.id))


def return_payment(state: LedgerState, command: commands.ReturnPayment, envelope: Envelope) -> Decision:
    """Records that the bank has returned a payment."""
    payment = _find_for("return", state, command.payment)
    amount = payment.captured if command.amount is None else positive(state, command.amount)
    if amount > payment.captured:
        most = render(payment.captured, state.opened().currency)
        raise invalid("amount", "captured_max", f"the maximum is {most}, the captured amount")
    news = PaymentNews(outcome="returned", amount=amount, reason=command.reason, id=command.reference)
    return Decision(tuple(follow(_posting(state, state.payments[payment.id]), payment, news)), the_payment(payment.id))


def _request(
    state: LedgerState, payment: Payment, action: PaymentAction, amount: int, reason: str = ""
) -> events.PaymentOperationRequested:
    if len(payment.operations) >= limits.payment_operations_max:
        most = limits.payment_operations_max
        raise invalid("payment", "operations_max", f"a provider is asked for at most {most} operations of a payment")
    return requested(state.payments[payment.id], payment, action, amount, reason)


def requested(
    booking: str, payment: Payment, action: PaymentAction, amount: int, reason: str
) -> events.PaymentOperationRequested:
    """The event that asks the provider for an operation."""
    operation = Operation(len(payment.operations) + 1, action, amount, reason=reason)
    return events.PaymentOperationRequested(booking, payment.folio, payment.id, operation)


def _find_for(action: str, state: LedgerState, payment: str) -> Payment:
    found = find_payment(state, payment)
    actions = allowed(found)
    if action not in actions:
        done = {PAYMENT_TRANSITIONS[status, kind] for (status, by), kind in ACTIONS.items() if by == action}
        already = " already" if found.status in done else ""
        instead = [_DONE[other] for other in actions]
        what = f"can be {one_of(instead)}" if instead else "cannot be changed any more"
        if found.pending:
            what = f"waits for the provider to answer a {found.pending[-1].action.value}"
        reason = f"the payment is {found.status.value}{already}; it {what}"
        raise Refused(ActionNotAllowed(action, reason, actions))
    return found
