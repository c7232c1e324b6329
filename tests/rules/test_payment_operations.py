"""What a provider is asked to do has happened once it says so: a refusal leaves the balance as it is."""

from typing import Any

import pytest
from innkeeper.protocol.billing.commands import CapturePayment, RefundPayment, ReturnPayment, VoidPayment
from innkeeper.protocol.billing.payment import OperationStatus, Payment, PaymentStatus, RefusalCode
from innkeeper.protocol.reservations import commands
from innkeeper.storage.audit.billing import BillingAuditor
from support.billing_fixture import LedgerFixture, eur
from support.ledger_refusals import refused
from support.notifications_fixture import HOUR
from support.partition_fixture import HOTEL


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture()


@pytest.fixture
def booking(ledger: LedgerFixture) -> str:
    """A guest who owes 100.00 for one of nine nights."""
    booking = ledger.book_and_check_in(0, 9)
    ledger.roll_business_date()
    return booking


def authorised(ledger: LedgerFixture, booking: str, amount: int = 10_000) -> Payment:
    return ledger.settle_payment(ledger.start_payment(booking, amount, capture=False), "authorised")


def captured(ledger: LedgerFixture, booking: str, amount: int = 10_000) -> Payment:
    return ledger.settle_payment(ledger.start_payment(booking, amount), "captured")


def refuse(ledger: LedgerFixture, payment: Payment, code: RefusalCode = RefusalCode.DECLINED) -> Payment:
    return ledger.answer(payment, outcome="refused", code=code, reason="the bank said no")


def is_audited(ledger: LedgerFixture) -> bool:
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    return auditor.violations == []


def test_a_refund_counts_when_the_provider_has_made_it(ledger: LedgerFixture, booking: str) -> None:
    payment = captured(ledger, booking)
    pending = ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(4_000), "late"))
    assert (pending.status, pending.refunded, pending.refund_pending) == (PaymentStatus.CAPTURED, 0, 4_000)
    assert ledger.bill(booking).balance == 0
    done = ledger.answer(pending, id="re-1")
    assert (done.refunded, done.refund_pending, done.reason) == (4_000, 0, "late")
    assert ledger.bill(booking).balance == 4_000
    assert is_audited(ledger)


def test_a_refused_refund_never_counts_and_can_be_asked_for_again(ledger: LedgerFixture, booking: str) -> None:
    payment = captured(ledger, booking)
    ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(4_000)))
    no = refuse(ledger, payment)
    assert (no.status, no.refunded, no.refund_pending, no.refundable) == (PaymentStatus.CAPTURED, 0, 0, 10_000)
    operation = no.operations[0]
    assert (operation.status, operation.code) == (OperationStatus.REFUSED, RefusalCode.DECLINED)
    assert operation.reason == "the bank said no"
    assert ledger.bill(booking).balance == 0
    assert ledger.carry_out(RefundPayment(HOTEL, payment.id, eur(4_000))).refunded == 4_000
    assert is_audited(ledger)


def test_refunds_that_wait_cannot_exceed_the_captured_amount(ledger: LedgerFixture, booking: str) -> None:
    payment = captured(ledger, booking)
    for amount in (6_000, 4_000):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(amount)))
    with refused(ledger, "the payment is captured; it waits for the provider to answer a refund"):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(1)))
    refuse(ledger, payment)
    with refused(ledger, "amount:captured_max"):
        ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(6_001)))
    assert ledger.answer(payment).refunded == 4_000


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (RefusalCode.DECLINED, PaymentStatus.AUTHORISED),
        (RefusalCode.NOT_POSSIBLE, PaymentStatus.AUTHORISED),
        (RefusalCode.EXPIRED, PaymentStatus.FAILED),
        (RefusalCode.UNKNOWN_PAYMENT, PaymentStatus.FAILED),
    ],
)
def test_a_refused_capture_leaves_the_balance(
    ledger: LedgerFixture, booking: str, code: RefusalCode, status: PaymentStatus
) -> None:
    payment = authorised(ledger, booking)
    asked = ledger.execute_payment(CapturePayment(HOTEL, payment.id, eur(9_000)))
    assert (asked.status, asked.captured) == (PaymentStatus.AUTHORISED, 0)
    for again in (CapturePayment(HOTEL, payment.id), VoidPayment(HOTEL, payment.id)):
        with refused(ledger, "it waits for the provider to answer a capture"):
            ledger.execute_payment(again)
    no = refuse(ledger, payment, code)
    assert (no.status, no.captured, no.operations[0].code) == (status, 0, code)
    assert ledger.bill(booking).balance == 10_000


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (RefusalCode.DECLINED, PaymentStatus.AUTHORISED),
        (RefusalCode.EXPIRED, PaymentStatus.VOIDED),
        (RefusalCode.UNKNOWN_PAYMENT, PaymentStatus.VOIDED),
    ],
)
def test_a_refused_void_keeps_what_is_reserved_unless_nothing_is(
    ledger: LedgerFixture, booking: str, code: RefusalCode, status: PaymentStatus
) -> None:
    payment = authorised(ledger, booking)
    ledger.execute_payment(VoidPayment(HOTEL, payment.id))
    assert refuse(ledger, payment, code).status is status


@pytest.mark.parametrize("outcome", ["captured", "refused"])
def test_the_answer_to_an_operation_counts_once(ledger: LedgerFixture, booking: str, outcome: Any) -> None:
    payment = authorised(ledger, booking)
    ledger.execute_payment(CapturePayment(HOTEL, payment.id, eur(9_000)))
    answers = {"operation": 1, "amount": eur(9_000) if outcome == "captured" else None}
    after = ledger.settle_payment(payment, outcome, **answers)
    count = len(ledger.records)
    assert ledger.settle_payment(payment, outcome, **answers) == after
    assert len(ledger.records) == count


def test_a_capture_that_crosses_a_void_counts_and_the_void_is_refused(ledger: LedgerFixture, booking: str) -> None:
    payment = authorised(ledger, booking)
    ledger.execute_payment(VoidPayment(HOTEL, payment.id))
    ledger.settle_payment(payment, "captured", amount=eur(10_000))
    ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(1_000)))
    after = ledger.answer(payment)
    assert (after.status, after.operations[0].code) == (PaymentStatus.CAPTURED, RefusalCode.NOT_POSSIBLE)
    assert ledger.bill(booking).balance == 0
    assert ledger.answer(payment).refunded == 1_000


def test_a_return_is_booked_by_hand_once(ledger: LedgerFixture, booking: str) -> None:
    payment = ledger.record_payment(booking, 10_000, method="transfer")
    back = ledger.execute_payment(ReturnPayment(HOTEL, payment.id, reason="no such account"))
    assert (back.status, back.returned, back.reason) == (PaymentStatus.RETURNED, 10_000, "no such account")
    assert ledger.bill(booking).balance == 10_000
    with refused(ledger, "the payment is returned already"):
        ledger.execute_payment(ReturnPayment(HOTEL, payment.id))
    assert is_audited(ledger)
    cash = ledger.record_payment(booking, 100)
    with refused(ledger, "the payment is captured; it can be refunded"):
        ledger.execute_payment(ReturnPayment(HOTEL, cash.id))
    other = ledger.record_payment(booking, 100, method="terminal")
    with refused(ledger, "amount:captured_max"):
        ledger.execute_payment(ReturnPayment(HOTEL, other.id, eur(101)))


def test_a_return_that_staff_and_the_provider_report_is_booked_once(ledger: LedgerFixture, booking: str) -> None:
    payment = captured(ledger, booking)
    ledger.execute_payment(ReturnPayment(HOTEL, payment.id))
    ledger.settle_payment(payment, "returned", id="rt-1")
    assert ledger.bill(booking).balance == 10_000


class TestWhatIsReservedIsLetGo:
    """After each of these nothing is owed, and the provider is asked to void the payment."""

    def void_reason(self, ledger: LedgerFixture, payment: Payment) -> str:
        operations = ledger.state.payment(payment.id).operations
        assert [one.action.value for one in operations] == ["void"]
        return operations[0].reason

    def test_after_a_free_cancellation(self, ledger: LedgerFixture) -> None:
        booking = ledger.book(9, 1)
        payment = authorised(ledger, booking, 5_000)
        ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
        assert self.void_reason(ledger, payment) == "nothing is owed any more"
        assert ledger.answer(payment).status is PaymentStatus.VOIDED

    def test_after_a_hold_was_released_or_ran_out(self, ledger: LedgerFixture) -> None:
        held = [ledger.book(9, 1, status="held", hold_seconds=3_600) for _ in range(2)]
        payments = [authorised(ledger, booking, 5_000) for booking in held]
        ledger.execute_on_hotel(commands.ReleaseHold(HOTEL, held[0]))
        ledger.advance_clock(2 * HOUR)
        for payment in payments:
            assert self.void_reason(ledger, payment)

    def test_a_payment_that_is_not_started_yet_too(self, ledger: LedgerFixture) -> None:
        held = ledger.book(9, 1, status="held", hold_seconds=3_600)
        payment = ledger.start_payment(held, 5_000)
        ledger.advance_clock(2 * HOUR)
        assert self.void_reason(ledger, payment)

    def test_after_a_no_show_without_a_fee(self, ledger: LedgerFixture) -> None:
        booking = ledger.book(0, 1)
        payment = authorised(ledger, booking, 5_000)
        ledger.execute_on_hotel(commands.MarkNoShow(HOTEL, booking, waive_fee=True, reason="storm"))
        assert self.void_reason(ledger, payment)

    def test_after_a_check_out_that_is_paid_and_not_before(self, ledger: LedgerFixture) -> None:
        booking = ledger.book_and_check_in(0, 1)
        payment = authorised(ledger, booking, 10_000)
        ledger.roll_business_date()
        ledger.check_out(booking)
        assert ledger.state.payment(payment.id).operations == ()
        assert ledger.state.payment(payment.id).reserved == 10_000
        ledger.record_payment(booking, 10_000)
        assert self.void_reason(ledger, payment)
        assert is_audited(ledger)

    def test_where_it_is_authorised_after_the_cancellation(self, ledger: LedgerFixture) -> None:
        booking = ledger.book(9, 1)
        payment = ledger.start_payment(booking, 5_000, capture=False)
        ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
        refuse(ledger, payment)
        ledger.settle_payment(payment, "authorised")
        assert self.void_reason(ledger, payment), "it is not asked again by itself"

    def test_not_while_a_fee_is_owed(self, ledger: LedgerFixture) -> None:
        booking = ledger.book(0, 1)
        payment = authorised(ledger, booking, 5_000)
        ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
        assert ledger.bill(booking).balance == 10_000
        assert ledger.state.payment(payment.id).operations == ()
