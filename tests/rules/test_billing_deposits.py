"""Deposits: when they are due, how much they are, and how much of each is covered."""

from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.billing.rules.deposits import deposits_due
from innkeeper.protocol.billing.folio import DepositDue, StayTerms
from innkeeper.protocol.billing.queries import ShowBill
from innkeeper.protocol.billing.terms import BillingTerms, Deposit, DepositPlan, Party
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Status
from support.billing_fixture import CITY, LedgerFixture
from support.partition_fixture import HOTEL, TODAY, night

SCHEDULE = (DepositPlan(50, 14), DepositPlan(30))


def dues(books: LedgerFixture, booking: str) -> tuple[DepositDue, ...]:
    deposits: tuple[DepositDue, ...] = books.query(ShowBill(HOTEL, booking)).deposits
    return deposits


def test_deposits_are_due_at_booking_and_before_arrival() -> None:
    books = LedgerFixture(CITY, deposits=SCHEDULE)
    booking = books.book(30, 2)
    assert dues(books, booking) == (DepositDue(TODAY, 6_120, 0), DepositDue(night(16), 10_200, 0))


def test_who_books_late_owes_everything_at_once() -> None:
    books = LedgerFixture(deposits=SCHEDULE)
    assert [deposit.due for deposit in dues(books, books.book(3, 1))] == [TODAY, TODAY]


def test_what_was_paid_covers_the_first_deposit_first() -> None:
    books = LedgerFixture(deposits=SCHEDULE)
    booking = books.book(30, 1)
    books.record_payment(booking, 4_000)
    assert [(deposit.amount, deposit.covered) for deposit in dues(books, booking)] == [(3_000, 3_000), (5_000, 1_000)]
    books.record_payment(booking, 9_000)
    assert [deposit.covered for deposit in dues(books, booking)] == [3_000, 5_000]


def test_a_longer_stay_has_greater_deposits() -> None:
    books = LedgerFixture(deposits=SCHEDULE)
    booking = books.book(30, 1)
    books.change(booking, departure=night(32))
    assert [deposit.amount for deposit in dues(books, booking)] == [6_000, 10_000]


def test_nothing_is_due_for_a_stay_that_will_not_be() -> None:
    books = LedgerFixture(deposits=SCHEDULE)
    booking = books.book(30, 1)
    books.execute_on_hotel(commands.Cancel(HOTEL, booking))
    assert dues(books, booking) == ()


@given(
    st.lists(st.tuples(st.integers(1, 25), st.none() | st.integers(0, 40)), max_size=4),
    st.integers(0, 99_999),
    st.integers(1, 9),
    st.integers(0, 10**6),
)
def test_deposits_add_up_to_the_cent(schedule: list[tuple[int, int | None]], rate: int, nights: int, paid: int) -> None:
    terms = BillingTerms(seller=Party("S"), deposits=tuple(Deposit(*one) for one in schedule))
    stay = StayTerms(
        locator="L", status=Status.CONFIRMED, booked_on=TODAY, arrival=night(20), departure=night(20 + nights),
        rate=rate, adults=1,
    )  # fmt: skip
    deposits = deposits_due(terms, stay, paid)
    percent, total = sum(percent for percent, _ in schedule), rate * nights
    assert sum(deposit.amount for deposit in deposits) == (2 * total * percent + 100) // 200
    assert sum(deposit.covered for deposit in deposits) == min(paid, sum(deposit.amount for deposit in deposits))
    assert all(0 <= deposit.covered <= deposit.amount for deposit in deposits)
    assert [deposit.due for deposit in deposits] == sorted(deposit.due for deposit in deposits)
    assert all(TODAY <= deposit.due <= stay.arrival for deposit in deposits)
