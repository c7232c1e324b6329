"""Deposit invoices: each is taken off once, the documents add up to the charges, and none is above the stay's price."""

import pytest
from innkeeper.protocol.billing.commands import (
    IssueDepositInvoice,
    MovePayment,
    RefundPayment,
    ReissueInvoice,
    ReturnPayment,
)
from innkeeper.protocol.billing.folio import DocumentKind, Invoice
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.storage.audit.billing import BillingAuditor
from support.billing_fixture import VAT, LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL

GLOBEX = PartyRequest("Globex", ("1 Main Street",), "PT123")


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture(VAT)


def invoice_deposit(ledger: LedgerFixture, booking: str, minor_units: int | None = None) -> Invoice:
    amount = None if minor_units is None else eur(minor_units)
    return ledger.execute_invoice(IssueDepositInvoice(HOTEL, booking, 1, amount))


def check(ledger: LedgerFixture, booking: str) -> None:
    """Check that the documents of a booking add up to its charges and their taxes."""
    issued = ledger.state.documents.values()
    lines = [line for folio in ledger.bill(booking).folios for line in folio.lines if line.is_charge]
    assert sum(document.total for document in issued) == ledger.bill(booking).charged
    assert sum(total.tax for document in issued for total in document.totals) == sum(line.tax for line in lines)
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []


def test_a_deposit_is_taken_off_when_the_nights_are_invoiced_one_by_one(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.record_payment(booking, 15_000)
    invoice_deposit(ledger, booking)
    ledger.roll_business_date()
    assert ledger.issue_invoice(booking).total == 10_000
    ledger.roll_business_date()
    last = ledger.issue_invoice(booking)
    assert [line.amount for line in last.lines] == [10_000, -15_000]
    assert (last.kind, last.reason) == (DocumentKind.CREDIT_NOTE, "The deposit was more than the charges")
    ledger.check_out(booking)
    check(ledger, booking)


def test_a_deposit_is_taken_off_after_the_stay_where_all_charges_were_invoiced_before(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.record_payment(booking, 25_000)
    invoice_deposit(ledger, booking)
    ledger.roll_business_date(2)
    assert ledger.issue_invoice(booking).total == 20_000
    with refused(ledger, "folio 1 has no lines to invoice"):
        ledger.issue_invoice(booking)
    ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, booking, DepartureReason.EARLY))
    settled = ledger.issue_invoice(booking)
    assert (settled.kind, settled.total, settled.due) == (DocumentKind.CREDIT_NOTE, -25_000, -5_000)
    assert [line.deposit_invoice for line in settled.lines] == ["INV-1"]
    check(ledger, booking)
    with refused(ledger, "folio 1 has no lines to invoice"):
        ledger.issue_invoice(booking)


def test_what_was_invoiced_before_a_deposit_does_not_count_for_it(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date()
    ledger.issue_invoice(booking)
    ledger.record_payment(booking, 20_000)
    assert invoice_deposit(ledger, booking).total == 10_000
    ledger.post_charge(booking, 500)
    bar = ledger.issue_invoice(booking)
    assert (bar.kind, bar.total) == (DocumentKind.INVOICE, 500)
    ledger.roll_business_date()
    assert ledger.issue_invoice(booking).total == 0
    check(ledger, booking)


def test_a_deposit_whose_settlement_was_credited_is_taken_off_again(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.record_payment(booking, 5_000)
    invoice_deposit(ledger, booking)
    ledger.roll_business_date(2)
    ledger.check_out(booking)
    first = ledger.issue_invoice(booking)
    assert first.total == 15_000
    ledger.issue_credit_note(first.number)
    assert ledger.issue_invoice(booking).total == -5_000
    check(ledger, booking)


@pytest.mark.parametrize("correction", ["credit", "reissue"])
def test_a_deposit_invoice_stays_below_the_price_after_a_correction(ledger: LedgerFixture, correction: str) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.roll_business_date()
    night = ledger.issue_invoice(booking)
    if correction == "credit":
        ledger.issue_credit_note(night.number)
        left = 30_000
    else:
        ledger.execute_invoice(ReissueInvoice(HOTEL, night.number, "buyer", GLOBEX))
        left = 20_000
    ledger.record_payment(booking, 60_000, allow_overpayment=True)
    with refused(ledger, "amount:paid_max"):
        invoice_deposit(ledger, booking, left + 1)
    assert invoice_deposit(ledger, booking, left).total == left


def test_a_deposit_that_is_taken_off_leaves_room_for_another(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.record_payment(booking, 10_000)
    invoice_deposit(ledger, booking)
    ledger.roll_business_date()
    assert ledger.issue_invoice(booking).total == 0
    ledger.record_payment(booking, 20_000)
    assert invoice_deposit(ledger, booking).total == 20_000
    ledger.roll_business_date(2)
    ledger.check_out(booking)
    ledger.issue_invoice(booking)
    check(ledger, booking)


def test_a_credited_deposit_leaves_room_for_another(ledger: LedgerFixture) -> None:
    booking = ledger.book(0, 1)
    ledger.record_payment(booking, 10_000)
    ledger.issue_credit_note(invoice_deposit(ledger, booking).number)
    assert invoice_deposit(ledger, booking).total == 10_000


def test_a_payment_is_moved_from_a_folio_without_a_deposit_invoice_where_less_than_it_is_left(
    ledger: LedgerFixture,
) -> None:
    booking, other = ledger.book(0, 2), ledger.book(0, 2)
    card = ledger.record_payment(booking, 10_000, method="terminal")
    ledger.execute(RefundPayment(HOTEL, card.id, eur(6_000)))
    ledger.execute(ReturnPayment(HOTEL, card.id))
    cash = ledger.record_payment(booking, 10_000)
    ledger.execute(MovePayment(HOTEL, cash.id, 1, other))
    assert (ledger.balances(booking), ledger.balances(other)) == ([6_000], [-10_000])


def test_a_cancelled_stay_without_a_fee_gives_its_deposit_back(ledger: LedgerFixture) -> None:
    booking = ledger.book(9, 2)
    ledger.record_payment(booking, 5_000)
    invoice_deposit(ledger, booking)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    note = ledger.issue_invoice(booking)
    assert (note.kind, note.total, note.due) == (DocumentKind.CREDIT_NOTE, -5_000, -5_000)
    check(ledger, booking)
