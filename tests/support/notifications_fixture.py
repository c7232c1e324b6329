"""A hotel whose commands are decided by the real rules, and notifications that listens to it."""

from itertools import count
from typing import Any

import msgspec
from innkeeper.actors.notifications.rules.notices import KnownBooking, KnownHotel, handle
from innkeeper.actors.reservations.rules.audit import due_events
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.protocol.billing.events import PaymentRecorded
from innkeeper.protocol.billing.folio import FolioLine, LineKind
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.command_context import CommandContext
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, Contact
from innkeeper.protocol.reservations.commands import BookingChange
from innkeeper.protocol.reservations.replies import BookingReply
from support.partition_fixture import HOTEL, NOON, night, plan, request

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR
ANN = Contact("Ann", "ann@example.com")


class NotificationsFixture:
    """A hotel, and notifications that listens to it and remembers only what fits through msgpack."""

    def __init__(self, **more: Any) -> None:
        self.at = NOON
        self.state = HotelState()
        self.known_hotel: KnownHotel | None = None
        self.known_bookings: dict[str, KnownBooking] = {}
        self.immediate: list[Notice] = []
        self.scheduled: dict[str, Notice] = {}
        self.records: list[RecordedEvent] = []
        self._ids = (f"id-{number}" for number in count())
        self.execute(commands.OpenHotel(HOTEL, plan({"DBL": 3, "SUI": 2}, **more)))

    def execute(self, command: Command) -> list[Notice]:
        """Do it; what notifications says, at once or for later."""
        return self.apply_events(decide(self.state, command, CommandContext(self.at, next(self._ids))).events)

    def apply_events(self, done: tuple[Event, ...]) -> list[Notice]:
        return [notice for event in done for notice in self._take_in(event)]

    def _take_in(self, event: Event) -> tuple[Notice, ...]:
        record = RecordedEvent(HOTEL, self.state.seq + 1, self.at, "tester", "request", "cause", event)
        evolve(self.state, record)
        return self.handle_record(record)

    def handle_record(self, record: RecordedEvent) -> tuple[Notice, ...]:
        """What notifications says because of an event."""
        event = record.event
        self.records.append(record)
        of = event.booking if isinstance(event, events.BookingEvent) else ""
        hotel, booking, notices, withdrawn = handle(self.known_hotel, self.known_bookings.get(of), record)
        self.known_hotel = through_msgpack(hotel)
        if booking is not None:
            self.known_bookings[of] = through_msgpack(booking)
        for notice in withdrawn:
            self.scheduled.pop(notice, None)
        for notice in notices:
            assert through_msgpack(notice) == notice
            if notice.due_at:
                self.scheduled[notice.id] = notice
            else:
                self.immediate.append(notice)
        return notices

    def record_payment(self, booking: str, units: int = 5_000, seq: int = 1) -> tuple[Notice, ...]:
        """Billing has money for a booking."""
        line = FolioLine(id=1, kind=LineKind.PAYMENT, business_date=night(0), amount=-units, payment="p")
        paid = PaymentRecorded(booking, 1, "p", "cash", line)
        return self.handle_record(RecordedEvent(HOTEL, seq, self.at, "tester", "request", "cause", paid))

    def advance_clock(self, microseconds: int) -> None:
        """Let time pass, and holds run out."""
        self.at += microseconds
        self.apply_events(due_events(self.state, self.at))

    def book(self, arrival: int = 30, nights: int = 2, guest: Contact = ANN, **more: Any) -> Booking:
        command = commands.Book(HOTEL, msgspec.structs.replace(request(arrival, nights, **more), guest=guest))
        decision = decide(self.state, command, CommandContext(self.at, next(self._ids)))
        self.apply_events(decision.events)
        reply = decision.reply(self.state)
        assert isinstance(reply, BookingReply)
        return reply.booking

    def change(self, booking: Booking, **what: Any) -> list[Notice]:
        return self.execute(commands.Change(HOTEL, booking.id, BookingChange(**what)))

    def immediate_kinds(self) -> list[str]:
        return [notice.kind.value for notice in self.immediate]

    def scheduled_kinds(self) -> list[str]:
        return [notice.kind.value for notice in self.scheduled.values()]


def through_msgpack(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))
