"""The ledger as a whole: double entry, the trial balance, and a state that its events make again."""

import pytest
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules.ledger import GUEST_LEDGER, Entry, entries
from innkeeper.actors.billing.rules.state import LedgerState, describe, restore
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, RefundPayment, SplitCharge
from innkeeper.protocol.billing.queries import DescribeLedger, TrialBalance
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
    mine, yours = books.stay(0, 2), books.stay(0, 1, adults=2)
    lost = books.book(0, 2)
    books.roll()
    books.enter(OpenFolio(HOTEL, mine, PartyPlan("Globex")))
    (room,) = books.bill(mine).folios[0].lines
    books.enter(SplitCharge(HOTEL, mine, room.id, eur(3_000)))
    part = books.bill(mine).folios[0].lines[-1]
    books.enter(MoveCharges(HOTEL, mine, (part.id,), 2))
    payment = books.pay(yours, 9_000, method="terminal")
    books.paid(RefundPayment(HOTEL, payment.id, eur(100)))
    books.settle(books.start(lost, 10_000), "captured")
    books.say(commands.CheckOut(HOTEL, yours))
    books.invoice(yours)
    books.credit("INV-1")
    books.start(mine, 100, capture=False)
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
    balance = books.ask(TrialBalance(HOTEL))
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
    again = describe(LEDGER.fold(LedgerState(), books.records))
    assert again == books.ask(DescribeLedger(HOTEL))
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
    books.roll()
    booking = sorted(books.ledger.bills)[0]
    books.charge(booking, 10)
    assert books.invoice(booking).number == "INV-2"
