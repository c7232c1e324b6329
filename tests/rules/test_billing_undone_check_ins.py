"""A check-in that is undone leaves no night on the folio: the guest was never there."""

from collections.abc import Callable
from typing import Any

import pytest
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, ReverseCharge, SplitCharge
from innkeeper.protocol.billing.folio import LineKind, ReversalReason
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.storage.audit.billing import BillingAuditor
from support.billing_fixture import VAT, LedgerFixture, eur
from support.partition_fixture import HOTEL, night


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture(VAT)


def check_out_by_mistake(ledger: LedgerFixture) -> str:
    """A no-show who is reinstated a day late, and checked in and out by mistake: the night that was kept is posted."""
    booking = ledger.book(0, 4)
    ledger.roll_business_date()
    for action in (commands.ReinstateBooking, commands.CheckInGuest):
        ledger.execute_on_hotel(action(HOTEL, booking))
    ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, booking, DepartureReason.EARLY))
    return booking


def undo(ledger: LedgerFixture, booking: str) -> None:
    ledger.execute_on_hotel(commands.UndoCheckOut(HOTEL, booking))
    ledger.execute_on_hotel(commands.UndoCheckIn(HOTEL, booking))


def check(ledger: LedgerFixture) -> None:
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []


def test_a_night_that_a_check_out_had_posted_is_reversed_with_the_check_in(ledger: LedgerFixture) -> None:
    booking = check_out_by_mistake(ledger)
    assert ledger.posted_nights(booking) == [0, 1]
    undo(ledger, booking)
    assert (ledger.posted_nights(booking), ledger.bill(booking).balance) == ([], 0)
    assert ledger.bill(booking).posted_until is None
    reversals = [line for line in ledger.bill(booking).folios[0].lines if line.kind is LineKind.REVERSAL and line.night]
    assert [(line.night, line.reason_code) for line in reversals] == [
        (night(1), ReversalReason.CHECK_OUT_UNDONE), (night(0), ReversalReason.CHECK_IN_UNDONE),
    ]  # fmt: skip
    check(ledger)


def test_a_cancellation_after_an_undone_check_in_costs_its_fee_and_no_night(ledger: LedgerFixture) -> None:
    booking = check_out_by_mistake(ledger)
    undo(ledger, booking)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    assert ledger.bill(booking).balance == ledger.hotel_state.bookings[booking].fee == 10_000
    check(ledger)


def test_a_guest_who_comes_after_all_is_charged_all_nights_once(ledger: LedgerFixture) -> None:
    booking = check_out_by_mistake(ledger)
    undo(ledger, booking)
    ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, booking, accept_not_clean=True))
    ledger.roll_business_date(3)
    ledger.check_out(booking)
    assert (ledger.posted_nights(booking), ledger.bill(booking).balance) == ([0, 1, 2, 3], 40_000)
    check(ledger)


def move(ledger: LedgerFixture, booking: str, line: int) -> None:
    ledger.execute(OpenFolio(HOTEL, booking, PartyRequest("Globex")))
    ledger.execute(MoveCharges(HOTEL, booking, (line,), 2))


def split(ledger: LedgerFixture, booking: str, line: int) -> None:
    ledger.execute(SplitCharge(HOTEL, booking, line, eur(4_000)))


def invoice(ledger: LedgerFixture, booking: str, line: int) -> None:
    ledger.issue_invoice(booking)


def reverse(ledger: LedgerFixture, booking: str, line: int) -> None:
    ledger.execute(ReverseCharge(HOTEL, booking, line, "wrong"))


@pytest.mark.parametrize("correct", [move, split, invoice, reverse])
def test_it_is_reversed_wherever_it_is(
    ledger: LedgerFixture, correct: Callable[[LedgerFixture, str, int], Any]
) -> None:
    booking = check_out_by_mistake(ledger)
    posted = next(line for line in ledger.bill(booking).folios[0].lines if line.night == night(0))
    correct(ledger, booking, posted.id)
    undo(ledger, booking)
    assert set(ledger.balances(booking)) == {0}
    check(ledger)
