"""P8: a folio's balance is its charges less its payments; nothing that was posted is ever edited, only reversed.

After any commands and any messages of payment providers, an independent auditor that adds up the events alone comes to
the same balances. Ledgers that are broken on purpose show that the auditor reports faults.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules.double_entry import GUEST_LEDGER, entries
from innkeeper.actors.billing.rules.snapshot import describe
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import commands as billing
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.folio import Bill, FolioLine
from innkeeper.protocol.billing.payment import PaymentOutcome
from innkeeper.protocol.billing.queries import TrialBalance
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import ContactChange
from innkeeper.protocol.reservations.terms import DepositRequest
from innkeeper.protocol.values.taxes import ChargeKind
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.billing import LedgerRecord as Recount
from support.billing_fixture import CITY, SERVICE, VAT, VAT_FOOD, LedgerFixture, eur
from support.broken_ledgers import BROKEN
from support.document_checks import check_deposits, check_invoiced
from support.notifications_fixture import HOUR
from support.partition_fixture import HOTEL, night

pick = st.integers(0, 40)
cents = st.integers(0, 20_000)
TERMS = ((VAT, CITY), (), (SERVICE, VAT_FOOD, CITY))


ASKING_MORE = (commands.MoveBooking, commands.SwapRooms)
"""Actions that need to be told more than the booking."""


class BillingMachine(RuleBasedStateMachine):
    """Bookings, charges, moves, invoices, payments, and repeated events, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = LedgerFixture(VAT, CITY, deposits=(DepositRequest(30),))
        self.auditor = BillingAuditor()
        self.recount = self.auditor.hotels.setdefault(HOTEL, Recount(HOTEL))
        self.read = 0

    def _try(self, command: Callable[[], object]) -> None:
        before, records = describe(self.ledger.state), len(self.ledger.records)
        hotel_records = len(self.ledger.hotel_records)
        try:
            command()
        except Refused:
            if len(self.ledger.hotel_records) == hotel_records:
                assert (describe(self.ledger.state), len(self.ledger.records)) == (before, records)

    def _booking(self, number: int) -> str:
        known = sorted(self.ledger.state.bills)
        return known[number % len(known)]

    def _line(self, number: int) -> tuple[str, int]:
        known = sorted(self.recount.lines)
        (booking, _), line = self.recount.lines[known[-1 - number % len(known)]]
        return booking, line.id

    def _payment(self, number: int) -> str:
        known = sorted(self.ledger.state.payments)
        return known[-1 - number % len(known)]

    @rule(arrival=st.integers(0, 2), nights=st.integers(1, 4), held=st.booleans(), adults=st.integers(1, 2))
    def book(self, arrival: int, nights: int, held: bool, adults: int) -> None:
        today = (self.ledger.hotel_state.opened().business_date - night(0)).days
        more: dict[str, Any] = {"status": "held", "hold_seconds": 5 * 3_600} if held else {}
        self._try(lambda: self.ledger.book(today + arrival, nights, adults=adults, **more))

    @rule(nights=st.integers(1, 4))
    def walk_in(self, nights: int) -> None:
        today = (self.ledger.hotel_state.opened().business_date - night(0)).days
        self._try(lambda: self.ledger.book_and_check_in(today, nights))

    @precondition(lambda self: self.ledger.hotel_state.bookings)
    @rule(kind=st.sampled_from([kind for kind in commands.ACTIONS if kind not in ASKING_MORE]), which=pick)
    def act(self, kind: Any, which: int) -> None:
        known = sorted(self.ledger.hotel_state.bookings)
        self._try(lambda: self.ledger.execute_on_hotel(kind(HOTEL, known[which % len(known)])))

    @precondition(lambda self: self.ledger.hotel_state.bookings)
    @rule(which=pick, reason=st.sampled_from([DepartureReason.DAY_USE, DepartureReason.EARLY]))
    def leave_on_the_day_of_arrival(self, which: int, reason: DepartureReason) -> None:
        known = sorted(self.ledger.hotel_state.bookings)
        command = commands.CheckOutGuest(HOTEL, known[which % len(known)], reason)
        self._try(lambda: self.ledger.execute_on_hotel(command))

    @precondition(lambda self: self.ledger.hotel_state.bookings)
    @rule(which=pick, reason=st.sampled_from([None, *DepartureReason]), moved=st.booleans())
    def check_in_by_mistake(self, which: int, reason: DepartureReason | None, moved: bool) -> None:
        """Of a guest who is expected, cancelled or a no-show; the mistake is undone after a check-out."""
        known = sorted(self.ledger.hotel_state.bookings)
        booking = known[which % len(known)]
        for command in (
            commands.ReinstateBooking(HOTEL, booking),
            commands.CheckInGuest(HOTEL, booking, accept_not_clean=True),
            commands.CheckOutGuest(HOTEL, booking, reason),
        ):
            self._try(lambda command=command: self.ledger.execute_on_hotel(command))  # type: ignore[misc]
        lines = self.ledger.bill(booking).folios[0].lines
        if moved and lines:
            self._try(lambda: self.ledger.execute(billing.MoveCharges(HOTEL, booking, (lines[-1].id,), 2)))
        for undo in (commands.UndoCheckOut, commands.UndoCheckIn):
            self._try(lambda undo=undo: self.ledger.execute_on_hotel(undo(HOTEL, booking)))  # type: ignore[misc]

    @precondition(lambda self: self.ledger.hotel_state.bookings)
    @rule(which=pick, nights=st.integers(1, 5), rate=cents, name=st.sampled_from(["Ann", "Ben"]))
    def change(self, which: int, nights: int, rate: int, name: str) -> None:
        known = sorted(self.ledger.hotel_state.bookings)
        booking = self.ledger.hotel_state.bookings[known[which % len(known)]]
        departure = booking.arrival + timedelta(days=nights)
        self._try(
            lambda: self.ledger.change(booking.id, departure=departure, rate=eur(rate), guest=ContactChange(name=name))
        )  # fmt: skip

    @rule(nights=st.integers(1, 3))
    def roll(self, nights: int) -> None:
        self.ledger.roll_business_date(nights)
        self.bills_are_charges_less_payments()
        for booking in self.ledger.state.in_house:
            assert self._posted(booking) == self._slept(booking)

    @rule(hours=st.integers(1, 9))
    def wait(self, hours: int) -> None:
        self.ledger.advance_clock(hours * HOUR)

    @rule(which=pick)
    def apply_again(self, which: int) -> None:
        records = self.ledger.hotel_records
        assert self.ledger.apply_hotel_event(records[-1 - which % len(records)]) == [], "an event had effects twice"

    @rule(terms=st.sampled_from(TERMS))
    def change_terms(self, terms: Any) -> None:
        self.ledger.set_terms_of_sale(taxes=terms)

    @precondition(lambda self: self.ledger.state.bills)
    @rule(which=pick, units=cents, kind=st.sampled_from(ChargeKind), quantity=st.integers(1, 3))
    def charge(self, which: int, units: int, kind: ChargeKind, quantity: int) -> None:
        booking = self._booking(which)
        folio = 1 + units % len(self.ledger.bill(booking).folios)
        self._try(lambda: self.ledger.post_charge(booking, units, charge=kind, quantity=quantity, folio=folio))

    @precondition(lambda self: self.ledger.state.bills)
    @rule(which=pick, units=cents, kind=st.sampled_from(ChargeKind), folio=st.integers(1, 2))
    def discount(self, which: int, units: int, kind: ChargeKind, folio: int) -> None:
        booking = self._booking(which)
        command = billing.PostDiscount(HOTEL, booking, charge=kind, amount=eur(units), reason="noise", folio=folio)
        self._try(lambda: self.ledger.execute(command))

    @precondition(lambda self: self.ledger.state.bills)
    @rule(which=pick)
    def open_folio(self, which: int) -> None:
        self._try(lambda: self.ledger.execute(billing.OpenFolio(HOTEL, self._booking(which), PartyRequest("Globex"))))

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick)
    def reverse(self, which: int) -> None:
        booking, line = self._line(which)
        self._try(lambda: self.ledger.execute(billing.ReverseCharge(HOTEL, booking, line, "wrong")))

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick, to=pick, folio=st.integers(1, 2))
    def move(self, which: int, to: int, folio: int) -> None:
        booking, line = self._line(which)
        self._try(
            lambda: self.ledger.execute(billing.MoveCharges(HOTEL, booking, (line,), folio, self._booking(to)))
        )  # fmt: skip

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick, percent=st.integers(1, 99), quantity=st.none() | st.integers(1, 2))
    def split(self, which: int, percent: int, quantity: int | None) -> None:
        booking, line = self._line(which)
        if quantity is not None:
            command = billing.SplitCharge(HOTEL, booking, line, quantity=quantity)
            self._try(lambda: self.ledger.execute(command))
            return
        part = eur(max(self.recount.lines[line][1].amount, 0) * percent // 100)
        self._try(lambda: self.ledger.execute(billing.SplitCharge(HOTEL, booking, line, part)))

    @precondition(lambda self: self.ledger.state.bills)
    @rule(which=pick, units=cents, whole=st.booleans(), method=st.sampled_from(["cash", "simulated"]))
    def pay(self, which: int, units: int, whole: bool, method: str) -> None:
        booking = self._booking(which)
        owed = self.ledger.bill(booking).balance
        amount = owed if whole and owed > 0 else units
        start = self.ledger.record_payment if method == "cash" else self.ledger.start_payment
        self._try(lambda: start(booking, amount, allow_overpayment=not whole))

    @precondition(lambda self: self.ledger.state.payments)
    @rule(
        which=pick, outcome=st.sampled_from(get_args(PaymentOutcome)), id=st.sampled_from(["1", "2"]), units=cents,
        operation=st.none() | st.integers(1, 3), at=st.integers(0, 2),
    )  # fmt: skip
    def settle(self, which: int, outcome: Any, id: str, units: int, operation: int | None, at: int) -> None:
        payment = self._payment(which)
        whole = self.ledger.state.payment(payment).captured or self.ledger.state.payment(payment).amount
        amount = eur(min(units, whole)) if 0 < units < 10_000 else None
        command = billing.SettlePayment(
            HOTEL, payment, outcome=outcome, id=id, amount=amount, operation=operation, at=at
        )  # fmt: skip
        self._try(lambda: self.ledger.execute(command))
        assert repeated_command_records_nothing(self.ledger, command)

    @precondition(lambda self: self.ledger.state.payments)
    @rule(which=pick, units=cents, kind=st.sampled_from([billing.CapturePayment, billing.RefundPayment]))
    def capture_or_refund(self, which: int, units: int, kind: Any) -> None:
        amount = eur(units) if units % 2 else None
        self._try(lambda: self.ledger.execute(kind(HOTEL, self._payment(which), amount)))

    @precondition(lambda self: self.ledger.state.payments)
    @rule(which=pick, to=pick, folio=st.integers(1, 2))
    def move_payment(self, which: int, to: int, folio: int) -> None:
        command = billing.MovePayment(HOTEL, self._payment(which), folio, self._booking(to))
        self._try(lambda: self.ledger.execute(command))

    @precondition(lambda self: self.ledger.state.payments)
    @rule(which=pick)
    def void(self, which: int) -> None:
        self._try(lambda: self.ledger.execute(billing.VoidPayment(HOTEL, self._payment(which))))

    @precondition(lambda self: self.recount.lines)
    @rule(which=pick, folio=st.integers(1, 2))
    def invoice(self, which: int, folio: int) -> None:
        booking, _ = self._line(which)
        self._invoice(booking, folio)

    def _invoice(self, booking: str, folio: int) -> None:
        self._try(lambda: self.ledger.issue_invoice(booking, folio))
        check_invoiced(self.ledger.state, booking, folio)

    @rule(nights=st.integers(1, 3), units=cents, more=cents, slept=st.integers(1, 2))
    def stay_on_deposits(self, nights: int, units: int, more: int, slept: int) -> None:
        """A guest pays twice before the first night, and gets an invoice during the stay and after it."""
        self.walk_in(nights)
        booking = list(self.ledger.state.bills)[-1]
        for paid in (units, more):
            self._try(lambda paid=paid: self.ledger.record_payment(booking, paid, allow_overpayment=True))  # type: ignore[misc]
            self._invoice_deposit(booking, 1, None)
        self.roll(slept)
        self._invoice(booking, 1)
        leave = commands.CheckOutGuest(HOTEL, booking, DepartureReason.EARLY)
        self._try(lambda: self.ledger.execute_on_hotel(leave))
        self._invoice(booking, 1)

    @precondition(lambda self: self.ledger.hotel_state.bookings)
    @rule(which=pick, invoiced=st.booleans())
    def cancel_and_reinstate(self, which: int, invoiced: bool) -> None:
        known = sorted(self.ledger.hotel_state.bookings)
        booking = known[which % len(known)]
        self._try(lambda: self.ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking)))
        if invoiced:
            self._try(lambda: self.ledger.issue_invoice(booking))
        self._try(lambda: self.ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking)))

    @precondition(lambda self: self.ledger.state.documents)
    @rule(which=pick)
    def credit(self, which: int) -> None:
        known = sorted(self.ledger.state.documents)
        self._try(lambda: self.ledger.issue_credit_note(known[which % len(known)]))

    @precondition(lambda self: self.ledger.state.documents)
    @rule(which=pick, position=st.integers(1, 3), percent=st.integers(1, 100), units=st.none() | st.integers(1, 3))
    def credit_in_part(self, which: int, position: int, percent: int, units: int | None) -> None:
        known = sorted(self.ledger.state.documents)
        invoice = self.ledger.state.documents[known[which % len(known)]]
        amount = eur(abs(invoice.lines[min(position, len(invoice.lines)) - 1].amount) * percent // 100)
        line = billing.CreditedLine(position=position, amount=None if units else amount, quantity=units)
        self._try(lambda: self.ledger.execute(billing.IssueCreditNote(HOTEL, invoice.number, "part", (line,))))

    @precondition(lambda self: self.ledger.state.documents)
    @rule(which=pick)
    def reissue(self, which: int) -> None:
        known = sorted(self.ledger.state.documents)
        command = billing.ReissueInvoice(HOTEL, known[which % len(known)], "buyer", PartyRequest("Globex"))
        self._try(lambda: self.ledger.execute(command))

    @precondition(lambda self: self.ledger.state.bills)
    @rule(which=pick, folio=st.integers(1, 2), units=st.none() | cents)
    def invoice_deposit(self, which: int, folio: int, units: int | None) -> None:
        self._invoice_deposit(self._booking(which), folio, units)

    def _invoice_deposit(self, booking: str, folio: int, units: int | None) -> None:
        before = self.ledger.state.documents_of(booking)
        command = billing.IssueDepositInvoice(HOTEL, booking, folio, None if units is None else eur(units))
        self._try(lambda: self.ledger.execute(command))
        if self.ledger.state.documents_of(booking) != before:
            check_deposits(self.ledger.state, booking)

    @invariant()
    def the_ledger_is_right(self) -> None:
        self.bills_are_charges_less_payments()
        self.the_trial_balance_is_zero()
        self.each_night_slept_is_posted_once_and_no_other()

    def bills_are_charges_less_payments(self) -> None:
        new = self.ledger.records[self.read :]
        self.read = len(self.ledger.records)
        for record in new:
            assert sum(entry.amount for entry in entries(record.event)) == 0
        self.auditor.handle(new)
        assert not self.auditor.violations, self.auditor.violations
        for bill in self.ledger.state.bills.values():
            self.bill_is_what_was_posted(bill)

    def bill_is_what_was_posted(self, bill: Bill) -> None:
        """P8: the balance is charges less payments, and no line differs from what was posted."""
        for folio in bill.folios:
            key = (bill.booking, folio.number)
            assert folio.charged == self.recount.charges[key]
            assert folio.balance == self.recount.charges[key] - self.recount.payments[key], "the balance is wrong"
            assert [_unmarked(line) for line in folio.lines] == self.recount.posted[key], "a line was edited"
            for line in folio.lines:
                assert line.reversed_by == self.recount.reversals.get(line.id)
                assert line.invoice == self.recount.on_document.get(line.id)

    def the_trial_balance_is_zero(self) -> None:
        balance = self.ledger.query(TrialBalance(HOTEL))
        accounts = {account.account: account.amount for account in balance.accounts}
        assert sum(accounts.values()) == 0
        owed = sum(self.recount.charges.values()) - sum(self.recount.payments.values())
        assert accounts.get(GUEST_LEDGER, 0) == balance.guests == owed
        for code, amount in self.recount.taxes.items():
            assert accounts[f"tax:{code}"] == -amount

    def each_night_slept_is_posted_once_and_no_other(self) -> None:
        """The first night of a reinstated no-show, who comes a day late, is posted by the next audit."""
        for booking in self.ledger.hotel_state.bookings.values():
            posted, slept = self._posted(booking.id), self._slept(booking.id)
            assert posted == slept[: len(posted)]
            if booking.status is not BookingStatus.IN_HOUSE:
                assert posted == slept

    def _posted(self, booking: str) -> list[date]:
        return [night for known, night in self.recount.nights if known == booking]

    def _slept(self, booking: str) -> list[date]:
        stay = self.ledger.hotel_state.bookings[booking]
        today = self.ledger.hotel_state.opened().business_date
        until = {BookingStatus.IN_HOUSE: min(stay.departure, today), BookingStatus.CHECKED_OUT: stay.departure}
        if stay.status is BookingStatus.CHECKED_OUT and stay.departure == stay.arrival:
            return [stay.arrival]  # a day use costs the first night
        nights = (until.get(stay.status, stay.arrival) - stay.arrival).days
        return [stay.arrival + timedelta(days=number) for number in range(nights)]

    def teardown(self) -> None:
        """P6: folding the events gives the same ledger."""
        folded = describe(LEDGER.fold(LedgerState(), self.ledger.records))
        assert wire.encode(folded) == wire.encode(describe(self.ledger.state))


def _unmarked(line: FolioLine) -> FolioLine:
    return msgspec.structs.replace(line, reversed_by=None, invoice=None)


def repeated_command_records_nothing(ledger: LedgerFixture, command: billing.SettlePayment) -> bool:
    """Whether the command records no event when it is executed again."""
    before = len(ledger.records)
    ledger.execute(command)
    return len(ledger.records) == before


def test_the_balance_is_charges_less_payments_after_any_sequence() -> None:
    run_state_machine_as_test(BillingMachine, settings=settings(max_examples=60, stateful_step_count=50, deadline=None))


@pytest.mark.parametrize(("target", "name", "broken", "violation"), BROKEN, ids=[broken[-1] for broken in BROKEN])
def test_the_auditor_reports_a_broken_ledger(
    target: Any, name: str, broken: Any, violation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(target, dict):
        monkeypatch.setitem(target, getattr(billing_events, name), broken)
    else:
        monkeypatch.setattr(target, name, broken)
    quick = settings(
        max_examples=2_000, stateful_step_count=50, deadline=None, derandomize=True, database=None,
        phases=(Phase.generate,), report_multiple_bugs=False,
    )  # fmt: skip
    with pytest.raises(AssertionError, match=violation):
        run_state_machine_as_test(BillingMachine, settings=quick)
