"""The ledger as a whole: double entry, the trial balance, and a state that its events make again."""

import pytest
from innkeeper.actors.billing.rules.ledger import GUEST_LEDGER, Entry, entries
from innkeeper.actors.billing.rules.state import LedgerState, describe, fold, restore
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, RefundPayment, SplitCharge
from innkeeper.protocol.billing.queries import DescribeLedger, ShowFolio, TrialBalance
from innkeeper.protocol.billing.replies import LedgerStateReply, TrialBalanceReply
from innkeeper.protocol.billing.terms import PartyPlan
from innkeeper.protocol.codec import wire
from innkeeper.protocol.reservations import commands
from support.billing_fixture import CITY, VAT, LedgerFixture, eur
from support.partition_fixture import HOTEL


@pytest.fixture
def books() -> LedgerFixture:
    """A day in the life of a hotel."""
    books = LedgerFixture(VAT, CITY)
    mine, yours = books.book_and_check_in(0, 2), books.book_and_check_in(0, 1, adults=2)
    lost = books.book(0, 2)
    books.roll_business_date()
    books.execute(OpenFolio(HOTEL, mine, PartyPlan("Globex")))
    (room,) = books.bill(mine).folios[0].lines
    books.execute(SplitCharge(HOTEL, mine, room.id, eur(3_000)))
    part = books.bill(mine).folios[0].lines[-1]
    books.execute(MoveCharges(HOTEL, mine, (part.id,), 2))
    payment = books.record_payment(yours, 9_000, method="terminal")
    books.execute_payment(RefundPayment(HOTEL, payment.id, eur(100)))
    books.settle_payment(books.start_payment(lost, 10_000), "captured")
    books.execute_on_hotel(commands.CheckOut(HOTEL, yours))
    books.issue_invoice(yours)
    books.issue_credit_note("INV-1")
    books.start_payment(mine, 100, capture=False)
    return books


def test_every_event_is_entered_twice_or_not_at_all(books: LedgerFixture) -> None:
    for record in books.records:
        assert sum(entry.amount for entry in entries(record.event)) == 0


def test_a_night_owes_revenue_and_tax(books: LedgerFixture) -> None:
    posted = next(record.event for record in books.records if record.event.name == "folio.charge_posted")
    booking = posted.booking  # type: ignore[attr-defined]
    assert set(entries(posted)) >= {
        Entry("revenue:fee", -9_434), Entry("tax:VAT6", -566), Entry(GUEST_LEDGER, 10_000, (booking, 1)),
    }  # fmt: skip


def test_the_trial_balance_is_zero_and_knows_what_guests_owe(books: LedgerFixture) -> None:
    balance = books.query(TrialBalance(HOTEL))
    assert isinstance(balance, TrialBalanceReply)
    accounts = {account.account: account.amount for account in balance.accounts}
    assert sum(accounts.values()) == 0
    folios = sum(folio.balance for bill in books.ledger.bills.values() for folio in bill.folios)
    assert accounts[GUEST_LEDGER] == balance.guests == folios
    assert accounts["clearing:terminal"] == 8_900
    assert accounts["clearing:simulated"] == 10_000
    assert accounts["revenue:room"] == -9_434
    assert accounts["tax:VAT6"] == -566 * 2
    assert accounts["tax:CITY"] == -200


def test_the_events_make_the_same_ledger_again(books: LedgerFixture) -> None:
    again = describe(fold(LedgerState(), books.records))
    assert again == books.query(DescribeLedger(HOTEL))
    assert wire.encode(again) == wire.encode(describe(books.ledger))


def test_a_ledger_comes_back_from_its_description_and_goes_on_alike(books: LedgerFixture) -> None:
    described = wire.decode(wire.encode(describe(books.ledger)))
    assert isinstance(described, LedgerStateReply)
    restored = restore(described)
    assert describe(restored) == describe(books.ledger)
    assert (restored.payments, restored.in_house, restored.issued) == (
        books.ledger.payments, books.ledger.in_house, books.ledger.issued,
    )  # fmt: skip
    books.ledger = restored
    books.roll_business_date()
    booking = sorted(books.ledger.bills)[0]
    books.post_charge(booking, 10)
    assert books.issue_invoice(booking).number == "INV-2"


def test_a_folio_can_be_seen_alone(books: LedgerFixture) -> None:
    booking = next(booking for booking, bill in books.ledger.bills.items() if len(bill.folios) == 2)
    reply = books.query(ShowFolio(HOTEL, booking, 2))
    assert (reply.folio, reply.currency) == (books.bill(booking).folios[1], "EUR")
