"""What is reserved on a guest's account is let go when nothing is owed any more: after a free cancellation, a hold that
has ended, a no-show without a fee, and a check-out or a later payment that settles the balance."""

from collections.abc import Iterator, Sequence

from innkeeper.actors.billing.rules.double_entry import change_of
from innkeeper.actors.billing.rules.payment_fold import PAYMENT_FOLD, UNSETTLED, payment_after
from innkeeper.actors.billing.rules.payments import requested
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing.events import FolioTermsChanged, PaymentMoved
from innkeeper.protocol.billing.folio import Bill
from innkeeper.protocol.billing.payment import OperationStatus, Payment, PaymentAction
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.transitions import NOT_ENDED
from innkeeper.protocol.values import limits


def with_releases(state: LedgerState, done: tuple[Event, ...]) -> tuple[Event, ...]:
    """The events, and the request to void each payment that is not captured, of the bookings for which nothing is owed
    after them. A void that a provider has refused is not requested again by itself."""
    bookings = dict.fromkeys(event.booking for event in done if isinstance(event, BookingEvent))
    bookings |= dict.fromkeys(event.to.booking for event in done if isinstance(event, PaymentMoved))
    bills = [bill for booking in bookings if (bill := state.bills.get(booking)) is not None and _may_reserve(bill)]
    return done if not bills else (*done, *(one for bill in bills for one in _releases(bill, done)))


def _may_reserve(bill: Bill) -> bool:
    return any(payment.status in UNSETTLED for folio in bill.folios for payment in folio.payments)


def _releases(bill: Bill, done: Sequence[Event]) -> Iterator[Event]:
    status, balance = bill.stay.status, bill.balance
    payments = {payment.id: payment for payment in bill.payments}
    for event in done:
        balance += change_of(event, bill.booking)
        if not isinstance(event, BookingEvent) or event.booking != bill.booking:
            continue
        if isinstance(event, FolioTermsChanged):
            status = event.stay.status
        if PAYMENT_FOLD[type(event)] is not None and event.payment in payments:  # type: ignore[attr-defined]
            payments[event.payment] = payment_after(payments[event.payment], event)  # type: ignore[attr-defined]
    if status not in NOT_ENDED and balance <= 0:
        for payment in payments.values():
            if payment.status in UNSETTLED and _is_unasked(payment):
                yield requested(bill.booking, payment, PaymentAction.VOID, payment.amount, "nothing is owed any more")


def _is_unasked(payment: Payment) -> bool:
    return len(payment.operations) < limits.payment_operations_max and not any(
        one.status is OperationStatus.PENDING or one.action is PaymentAction.VOID for one in payment.operations
    )
