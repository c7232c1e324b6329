"""Plays the stories of `tests/rules/bills.toml` with the real rules of reservations and billing."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from innkeeper.protocol.billing import commands
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import CancelBooking, CheckInGuest, CheckOutGuest, ReinstateBooking
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.terms import DepositRequest, TaxRequest
from innkeeper.protocol.values.money import Money, render
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import ChargeKind
from msgspec import convert
from support.billing_fixture import LedgerFixture
from support.partition_fixture import HOTEL, night

_GLOBEX = PartyRequest("Globex")


class BillStory:
    """One booking and its documents. Nights are counted from the first one of the hotel, which is 1 June 2026."""

    def __init__(self, bill: dict[str, Any], taxes: dict[str, dict[str, Any]]) -> None:
        self.currency = bill.get("currency", "EUR")
        requests = [self._tax(code, taxes[code]) for code in bill.get("taxes", [])]
        deposits = tuple(DepositRequest(percent) for percent in bill.get("deposits", []))
        self.ledger = LedgerFixture(
            *requests, deposits=deposits, hotel={"currency": self.currency, "max_guests": 6}, note=""
        )
        self._stay = bill
        self.documents: list[Invoice] = []
        more = {"children": tuple(bill["children"])} if "children" in bill else {}
        self.booking = self.ledger.book(
            0, bill.get("nights", 1), adults=bill.get("adults", 1), rate=self.money(bill["rate"]), **more
        )
        self.quoted = self.price()

    def _tax(self, code: str, fields: dict[str, Any]) -> TaxRequest:
        fields = {"name": code, "code": re.sub(r"\W.*", "", code)} | fields
        if "amount" in fields:
            fields["amount"] = {"amount": fields["amount"], "currency": self.currency}
        return convert(fields, TaxRequest)

    def money(self, amount: str) -> Money:
        """An amount in the currency of the story."""
        return Money(amount, self.currency)

    def shown(self, units: int) -> str:
        """An amount as the table has it."""
        return render(units, self.currency)

    def now(self) -> Booking:
        """The booking as it is."""
        return self.ledger.hotel_state.bookings[self.booking]

    def price(self) -> str:
        """The price of the stay, as reservations have it."""
        return self.shown(sum(line.total for line in self.now().lines))

    def play(self) -> None:
        """Plays the steps of the story."""
        for step in self._stay.get("story", ["check in", "sleep", "check out", "invoice"]):
            for form, play in _STEPS:
                if match := re.fullmatch(form, step):
                    play(self, *match.groups())
                    break
            else:
                raise AssertionError(f"unknown step: {step}")

    def check_in(self) -> None:
        self.ledger.execute_on_hotel(CheckInGuest(HOTEL, self.booking))

    def sleep(self, nights: str | None = None) -> None:
        """Close so many nights, by default all that are left of the stay."""
        today = self.ledger.hotel_state.opened().business_date
        self.ledger.roll_business_date(int(nights) if nights else max((self.now().departure - today).days, 1))

    def check_out(self) -> None:
        """Check out, early where nights are left."""
        today = self.ledger.hotel_state.opened().business_date
        reason = DepartureReason.EARLY if today < self.now().departure else None
        self.ledger.execute_on_hotel(CheckOutGuest(HOTEL, self.booking, reason))

    def day_use(self) -> None:
        """Check out on the day of arrival, after a day use."""
        self.ledger.execute_on_hotel(CheckOutGuest(HOTEL, self.booking, DepartureReason.DAY_USE))

    def cancel(self) -> None:
        self.ledger.execute_on_hotel(CancelBooking(HOTEL, self.booking))

    def reinstate(self) -> None:
        self.ledger.execute_on_hotel(ReinstateBooking(HOTEL, self.booking))

    def rate(self, amount: str) -> None:
        """Another rate for the nights that are left."""
        self.ledger.change(self.booking, rate=self.money(amount))

    def stay(self, nights: str) -> None:
        """Stay so many nights in all."""
        self.ledger.change(self.booking, departure=self.now().arrival + timedelta(days=int(nights)))

    def adults(self, number: str) -> None:
        self.ledger.change(self.booking, adults=int(number))

    def charge(self, kind: str, quantity: str, amount: str, day: str | None = None) -> None:
        """Charge an extra, supplied on the day after so many nights."""
        command = commands.PostCharge(
            HOTEL, self.booking, charge=ChargeKind(kind), text=kind.capitalize(), unit_amount=self.money(amount),
            quantity=int(quantity), supplied_on=None if day is None else night(int(day)),
        )  # fmt: skip
        self.ledger.execute(command)

    def split(self, line: str, amount: str) -> None:
        """Split a line of the folio."""
        command = commands.SplitCharge(HOTEL, self.booking, self._line(line), self.money(amount))
        self.ledger.execute(command)

    def move(self, line: str) -> None:
        """Move a line of the folio to the folio of a company, which is opened for it."""
        if len(self.ledger.bill(self.booking).folios) == 1:
            self.ledger.execute(commands.OpenFolio(HOTEL, self.booking, _GLOBEX))
        self.ledger.execute(commands.MoveCharges(HOTEL, self.booking, (self._line(line),), 2))

    def _line(self, number: str) -> int:
        return self.ledger.bill(self.booking).folios[0].lines[int(number) - 1].id

    def pay(self, amount: str) -> None:
        self.ledger.record_payment(self.booking, 0, amount=self.money(amount))

    def refund(self, amount: str) -> None:
        """Refund a part of the last payment."""
        payment = self.ledger.bill(self.booking).folios[0].payments[-1].id
        self.ledger.execute(commands.RefundPayment(HOTEL, payment, self.money(amount)))

    def invoice(self, folio: str | None = None) -> None:
        self._issue(commands.IssueInvoice(HOTEL, self.booking, int(folio or 1)))

    def invoice_deposit(self, amount: str | None = None) -> None:
        self._issue(commands.IssueDepositInvoice(HOTEL, self.booking, 1, amount and self.money(amount)))

    def credit(self, number: str) -> None:
        self._issue(commands.IssueCreditNote(HOTEL, number, "correction"))

    def credit_amount(self, number: str, position: str, amount: str) -> None:
        """Credit an amount of a line."""
        line = commands.CreditedLine(position=int(position), amount=self.money(amount))
        self._issue(commands.IssueCreditNote(HOTEL, number, "correction", (line,)))

    def credit_quantity(self, number: str, position: str, quantity: str) -> None:
        """Credit so many units of a line."""
        line = commands.CreditedLine(position=int(position), quantity=int(quantity))
        self._issue(commands.IssueCreditNote(HOTEL, number, "correction", (line,)))

    def reissue(self, number: str) -> None:
        self._issue(commands.ReissueInvoice(HOTEL, number, "correction", _GLOBEX))

    def _issue(self, command: Any) -> None:
        self.documents.append(self.ledger.execute_invoice(command))

    def told(self) -> dict[str, Any]:
        """What the table says about the last document and the folio."""
        told: dict[str, Any] = {
            "quoted": self.quoted,
            "price": self.price(),
            "balance": self.shown(self.ledger.bill(self.booking).balance),
            "documents": [f"{one.number} {self.shown(one.total)}" for one in self.documents],
        }
        if self.documents:
            last = self.documents[-1]
            rows = [
                f"{row.code or '-'} {render_percent(row.rate)} % of {self.shown(row.net)}: {self.shown(row.tax)}"
                for row in last.totals
            ]
            told |= {
                "rows": rows, "net": self.shown(last.net), "total": self.shown(last.total),
                "paid": self.shown(last.paid), "due": self.shown(last.due),
                "lines": [f"{line.quantity} {line.text}: {self.shown(line.amount)}" for line in last.lines],
            }  # fmt: skip
        return told


_AMOUNT = r"([0-9.]+)"
_NUMBER = r"([0-9]+)"
_DOCUMENT = r"((?:INV|CN)-[0-9]+)"
_STEPS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("check in", BillStory.check_in),
    (f"sleep(?: {_NUMBER})?", BillStory.sleep),
    ("check out", BillStory.check_out),
    ("day use", BillStory.day_use),
    ("no-show", BillStory.sleep),
    ("cancel", BillStory.cancel),
    ("reinstate", BillStory.reinstate),
    (f"rate {_AMOUNT}", BillStory.rate),
    (f"stay {_NUMBER}", BillStory.stay),
    (f"adults {_NUMBER}", BillStory.adults),
    (f"charge ([a-z]+) {_NUMBER} x {_AMOUNT}(?: of day {_NUMBER})?", BillStory.charge),
    (f"split line {_NUMBER}: {_AMOUNT}", BillStory.split),
    (f"move line {_NUMBER}", BillStory.move),
    (f"pay {_AMOUNT}", BillStory.pay),
    (f"refund {_AMOUNT}", BillStory.refund),
    (f"invoice(?: folio {_NUMBER})?", BillStory.invoice),
    (f"deposit invoice(?: {_AMOUNT})?", BillStory.invoice_deposit),
    (f"credit {_DOCUMENT}", BillStory.credit),
    (f"credit {_DOCUMENT} line {_NUMBER}: {_AMOUNT}", BillStory.credit_amount),
    (f"credit {_DOCUMENT} line {_NUMBER}: {_NUMBER} units", BillStory.credit_quantity),
    (f"reissue {_DOCUMENT}", BillStory.reissue),
)
