"""A hotel whose commands are decided by the real rules, and its ledger, which hears of all that happens there."""

from datetime import date
from itertools import count
from typing import Any

from innkeeper.actors.billing.rules import decisions as billing
from innkeeper.actors.billing.rules.queries import answer
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.state import evolve as enter
from innkeeper.actors.reservations.rules.audit import due_events
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.protocol.billing import commands as billing_commands
from innkeeper.protocol.billing import queries as billing_queries
from innkeeper.protocol.billing.folio import Bill, FolioLine, Invoice, Payment
from innkeeper.protocol.billing.replies import BillReply, InvoiceReply, PaymentReply
from innkeeper.protocol.billing.terms import BillingPlan, ChargeKind, PartyPlan, TaxPlan
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.command_context import CommandContext
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import BookingChange
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.values.money import Money, render
from support.partition_fixture import HOTEL, NOON, night, plan, request

VAT = TaxPlan(code="VAT6", name="VAT 6 %", applies_to=(ChargeKind.ROOM, ChargeKind.FEE), rate="6", included=True)
VAT_FOOD = TaxPlan(code="VAT13", name="VAT 13 %", applies_to=(ChargeKind.BREAKFAST,), rate="13", included=True)
SERVICE = TaxPlan(code="SERVICE", name="Service 10 %", applies_to=(ChargeKind.MINIBAR,), rate="10")
CITY = TaxPlan(
    code="CITY", name="City tax", applies_to=(ChargeKind.ROOM,), per_night=Money("2.00", "EUR"), exempt_below=13
)


def eur(minor_units: int) -> Money:
    return Money(render(minor_units, "EUR"), "EUR")


class LedgerFixture:
    """A hotel and its ledger. Every event goes through its bytes before the ledger enters it, as from the journal."""

    def __init__(self, *taxes: TaxPlan, **more: Any) -> None:
        self.at = NOON
        self.hotel = HotelState()
        self.ledger = LedgerState()
        self.happened: list[RecordedEvent] = []
        self.records: list[RecordedEvent] = []
        self._ids = (f"id-{number}" for number in count())
        self.say(commands.OpenHotel(HOTEL, plan({"DBL": 3, "SUI": 2})))
        if taxes or more:
            self.agree(*taxes, **more)

    def agree(self, *taxes: TaxPlan, **more: Any) -> None:
        """Set the terms of billing."""
        plan = BillingPlan(seller=PartyPlan("Seaside Ltd", ("1 Beach Road", "Lisbon"), "PT500"), taxes=taxes, **more)
        self.enter(billing_commands.ChangeBillingTerms(HOTEL, plan))

    def stamp(self) -> CommandContext:
        return CommandContext(self.at, next(self._ids))

    def say(self, command: Command) -> Reply:
        """Something at the front desk; the ledger hears of it."""
        decision = decide(self.hotel, command, self.stamp())
        self.happen(decision.events)
        return decision.reply(self.hotel)

    def happen(self, done: tuple[Event, ...]) -> None:
        for event in done:
            record = RecordedEvent(HOTEL, self.hotel.seq + 1, self.at, "tester", "request", "cause", event)
            evolve(self.hotel, record)
            self.happened.append(record)
            self.subscribe(record)

    def subscribe(self, record: RecordedEvent) -> list[Event]:
        """Tell the ledger of an event of reservations; what follows."""
        before = len(self.records)
        told = wire.decode(wire.encode(billing_commands.ApplyReservationEvent(HOTEL, record)))
        assert isinstance(told, billing_commands.ApplyReservationEvent)
        self.enter(told)
        return [followed.event for followed in self.records[before:]]

    def enter(self, command: Command) -> Reply:
        """Something that the ledger is told."""
        decision = billing.decide(self.ledger, command, self.stamp())
        for event in decision.events:
            read = wire.decode_event(wire.event_type(event), wire.encode_fields(event))
            cause = decision.cause or "command"
            record = RecordedEvent(HOTEL, self.ledger.seq + 1, self.at, "tester", "request", cause, read)
            enter(self.ledger, record)
            self.records.append(record)
        return decision.reply(self.ledger)

    def ask(self, query: Query) -> Any:
        return answer(self.ledger, query)

    def pass_time(self, microseconds: int) -> None:
        self.at += microseconds
        self.happen(due_events(self.hotel, self.at))

    def book(self, arrival: int = 0, nights: int = 2, **more: Any) -> str:
        reply = self.say(commands.Book(HOTEL, request(arrival, nights, **more)))
        assert isinstance(reply, BookingReply)
        return reply.booking.id

    def stay(self, arrival: int = 0, nights: int = 2, **more: Any) -> str:
        """A guest in house."""
        booking = self.book(arrival, nights, **more)
        self.say(commands.CheckIn(HOTEL, booking))
        return booking

    def change(self, booking: str, **what: Any) -> Booking:
        reply = self.say(commands.Change(HOTEL, booking, BookingChange(**what)))
        assert isinstance(reply, BookingReply)
        return reply.booking

    def roll(self, nights: int = 1) -> None:
        today = self.hotel.opened().business_date
        self.say(commands.RollBusinessDate(HOTEL, date.fromordinal(today.toordinal() + nights)))

    def charge(self, booking: str, units: int = 1_000, **more: Any) -> FolioLine:
        """An extra; its line."""
        fields = {"charge": ChargeKind.OTHER, "text": "Extra", "folio": 1} | more
        reply = self.enter(billing_commands.PostCharge(HOTEL, booking, unit_amount=eur(units), **fields))
        assert isinstance(reply, BillReply)
        return reply.bill.folios[fields["folio"] - 1].lines[-1]

    def pay(self, booking: str, units: int, **more: Any) -> Payment:
        fields = {"method": "cash", "amount": eur(units)} | more
        return self.paid(billing_commands.RecordPayment(HOTEL, booking, **fields))

    def start(self, booking: str, units: int, **more: Any) -> Payment:
        fields = {"provider": "simulated", "amount": eur(units)} | more
        return self.paid(billing_commands.StartPayment(HOTEL, booking, **fields))

    def settle(self, payment: Payment, outcome: Any, **more: Any) -> Payment:
        return self.paid(billing_commands.SettlePayment(HOTEL, payment.id, outcome=outcome, **more))

    def paid(self, command: Command) -> Payment:
        """A command about a payment; the payment after it."""
        reply = self.enter(command)
        assert isinstance(reply, PaymentReply)
        return reply.payment

    def invoice(self, booking: str, folio: int = 1, buyer: PartyPlan | None = None) -> Invoice:
        return self.issued(billing_commands.IssueInvoice(HOTEL, booking, folio, buyer))

    def credit(self, number: str) -> Invoice:
        return self.issued(billing_commands.IssueCreditNote(HOTEL, number, "wrong name"))

    def issued(self, command: Command) -> Invoice:
        """A command about a document; the document."""
        reply = self.enter(command)
        assert isinstance(reply, InvoiceReply)
        return reply.invoice

    def bill(self, booking: str) -> Bill:
        reply = self.ask(billing_queries.ShowBill(HOTEL, booking))
        assert isinstance(reply, BillReply)
        return reply.bill

    def balances(self, booking: str) -> list[int]:
        return [folio.balance for folio in self.bill(booking).folios]

    def nights(self, booking: str) -> list[int]:
        """How many nights after the first day each posted night is, reversed ones left out."""
        lines = [line for folio in self.bill(booking).folios for line in folio.lines]
        return [
            (line.night - night(0)).days
            for line in lines
            if line.night is not None and line.kind.value == "charge" and line.reversed_by is None
        ]

    def names(self) -> list[str]:
        """What happened in the ledger, by name."""
        return [record.event.name for record in self.records]
