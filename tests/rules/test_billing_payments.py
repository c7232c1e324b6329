"""Manual payments, and payments by a provider whose outcomes come twice, late and out of order; refunds; paid bills."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.protocol.billing.commands import (
    CapturePayment,
    RefundPayment,
    ReturnPayment,
    SplitCharge,
    StartPayment,
    VoidPayment,
)
from innkeeper.protocol.billing.folio import LineKind
from innkeeper.protocol.billing.payment import Payment, PaymentStatus
from innkeeper.protocol.billing.queries import ShowPayment
from innkeeper.protocol.billing.transitions import ACTIONS, PAYMENT_TRANSITIONS
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from support.billing_fixture import LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture()


@pytest.fixture
def booking(ledger: LedgerFixture) -> str:
    """A guest in house who owes 100.00."""
    booking = ledger.book_and_check_in(0, 9)
    ledger.roll_business_date()
    return booking


@pytest.mark.parametrize("method", ["cash", "terminal", "transfer"])
def test_a_manual_payment_is_captured_at_once(ledger: LedgerFixture, booking: str, method: str) -> None:
    payment = ledger.record_payment(booking, 4_000, method=method, reference="slip 7")
    assert (payment.status, payment.captured, payment.reference) == (PaymentStatus.CAPTURED, 4_000, "slip 7")
    line = ledger.bill(booking).folios[0].lines[-1]
    assert (line.kind, line.amount, line.payment, line.text) == (LineKind.PAYMENT, -4_000, payment.id, method)
    assert ledger.bill(booking).balance == 6_000
    assert ledger.bill(booking).paid == 4_000


def test_a_bill_can_be_overpaid(ledger: LedgerFixture, booking: str) -> None:
    ledger.record_payment(booking, 15_000)
    assert ledger.bill(booking).balance == -5_000


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"amount": Money("0.00", "EUR")}, "amount:positive"),
        ({"amount": Money("1.00", "USD")}, "amount.currency:currency"),
        ({"folio": 2}, "folio"),
    ],
)
def test_an_invalid_payment_is_refused(ledger: LedgerFixture, booking: str, more: dict[str, Any], problem: str) -> None:
    with refused(ledger, problem):
        ledger.start_payment(booking, 1, **more)
    with refused(ledger, problem):
        ledger.record_payment(booking, 1, **more)


def test_cash_is_no_payment_provider(ledger: LedgerFixture, booking: str) -> None:
    with refused(ledger, "provider:not_manual"):
        StartPayment(HOTEL, booking, provider="cash", amount=eur(1))


def test_a_payment_reduces_the_balance_only_when_captured(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.start_payment(booking, 10_000)
    assert (payment.status, payment.captured) == (PaymentStatus.PENDING, 0)
    assert ledger.settle_payment(payment, "authorised", reference="ref-1").status is PaymentStatus.AUTHORISED
    assert ledger.bill(booking).balance == 10_000
    done = ledger.settle_payment(payment, "captured")
    assert (done.status, done.captured, done.reference) == (PaymentStatus.CAPTURED, 10_000, "ref-1")
    assert ledger.bill(booking).balance == 0


def test_a_failed_payment_keeps_its_reason_and_the_balance(ledger: LedgerFixture, booking: str) -> None:
    failed = ledger.settle_payment(ledger.start_payment(booking, 10_000), "failed", reason="card declined")
    assert (failed.status, failed.reason) == (PaymentStatus.FAILED, "card declined")
    assert ledger.bill(booking).balance == 10_000


def test_a_capture_after_a_failure_or_a_void_counts(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.start_payment(booking, 10_000)
    ledger.settle_payment(payment, "failed", reason="timeout")
    captured = ledger.settle_payment(payment, "captured")
    assert (captured.status, captured.reason) == (PaymentStatus.CAPTURED, "")
    voided = ledger.start_payment(booking, 500)
    ledger.carry_out(VoidPayment(HOTEL, voided.id))
    assert ledger.settle_payment(voided, "captured").captured == 500
    assert ledger.bill(booking).balance == -500


@pytest.mark.parametrize("late", ["authorised", "captured", "failed", "voided"])
def test_late_outcomes_of_a_captured_payment_change_nothing(ledger: LedgerFixture, booking: str, late: str) -> None:
    payment = ledger.start_payment(booking, 10_000)
    captured = ledger.settle_payment(payment, "captured")
    before = len(ledger.records)
    assert ledger.settle_payment(payment, late) == captured
    assert len(ledger.records) == before


def test_an_authorisation_after_a_failure_is_ignored(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.start_payment(booking, 10_000)
    ledger.settle_payment(payment, "failed")
    assert ledger.settle_payment(payment, "authorised").status is PaymentStatus.FAILED


@given(st.lists(st.sampled_from(["authorised", "captured", "failed", "voided"]), max_size=6))
@settings(max_examples=60)
def test_outcomes_in_any_order_capture_a_payment_once(outcomes: list[Any]) -> None:
    ledger = LedgerFixture()
    booking = ledger.book_and_check_in()
    payment = ledger.start_payment(booking, 700)
    for outcome in outcomes:
        ledger.settle_payment(payment, outcome)
    assert ledger.bill(booking).balance == (-700 if "captured" in outcomes else 0)


def test_a_provider_may_capture_less_than_the_amount(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.start_payment(booking, 10_000)
    with refused(ledger, "amount:authorised_max"):
        ledger.settle_payment(payment, "captured", amount=eur(10_001))
    assert ledger.settle_payment(payment, "captured", amount=eur(9_000)).captured == 9_000
    assert ledger.carry_out(RefundPayment(HOTEL, payment.id)).status is PaymentStatus.REFUNDED


def test_an_authorisation_is_captured_in_full_in_part_or_voided(ledger: LedgerFixture, booking: str) -> None:
    full, part, voided = (ledger.start_payment(booking, 1_000, capture=False) for _ in range(3))
    for payment in (full, part, voided):
        ledger.settle_payment(payment, "authorised")
    with refused(ledger, "amount:authorised_max"):
        ledger.execute_payment(CapturePayment(HOTEL, part.id, eur(1_001)))
    with refused(ledger, "amount:positive"):
        ledger.execute_payment(CapturePayment(HOTEL, part.id, eur(0)))
    assert ledger.carry_out(CapturePayment(HOTEL, full.id)).captured == 1_000
    assert ledger.carry_out(CapturePayment(HOTEL, part.id, eur(300))).captured == 300
    assert ledger.carry_out(VoidPayment(HOTEL, voided.id, "paid cash")).status is PaymentStatus.VOIDED
    assert ledger.bill(booking).balance == 8_700


def test_the_status_of_a_payment_decides_which_actions_are_allowed(ledger: LedgerFixture, booking: str) -> None:
    def after(*outcomes: Any) -> Payment:
        payment = ledger.start_payment(booking, 1_000)
        for outcome in outcomes:
            payment = ledger.settle_payment(payment, outcome)
        return payment

    payments = [
        after(),
        after("authorised"),
        after("captured"),
        after("failed"),
        after("voided"),
        after("captured", "returned"),
    ]
    captured = after("captured")
    payments.append(ledger.carry_out(RefundPayment(HOTEL, captured.id)))
    assert {payment.status for payment in payments} == set(PaymentStatus)
    for payment in payments:
        kinds = {"capture": CapturePayment, "void": VoidPayment, "refund": RefundPayment, "return": ReturnPayment}
        for action, kind in kinds.items():
            if (payment.status, action) not in ACTIONS:
                with refused(ledger, f"the payment is {payment.status.value}"):
                    ledger.execute_payment(kind(HOTEL, payment.id))
    with pytest.raises(Refused) as error:
        ledger.execute_payment(CapturePayment(HOTEL, payments[0].id))
    assert isinstance(error.value.refusal, ActionNotAllowed)
    assert error.value.refusal.allowed == ("void",)
    with refused(ledger, "payment"):
        ledger.execute_payment(VoidPayment(HOTEL, "nothing"))
    with refused(ledger, "payment"):
        ledger.query(ShowPayment(HOTEL, "nothing"))


def test_every_status_of_a_payment_can_be_reached() -> None:
    assert {*PAYMENT_TRANSITIONS.values()} == set(PaymentStatus)


def test_a_refund_of_a_refunded_payment_says_that_it_is_refunded_already(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.record_payment(booking, 1_000)
    ledger.execute_payment(RefundPayment(HOTEL, payment.id))
    with refused(ledger, "the payment is refunded already; it cannot be changed any more"):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id))


def test_refunds_are_partial_and_never_exceed_the_captured_amount(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.record_payment(booking, 1_000)
    assert ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(300), "late")).status is PaymentStatus.CAPTURED
    with refused(ledger, "amount:captured_max"):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(701)))
    with refused(ledger, "amount:positive"):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(0)))
    done = ledger.execute_payment(RefundPayment(HOTEL, payment.id, reason="all of it"))
    assert (done.status, done.refunded, done.reason) == (PaymentStatus.REFUNDED, 1_000, "all of it")
    assert ledger.bill(booking).balance == 10_000
    assert [line.amount for line in ledger.bill(booking).folios[0].lines[-3:]] == [-1_000, 300, 700]


def test_a_cancelled_booking_can_have_payments_and_refunds(ledger: LedgerFixture) -> None:
    booking = ledger.book(9, 1)
    deposit = ledger.record_payment(booking, 3_000)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    ledger.execute_payment(RefundPayment(HOTEL, deposit.id))
    with refused(ledger, "amount:owed_max"):
        ledger.record_payment(booking, 100)
    ledger.record_payment(booking, 100, allow_overpayment=True)
    assert ledger.bill(booking).balance == -100


def test_payments_per_folio_and_refunds_per_payment_are_limited(
    ledger: LedgerFixture, booking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "payments_per_folio_max", 1)
    monkeypatch.setattr(limits, "refunds_per_payment_max", 1)
    payment = ledger.record_payment(booking, 1_000)
    with refused(ledger, "folio:payments_max"):
        ledger.record_payment(booking, 1_000)
    with refused(ledger, "folio:payments_max"):
        ledger.start_payment(booking, 1_000)
    ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(1)))
    with refused(ledger, "amount:refunds_max"):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(1)))
    assert ledger.execute_payment(RefundPayment(HOTEL, payment.id)).refunded == 1_000


def paid_amounts(ledger: LedgerFixture) -> list[int]:
    return [record.event.amount for record in ledger.records if record.event.name == "booking.paid"]  # type: ignore[attr-defined]


def test_a_bill_is_paid_when_its_balance_becomes_zero(ledger: LedgerFixture, booking: str) -> None:
    ledger.record_payment(booking, 4_000)
    assert paid_amounts(ledger) == []
    ledger.record_payment(booking, 6_000)
    assert paid_amounts(ledger) == [10_000]
    ledger.post_charge(booking, 500)
    ledger.record_payment(booking, 500)
    assert paid_amounts(ledger) == [10_000, 10_500]


def test_a_split_does_not_report_a_paid_bill_again(ledger: LedgerFixture, booking: str) -> None:
    ledger.record_payment(booking, 10_000)
    line = ledger.bill(booking).folios[0].lines[0]
    ledger.execute(SplitCharge(HOTEL, booking, line.id, eur(1)))
    assert paid_amounts(ledger) == [10_000]


def test_a_deposit_pays_the_bill_at_check_out(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 1)
    ledger.record_payment(booking, 10_000)
    assert paid_amounts(ledger) == []
    ledger.check_out(booking)
    assert paid_amounts(ledger) == [10_000]
    assert ledger.records[-1].cause == ledger.hotel_records[-1].id


def test_a_bill_without_charges_is_not_reported_as_paid(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 5)
    payment = ledger.record_payment(booking, 500)
    ledger.execute_payment(RefundPayment(HOTEL, payment.id))
    assert paid_amounts(ledger) == []


def test_an_overpaid_bill_is_paid_after_the_refund_of_the_excess(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.record_payment(booking, 10_500)
    assert paid_amounts(ledger) == []
    ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(500)))
    assert paid_amounts(ledger) == [10_000]
