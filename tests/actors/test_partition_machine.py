"""Any sequence of commands, retries, restarts and ticks leaves the partition where a naive model says it should be.

The model is a list of stays and a count per night: it knows nothing of rooms, calendars or moves. That is enough to say
what must be accepted (P4), what must be refused (P2), and where each booking stands.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.actors.reservations.router import HOTEL as HOTEL_TYPE
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.protocol.codec.wire import encode
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import BookingChange
from innkeeper.protocol.reservations.queries import DescribeState, FindAvailability, ListWaitlist
from innkeeper.protocol.reservations.refusals import NoSingleRoom, RoomsLeft, RoomTaken, SoldOut
from innkeeper.protocol.reservations.replies import (
    AuditReply,
    AvailabilityReply,
    BookingReply,
    StateReply,
    WaitlistReply,
)
from innkeeper.protocol.reservations.waitlist import WaitlistRequest
from innkeeper.protocol.values import limits
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, PartitionFixture, night, plan, request

ROOMS = {"DBL": 3, "STE": 1}
NIGHTS_AHEAD = 6
HOLDING = {"held", "confirmed", "in_house"}
OCCUPYING = HOLDING | {"left"}  # who leaves on the day of arrival keeps the night


stays = st.tuples(
    st.sampled_from(["DBL", "DBL", "DBL", "STE"]),
    st.integers(0, NIGHTS_AHEAD),
    st.integers(1, 4),
    st.sampled_from([None, None, None, 60, 3_600]),
)


@dataclass
class Stay:
    """One booking in the model; nights count from the first business date."""

    room_type: str
    arrival: int
    departure: int
    status: str
    expires_at: int | None = None
    pinned: bool = False


class PartitionMachine(RuleBasedStateMachine):
    """A hotel of four rooms, and everything that a front desk can do to it."""

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="innkeeper-")
        self.path = Path(self.folder.name) / "journal.db"
        self.desk = PartitionFixture(SqliteJournal(self.path))
        self.stays: dict[str, Stay] = {}
        self.waiting: dict[str, Stay] = {}
        self.offers: list[str] = []
        self.today = 0
        self.promising = self.promises = False
        self.kept: list[tuple[str, Any, Any]] = []
        self.keys = 0

    def teardown(self) -> None:
        """Nothing stays behind."""
        self.desk.host.close()
        self.folder.cleanup()

    @initialize(promising=st.booleans())
    def open_hotel(self, promising: bool) -> None:
        """In half of the hotels nobody is ever promised a room, so that no refusal can be excused by that."""
        self.promising = promising
        self.desk.say(commands.OpenHotel(HOTEL, plan(ROOMS)))

    def taken(self, room_type: str, number: int, but_for: str = "") -> int:
        """How many rooms of a type are held in a night."""
        return sum(
            stay.room_type == room_type and stay.status in OCCUPYING and stay.arrival <= number < stay.departure
            for id_, stay in self.stays.items()
            if id_ != but_for
        )

    def full(self, room_type: str, arrival: int, departure: int, but_for: str = "") -> list[int]:
        """The nights on which no room of the type is left."""
        nights = range(max(arrival, self.today), departure)
        return [number for number in nights if self.taken(room_type, number, but_for) >= ROOMS[room_type]]

    def say(self, command: Command) -> Any:
        """Say it under a new key, and keep the answer to ask for it again."""
        self.keys += 1
        key = f"key-{self.keys}"
        answer = self.desk.answer(command, key)
        assert not answer.replayed
        assert not isinstance(answer.response, refusals.Unavailable), answer
        self.kept.append((key, command, answer.response))
        return answer.response

    def fits(self, answer: Any, nights: list[int]) -> bool:
        """Was a stay taken, as it had to be? Refused only for these very nights, or where rooms are promised."""
        if isinstance(answer, SoldOut):
            assert answer.nights == tuple(night(number) for number in nights), (answer, nights)
            return False
        assert not nights, (answer, nights)
        if isinstance(answer, NoSingleRoom | RoomTaken):
            assert self.promises, answer
            return False
        assert isinstance(answer, BookingReply), answer
        return True

    @rule(target=known, wanted=st.lists(stays, min_size=1, max_size=6))
    def book(self, wanted: list[tuple[str, int, int, int | None]]) -> Any:
        return multiple(*filter(None, [self.book_one(*stay) for stay in wanted]))

    def book_one(self, room_type: str, arrival: int, nights: int, hold: int | None) -> str | None:
        """The booking's id, if it was taken."""
        first = self.today + arrival
        terms = {} if hold is None else {"status": "held", "hold_seconds": hold}
        answer = self.say(commands.Book(HOTEL, request(first, nights, room_type, **terms)))
        if not self.fits(answer, self.full(room_type, first, first + nights)):
            return None
        expires_at = None if hold is None else self.desk.at + hold * 1_000_000
        self.stays[answer.booking.id] = Stay(room_type, first, first + nights, answer.booking.status.value, expires_at)
        return answer.booking.id

    @rule(wanted=stays)
    def wait_for(self, wanted: tuple[str, int, int, int | None]) -> None:
        room_type, arrival, nights, _ = wanted
        first = self.today + arrival
        stay = request(first, nights, room_type)
        wish = WaitlistRequest(
            room_type=room_type, arrival=stay.arrival, departure=stay.departure, guest=stay.guest
        )  # fmt: skip
        answer = self.say(commands.JoinWaitlist(HOTEL, wish))
        if isinstance(answer, WaitlistReply):
            assert self.full(room_type, first, first + nights) or self.promises, "there is a room"
            self.waiting[answer.entries[0].id] = Stay(room_type, first, first + nights, "waiting")
        else:
            assert answer == RoomsLeft(room_type)
            assert not self.full(room_type, first, first + nights)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(sorted(self.waiting)))
        assert isinstance(self.say(commands.LeaveWaitlist(HOTEL, entry)), WaitlistReply)
        del self.waiting[entry]
        assert self.say(commands.LeaveWaitlist(HOTEL, entry)) == refusals.NotFound("waitlist entry", entry)

    def hear_offers(self) -> None:
        """Who waits is offered a room as soon as there is one, longest waiting first."""
        reply = self.desk.say(ListWaitlist(HOTEL))
        still = [entry.id for entry in reply.entries] if isinstance(reply, WaitlistReply) else []
        for id_, stay in list(self.waiting.items()):
            if stay.arrival < self.today:
                assert id_ not in still
                del self.waiting[id_]
            elif id_ in still:
                assert self.full(stay.room_type, stay.arrival, stay.departure) or self.promises, (id_, stay)
            else:
                assert not self.full(stay.room_type, stay.arrival, stay.departure), (id_, stay)
                stay.status, stay.expires_at = "held", self.desk.at + limits.waitlist_offer_seconds * 1_000_000
                self.stays[id_] = self.waiting.pop(id_)
                self.offers.append(id_)
        assert still == list(self.waiting)

    @precondition(lambda self: self.offers)
    @rule(target=known)
    def look_at_an_offer(self) -> str:
        """It is a hold like any other from now on."""
        return self.offers.pop()

    @rule(booking=known, action=st.sampled_from([commands.Confirm, commands.Release, commands.Cancel]))
    def settle(self, booking: str, action: Any) -> None:
        before = {"confirm": "held", "release": "held", "cancel": "confirmed"}[action.action]
        after = {"confirm": "confirmed", "release": "released", "cancel": "cancelled"}[action.action]
        if self.allowed(self.say(action(HOTEL, booking)), booking, self.stays[booking].status == before):
            self.stays[booking].status, self.stays[booking].expires_at = after, None

    @rule(booking=known, seconds=st.integers(30, 7_200))
    def extend(self, booking: str, seconds: int) -> None:
        answer = self.say(commands.Extend(HOTEL, booking, seconds))
        stay = self.stays[booking]
        if self.allowed(answer, booking, stay.status == "held"):
            stay.expires_at = max(stay.expires_at or 0, self.desk.at + seconds * 1_000_000)
            assert answer.booking.expires_at == stay.expires_at

    @rule(booking=known)
    def check_in(self, booking: str) -> None:
        stay = self.stays[booking]
        answer = self.say(commands.CheckIn(HOTEL, booking))
        if self.allowed(answer, booking, stay.status == "confirmed" and stay.arrival <= self.today):
            stay.status = "in_house"

    @rule(booking=known)
    def check_out(self, booking: str) -> None:
        stay = self.stays[booking]
        if self.allowed(self.say(commands.CheckOut(HOTEL, booking)), booking, stay.status == "in_house"):
            stay.status = "checked_out"
            stay.departure = min(stay.departure, max(self.today, stay.arrival + 1))
            if stay.departure > self.today:  # left on the day of arrival: the night is paid for, and kept
                stay.status = "left"

    @rule(booking=known)
    def no_show(self, booking: str) -> None:
        stay = self.stays[booking]
        answer = self.say(commands.MarkNoShow(HOTEL, booking))
        if self.allowed(answer, booking, stay.status == "confirmed" and stay.arrival <= self.today):
            stay.status = "no_show"

    @rule(booking=known)
    def reinstate(self, booking: str) -> None:
        stay = self.stays[booking]
        may = stay.departure > self.today and (
            stay.status == "no_show" or (stay.status == "cancelled" and stay.arrival >= self.today)
        )
        answer = self.say(commands.Reinstate(HOTEL, booking))
        nights = self.full(stay.room_type, stay.arrival, stay.departure)
        if may and self.fits(answer, nights):
            stay.status = "confirmed"
        elif not may:
            self.allowed(answer, booking, False)

    @rule(booking=known, arrival=st.integers(0, NIGHTS_AHEAD), nights=st.integers(1, 4))
    def change_dates(self, booking: str, arrival: int, nights: int) -> None:
        stay, first = self.stays[booking], self.today + arrival
        change = BookingChange(arrival=night(first), departure=night(first + nights))
        answer = self.say(commands.Change(HOTEL, booking, change))
        if stay.status not in ("held", "confirmed"):
            if isinstance(answer, SoldOut):  # the guest is in house, and cannot stay on
                self.fits(answer, self.full(stay.room_type, stay.arrival, first + nights, booking))
                return
            refused = refusals.NotAllowed | refusals.NotFound | refusals.Invalid | NoSingleRoom
            assert isinstance(answer, refused | BookingReply), answer
            if isinstance(answer, BookingReply):
                stay.arrival, stay.departure = self.dates(answer.booking)
            return
        if self.fits(answer, self.full(stay.room_type, first, first + nights, booking)):
            stay.arrival, stay.departure = first, first + nights

    def dates(self, booking: Booking) -> tuple[int, int]:
        """Its nights, as the model counts them."""
        return (booking.arrival - night(0)).days, (booking.departure - night(0)).days

    @precondition(lambda self: self.promising)
    @rule(booking=known, promise=st.booleans())
    def pin(self, booking: str, promise: bool) -> None:
        stay = self.stays[booking]
        answer = self.say((commands.Pin if promise else commands.Unpin)(HOTEL, booking))
        if self.allowed(answer, booking, stay.status in ("held", "confirmed") and stay.pinned != promise):
            stay.pinned = promise
            self.promises = True

    @precondition(lambda self: self.promising)
    @rule(booking=known, room=st.sampled_from(["101", "102", "103"]))
    def move(self, booking: str, room: str) -> None:
        stay = self.stays[booking]
        if stay.room_type != "DBL" or stay.departure <= self.today or stay.arrival < self.today:
            return
        answer = self.say(commands.Move(HOTEL, booking, room=room))
        if stay.status not in HOLDING:
            self.allowed(answer, booking, False)
        elif not isinstance(answer, BookingReply):
            assert isinstance(answer, RoomTaken), answer
        else:
            assert answer.booking.room == room

    def allowed(self, answer: Any, booking: str, may: bool) -> bool:
        """Was the action done, or refused, as the model says?"""
        if may:
            assert isinstance(answer, BookingReply), (answer, self.stays[booking])
            return True
        assert isinstance(answer, refusals.NotAllowed | refusals.NotFound), (answer, self.stays[booking])
        return False

    @rule(seconds=st.sampled_from([1, 59, 60, 3_600, 90_000]))
    def tick(self, seconds: int) -> None:
        self.desk.pass_seconds(seconds)
        for stay in self.stays.values():
            if stay.status == "held" and stay.expires_at is not None and stay.expires_at <= self.desk.at:
                stay.status, stay.expires_at = "expired", None

    @rule(days=st.integers(0, 2))
    def audit(self, days: int) -> None:
        answer = self.say(commands.RollBusinessDate(HOTEL, night(self.today + days)))
        assert isinstance(answer, AuditReply)
        self.today += days
        counted = {"no_show": 0, "checked_out": 0, "expired": 0}
        for stay in self.stays.values() if days else ():  # the date that is open already settles nobody
            due = {"confirmed": ("no_show", stay.arrival), "held": ("expired", stay.arrival)}
            due["in_house"] = ("checked_out", stay.departure)
            after, day = due.get(stay.status, ("", self.today))
            if day < self.today:
                stay.status, stay.expires_at = after, None
                counted[after] += 1
        assert (answer.no_shows, answer.checked_out, answer.holds_expired) == tuple(counted.values())

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        key, command, told = data.draw(st.sampled_from(self.kept))
        again = self.desk.answer(command, key)
        assert (again.response, again.replayed) == (told, True)
        other = self.desk.answer(DescribeState(HOTEL), key)
        assert other.response == refusals.KeyReused()

    @rule(snapshot=st.booleans())
    def restart(self, snapshot: bool) -> None:
        if snapshot:
            self.desk.host.save_snapshots(after_events=1)
        at = self.desk.at
        self.desk.host.close()
        self.desk = PartitionFixture(SqliteJournal(self.path), at)

    @invariant()
    def everyone_stands_where_the_model_says(self) -> None:
        self.hear_offers()
        state = self.desk.say(DescribeState(HOTEL))
        if not isinstance(state, StateReply):
            return
        for booking in state.bookings:
            stay = self.stays[booking.id]
            status = "checked_out" if stay.status == "left" else stay.status
            assert (booking.status.value, booking.pinned) == (status, stay.pinned)
            assert self.dates(booking) == (stay.arrival, stay.departure)

    @invariant()
    def what_is_left_is_what_the_model_counts(self) -> None:
        self.hear_offers()
        reply = self.desk.say(FindAvailability(HOTEL, night(self.today), night(self.today + 10)))
        if not isinstance(reply, AvailabilityReply):
            return
        for kind in reply.types:
            code = kind.room_type.code
            left = [ROOMS[code] - self.taken(code, self.today + number) for number in range(10)]
            assert list(kind.nights) == left, code

    @invariant()
    def the_journal_proves_it(self) -> None:
        journal = self.desk.host.journal
        records = [record for _, record in journal.read()]
        auditor = ReservationsAuditor()
        auditor.handle(records)
        assert auditor.violations == []
        if records:
            folded, rebuilt = HOTEL_TYPE.fold(HotelState(), records), rebuild(journal, HOTEL, HOTEL_TYPE)
            assert rebuilt is not None
            assert encode(describe(folded)) == encode(describe(rebuilt)) == encode(self.desk.host.describe(HOTEL))


TestPartition = pytest.mark.slow(PartitionMachine.TestCase)
TestPartition.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
