"""The deposits that are due before arrival, and how much of each is paid."""

from collections.abc import Sequence

from innkeeper.protocol.billing.folio import DepositDue, StayTerms
from innkeeper.protocol.reservations.terms import Deposit, deposit_schedule
from innkeeper.protocol.reservations.transitions import NOT_ENDED


def deposits_due(terms: Sequence[Deposit], stay: StayTerms, paid: int) -> tuple[DepositDue, ...]:
    """The deposits by due date; see `deposit_schedule`. Payments cover the earliest first. A booking that has ended has
    none."""
    if stay.status not in NOT_ENDED:
        return ()
    deposits = []
    requested = 0
    for due, amount in deposit_schedule(terms, stay.price, stay.booked_on, stay.arrival):
        covered = min(max(paid - requested, 0), amount)
        requested += amount
        deposits.append(DepositDue(due, amount, covered))
    return tuple(deposits)
