"""P8: a folio's balance is its charges less its payments; nothing that was posted is ever edited, only reversed.

Whatever guests, staff and providers do, a naive auditor adds up the events alone, and comes to the same. That it would
notice is shown with ledgers that are broken on purpose.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules import folios, invoicing, state
from innkeeper.actors.billing.rules.ledger import GUEST_LEDGER, entries
from innkeeper.actors.billing.rules.state import LedgerState, describe
from innkeeper.protocol.billing import commands as billing
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.folio import Bill, DocumentKind, FolioLine, TaxAmount
from innkeeper.protocol.billing.queries import TrialBalance
from innkeeper.protocol.billing.terms import ChargeKind, DepositPlan, PartyPlan
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Contact, Status
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.billing import Books as Recount
from support.billing_fixture import CITY, SERVICE, VAT, VAT_FOOD, LedgerFixture, eur
from support.notifications_fixture import HOUR
from support.partition_fixture import HOTEL, night

pick = st.integers(0, 40)
cents = st.integers(0, 20_000)
TERMS = ((VAT, CITY), (), (SERVICE, VAT_FOOD, CITY))


class Guests(RuleBasedStateMachine):
    """Guests come and go, staff charge and move and invoice, providers say this and that, and events are told twice."""

    def __init__(self) -> None:
        super().__init__()
        self.books = LedgerFixture(VAT, CITY, deposits=(DepositPlan(30),))
        self.auditor = BillingAuditor()
        self.recount = self.auditor.hotels.setdefault(HOTEL, Recount(HOTEL))
        self.read = 0

    def _try(self, what: Callable[[], object]) -> None:
        before, records = describe(self.books.ledger), len(self.books.records)
        happened = len(self.books.happened)
        try:
            what()
        except Refused:
            if len(self.books.happened) == happened:
                assert (describe(self.books.ledger), len(self.books.records)) == (before, records)

    def _booking(self, number: int) -> str:
        known = sorted(self.books.ledger.bills)
        return known[number % len(known)]

    def _line(self, number: int) -> tuple[str, int]:
        known = sorted(self.recount.lines)
        (booking, _), line = self.recount.lines[known[-1 - number % len(known)]]
        return booking, line.id

    def _payment(self, number: int) -> str:
        known = sorted(self.books.ledger.payments)
        return known[-1 - number % len(known)]

    @rule(arrival=st.integers(0, 2), nights=st.integers(1, 4), held=st.booleans(), adults=st.integers(1, 2))
    def book(self, arrival: int, nights: int, held: bool, adults: int) -> None:
        today = (self.books.hotel.opened().business_date - night(0)).days
        more: dict[str, Any] = {"status": "held", "hold_seconds": 5 * 3_600} if held else {}
        self._try(lambda: self.books.book(today + arrival, nights, adults=adults, **more))

    @rule(nights=st.integers(1, 4))
    def walk_in(self, nights: int) -> None:
        today = (self.books.hotel.opened().business_date - night(0)).days
        self._try(lambda: self.books.stay(today, nights))

    @precondition(lambda self: self.books.hotel.bookings)
    @rule(kind=st.sampled_from([kind for kind in commands.ACTIONS if kind is not commands.Move]), which=pick)
    def act(self, kind: Any, which: int) -> None:
        known = sorted(self.books.hotel.bookings)
        self._try(lambda: self.books.say(kind(HOTEL, known[which % len(known)])))

    @precondition(lambda self: self.books.hotel.bookings)
    @rule(which=pick, nights=st.integers(1, 5), rate=cents, name=st.sampled_from(["Ann", "Ben"]))
    def change(self, which: int, nights: int, rate: int, name: str) -> None:
        known = sorted(self.books.hotel.bookings)
        booking = self.books.hotel.bookings[known[which % len(known)]]
        departure = booking.arrival + timedelta(days=nights)
        self._try(
            lambda: self.books.change(booking.id, departure=departure, rate=eur(rate), guest=Contact(name))
        )  # fmt: skip

    @rule(nights=st.integers(1, 3))
    def roll(self, nights: int) -> None:
        self.books.roll(nights)
        self.bills_are_charges_less_payments()
        for booking in self.books.ledger.in_house:
            assert self._posted(booking) == self._slept(booking)

    @rule(hours=st.integers(1, 9))
    def wait(self, hours: int) -> None:
        self.books.pass_time(hours * HOUR)

    @rule(which=pick)
    def tell_again(self, which: int) -> None:
        happened = self.books.happened
        assert self.books.subscribe(happened[-1 - which % len(happened)]) == [], "an event had effects twice"

    @rule(terms=st.sampled_from(TERMS))
    def agree(self, terms: Any) -> None:
        self.books.agree(*terms, deposits=(DepositPlan(30),))

    @precondition(lambda self: self.books.ledger.bills)
    @rule(which=pick, units=cents, kind=st.sampled_from(ChargeKind), quantity=st.integers(1, 3))
    def charge(self, which: int, units: int, kind: ChargeKind, quantity: int) -> None:
        booking = self._booking(which)
        folio = 1 + units % len(self.books.bill(booking).folios)
        self._try(lambda: self.books.charge(booking, units, charge=kind, quantity=quantity, folio=folio))

    @precondition(lambda self: self.books.ledger.bills)
    @rule(which=pick)
    def open_folio(self, which: int) -> None:
        self._try(lambda: self.books.enter(billing.OpenFolio(HOTEL, self._booking(which), PartyPlan("Globex"))))

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick)
    def reverse(self, which: int) -> None:
        booking, line = self._line(which)
        self._try(lambda: self.books.enter(billing.ReverseCharge(HOTEL, booking, line, "wrong")))

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick, to=pick, folio=st.integers(1, 2))
    def move(self, which: int, to: int, folio: int) -> None:
        booking, line = self._line(which)
        self._try(
            lambda: self.books.enter(billing.MoveCharges(HOTEL, booking, (line,), folio, self._booking(to)))
        )  # fmt: skip

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick, percent=st.integers(1, 99))
    def split(self, which: int, percent: int) -> None:
        booking, line = self._line(which)
        part = eur(max(self.recount.lines[line][1].amount, 0) * percent // 100)
        self._try(lambda: self.books.enter(billing.SplitCharge(HOTEL, booking, line, part)))

    @precondition(lambda self: self.books.ledger.bills)
    @rule(which=pick, units=cents, whole=st.booleans(), method=st.sampled_from(["cash", "simulated"]))
    def pay(self, which: int, units: int, whole: bool, method: str) -> None:
        booking = self._booking(which)
        owed = self.books.bill(booking).balance
        amount = owed if whole and owed > 0 else units
        start = self.books.pay if method == "cash" else self.books.start
        self._try(lambda: start(booking, amount))

    @precondition(lambda self: self.books.ledger.payments)
    @rule(which=pick, outcome=st.sampled_from(["authorised", "captured", "failed", "voided"]))
    def settle(self, which: int, outcome: Any) -> None:
        command = billing.SettlePayment(HOTEL, self._payment(which), outcome=outcome)
        self._try(lambda: self.books.enter(command))
        assert billing_decides_nothing(self.books, command)

    @precondition(lambda self: self.books.ledger.payments)
    @rule(which=pick, units=cents, kind=st.sampled_from([billing.CapturePayment, billing.RefundPayment]))
    def capture_or_refund(self, which: int, units: int, kind: Any) -> None:
        amount = eur(units) if units % 2 else None
        self._try(lambda: self.books.enter(kind(HOTEL, self._payment(which), amount)))

    @precondition(lambda self: self.books.ledger.payments)
    @rule(which=pick)
    def void(self, which: int) -> None:
        self._try(lambda: self.books.enter(billing.VoidPayment(HOTEL, self._payment(which))))

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick, folio=st.integers(1, 2))
    def invoice(self, which: int, folio: int) -> None:
        booking, _ = self._line(which)
        self._try(lambda: self.books.invoice(booking, folio))

    @precondition(lambda self: self.books.hotel.bookings)
    @rule(which=pick, invoiced=st.booleans())
    def come_after_all(self, which: int, invoiced: bool) -> None:
        known = sorted(self.books.hotel.bookings)
        booking = known[which % len(known)]
        self._try(lambda: self.books.say(commands.Cancel(HOTEL, booking)))
        if invoiced:
            self._try(lambda: self.books.invoice(booking))
        self._try(lambda: self.books.say(commands.Reinstate(HOTEL, booking)))

    @precondition(lambda self: self.books.ledger.documents)
    @rule(which=pick)
    def credit(self, which: int) -> None:
        known = sorted(self.books.ledger.documents)
        self._try(lambda: self.books.credit(known[which % len(known)]))

    @invariant()
    def the_books_are_right(self) -> None:
        self.bills_are_charges_less_payments()
        self.the_trial_balance_is_zero()
        self.each_night_slept_is_posted_once_and_no_other()

    def bills_are_charges_less_payments(self) -> None:
        new = self.books.records[self.read :]
        self.read = len(self.books.records)
        for record in new:
            assert sum(entry.amount for entry in entries(record.event)) == 0
        self.auditor.handle(new)
        assert not self.auditor.violations, self.auditor.violations
        for bill in self.books.ledger.bills.values():
            self.bill_is_what_was_posted(bill)

    def bill_is_what_was_posted(self, bill: Bill) -> None:
        """P8: the balance is charges less payments, and no line says anything else than when it was posted."""
        for folio in bill.folios:
            key = (bill.booking, folio.number)
            assert folio.charged == self.recount.charges[key]
            assert folio.balance == self.recount.charges[key] - self.recount.payments[key], "the balance is wrong"
            assert [_unmarked(line) for line in folio.lines] == self.recount.posted[key], "a line was edited"
            for line in folio.lines:
                assert line.reversed_by == self.recount.reversals.get(line.id)
                assert line.invoice == self.recount.on_document.get(line.id)

    def the_trial_balance_is_zero(self) -> None:
        balance = self.books.ask(TrialBalance(HOTEL))
        accounts = {account.account: account.amount for account in balance.accounts}
        assert sum(accounts.values()) == 0
        owed = sum(self.recount.charges.values()) - sum(self.recount.payments.values())
        assert accounts.get(GUEST_LEDGER, 0) == balance.guests == owed
        for code, amount in self.recount.taxes.items():
            assert accounts[f"tax:{code}"] == -amount

    def each_night_slept_is_posted_once_and_no_other(self) -> None:
        """Who comes a day late as a no-show that was reinstated pays for the first night from the next audit on."""
        for booking in self.books.hotel.bookings.values():
            posted, slept = self._posted(booking.id), self._slept(booking.id)
            assert posted == slept[: len(posted)]
            if booking.status is not Status.IN_HOUSE:
                assert posted == slept

    def _posted(self, booking: str) -> list[date]:
        return [night for known, night in self.recount.nights if known == booking]

    def _slept(self, booking: str) -> list[date]:
        stay = self.books.hotel.bookings[booking]
        today = self.books.hotel.opened().business_date
        until = {Status.IN_HOUSE: min(stay.departure, today), Status.CHECKED_OUT: stay.departure}
        nights = (until.get(stay.status, stay.arrival) - stay.arrival).days
        return [stay.arrival + timedelta(days=number) for number in range(nights)]

    def teardown(self) -> None:
        """P6: the events make the same ledger again."""
        again = describe(LEDGER.fold(LedgerState(), self.books.records))
        assert wire.encode(again) == wire.encode(describe(self.books.ledger))


def _unmarked(line: FolioLine) -> FolioLine:
    return msgspec.structs.replace(line, reversed_by=None, invoice=None)


def billing_decides_nothing(books: LedgerFixture, command: billing.SettlePayment) -> bool:
    """What a provider says again changes nothing."""
    before = len(books.records)
    books.enter(command)
    return len(books.records) == before


def test_whatever_happens_the_balance_is_charges_less_payments() -> None:
    run_state_machine_as_test(Guests, settings=settings(max_examples=60, stateful_step_count=50, deadline=None))


def _edits(ledger: LedgerState, record: Any, event: billing_events.ChargeReversed) -> None:
    """A ledger that rubs a charge out instead of reversing it."""
    folio = ledger.folio(event.booking, event.folio)
    lines = tuple(
        msgspec.structs.replace(line, amount=0, taxes=()) if line.id == event.line.reverses else line
        for line in folio.lines
    )
    state._change_folio(
        ledger, event, lines=lines, charged=folio.charged + event.line.amount, balance=folio.balance + event.line.amount
    )
    ledger.lines_posted = max(ledger.lines_posted, event.line.id)


def _loses_cents(taxes: tuple[TaxAmount, ...], part: int, whole: int) -> Any:
    """A split that rounds both halves down."""
    return tuple(
        tuple(TaxAmount(tax.code, tax.rate, tax.amount * share // whole) for tax in taxes)
        for share in (part, whole - part)
    )


def _counts_authorised(ledger: LedgerState, record: Any, event: billing_events.PaymentAuthorised) -> None:
    """A ledger that counts money which is only authorised."""
    amount = ledger.payment(event.payment).amount
    state._payment_authorised(ledger, record, event)
    state._change_folio(ledger, event, balance=ledger.folio(event.booking, event.folio).balance - amount)


def _forgets_nights(ledger: LedgerState, record: Any, event: billing_events.ChargePosted) -> None:
    """A ledger that does not remember which nights are posted."""
    state._add_line(ledger, event, event.line)


def _skips_numbers(ledger: LedgerState, kind: DocumentKind) -> str:
    """A series of documents in which every other number is missing."""
    return f"{'INV' if kind is DocumentKind.INVOICE else 'CN'}-{2 * ledger.issued[kind] + 1}"


# What is broken, with what, and what the auditor says to that.
BROKEN: tuple[tuple[object, str, object, str], ...] = (
    (state._EFFECTS, "ChargeReversed", _edits, "a line was edited"),
    (state._EFFECTS, "PaymentAuthorised", _counts_authorised, "the balance is wrong"),
    (state._EFFECTS, "ChargePosted", _forgets_nights, "charged twice for the night"),
    (state, "cause_seq", lambda record: 0, "an event had effects twice"),
    (folios, "split_taxes", _loses_cents, "lost a part"),
    (invoicing, "_number", _skips_numbers, "is not the next number"),
)


@pytest.mark.parametrize(("where", "what", "broken", "said"), BROKEN, ids=[broken[-1] for broken in BROKEN])
def test_a_broken_ledger_is_noticed(
    where: Any, what: str, broken: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(where, dict):
        monkeypatch.setitem(where, getattr(billing_events, what), broken)
    else:
        monkeypatch.setattr(where, what, broken)
    quick = settings(
        max_examples=2_000, stateful_step_count=50, deadline=None, derandomize=True, database=None,
        phases=(Phase.generate,), report_multiple_bugs=False,
    )  # fmt: skip
    with pytest.raises(AssertionError, match=said):
        run_state_machine_as_test(Guests, settings=quick)
