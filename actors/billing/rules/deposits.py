"""The deposits that are due before arrival, and how much of each is paid."""

from datetime import date, timedelta

from innkeeper.actors.billing.rules.taxes import half_up, taxed
from innkeeper.protocol.billing.folio import DepositDue, StayTerms
from innkeeper.protocol.billing.terms import BillingTerms, ChargeKind, Deposit
from innkeeper.protocol.reservations.transitions import NOT_ENDED


def stay_price(terms: BillingTerms, stay: StayTerms) -> int:
    """The price of all nights of the stay, with taxes."""
    night, _ = taxed(terms.taxes, ChargeKind.ROOM, stay.rate, 1, stay)
    return night * stay.nights


def deposits_due(terms: BillingTerms, stay: StayTerms, paid: int) -> tuple[DepositDue, ...]:
    """The deposits by due date. Each is rounded so that together they add up to the sum of their percentages; payments
    cover the earliest first. None is due before the day of booking, and a booking that has ended has none."""
    if stay.status not in NOT_ENDED:
        return ()
    price = stay_price(terms, stay)
    days = sorted((_due(deposit, stay), deposit.percent) for deposit in terms.deposits)
    deposits = []
    percent = requested = 0
    for due, more in days:
        percent += more
        amount = half_up(price * percent, 100) - requested
        covered = min(max(paid - requested, 0), amount)
        requested += amount
        deposits.append(DepositDue(due, amount, covered))
    return tuple(deposits)


def _due(deposit: Deposit, stay: StayTerms) -> date:
    if deposit.days_before_arrival is None:
        return stay.booked_on
    return max(stay.booked_on, stay.arrival - timedelta(days=deposit.days_before_arrival))
