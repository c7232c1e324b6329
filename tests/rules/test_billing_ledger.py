"""The ledger as a whole: double entry, the trial balance, and its state as the fold of its events."""

import pytest
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules.double_entry import GUEST_LEDGER, AccountEntry, entries
from innkeeper.actors.billing.rules.snapshot import add_details, describe, lacking_details, restore
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, RefundPayment, SplitCharge
from innkeeper.protocol.billing.queries import DescribeLedger, TrialBalance
from innkeeper.protocol.billing.replies import LedgerStateReply, TrialBalanceReply
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.codec import wire
from support.billing_fixture import CITY, VAT, LedgerFixture, eur
from support.partition_fixture import HOTEL


@pytest.fixture
def ledger() -> LedgerFixture:
    """A ledger with charges, payments, a refund, an invoice and a credit note."""
    ledger = LedgerFixture(VAT, CITY)
    first_booking, second_booking = ledger.book_and_check_in(0, 2), ledger.book_and_check_in(0, 1, adults=2)
    no_show = ledger.book(0, 2)
    ledger.roll_business_date()
    ledger.execute(OpenFolio(HOTEL, first_booking, PartyRequest("Globex")))
    (room,) = ledger.bill(first_booking).folios[0].lines
    ledger.execute(SplitCharge(HOTEL, first_booking, room.id, eur(3_000)))
    part = ledger.bill(first_booking).folios[0].lines[-1]
    ledger.execute(MoveCharges(HOTEL, first_booking, (part.id,), 2))
    payment = ledger.record_payment(second_booking, 9_000, method="terminal")
    ledger.execute_payment(RefundPayment(HOTEL, payment.id, eur(100)))
    ledger.settle_payment(ledger.start_payment(no_show, 10_000), "captured")
    ledger.check_out(second_booking)
    ledger.issue_invoice(second_booking)
    ledger.issue_credit_note("INV-1")
    ledger.start_payment(first_booking, 100, capture=False)
    return ledger


def test_the_entries_of_each_event_sum_to_zero(ledger: LedgerFixture) -> None:
    for record in ledger.records:
        assert sum(entry.amount for entry in entries(record.event)) == 0


def test_a_charge_is_split_into_revenue_and_tax_entries(ledger: LedgerFixture) -> None:
    posted = next(record.event for record in ledger.records if record.event.name == "folio.charge_posted")
    booking = posted.booking  # type: ignore[attr-defined]
    assert set(entries(posted)) >= {
        AccountEntry("revenue:fee", -9_434), AccountEntry("tax:VAT6", -566),
        AccountEntry(GUEST_LEDGER, 10_000, (booking, 1)),
    }  # fmt: skip


def test_the_trial_balance_sums_to_zero_and_contains_the_guest_ledger(ledger: LedgerFixture) -> None:
    balance = ledger.query(TrialBalance(HOTEL))
    assert isinstance(balance, TrialBalanceReply)
    accounts = {account.account: account.amount for account in balance.accounts}
    assert sum(accounts.values()) == 0
    folios = sum(folio.balance for bill in ledger.state.bills.values() for folio in bill.folios)
    assert accounts[GUEST_LEDGER] == balance.guests == folios
    assert accounts["clearing:terminal"] == 8_900
    assert accounts["clearing:simulated"] == 10_000
    assert accounts["revenue:room"] == -9_434
    assert accounts["tax:VAT6"] == -566 * 2
    assert accounts["tax:CITY"] == -200


def test_folding_the_events_gives_the_same_ledger(ledger: LedgerFixture) -> None:
    folded = describe(LEDGER.fold(LedgerState(), ledger.records))
    assert folded == ledger.query(DescribeLedger(HOTEL))
    assert wire.encode(folded) == wire.encode(describe(ledger.state))


def test_a_ledger_restored_from_its_description_continues(ledger: LedgerFixture) -> None:
    described = wire.decode(wire.encode(describe(ledger.state)))
    assert isinstance(described, LedgerStateReply)
    restored = restore(described)
    assert describe(restored) == describe(ledger.state)
    assert (restored.payments, restored.in_house, restored.issued) == (
        ledger.state.payments, ledger.state.in_house, ledger.state.issued,
    )  # fmt: skip
    buyers = [folio.buyer for bill in ledger.state.bills.values() for folio in bill.folios]
    assert {*lacking_details(restored)} == {buyer.key for buyer in buyers}
    add_details(restored, {buyer.key: buyer.details for buyer in buyers if buyer.details is not None})
    assert restored.bills == ledger.state.bills
    ledger.state = restored
    ledger.roll_business_date()
    booking = sorted(ledger.state.bills)[0]
    ledger.post_charge(booking, 10)
    assert ledger.issue_invoice(booking).number == "INV-2"
