"""P10: offer, booking, letter, deposit, folio and invoice say the same amount, to the minor unit, night by night.

Stays with any taxes are changed, moved, left early, cancelled or not taken up, in three currencies. What the booking
costs at the end is what the folios charge, with each tax, what the documents add up to, and what the letters said.
"""

from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from innkeeper.actors.notifications.rules.notices import handle
from innkeeper.protocol.billing import commands as billing
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, PriceLine
from innkeeper.protocol.reservations.projection import apply_event
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import TaxExemptionRequest
from innkeeper.protocol.reservations.terms import DepositRequest, TaxRequest
from innkeeper.protocol.values.money import Money, render
from innkeeper.protocol.values.taxes import ChargeKind, TaxBase, TaxPeriod
from innkeeper.storage.audit.billing import BillingAuditor
from support.billing_fixture import LedgerFixture
from support.partition_fixture import HOTEL, night

STEPS = (
    "sleep",
    "change rate",
    "change nights",
    "change guests",
    "move",
    "split",
    "pay",
    "deposit",
    "invoice",
    "terms",
)
ENDS = ("leave", "leave early", "cancel", "no-show", "day use")


@st.composite
def taxes(draw: st.DrawFn, currency: str) -> tuple[TaxRequest, ...]:
    """Up to four taxes and fees of any kind, each with a code of its own, or two of one code one after the other."""
    requests = []
    for number in range(draw(st.integers(0, 4))):
        by_rate = draw(st.booleans())
        included = draw(st.booleans())
        fields: dict[str, Any] = {"included": included, "nights_max": draw(st.none() | st.integers(1, 3))}
        kinds: tuple[ChargeKind, ...] = (ChargeKind.ROOM,)
        if by_rate:
            fields["rate"] = draw(st.sampled_from(["0", "0.001", "6", "7.7", "19", "100"]))
            fields["base"] = draw(st.sampled_from([TaxBase.PRICE] + [TaxBase.TAXED_PRICE] * (not included)))
            fields["period"] = draw(st.sampled_from([TaxPeriod.NIGHT, TaxPeriod.STAY]))
            kinds = draw(st.sampled_from([kinds, (ChargeKind.ROOM, ChargeKind.FEE), (ChargeKind.FEE,)]))
        else:
            fields["amount"] = Money(render(draw(st.integers(1, 2_500)), currency), currency)
            fields["base"] = draw(st.sampled_from([TaxBase.GUEST, TaxBase.ROOM]))
            fields["period"] = draw(st.sampled_from(TaxPeriod))
            fields["exempt_below"] = draw(st.integers(0, 18))
        changes = draw(st.none() | st.integers(0, 4))
        for first, last in ((None, changes), (changes, None)) if changes is not None else ((None, None),):
            valid = {
                "valid_from": None if first is None else night(first + 1),
                "valid_to": None if last is None else night(last),
            }
            requests.append(TaxRequest(code=f"T{number}", name=f"T{number}", applies_to=kinds, **fields, **valid))
    return tuple(requests)


class Stay:
    """One booking in a hotel, with its ledger."""

    def __init__(self, currency: str, data: st.DataObject) -> None:
        self.currency, self.data = currency, data
        first = data.draw(taxes(currency))
        self.ledger = LedgerFixture(
            *first, deposits=(DepositRequest(30),), hotel={"currency": currency, "max_guests": 4}
        )
        children = tuple(data.draw(st.lists(st.integers(0, 17), max_size=2)))
        levies = sorted({tax.code for tax in first if tax.rate is None})
        exempt = data.draw(st.sampled_from([(), levies[:1], levies]), "exempt")
        self.booking = self.ledger.book(
            0, data.draw(st.integers(1, 5)), adults=data.draw(st.integers(1, 2)), children=children,
            rate=self.amount("rate"), exemptions=tuple(TaxExemptionRequest(code, "on business") for code in exempt),
        )  # fmt: skip
        self.other = self.ledger.book(60, 1)

    def amount(self, label: str, most: int = 30_000) -> Money:
        """Any amount."""
        return Money(render(self.data.draw(st.integers(1, most), label), self.currency), self.currency)

    def now(self) -> Booking:
        """The booking as it is, also after the hotel has dropped it from its state."""
        found: Booking | None = None
        for record in self.ledger.hotel_records:
            if getattr(record.event, "booking", None) == self.booking:
                found = apply_event(found, record, self.currency)
        assert found is not None
        return found

    def today(self) -> date:
        return self.ledger.hotel_state.opened().business_date

    def try_step(self, step: str) -> None:
        """Take a step, which may be refused."""
        with suppress(Refused):
            self._take(step)

    def _take(self, step: str) -> None:
        ledger, booking = self.ledger, self.booking
        match step:
            case "sleep" if self.today() < self.now().departure - timedelta(days=1):
                ledger.roll_business_date(1)
            case "change rate":
                ledger.change(booking, rate=self.amount("rate"))
            case "change nights":
                nights = self.data.draw(st.integers(1, 6), "nights")
                ledger.change(booking, departure=self.now().arrival + timedelta(days=nights))
            case "change guests":
                ledger.change(booking, adults=self.data.draw(st.integers(1, 2), "adults"))
            case "move":
                line = self._line()
                to = self.data.draw(st.sampled_from([self.booking, self.other]), "to")
                folio = self.data.draw(st.integers(1, 2), "folio")
                ledger.execute(billing.OpenFolio(HOTEL, to, PartyRequest("Globex")))
                ledger.execute(billing.MoveCharges(HOTEL, booking, (line,), folio, to))
            case "split":
                ledger.execute(billing.SplitCharge(HOTEL, booking, self._line(), self.amount("part")))
            case "pay":
                ledger.record_payment(booking, 0, amount=self.amount("paid"))
            case "deposit":
                ledger.execute(billing.IssueDepositInvoice(HOTEL, booking))
            case "invoice":
                ledger.issue_invoice(booking)
            case "terms":
                ledger.set_terms_of_sale(taxes=self.data.draw(taxes(self.currency)))

    def _line(self) -> int:
        lines = [line.id for folio in self.ledger.bill(self.booking).folios for line in folio.lines if line.is_charge]
        if not lines:
            return 1
        line: int = self.data.draw(st.sampled_from(lines), "line")
        return line

    def end(self, how: str, in_house: bool) -> None:
        """End the stay."""
        ledger = self.ledger
        if not in_house:
            if how == "cancel":
                ledger.execute_on_hotel(commands.CancelBooking(HOTEL, self.booking))
            else:
                ledger.roll_business_date(1)
        elif how == "day use" and self.today() == self.now().arrival:
            ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, self.booking, DepartureReason.DAY_USE))
        else:
            if how != "leave early":
                ledger.roll_business_date(max((self.now().departure - self.today()).days, 1))
            early = DepartureReason.EARLY if self.today() < self.now().departure else None
            ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, self.booking, early))

    def owed(self) -> int:
        """What the booking costs, as reservations have it."""
        now = self.now()
        return sum(line.total for line in now.lines) if now.status is BookingStatus.CHECKED_OUT else now.fee

    def documents(self) -> list[Invoice]:
        """Invoice what is left, and return all documents of both bookings."""
        for booking in (self.booking, self.other):
            for folio in self.ledger.bill(booking).folios:
                with suppress(Refused):
                    self.ledger.issue_invoice(booking, folio.number)
        return [*self.ledger.state.documents.values()]


def letters_say(stay: Stay) -> list[tuple[int, ...]]:
    """The price of each night that letters know, after each event about the booking."""
    hotel = booking = None
    said = []
    for record in stay.ledger.hotel_records:
        about = getattr(record.event, "booking", None)
        if about not in (None, stay.booking):
            continue
        decision = handle(hotel, booking if about else None, record)
        hotel = decision.hotel
        if about:
            booking = decision.booking
            assert booking is not None
            said.append(booking.stay.prices)
    return said


def sums(lines: list[Any]) -> dict[str, int]:
    """The sum of each tax, without those that are zero."""
    found: dict[str, int] = {}
    for line in lines:
        for tax in line.taxes:
            found[tax.code] = found.get(tax.code, 0) + tax.amount
    return {code: amount for code, amount in found.items() if amount}


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_booking_letter_folio_and_invoice_say_the_same_amount(currency: str, data: st.DataObject) -> None:
    stay = Stay(currency, data)
    ledger = stay.ledger
    in_house = data.draw(st.booleans(), "in house")
    quoted = stay.now().lines
    assert letters_say(stay)[-1] == tuple(line.total for line in quoted)
    due = ledger.query_deposits(stay.booking)
    assert sum(deposit.amount for deposit in due) == (2 * 30 * sum(line.total for line in quoted) + 100) // 200
    if in_house:
        ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, stay.booking))
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=8), "steps"):
        if in_house or step != "sleep":
            stay.try_step(step)
    assert letters_say(stay)[-1] == tuple(line.total for line in stay.now().lines)
    stay.end(data.draw(st.sampled_from(ENDS), "end"), in_house)
    assume(stay.now().status not in (BookingStatus.CONFIRMED, BookingStatus.IN_HOUSE))

    bills = [ledger.bill(booking) for booking in (stay.booking, stay.other)]
    assert sum(bill.charged for bill in bills) == stay.owed()
    lines = [line for bill in bills for folio in bill.folios for line in folio.lines if line.is_charge]
    if stay.now().status is BookingStatus.CHECKED_OUT:
        booked: list[PriceLine] = [*stay.now().lines]
        assert sums(lines) == sums(booked)
    documents = stay.documents()
    open_deposits = sum(one.total for one in documents if one.kind == "deposit_invoice" and not one.settled_by)
    assert sum(document.total for document in documents) == stay.owed() + open_deposits
    for document in documents:
        assert document.total == sum(line.amount for line in document.lines) == document.net + document.tax
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []
