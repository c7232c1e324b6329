"""Payments by hand and by a provider, whose news come twice, late and out of order; refunds; when a bill is paid."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.actors.billing.rules.payments import ACTIONS, OUTCOMES
from innkeeper.protocol.billing.commands import CapturePayment, RefundPayment, SplitCharge, StartPayment, VoidPayment
from innkeeper.protocol.billing.folio import LineKind, Payment, PaymentStatus
from innkeeper.protocol.billing.queries import ShowPayment
from innkeeper.protocol.messages.refusals import NotAllowed, Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from support.billing_fixture import LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL


@pytest.fixture
def books() -> LedgerFixture:
    return LedgerFixture()


@pytest.fixture
def booking(books: LedgerFixture) -> str:
    """A guest in house who owes 100.00."""
    booking = books.stay(0, 9)
    books.roll()
    return booking


@pytest.mark.parametrize("method", ["cash", "terminal", "transfer"])
def test_money_on_the_table_counts_at_once(books: LedgerFixture, booking: str, method: str) -> None:
    payment = books.pay(booking, 4_000, method=method, reference="slip 7")
    assert (payment.status, payment.captured, payment.reference) == (PaymentStatus.CAPTURED, 4_000, "slip 7")
    line = books.bill(booking).folios[0].lines[-1]
    assert (line.kind, line.amount, line.payment, line.text) == (LineKind.PAYMENT, -4_000, payment.id, method)
    assert books.bill(booking).balance == 6_000
    assert books.bill(booking).paid == 4_000


def test_a_bill_can_be_paid_too_much(books: LedgerFixture, booking: str) -> None:
    books.pay(booking, 15_000)
    assert books.bill(booking).balance == -5_000


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"amount": Money("0.00", "EUR")}, "amount:positive"),
        ({"amount": Money("1.00", "USD")}, "amount.currency:currency"),
        ({"folio": 2}, "folio"),
    ],
)
def test_what_is_no_payment_is_refused(books: LedgerFixture, booking: str, more: dict[str, Any], what: str) -> None:
    with refused(books, what):
        books.start(booking, 1, **more)
    with refused(books, what):
        books.pay(booking, 1, **more)


def test_cash_has_no_provider(books: LedgerFixture, booking: str) -> None:
    with refused(books, "provider:not_manual"):
        StartPayment(HOTEL, booking, provider="cash", amount=eur(1))


def test_money_that_was_asked_for_does_not_count_before_it_is_here(books: LedgerFixture, booking: str) -> None:
    payment = books.start(booking, 10_000)
    assert (payment.status, payment.captured) == (PaymentStatus.PENDING, 0)
    assert books.settle(payment, "authorised", reference="ref-1").status is PaymentStatus.AUTHORISED
    assert books.bill(booking).balance == 10_000
    done = books.settle(payment, "captured")
    assert (done.status, done.captured, done.reference) == (PaymentStatus.CAPTURED, 10_000, "ref-1")
    assert books.bill(booking).balance == 0


def test_a_payment_that_failed_says_why_and_costs_nothing(books: LedgerFixture, booking: str) -> None:
    failed = books.settle(books.start(booking, 10_000), "failed", reason="card declined")
    assert (failed.status, failed.reason) == (PaymentStatus.FAILED, "card declined")
    assert books.bill(booking).balance == 10_000


def test_money_that_came_after_all_counts(books: LedgerFixture, booking: str) -> None:
    payment = books.start(booking, 10_000)
    books.settle(payment, "failed", reason="timeout")
    captured = books.settle(payment, "captured")
    assert (captured.status, captured.reason) == (PaymentStatus.CAPTURED, "")
    voided = books.start(booking, 500)
    books.paid(VoidPayment(HOTEL, voided.id))
    assert books.settle(voided, "captured").captured == 500
    assert books.bill(booking).balance == -500


@pytest.mark.parametrize("late", ["authorised", "captured", "failed", "voided"])
def test_old_news_of_captured_money_changes_nothing(books: LedgerFixture, booking: str, late: str) -> None:
    payment = books.start(booking, 10_000)
    captured = books.settle(payment, "captured")
    before = len(books.records)
    assert books.settle(payment, late) == captured
    assert len(books.records) == before


def test_an_authorisation_that_is_told_after_its_failure_is_old_news(books: LedgerFixture, booking: str) -> None:
    payment = books.start(booking, 10_000)
    books.settle(payment, "failed")
    assert books.settle(payment, "authorised").status is PaymentStatus.FAILED


@given(st.lists(st.sampled_from(["authorised", "captured", "failed", "voided"]), max_size=6))
@settings(max_examples=60)
def test_whatever_a_provider_tells_in_whatever_order_money_counts_once(told: list[Any]) -> None:
    books = LedgerFixture()
    booking = books.stay()
    payment = books.start(booking, 700)
    for outcome in told:
        books.settle(payment, outcome)
    assert books.bill(booking).balance == (-700 if "captured" in told else 0)


def test_the_provider_may_have_taken_less(books: LedgerFixture, booking: str) -> None:
    payment = books.start(booking, 10_000)
    with refused(books, "amount:authorised_max"):
        books.settle(payment, "captured", amount=eur(10_001))
    assert books.settle(payment, "captured", amount=eur(9_000)).captured == 9_000
    assert books.paid(RefundPayment(HOTEL, payment.id)).status is PaymentStatus.REFUNDED
    with refused(books, "amount:only_captured"):
        books.settle(payment, "failed", amount=eur(9_000))


def test_an_authorisation_is_taken_in_full_in_part_or_let_go(books: LedgerFixture, booking: str) -> None:
    full, part, gone = (books.start(booking, 1_000, capture=False) for _ in range(3))
    for payment in (full, part, gone):
        books.settle(payment, "authorised")
    with refused(books, "amount:authorised_max"):
        books.paid(CapturePayment(HOTEL, part.id, eur(1_001)))
    with refused(books, "amount:positive"):
        books.paid(CapturePayment(HOTEL, part.id, eur(0)))
    assert books.paid(CapturePayment(HOTEL, full.id)).captured == 1_000
    assert books.paid(CapturePayment(HOTEL, part.id, eur(300))).captured == 300
    assert books.paid(VoidPayment(HOTEL, gone.id, "paid cash")).status is PaymentStatus.VOIDED
    assert books.bill(booking).balance == 8_700


def test_staff_can_do_with_a_payment_what_its_status_allows(books: LedgerFixture, booking: str) -> None:
    def at(*outcomes: Any) -> Payment:
        payment = books.start(booking, 1_000)
        for outcome in outcomes:
            payment = books.settle(payment, outcome)
        return payment

    made = [at(), at("authorised"), at("captured"), at("failed"), at("voided")]
    whole = at("captured")
    made.append(books.paid(RefundPayment(HOTEL, whole.id)))
    assert {payment.status for payment in made} == set(PaymentStatus)
    for payment in made:
        for action, kind in (("capture", CapturePayment), ("void", VoidPayment), ("refund", RefundPayment)):
            if (payment.status, action) not in ACTIONS:
                with refused(books, f"the payment is {payment.status.value}"):
                    books.paid(kind(HOTEL, payment.id))
    with pytest.raises(Refused) as told:
        books.paid(CapturePayment(HOTEL, made[0].id))
    assert isinstance(told.value.refusal, NotAllowed)
    assert told.value.refusal.allowed == ("void",)
    with refused(books, "payment"):
        books.paid(VoidPayment(HOTEL, "nothing"))
    with refused(books, "payment"):
        books.ask(ShowPayment(HOTEL, "nothing"))


def test_the_table_knows_every_status_and_outcome() -> None:
    assert {status for status, _ in OUTCOMES} | {PaymentStatus.CAPTURED, PaymentStatus.REFUNDED} == set(PaymentStatus)
    assert {outcome for _, outcome in OUTCOMES} == {"authorised", "captured", "failed", "voided"}


def test_money_goes_back_in_parts_and_never_more_than_came(books: LedgerFixture, booking: str) -> None:
    payment = books.pay(booking, 1_000)
    assert books.paid(RefundPayment(HOTEL, payment.id, eur(300), "late")).status is PaymentStatus.CAPTURED
    with refused(books, "amount:captured_max"):
        books.paid(RefundPayment(HOTEL, payment.id, eur(701)))
    with refused(books, "amount:positive"):
        books.paid(RefundPayment(HOTEL, payment.id, eur(0)))
    done = books.paid(RefundPayment(HOTEL, payment.id, reason="all of it"))
    assert (done.status, done.refunded, done.reason) == (PaymentStatus.REFUNDED, 1_000, "all of it")
    assert books.bill(booking).balance == 10_000
    assert [line.amount for line in books.bill(booking).folios[0].lines[-3:]] == [-1_000, 300, 700]


def test_a_cancelled_guest_still_pays_and_gets_money_back(books: LedgerFixture) -> None:
    booking = books.book(9, 1)
    deposit = books.pay(booking, 3_000)
    books.say(commands.Cancel(HOTEL, booking))
    books.paid(RefundPayment(HOTEL, deposit.id))
    books.pay(booking, 100)
    assert books.bill(booking).balance == -100


def test_a_folio_has_so_many_payments_and_a_payment_so_many_refunds(
    books: LedgerFixture, booking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "payments_per_folio_max", 1)
    monkeypatch.setattr(limits, "refunds_per_payment_max", 1)
    payment = books.pay(booking, 1_000)
    with refused(books, "folio:payments_max"):
        books.pay(booking, 1_000)
    with refused(books, "folio:payments_max"):
        books.start(booking, 1_000)
    books.paid(RefundPayment(HOTEL, payment.id, eur(1)))
    with refused(books, "amount:refunds_max"):
        books.paid(RefundPayment(HOTEL, payment.id, eur(1)))
    assert books.paid(RefundPayment(HOTEL, payment.id)).refunded == 1_000


def paid(books: LedgerFixture) -> list[int]:
    return [record.event.amount for record in books.records if record.event.name == "booking.paid"]  # type: ignore[attr-defined]


def test_a_bill_is_paid_when_nothing_is_owed_any_more(books: LedgerFixture, booking: str) -> None:
    books.pay(booking, 4_000)
    assert paid(books) == []
    books.pay(booking, 6_000)
    assert paid(books) == [10_000]
    books.charge(booking, 500)
    books.pay(booking, 500)
    assert paid(books) == [10_000, 10_500]


def test_a_bill_that_is_paid_is_not_paid_again_by_a_split(books: LedgerFixture, booking: str) -> None:
    books.pay(booking, 10_000)
    line = books.bill(booking).folios[0].lines[0]
    books.enter(SplitCharge(HOTEL, booking, line.id, eur(1)))
    assert paid(books) == [10_000]


def test_a_deposit_pays_the_night_that_it_was_for(books: LedgerFixture) -> None:
    booking = books.stay(0, 1)
    books.pay(booking, 10_000)
    assert paid(books) == []
    books.say(commands.CheckOut(HOTEL, booking))
    assert paid(books) == [10_000]
    assert books.records[-1].cause == books.happened[-1].id


def test_a_bill_that_owes_nothing_because_nothing_was_charged_is_not_paid(books: LedgerFixture) -> None:
    booking = books.stay(0, 5)
    payment = books.pay(booking, 500)
    books.paid(RefundPayment(HOTEL, payment.id))
    assert paid(books) == []


def test_an_overpaid_bill_is_paid_once_the_rest_went_back(books: LedgerFixture, booking: str) -> None:
    payment = books.pay(booking, 10_500)
    assert paid(books) == []
    books.paid(RefundPayment(HOTEL, payment.id, eur(500)))
    assert paid(books) == [10_000]
