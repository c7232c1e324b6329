"""A hotel whose commands are decided by the real rules, and notifications, which handles its events."""

from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel, writing_on
from innkeeper.actors.notifications.rules.notices import handle
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.actors.reservations.rules.night_audit import due_events
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.protocol.billing.events import PaymentRecorded, PaymentRefunded, PaymentRefundFailed
from innkeeper.protocol.billing.folio import FolioLine, LineKind
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.notifications.notices import Notice, NoticeKind
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.reservations.requests import BookingChange, Contact
from innkeeper.protocol.values.instants import instant
from support.partition_fixture import HOTEL, LOCATOR_KEY, NOON, hotel_request, night, request

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR
ANN = Contact("Ann", "ann@example.com")
ZONES = st.sampled_from(
    ["Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC"]
)


class NotificationsFixture:
    """A hotel, and notifications, whose state is encoded and decoded after each event.

    Notices without a due time are in `immediate`, the others in `scheduled` until they are withdrawn; those about
    changes, which wait for `change_delay_seconds`, become immediate when they are due.
    """

    def __init__(self, change_delay_seconds: int = 0, **more: Any) -> None:
        self.at = NOON
        self.state = HotelState(locator_key=LOCATOR_KEY)
        self.known_hotel: KnownHotel | None = None
        self.known_bookings: dict[str, KnownBooking] = {}
        self.immediate: list[Notice] = []
        self.scheduled: dict[str, Notice] = {}
        self.records: list[RecordedEvent] = []
        self._ids = (f"id-{number}" for number in count())
        self.execute(commands.OpenHotel(HOTEL, hotel_request({"DBL": 3, "SUI": 2}, **more)))
        assert self.known_hotel is not None
        terms = NotificationTerms(change_delay_seconds=change_delay_seconds)
        self.known_hotel = writing_on(self.known_hotel, terms)

    def execute(self, command: Command) -> list[Notice]:
        """Execute a command; its notices, immediate and scheduled."""
        return self._execute(command)[0]

    def _execute(self, command: Command) -> tuple[list[Notice], Reply | None]:
        decision = decide(self.state, Envelope(command, at=self.at, id=next(self._ids)))
        notices = self.apply_events(tuple(record.event for record in decision.records))
        self.state.closed_now = decision.closes_next
        if not decision.closes_next:
            return notices, decision.reply
        later, reply = self._execute(command)
        return notices + later, reply

    def apply_events(self, events_done: tuple[Event, ...]) -> list[Notice]:
        return [notice for event in events_done for notice in self._apply(event)]

    def _apply(self, event: Event) -> tuple[Notice, ...]:
        record = RecordedEvent(HOTEL, self.state.seq + 1, self.at, "tester", "request", "cause", event)
        evolve(self.state, record)
        return self.handle_record(record)

    def handle_record(self, record: RecordedEvent) -> tuple[Notice, ...]:
        """Handle an event; its notices."""
        event = record.event
        self.records.append(record)
        booking_id = getattr(event, "booking", "") or getattr(event, "entry", "")
        decision = handle(self.known_hotel, self.known_bookings.get(booking_id), record)
        hotel, booking, notices, withdrawn = decision[:4]
        self.known_hotel = through_msgpack(hotel)
        if booking is not None:
            self.known_bookings[booking_id] = through_msgpack(booking)
        for notice in withdrawn:
            self.scheduled.pop(notice, None)
        for notice in notices:
            assert through_msgpack(notice) == notice
            if notice.due_at:
                self.scheduled[notice.id] = notice
            else:
                self.immediate.append(notice)
        return notices

    def record_payment(self, booking: str, minor_units: int = 5_000, seq: int = 1) -> tuple[Notice, ...]:
        """Handle an event of billing that a payment is recorded; its notices."""
        line = FolioLine(id=1, kind=LineKind.PAYMENT, business_date=night(0), amount=-minor_units, payment="p")
        payment = PaymentRecorded(booking, 1, "p", "cash", line)
        return self.handle_record(RecordedEvent(HOTEL, seq, self.at, "tester", "request", "cause", payment))

    def record_refund(self, booking: str, minor_units: int = 5_000, seq: int = 2) -> tuple[Notice, ...]:
        """Handle an event of billing that a payment is refunded; its notices."""
        line = FolioLine(id=2, kind=LineKind.REFUND, business_date=night(0), amount=minor_units, payment="p")
        refund = PaymentRefunded(booking, 1, "p", "cash", line)
        return self.handle_record(RecordedEvent(HOTEL, seq, self.at, "tester", "request", "cause", refund))

    def record_failed_refund(self, booking: str, minor_units: int, seq: int = 3) -> tuple[Notice, ...]:
        """Handle an event of billing that a refund failed, which had counted unless it is 0; its notices."""
        line = FolioLine(id=3, kind=LineKind.PAYMENT, business_date=night(0), amount=-minor_units, payment="p")
        failed = PaymentRefundFailed(booking, 1, "p", "simulated", "re-1", line if minor_units else None)
        return self.handle_record(RecordedEvent(HOTEL, seq, self.at, "tester", "request", "cause", failed))

    def apply_billing_event(self, event: Event) -> None:
        """Handle an event of billing that is about no booking."""
        assert not self.handle_record(RecordedEvent(HOTEL, 1, self.at, "tester", "request", "cause", event))

    def advance_clock(self, microseconds: int) -> None:
        """Advance the clock, and let holds expire. A notice about a change that is due before is sent."""
        self.at += microseconds
        due = [one for one in self.scheduled.values() if one.kind is NoticeKind.CHANGE and one.due_at <= self.at]
        for notice in sorted(due, key=lambda notice: notice.due_at):
            self.immediate.append(self.scheduled.pop(notice.id))
        self.apply_events(due_events(self.state, self.at)[1])

    def book(self, arrival: int = 30, nights: int = 2, guest: Contact = ANN, **more: Any) -> Booking:
        command = commands.BookRoom(HOTEL, msgspec.structs.replace(request(arrival, nights, **more), guest=guest))
        _, reply = self._execute(command)
        assert isinstance(reply, BookingReply)
        return reply.booking

    def change(self, booking: Booking, **fields: Any) -> list[Notice]:
        return self.execute(commands.ChangeBooking(HOTEL, booking.id, BookingChange(**fields)))

    def immediate_kinds(self) -> list[str]:
        return [notice.kind.value for notice in self.immediate]

    def scheduled_kinds(self) -> list[str]:
        return [notice.kind.value for notice in self.scheduled.values()]


def through_msgpack(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))


def local(at: int, timezone: str = "Europe/Lisbon") -> str:
    return f"{instant(at).astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"
