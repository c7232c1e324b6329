"""The deposits that are due before arrival, and how much of each is paid."""

from collections.abc import Sequence
from datetime import date, timedelta

from innkeeper.protocol.billing.folio import DepositDue, StayTerms
from innkeeper.protocol.reservations.terms import Deposit
from innkeeper.protocol.reservations.transitions import NOT_ENDED
from innkeeper.protocol.values.taxes import half_up


def deposits_due(terms: Sequence[Deposit], stay: StayTerms, paid: int) -> tuple[DepositDue, ...]:
    """The deposits by due date. Each is rounded so that together they add up to the sum of their percentages; payments
    cover the earliest first. None is due before the day of booking, and a booking that has ended has none."""
    if stay.status not in NOT_ENDED:
        return ()
    days = sorted((_due(deposit, stay), deposit.percent) for deposit in terms)
    deposits = []
    percent = requested = 0
    for due, more in days:
        percent += more
        amount = half_up(stay.price * percent, 100) - requested
        covered = min(max(paid - requested, 0), amount)
        requested += amount
        deposits.append(DepositDue(due, amount, covered))
    return tuple(deposits)


def _due(deposit: Deposit, stay: StayTerms) -> date:
    if deposit.days_before_arrival is None:
        return stay.booked_on
    return max(stay.booked_on, stay.arrival - timedelta(days=deposit.days_before_arrival))
