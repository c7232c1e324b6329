"""What is to be paid before the guest comes, and how much of that has been."""

from datetime import date, timedelta

from innkeeper.actors.billing.rules.taxes import half_up, taxed
from innkeeper.protocol.billing.folio import DepositDue, StayTerms
from innkeeper.protocol.billing.terms import BillingTerms, ChargeKind, Deposit
from innkeeper.protocol.reservations.booking import Status

_STILL_WANTED = (Status.HELD, Status.CONFIRMED, Status.IN_HOUSE)


def stay_price(terms: BillingTerms, stay: StayTerms) -> int:
    """What all nights of the stay come to, taxes and all."""
    night, _ = taxed(terms.taxes, ChargeKind.ROOM, stay.rate, 1, stay)
    return night * stay.nights


def deposits_due(terms: BillingTerms, stay: StayTerms, paid: int) -> tuple[DepositDue, ...]:
    """The deposits in the order of their days. Each is rounded so that they add up to their percentages together;
    what was paid covers the first of them first. None is due before the booking was made, nor after it has ended."""
    if stay.status not in _STILL_WANTED:
        return ()
    price = stay_price(terms, stay)
    days = sorted((_due(deposit, stay), deposit.percent) for deposit in terms.deposits)
    deposits = []
    percent = asked = 0
    for due, more in days:
        percent += more
        amount = half_up(price * percent, 100) - asked
        covered = min(max(paid - asked, 0), amount)
        asked += amount
        deposits.append(DepositDue(due, amount, covered))
    return tuple(deposits)


def _due(deposit: Deposit, stay: StayTerms) -> date:
    if deposit.days_before_arrival is None:
        return stay.booked_on
    return max(stay.booked_on, stay.arrival - timedelta(days=deposit.days_before_arrival))
