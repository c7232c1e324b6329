"""Payments that move to another folio: the guest has paid on the wrong one, or for the other guest."""

from innkeeper.actors.billing.rules.documents import issued_of
from innkeeper.actors.billing.rules.lookups import (
    Decision,
    check_room,
    find_bill,
    find_folio,
    find_payment,
    line_numbers,
    the_payment,
)
from innkeeper.actors.billing.rules.payments import allowed
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import Bill, DocumentKind, Folio, FolioLine, LineKind, LinePosition
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.values import limits


def move_payment(state: LedgerState, command: commands.MovePayment, envelope: Envelope) -> Decision:
    """Moves what is left of a payment, with the day on which it was made."""
    payment = find_payment(state, command.payment)
    bill = find_bill(state, state.payments[payment.id])
    folio = find_folio(bill, payment.folio)
    target = find_bill(state, command.to_booking or bill.booking)
    there = find_folio(target, command.to_folio)
    if (target.booking, there.number) == (bill.booking, folio.number):
        raise invalid("to_folio", "other", f"payment {payment.id} is already on this folio")
    amount = -sum(line.amount for line in folio.lines if line.payment == payment.id)
    if amount <= 0:
        reason = f"nothing is left of payment {payment.id}, which is {payment.status.value}"
        raise Refused(ActionNotAllowed("move", reason, allowed(payment)))
    _check_deposits(state, bill, folio, amount)
    if len(there.payments) >= limits.payments_per_folio_max:
        raise invalid("to_folio", "payments_max", f"a folio has at most {limits.payments_per_folio_max} payments")
    check_room(there)
    numbers = line_numbers(state)
    paid_on = next(line.supplied for line in folio.lines if line.payment == payment.id)
    line = FolioLine(
        id=next(numbers),
        kind=LineKind.TRANSFER,
        business_date=state.opened().business_date,
        amount=amount,
        text=payment.method,
        payment=payment.id,
    )
    position = LinePosition(target.booking, there.number, next(numbers))
    moved = FolioLine(
        id=position.line,
        kind=LineKind.TRANSFER,
        business_date=line.business_date,
        amount=-amount,
        text=payment.method,
        payment=payment.id,
        supplied_on=paid_on,
        moved_from=LinePosition(bill.booking, folio.number, line.id),
    )
    done = events.PaymentMoved(bill.booking, folio.number, payment.id, line, position, moved)
    return Decision((done,), the_payment(payment.id))


def _check_deposits(state: LedgerState, bill: Bill, folio: Folio, amount: int) -> None:
    """Refuses to move money that a deposit invoice says was received on this folio."""
    deposits = [
        document
        for document in issued_of(state, bill, folio)
        if document.kind is DocumentKind.DEPOSIT_INVOICE and document.credited_by is None
    ]
    received = folio.charged - folio.balance
    if deposits and received - amount < sum(deposit.total for deposit in deposits):
        number = deposits[-1].number
        raise Refused(ActionNotAllowed("move", f"it is on deposit invoice {number}; credit that first", ()))
