"""A hotel whose commands are decided by the real rules, and its ledger, to which all its events are applied."""

from datetime import date
from itertools import count
from typing import Any

from innkeeper.actors.billing.rules import decisions as billing
from innkeeper.actors.billing.rules.queries import answer
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.state import evolve as evolve_ledger
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.actors.reservations.rules.night_audit import due_events
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.protocol.billing import commands as billing_commands
from innkeeper.protocol.billing import queries as billing_queries
from innkeeper.protocol.billing.folio import Bill, DepositDue, FolioLine, Invoice
from innkeeper.protocol.billing.payment import Payment, PaymentAction
from innkeeper.protocol.billing.replies import BillReply, InvoiceReply, PaymentReply
from innkeeper.protocol.billing.terms import BillingTermsRequest, PartyRequest
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel_requests import HotelChange
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.reservations.requests import BookingChange
from innkeeper.protocol.reservations.terms import DepositRequest, TaxRequest
from innkeeper.protocol.values.money import Money, render
from innkeeper.protocol.values.taxes import ChargeKind
from support.partition_fixture import HOTEL, LOCATOR_KEY, NOON, hotel_request, night, request

VAT = TaxRequest(code="VAT6", name="VAT 6 %", applies_to=(ChargeKind.ROOM, ChargeKind.FEE), rate="6", included=True)
VAT_FOOD = TaxRequest(code="VAT13", name="VAT 13 %", applies_to=(ChargeKind.BREAKFAST,), rate="13", included=True)
SERVICE = TaxRequest(code="SERVICE", name="Service 10 %", applies_to=(ChargeKind.MINIBAR,), rate="10")
CITY = TaxRequest(
    code="CITY", name="City tax", applies_to=(ChargeKind.ROOM,), amount=Money("2.00", "EUR"), exempt_below=13
)


SELLER = PartyRequest("Seaside Ltd", ("1 Beach Road",), "PT500", city="Lisbon", country="PT")


def eur(minor_units: int) -> Money:
    return Money(render(minor_units, "EUR"), "EUR")


class LedgerFixture:
    """A hotel and its ledger. Every event is encoded and decoded before it is applied, as from the journal."""

    def __init__(
        self,
        *taxes: TaxRequest,
        deposits: tuple[DepositRequest, ...] = (),
        hotel: dict[str, Any] | None = None,
        **billing: Any,
    ) -> None:
        """`taxes` and `deposits` are the hotel's terms of sale, `billing` are its billing terms, and `hotel` are other
        properties of the hotel."""
        self.at = NOON
        self.hotel_state = HotelState(locator_key=LOCATOR_KEY)
        self.state = LedgerState()
        self.hotel_records: list[RecordedEvent] = []
        self.records: list[RecordedEvent] = []
        self._ids = (f"id-{number}" for number in count())
        opened = hotel_request({"DBL": 3, "SUI": 2}, taxes=taxes, deposits=deposits, **(hotel or {}))
        self.execute_on_hotel(commands.OpenHotel(HOTEL, opened))
        if billing.get("seller", SELLER) is not None:
            self.set_billing_terms(**billing)

    def set_billing_terms(self, **more: Any) -> None:
        """Set the terms of billing."""
        terms = BillingTermsRequest(**{"seller": SELLER} | more)
        self.execute(billing_commands.ChangeBillingTerms(HOTEL, terms))

    def set_terms_of_sale(self, **more: Any) -> None:
        """Set taxes, deposits or the cancellation policy."""
        self.execute_on_hotel(commands.ChangeHotel(HOTEL, HotelChange(**more)))

    def _envelope(self, command: Command) -> Envelope:
        return Envelope(command, at=self.at, id=next(self._ids))

    def execute_on_hotel(self, command: Command) -> Reply:
        """Execute a command of reservations, and apply its events to the ledger."""
        decision = decide(self.hotel_state, self._envelope(command))
        self.record_hotel_events(tuple(record.event for record in decision.records))
        self.hotel_state.closed_now = decision.closes_next
        if decision.closes_next:
            return self.execute_on_hotel(command)
        assert decision.reply is not None
        return decision.reply

    def record_hotel_events(self, events: tuple[Event, ...]) -> None:
        for event in events:
            record = RecordedEvent(HOTEL, self.hotel_state.seq + 1, self.at, "tester", "request", "cause", event)
            evolve(self.hotel_state, record)
            self.hotel_records.append(record)
            self.apply_hotel_event(record)

    def apply_hotel_event(self, record: RecordedEvent) -> list[Event]:
        """Apply an event of reservations to the ledger; the events of the ledger."""
        before = len(self.records)
        command = wire.decode(wire.encode(billing_commands.ApplyReservationEvent(HOTEL, record)))
        assert isinstance(command, billing_commands.ApplyReservationEvent)
        self.execute(command)
        return [followed.event for followed in self.records[before:]]

    def execute(self, command: Command) -> Reply:
        """Execute a command of billing."""
        decision = billing.decide(self.state, command, self._envelope(command))
        for event in decision.events:
            decoded = wire.decode_event(wire.event_type(event), wire.encode_fields(event))
            cause = decision.cause or "command"
            record = RecordedEvent(HOTEL, self.state.seq + 1, self.at, "tester", "request", cause, decoded)
            evolve_ledger(self.state, record)
            self.records.append(record)
        return decision.reply(self.state)

    def query(self, query: Query) -> Any:
        return answer(self.state, query)

    def advance_clock(self, microseconds: int) -> None:
        self.at += microseconds
        self.record_hotel_events(due_events(self.hotel_state, self.at)[1])

    def book(self, arrival: int = 0, nights: int = 2, **more: Any) -> str:
        reply = self.execute_on_hotel(commands.BookRoom(HOTEL, request(arrival, nights, **more)))
        assert isinstance(reply, BookingReply)
        return reply.booking.id

    def book_and_check_in(self, arrival: int = 0, nights: int = 2, **more: Any) -> str:
        """Book, and check in."""
        booking = self.book(arrival, nights, **more)
        self.execute_on_hotel(commands.CheckInGuest(HOTEL, booking))
        return booking

    def check_out(self, booking: str) -> Reply:
        """Check the guest out, early where the guest arrived today."""
        stay, today = self.hotel_state.bookings[booking], self.hotel_state.opened().business_date
        reason = DepartureReason.EARLY if stay.arrival == today else None
        return self.execute_on_hotel(commands.CheckOutGuest(HOTEL, booking, reason))

    def change(self, booking: str, **fields: Any) -> Booking:
        reply = self.execute_on_hotel(commands.ChangeBooking(HOTEL, booking, BookingChange(**fields)))
        assert isinstance(reply, BookingReply)
        return reply.booking

    def roll_business_date(self, nights: int = 1) -> None:
        today = self.hotel_state.opened().business_date
        self.execute_on_hotel(commands.RollBusinessDate(HOTEL, date.fromordinal(today.toordinal() + nights)))

    def post_charge(self, booking: str, minor_units: int = 1_000, **more: Any) -> FolioLine:
        """Charge an extra; its line."""
        fields = {"charge": ChargeKind.OTHER, "text": "Extra", "folio": 1} | more
        reply = self.execute(billing_commands.PostCharge(HOTEL, booking, unit_amount=eur(minor_units), **fields))
        assert isinstance(reply, BillReply)
        return reply.bill.folios[fields["folio"] - 1].lines[-1]

    def record_payment(self, booking: str, minor_units: int, **more: Any) -> Payment:
        fields = {"method": "cash", "amount": eur(minor_units)} | more
        return self.execute_payment(billing_commands.RecordPayment(HOTEL, booking, **fields))

    def start_payment(self, booking: str, minor_units: int, **more: Any) -> Payment:
        fields = {"provider": "simulated", "amount": eur(minor_units)} | more
        return self.execute_payment(billing_commands.StartPayment(HOTEL, booking, **fields))

    def settle_payment(self, payment: Payment, outcome: Any, **more: Any) -> Payment:
        return self.execute_payment(billing_commands.SettlePayment(HOTEL, payment.id, outcome=outcome, **more))

    def answer(self, payment: Payment, **more: Any) -> Payment:
        """Let the provider answer the oldest pending operation: it does it, unless `outcome` says otherwise."""
        operation = self.query(billing_queries.ShowPayment(HOTEL, payment.id)).payment.pending[0]
        done = {PaymentAction.CAPTURE: "captured", PaymentAction.VOID: "voided", PaymentAction.REFUND: "refunded"}
        fields = {"outcome": done[operation.action], "operation": operation.number} | more
        if fields["outcome"] == "captured":
            fields["amount"] = eur(operation.amount)
        return self.settle_payment(payment, fields.pop("outcome"), **fields)

    def carry_out(self, command: Command) -> Payment:
        """Execute a command about a payment that the provider carries out at once; the payment after it."""
        return self.answer(self.execute_payment(command))

    def execute_payment(self, command: Command) -> Payment:
        """Execute a command about a payment; the payment after it."""
        reply = self.execute(command)
        assert isinstance(reply, PaymentReply)
        return reply.payment

    def issue_invoice(self, booking: str, folio: int = 1, buyer: PartyRequest | None = None) -> Invoice:
        return self.execute_invoice(billing_commands.IssueInvoice(HOTEL, booking, folio, buyer))

    def issue_credit_note(self, number: str) -> Invoice:
        return self.execute_invoice(billing_commands.IssueCreditNote(HOTEL, number, "wrong name"))

    def execute_invoice(self, command: Command) -> Invoice:
        """Execute a command about a document; the document."""
        reply = self.execute(command)
        assert isinstance(reply, InvoiceReply)
        return reply.shown

    def bill(self, booking: str) -> Bill:
        reply = self.query(billing_queries.ShowBill(HOTEL, booking))
        assert isinstance(reply, BillReply)
        return reply.bill

    def query_deposits(self, booking: str) -> tuple[DepositDue, ...]:
        """The deposits that are due for a booking."""
        reply = self.query(billing_queries.ShowBill(HOTEL, booking))
        assert isinstance(reply, BillReply)
        return reply.deposits

    def balances(self, booking: str) -> list[int]:
        return [folio.balance for folio in self.bill(booking).folios]

    def posted_nights(self, booking: str) -> list[int]:
        """How many nights after the first day each posted night is, reversed ones left out."""
        lines = [line for folio in self.bill(booking).folios for line in folio.lines]
        return [
            (line.night - night(0)).days
            for line in lines
            if line.night is not None and line.kind.value == "charge" and line.reversed_by is None
        ]

    def event_names(self) -> list[str]:
        """The names of the events of the ledger."""
        return [record.event.name for record in self.records]
