"""What a provider reports of a payment by itself: each kind of news has its balance, in any order, and if it comes
twice."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.protocol.billing.commands import RefundPayment
from innkeeper.protocol.billing.payment import OperationStatus, Payment, PaymentStatus
from innkeeper.storage.audit.billing import BillingAuditor
from msgspec.structs import replace
from support.billing_fixture import LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL


class Case(NamedTuple):
    """News of a payment of 100.00, and how much is paid after all of it."""

    news: tuple[dict[str, Any], ...]
    paid: int
    status: PaymentStatus = PaymentStatus.CAPTURED


def news(outcome: str, units: int | None = None, **more: Any) -> dict[str, Any]:
    return {"outcome": outcome, **({} if units is None else {"amount": eur(units)}), **more}


CAPTURED = news("captured", 10_000)
REFUNDED_ALL = news("refunded", 10_000, id="re-1")
FAILED_ALL = news("refund_failed", 10_000, id="re-1", reason="the account is closed")
OPENED = news("chargeback_opened", 10_000, id="dp-1")

CASES = {
    "captured": Case((news("authorised"), CAPTURED), 10_000),
    "captured in part": Case((news("authorised"), news("captured", 7_000)), 7_000),
    "refunded at the provider": Case((CAPTURED, news("refunded", 4_000, id="re-1")), 6_000),
    "refunded twice": Case(
        (CAPTURED, news("refunded", 4_000, id="re-1"), news("refunded", 6_000, id="re-2")), 0, PaymentStatus.REFUNDED
    ),
    "captured and refunded in part": Case((news("captured", 7_000), news("refunded", 3_000, id="re-1")), 4_000),
    "a refund failed after it was made": Case((CAPTURED, REFUNDED_ALL, FAILED_ALL), 10_000),
    "a refund of a part failed after it was made": Case(
        (CAPTURED, news("refunded", 4_000, id="re-1"), news("refund_failed", 4_000, id="re-1")), 10_000
    ),
    "a refund failed, and another one was made": Case(
        (CAPTURED, REFUNDED_ALL, FAILED_ALL, news("refunded", 10_000, id="re-2")), 0, PaymentStatus.REFUNDED
    ),
    "a refund failed, another one of a part was made": Case(
        (CAPTURED, REFUNDED_ALL, FAILED_ALL, news("refunded", 3_000, id="re-2")), 7_000
    ),
    "one of two refunds failed": Case(
        (
            CAPTURED,
            news("refunded", 4_000, id="re-1"),
            news("refunded", 5_000, id="re-2"),
            news("refund_failed", 5_000, id="re-2"),
        ),
        6_000,
    ),
    "a refund failed that was never reported as made": Case((CAPTURED, FAILED_ALL), 10_000),
    "a refund failed, and the rest is charged back": Case((CAPTURED, REFUNDED_ALL, FAILED_ALL, OPENED), 0),
    "a chargeback is open": Case((CAPTURED, OPENED), 0),
    "a chargeback of a part is open": Case((CAPTURED, news("chargeback_opened", 2_500, id="dp-1")), 7_500),
    "a chargeback is won": Case((CAPTURED, OPENED, news("chargeback_won", 10_000, id="dp-1")), 10_000),
    "a chargeback is lost": Case((CAPTURED, OPENED, news("chargeback_lost", 10_000, id="dp-1")), 0),
    "one is won, another lost": Case(
        (
            CAPTURED,
            news("chargeback_opened", 3_000, id="dp-1"),
            news("chargeback_opened", 2_000, id="dp-2"),
            news("chargeback_won", 3_000, id="dp-1"),
            news("chargeback_lost", 2_000, id="dp-2"),
        ),
        8_000,
    ),
    "refunded in part, the rest charged back": Case(
        (CAPTURED, news("refunded", 4_000, id="re-1"), news("chargeback_opened", 6_000, id="dp-1")), 0
    ),
    "returned": Case((CAPTURED, news("returned", 10_000, id="rt-1")), 0, PaymentStatus.RETURNED),
    "failed after it was captured": Case(
        (news("captured", 10_000, at=1_000), news("failed", at=2_000)), 0, PaymentStatus.RETURNED
    ),
    "captured after it had failed": Case((news("captured", 10_000, at=2_000), news("failed", at=1_000)), 10_000),
}


def paid_after(reported: list[dict[str, Any]]) -> tuple[int, Payment]:
    """What is paid of a bill, and the payment, after all of this was reported."""
    ledger = LedgerFixture()
    booking = ledger.book_and_check_in(0, 9)
    payment = ledger.start_payment(booking, 10_000)
    for one in reported:
        fields = dict(one)
        ledger.settle_payment(payment, fields.pop("outcome"), **fields)
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []
    return ledger.bill(booking).paid, ledger.state.payment(payment.id)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_news_has_its_balance(case: Case) -> None:
    paid, payment = paid_after(list(case.news))
    assert (paid, payment.status) == (case.paid, case.status)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_news_in_any_order_and_twice_has_the_same_balance(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(list(CASES.values())))
    paid, payment = paid_after(data.draw(st.permutations([*case.news, *case.news])))
    assert (paid, payment.status, payment.early) == (case.paid, case.status, ())


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_refund_that_was_asked_for_and_failed_can_be_asked_for_again(data: st.DataObject) -> None:
    ledger = LedgerFixture()
    booking = ledger.book_and_check_in(0, 9)
    payment = ledger.settle_payment(ledger.start_payment(booking, 10_000), "captured")
    ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(4_000)))
    made = news("refunded", 4_000, id="re-1", operation=1)
    failed = news("refund_failed", 4_000, id="re-1", operation=1, reason="the account is closed")
    for one in data.draw(st.permutations([made, failed, made, failed])):
        fields = dict(one)
        payment = ledger.settle_payment(payment, fields.pop("outcome"), **fields)
    (operation,) = payment.operations
    assert (operation.status, operation.reason) == (OperationStatus.REFUSED, "the account is closed")
    assert (ledger.bill(booking).paid, payment.refundable) == (10_000, 10_000)
    assert ledger.carry_out(RefundPayment(HOTEL, payment.id)).status is PaymentStatus.REFUNDED
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert (auditor.violations, ledger.bill(booking).paid) == ([], 0)


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        (lambda made, failed: [made, replace(failed, line=None)], "took 4000, and gave back 0"),
        (
            lambda made, failed: [made, replace(failed, line=replace(failed.line, amount=-1))],
            "took 4000, and gave back 1",
        ),
        (lambda made, failed: [failed], "took 0, and gave back 4000"),
        (lambda made, failed: [made, failed, replace(failed, line=None)], "failed twice"),
        (lambda made, failed: [replace(failed, line=None), made], "counts, but had failed"),
    ],
)
def test_the_auditor_notices_a_failed_refund_that_is_not_booked_back_once(
    change: Callable[[Any, Any], list[Any]], violation: str
) -> None:
    ledger = LedgerFixture()
    payment = ledger.start_payment(ledger.book_and_check_in(0, 9), 10_000)
    for one in (CAPTURED, news("refunded", 4_000, id="re-1"), news("refund_failed", 4_000, id="re-1")):
        ledger.settle_payment(payment, **one)
    *before, made, failed = ledger.records
    changed = [
        replace(made, hotel_seq=made.hotel_seq + number, event=event)
        for number, event in enumerate(change(made.event, failed.event))
    ]
    auditor = BillingAuditor()
    auditor.handle([*before, *changed])
    assert any(violation in found for found in auditor.violations), auditor.violations


def test_nothing_is_refunded_that_the_bank_has_taken_back() -> None:
    _, payment = paid_after([CAPTURED, news("chargeback_opened", 2_500, id="dp-1")])
    assert (payment.charged_back, payment.refundable) == (2_500, 7_500)
    _, payment = paid_after([CAPTURED, news("returned")])
    assert payment.refundable == 0


@pytest.mark.parametrize(
    "outcome", ["refunded", "refund_failed", "chargeback_opened", "chargeback_won", "chargeback_lost"]
)
def test_news_that_could_not_be_told_apart_is_refused(outcome: str) -> None:
    ledger = LedgerFixture()
    payment = ledger.start_payment(ledger.book_and_check_in(0, 9), 10_000)
    with refused(ledger, "id:required"):
        ledger.settle_payment(payment, outcome, amount=eur(100))
