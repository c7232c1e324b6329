"""Deposits: their due dates, their amounts, and how much of each is covered."""

from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.billing.rules.deposits import deposits_due
from innkeeper.protocol.billing.folio import DepositDue, StayTerms
from innkeeper.protocol.billing.queries import ShowBill
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.terms import Deposit, DepositRequest
from support.billing_fixture import CITY, LedgerFixture
from support.partition_fixture import HOTEL, TODAY, night, price_lines

SCHEDULE = (DepositRequest(50, 14), DepositRequest(30))


def deposits_of(ledger: LedgerFixture, booking: str) -> tuple[DepositDue, ...]:
    deposits: tuple[DepositDue, ...] = ledger.query(ShowBill(HOTEL, booking)).deposits
    return deposits


def test_deposits_are_due_at_booking_and_before_arrival() -> None:
    ledger = LedgerFixture(CITY, deposits=SCHEDULE)
    booking = ledger.book(30, 2)
    assert deposits_of(ledger, booking) == (DepositDue(TODAY, 6_120, 0), DepositDue(night(16), 10_200, 0))


def test_all_deposits_of_a_late_booking_are_due_at_once() -> None:
    ledger = LedgerFixture(deposits=SCHEDULE)
    assert [deposit.due for deposit in deposits_of(ledger, ledger.book(3, 1))] == [TODAY, TODAY]


def test_payments_cover_the_first_deposit_first() -> None:
    ledger = LedgerFixture(deposits=SCHEDULE)
    booking = ledger.book(30, 1)
    ledger.record_payment(booking, 4_000)
    assert [(deposit.amount, deposit.covered) for deposit in deposits_of(ledger, booking)] == [
        (3_000, 3_000),
        (5_000, 1_000),
    ]
    ledger.record_payment(booking, 9_000, allow_overpayment=True)
    assert [deposit.covered for deposit in deposits_of(ledger, booking)] == [3_000, 5_000]


def test_a_longer_stay_has_larger_deposits() -> None:
    ledger = LedgerFixture(deposits=SCHEDULE)
    booking = ledger.book(30, 1)
    ledger.change(booking, departure=night(32))
    assert [deposit.amount for deposit in deposits_of(ledger, booking)] == [6_000, 10_000]


def test_a_cancelled_booking_has_no_deposits() -> None:
    ledger = LedgerFixture(deposits=SCHEDULE)
    booking = ledger.book(30, 1)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    assert deposits_of(ledger, booking) == ()


@given(
    st.lists(st.tuples(st.integers(1, 25), st.none() | st.integers(0, 40)), max_size=4),
    st.integers(0, 99_999),
    st.integers(1, 9),
    st.integers(0, 10**6),
)
def test_deposits_add_up_to_the_cent(schedule: list[tuple[int, int | None]], rate: int, nights: int, paid: int) -> None:
    terms = tuple(Deposit(*one) for one in schedule)
    stay = StayTerms(
        locator="L", status=BookingStatus.CONFIRMED, booked_on=TODAY, arrival=night(20), departure=night(20 + nights),
        lines=price_lines(night(20), nights, rate), terms=1,
    )  # fmt: skip
    deposits = deposits_due(terms, stay, paid)
    percent, total = sum(percent for percent, _ in schedule), rate * nights
    assert sum(deposit.amount for deposit in deposits) == (2 * total * percent + 100) // 200
    assert sum(deposit.covered for deposit in deposits) == min(paid, sum(deposit.amount for deposit in deposits))
    assert all(0 <= deposit.covered <= deposit.amount for deposit in deposits)
    assert [deposit.due for deposit in deposits] == sorted(deposit.due for deposit in deposits)
    assert all(TODAY <= deposit.due <= stay.arrival for deposit in deposits)
