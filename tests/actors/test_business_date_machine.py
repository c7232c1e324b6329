"""After any sequence of audits, jumps of the clock, downtimes and restarts, no business date was closed before it was
over, and none twice (P12). The true time is known to the test alone."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from innkeeper.actors.partition.clock import ServerClock
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.protocol.codec.wire import encode
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.queries import DescribeHotel, PreviewNightAudit
from innkeeper.protocol.reservations.refusals import ClockInDoubt, DayNotOver
from innkeeper.protocol.reservations.replies import BookingReply, HotelReply, NightAuditReply
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.examples import machine_settings
from support.partition_fixture import HOTEL, HOTEL_TYPE, NOON, PartitionFixture, night, request

HOUR = 3_600_000_000
DAY = 24 * HOUR


class BusinessDateMachine(RuleBasedStateMachine):
    """A hotel on the wall clock in UTC, and the night audits of staff and of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="innkeeper-")
        self.path = Path(self.folder.name) / "journal.db"
        self.true_time = self.wall = NOON
        self.partition = self.start()
        self.audit_hour = 3
        self.early: set[date] = set()
        self.answers: dict[date, NightAuditReply] = {}
        self.guests: list[tuple[str, date]] = []

    def start(self) -> PartitionFixture:
        """A partition whose clock is checked against the true time."""
        clock = ServerClock(lambda: self.wall, lambda: self.true_time)
        return PartitionFixture(SqliteJournal(self.path), clock=clock)

    def teardown(self) -> None:
        """Close and delete the journal."""
        self.partition.host.close()
        self.folder.cleanup()

    @initialize(night_audit=st.sampled_from(["manual", "03:00", "23:00"]))
    def open_hotel(self, night_audit: str) -> None:
        self.audit_hour = 23 if night_audit == "23:00" else 3
        self.partition.open_hotel({"DBL": 5}, clock=HotelClock.WALL, timezone="UTC", night_audit=night_audit)

    @property
    def open_date(self) -> date:
        """The business date."""
        reply = self.partition.execute(DescribeHotel(HOTEL))
        assert isinstance(reply, HotelReply)
        return reply.hotel.business_date

    def over_at(self, day: date) -> datetime:
        """When a date is truly over."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return start + timedelta(hours=self.audit_hour if self.audit_hour == 23 else 24 + self.audit_hour)

    @property
    def now(self) -> datetime:
        """The true time."""
        return datetime.fromtimestamp(self.true_time / 1e6, UTC)

    @rule(hours=st.sampled_from([1, 3, 11, 24, 50]))
    def time_passes(self, hours: int) -> None:
        self.true_time += hours * HOUR
        self.wall += hours * HOUR
        self.partition.host.handle([])

    @rule(hours=st.sampled_from([1, 15, 24, 24 * 365, -1, -30]))
    def clock_jumps(self, hours: int) -> None:
        self.wall += hours * HOUR
        self.partition.host.handle([])

    @rule()
    def clock_is_right_again(self) -> None:
        self.wall = self.true_time
        self.partition.host.handle([])

    @precondition(lambda self: self.wall == self.true_time)
    @rule(hours=st.sampled_from([0, 2, 20, 60, 24 * 30]), snapshot=st.booleans())
    def restart(self, hours: int, snapshot: bool) -> None:
        if snapshot:
            self.partition.host.save_snapshots(after_events=1)
        self.partition.host.close()
        self.true_time += hours * HOUR
        self.wall += hours * HOUR
        self.partition = self.start()
        self.partition.load_all()

    @rule(arrival=st.integers(0, 2))
    def book(self, arrival: int) -> None:
        days = (self.open_date - night(0)).days
        reply = self.partition.execute(commands.BookRoom(HOTEL, request(days + arrival, 1)))
        if isinstance(reply, BookingReply):
            self.guests.append((reply.booking.id, reply.booking.arrival))

    @rule(ago=st.integers(-2, 3), named=st.booleans(), early=st.booleans())
    def audit(self, ago: int, named: bool, early: bool) -> None:
        day = self.open_date - timedelta(days=ago) if named else None
        reply = self.partition.execute(commands.RollBusinessDate(HOTEL, None, day, early and named))
        if not isinstance(reply, NightAuditReply):
            return
        for closed in reply.closed:
            if closed.early:
                self.early.add(closed.day)
            if named:
                assert self.answers.setdefault(closed.day, reply) == reply
        if named:
            assert reply.business_date == day + timedelta(days=1)

    @precondition(lambda self: self.wall == self.true_time)
    @rule()
    def confirmed_audit(self) -> None:
        day = self.open_date
        reply = self.partition.execute(commands.RollBusinessDate(HOTEL, confirm_clock=True))
        if self.now >= self.over_at(day):
            assert isinstance(reply, NightAuditReply)
            assert self.now < self.over_at(reply.business_date) or len(reply.closed) == 31
        else:
            assert isinstance(reply, DayNotOver)

    @precondition(lambda self: self.wall == self.true_time)
    @rule()
    def preview_says_what_the_audit_does(self) -> None:
        shown = self.partition.execute(PreviewNightAudit(HOTEL))
        reply: Any = self.partition.execute(commands.RollBusinessDate(HOTEL, None, self.open_date))
        assert isinstance(shown, NightAuditReply)
        if isinstance(reply, NightAuditReply):
            assert reply.closed == shown.closed
        else:
            assert isinstance(reply, DayNotOver | ClockInDoubt)

    @invariant()
    def only_dates_that_are_over_are_closed(self) -> None:
        last = self.open_date - timedelta(days=1)
        if last in self.early:
            assert self.now >= datetime(last.year, last.month, last.day, 12, tzinfo=UTC)
        elif last >= night(0):
            assert self.now >= self.over_at(last)

    @invariant()
    def nobody_is_a_no_show_before_the_day_is_over(self) -> None:
        state = self.partition.host.describe(HOTEL)
        status = {booking.id: booking.status for booking in getattr(state, "bookings", ())}
        for guest, arrival in self.guests:
            if arrival >= self.open_date:
                assert status[guest] == "confirmed"

    @invariant()
    def the_auditor_finds_nothing(self) -> None:
        records = [record for _, record in self.partition.host.journal.read()]
        auditor = ReservationsAuditor()
        auditor.handle(records)
        assert auditor.violations == []
        if records:
            folded = HOTEL_TYPE.fold(HotelState(), records)
            rebuilt, _ = rebuild(self.partition.host.journal, HOTEL, HOTEL_TYPE)
            assert encode(describe(folded)) == encode(self.partition.host.describe(HOTEL))
            assert rebuilt is not None
            assert encode(describe(folded)) == encode(describe(rebuilt))


TestBusinessDates = pytest.mark.slow(BusinessDateMachine.TestCase)
TestBusinessDates.settings = machine_settings(examples=30, steps=30)
