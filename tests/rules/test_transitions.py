"""The table of transitions decides: the lives of some bookings notice every wrong or missing entry of it.

The lives are written here in full, without a look at the table. The hotel, its bill, its notices and its read models
follow each, and so does the auditor, which knows nothing of the table either.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from innkeeper.actors.billing.rules.reservation_events import BILLING_RULES
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.actors.notifications.rules.notices import NOTICE_RULES, handle
from innkeeper.actors.reservations.rules.lifecycle import allowed, why_not
from innkeeper.actors.reservations.rules.overstays import overstay_events
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import BookingStatus, RoomSegment
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.reasons import DepartureReason, MoveReason
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.reservations.requests import BookingChange, Contact
from innkeeper.protocol.reservations.transitions import ACTIONS, TRANSITIONS, status_after
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.sqlite.read_model_file import ReadModelFile, Totals
from innkeeper.storage.sqlite.read_model_step import ReadModelStep
from support.billing_fixture import LedgerFixture
from support.partition_fixture import HOTEL, TODAY, night, request

Entry = tuple[BookingStatus | None, type[Event]]
HELD, CONFIRMED, IN_HOUSE = BookingStatus.HELD, BookingStatus.CONFIRMED, BookingStatus.IN_HOUSE
RELEASED, EXPIRED, CANCELLED = BookingStatus.RELEASED, BookingStatus.EXPIRED, BookingStatus.CANCELLED
CHECKED_OUT, NO_SHOW = BookingStatus.CHECKED_OUT, BookingStatus.NO_SHOW
HOUR_SECONDS = 3_600


class FollowedHotel(LedgerFixture):
    """A hotel with one guest, and all that follows its events: the ledger, notices, read models and the auditor."""

    def __init__(self, file: ReadModelFile) -> None:
        """`file` is that of the read models; it is emptied."""
        self.auditor = ReservationsAuditor()
        self.known_hotel: KnownHotel | None = None
        self.known: KnownBooking | None = None
        self.file = file
        for name in ("hotels", "bookings", "history", "guests"):
            file.db.execute(f"DELETE FROM {name}")
        file.totals = Totals()
        self.hotels: dict[str, Hotel] = {}
        self.booking = ""
        super().__init__()

    def record_hotel_events(self, events: tuple[Event, ...]) -> None:
        before = len(self.hotel_records)
        super().record_hotel_events(events)
        self.auditor.handle(self.hotel_records[before:])

    def apply_hotel_event(self, record: RecordedEvent) -> list[Event]:
        step = ReadModelStep(self.file, self.hotels)
        self.file.totals = step.handle([(record.hotel_seq, record)], b"")
        self.hotels |= step.changed_hotels
        decision = handle(self.known_hotel, self.known, record)
        self.known_hotel, self.known = decision.hotel, decision.booking
        return super().apply_hotel_event(record)

    def take(self, step: str) -> set[type[Event]]:
        """Takes a step of the booking's life; the types of its events."""
        before = len(self.hotel_records)
        STEPS[step](self)
        return {type(record.event) for record in self.hotel_records[before:]}

    def statuses(self) -> dict[str, BookingStatus]:
        """The booking's status, as each part has it."""
        (in_tables,) = self.file.db.execute("SELECT status FROM bookings WHERE id = ?", (self.booking,)).fetchone()
        assert self.known is not None
        return {
            "the hotel": self.hotel_state.bookings[self.booking].status,
            "the read models": BookingStatus(in_tables),
            "billing": self.bill(self.booking).stay.status,
            "notifications": self.known.status,
        }


def _book(hotel: FollowedHotel, status: str) -> None:
    guest = Contact("Ann", "ann@example.com")
    wanted = request(0, 3, status=status, hold_seconds=HOUR_SECONDS if status == "held" else None)
    command = commands.BookRoom(HOTEL, msgspec.structs.replace(wanted, guest=guest))
    hotel.execute_on_hotel(command)
    hotel.booking = next(iter(hotel.hotel_state.bookings))


def _do(make: Callable[[str], Command]) -> Callable[[FollowedHotel], None]:
    def do(hotel: FollowedHotel) -> None:
        hotel.execute_on_hotel(make(hotel.booking))

    return do


def _change(fields: Callable[[FollowedHotel], BookingChange]) -> Callable[[FollowedHotel], None]:
    return lambda hotel: _do(lambda booking: commands.ChangeBooking(HOTEL, booking, fields(hotel)))(hotel)


def _longer(hotel: FollowedHotel) -> BookingChange:
    return BookingChange(departure=night((hotel.hotel_state.bookings[hotel.booking].departure - TODAY).days + 1))


def _reminder(hotel: FollowedHotel) -> BookingChange:
    return BookingChange(reminder_on=TODAY if hotel.hotel_state.bookings[hotel.booking].reminder_on is None else None)


def _move(hotel: FollowedHotel) -> None:
    room = "103" if hotel.hotel_state.bookings[hotel.booking].room == "102" else "102"
    hotel.execute_on_hotel(commands.MoveBooking(HOTEL, hotel.booking, room=room))


def _swap(hotel: FollowedHotel) -> None:
    other = hotel.execute_on_hotel(commands.BookRoom(HOTEL, request(0, 3)))
    assert isinstance(other, BookingReply)
    hotel.execute_on_hotel(commands.SwapRooms(HOTEL, hotel.booking, with_=other.booking.id))


def _check_out(hotel: FollowedHotel) -> None:
    arrived_today = hotel.hotel_state.bookings[hotel.booking].arrival == hotel.hotel_state.opened().business_date
    reason = DepartureReason.EARLY if arrived_today else None
    hotel.execute_on_hotel(commands.CheckOutGuest(HOTEL, hotel.booking, reason))


def _overstay(hotel: FollowedHotel) -> None:
    until = hotel.hotel_state.bookings[hotel.booking].departure + timedelta(days=1)
    hotel.record_hotel_events(tuple(overstay_events(hotel.hotel_state, until, hotel.at, set())))


def _lose_room(hotel: FollowedHotel) -> None:
    """Who has not left keeps the room tonight."""
    stay = hotel.hotel_state.bookings[hotel.booking]
    kept = stay.arrival if stay.status is CHECKED_OUT else night(1)
    rooms = (RoomSegment(stay.room, stay.arrival, kept), RoomSegment(None, kept, stay.departure))
    parts = tuple(part for part in rooms if part.first < part.until)
    hotel.record_hotel_events((events.RoomUnassigned(stay.id, stay.room, parts, MoveReason.OVERSTAY),))


STEPS: dict[str, Callable[[FollowedHotel], None]] = {
    "hold": lambda hotel: _book(hotel, "held"),
    "book": lambda hotel: _book(hotel, "confirmed"),
    "expire": lambda hotel: hotel.advance_clock(25 * HOUR_SECONDS * 1_000_000),
    "change": _change(_longer),
    "note": _change(lambda hotel: BookingChange(notes=f"note {len(hotel.hotel_records)}")),
    "remind": _change(_reminder),
    "move": _move,
    "confirm": _do(lambda booking: commands.ConfirmBooking(HOTEL, booking)),
    "release": _do(lambda booking: commands.ReleaseHold(HOTEL, booking)),
    "extend": _do(lambda booking: commands.ExtendHold(HOTEL, booking, 24 * HOUR_SECONDS)),
    "cancel": _do(lambda booking: commands.CancelBooking(HOTEL, booking)),
    "reinstate": _do(lambda booking: commands.ReinstateBooking(HOTEL, booking)),
    "check-in": _do(lambda booking: commands.CheckInGuest(HOTEL, booking)),
    "undo-check-in": _do(lambda booking: commands.UndoCheckIn(HOTEL, booking)),
    "check-out": _check_out,
    "undo-check-out": _do(lambda booking: commands.UndoCheckOut(HOTEL, booking)),
    "overstay": _overstay,
    "lose room": _lose_room,
    "get room": lambda hotel: hotel.advance_clock(1),
    "swap": _swap,
    "no-show": _do(lambda booking: commands.MarkNoShow(HOTEL, booking)),
    "pin": _do(lambda booking: commands.PinBooking(HOTEL, booking)),
    "unpin": _do(lambda booking: commands.UnpinBooking(HOTEL, booking)),
}


class Stage(NamedTuple):
    """A step of a life, the event that records it, and the status after it."""

    step: str
    kind: type[Event]
    status: BookingStatus


LIVES: dict[str, list[Stage]] = {
    "a held guest who stays": [
        Stage("hold", events.BookingHeld, HELD),
        Stage("extend", events.HoldExtended, HELD),
        Stage("change", events.BookingModified, HELD),
        Stage("note", events.GuestChanged, HELD),
        Stage("remind", events.ReminderChanged, HELD),
        Stage("move", events.RoomMoved, HELD),
        Stage("pin", events.BookingPinned, HELD),
        Stage("unpin", events.BookingUnpinned, HELD),
        Stage("confirm", events.BookingConfirmed, CONFIRMED),
        Stage("change", events.BookingModified, CONFIRMED),
        Stage("note", events.GuestChanged, CONFIRMED),
        Stage("remind", events.ReminderChanged, CONFIRMED),
        Stage("move", events.RoomMoved, CONFIRMED),
        Stage("pin", events.BookingPinned, CONFIRMED),
        Stage("unpin", events.BookingUnpinned, CONFIRMED),
        Stage("lose room", events.RoomUnassigned, CONFIRMED),
        Stage("get room", events.RoomAssigned, CONFIRMED),
        Stage("check-in", events.GuestCheckedIn, IN_HOUSE),
        Stage("undo-check-in", events.CheckInUndone, CONFIRMED),
        Stage("check-in", events.GuestCheckedIn, IN_HOUSE),
        Stage("lose room", events.RoomUnassigned, IN_HOUSE),
        Stage("get room", events.RoomAssigned, IN_HOUSE),
        Stage("change", events.BookingModified, IN_HOUSE),
        Stage("note", events.GuestChanged, IN_HOUSE),
        Stage("remind", events.ReminderChanged, IN_HOUSE),
        Stage("move", events.RoomMoved, IN_HOUSE),
        Stage("check-out", events.GuestCheckedOut, CHECKED_OUT),
        Stage("lose room", events.RoomUnassigned, CHECKED_OUT),
        Stage("undo-check-out", events.CheckOutUndone, IN_HOUSE),
        Stage("overstay", events.GuestOverstayed, IN_HOUSE),
        Stage("check-out", events.GuestCheckedOut, CHECKED_OUT),
    ],
    "a guest who cancels and does not come": [
        Stage("book", events.BookingConfirmed, CONFIRMED),
        Stage("cancel", events.BookingCancelled, CANCELLED),
        Stage("reinstate", events.BookingReinstated, CONFIRMED),
        Stage("no-show", events.GuestNoShow, NO_SHOW),
        Stage("reinstate", events.BookingReinstated, CONFIRMED),
    ],
    "a released hold": [
        Stage("hold", events.BookingHeld, HELD),
        Stage("release", events.HoldReleased, RELEASED),
    ],
    "an expired hold": [
        Stage("hold", events.BookingHeld, HELD),
        Stage("expire", events.HoldExpired, EXPIRED),
    ],
}


def entries_of(stages: list[Stage]) -> list[Entry]:
    """The entries of the table that a life uses, in order."""
    before = [None, *(stage.status for stage in stages)]
    return [(status, stage.kind) for status, stage in zip(before, stages, strict=False)]


PLACES: dict[Entry, tuple[list[Stage], int]] = {}
"""Where each entry is used first: a life, and the place of the stage in it."""
for stages in LIVES.values():
    for place, used in enumerate(entries_of(stages)):
        PLACES.setdefault(used, (stages, place))


@pytest.fixture(scope="module")
def file() -> Iterator[ReadModelFile]:
    with closing(ReadModelFile(Path(":memory:"), lambda _: None)) as opened:
        yield opened


def live(file: ReadModelFile, stages: list[Stage]) -> FollowedHotel:
    """Lives a life; raises where any part has not the status that it should have, or the auditor reports something."""
    hotel = FollowedHotel(file)
    for stage in stages:
        assert stage.kind in hotel.take(stage.step), stage
        assert set(hotel.statuses().values()) == {stage.status}, stage
    assert hotel.auditor.violations == []
    return hotel


def name_of(entry: Entry) -> str:
    return f"{entry[0] or 'new'}-{entry[1].__name__}"


EACH_ENTRY = pytest.mark.parametrize("entry", TRANSITIONS, ids=name_of)


@pytest.mark.parametrize("life", LIVES)
def test_the_life_of_a_booking(file: ReadModelFile, life: str) -> None:
    live(file, LIVES[life])


def test_the_lives_use_every_entry_of_the_table() -> None:
    assert PLACES.keys() == TRANSITIONS.keys()
    assert {*TRANSITIONS.values()} == set(BookingStatus)


@EACH_ENTRY
def test_a_missing_entry_is_noticed(file: ReadModelFile, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRANSITIONS, entry)
    with pytest.raises((KeyError, Refused)):
        live(file, PLACES[entry][0])


@EACH_ENTRY
def test_every_part_reads_the_table_so_that_a_wrong_status_in_it_is_noticed(
    file: ReadModelFile, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, place = PLACES[entry]
    readers = {"the hotel", "the read models"}
    readers |= {name for name, table in (("billing", BILLING_RULES), ("notifications", NOTICE_RULES))
                if entry[1] in table.handles and entry[1] is not events.GuestChanged}  # fmt: skip
    for wrong in set(BookingStatus) - {TRANSITIONS[entry]}:
        hotel = live(file, life[:place])
        with monkeypatch.context() as patch:
            patch.setitem(TRANSITIONS, entry, wrong)
            hotel.take(life[place].step)
            assert {part for part, status in hotel.statuses().items() if status is wrong} == readers
            with pytest.raises((AssertionError, KeyError, Refused)):
                live(file, life)


BEFORE: dict[BookingStatus | None, list[str]] = {
    None: [],
    HELD: ["hold"],
    CONFIRMED: ["book"],
    IN_HOUSE: ["book", "check-in"],
    CHECKED_OUT: ["book", "check-in", "check-out"],
    CANCELLED: ["book", "cancel"],
    NO_SHOW: ["book", "no-show"],
}


def is_accepted(hotel: FollowedHotel, step: str) -> bool:
    """Whether the hotel accepts a step; "another guest" is one who takes the same room for the same nights."""
    try:
        if step == "another guest":
            room = hotel.hotel_state.bookings[hotel.booking].room
            hotel.execute_on_hotel(commands.BookRoom(HOTEL, request(0, 3, room=room)))
        else:
            hotel.take(step)
    except Refused:
        return False
    return True


def accepted_after(file: ReadModelFile, entry: Entry) -> dict[str, list[str]]:
    """The steps that the hotel accepts after an event, and what the auditor reports of each."""
    reports = {}
    for step in [*ACTIONS, "another guest"]:
        hotel = FollowedHotel(file)
        for earlier in [*BEFORE[entry[0]], PLACES[entry][0][PLACES[entry][1]].step]:
            hotel.take("pin" if earlier == "unpin" else earlier)
            if earlier == "unpin":
                hotel.take(earlier)
        try:
            if is_accepted(hotel, step):
                reports[step] = hotel.auditor.violations
        except KeyError:  # the table forbids the event that the hotel has decided
            continue
    return reports


@EACH_ENTRY
def test_the_auditor_reports_what_only_a_wrong_table_allows(
    file: ReadModelFile, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = accepted_after(file, entry)
    assert not any(right.values())
    for wrong in set(BookingStatus) - {TRANSITIONS[entry]}:
        with monkeypatch.context() as patch:
            patch.setitem(TRANSITIONS, entry, wrong)
            for step, violations in accepted_after(file, entry).items():
                assert step in right or violations, (
                    f"nothing was reported of {step} when {name_of(entry)} led to {wrong}"
                )


def test_a_subscriber_that_missed_events_takes_the_status_to_which_an_event_leads() -> None:
    assert status_after(CANCELLED, events.GuestCheckedIn) is IN_HOUSE
    assert status_after(CANCELLED, events.BookingModified) is CANCELLED
    assert status_after(None, events.BookingModified) is CONFIRMED


def test_every_action_is_a_command_and_has_an_event() -> None:
    assert ACTIONS.keys() == {kind.action for kind in commands.BookingCommand.__subclasses__()}


@pytest.mark.parametrize("status", BookingStatus)
def test_a_status_allows_an_action_or_says_why_not(file: ReadModelFile, status: BookingStatus) -> None:
    hotel = FollowedHotel(file)
    hotel.take("book")
    booking = msgspec.structs.replace(
        hotel.hotel_state.bookings[hotel.booking], status=status, checked_in_on=TODAY, checked_out_on=TODAY
    )
    possible = {action for action, kind in ACTIONS.items() if (status, kind) in TRANSITIONS}
    assert set(allowed(booking, TODAY)) == possible - {"unpin"}  # it is not pinned
    for action in ACTIONS.keys() - possible:
        reason = why_not(booking, action, TODAY)
        assert reason is not None
        assert reason.startswith(("the booking", "the guest", "the hold")), action


@pytest.mark.parametrize(("step", "what"), [("pin", "was moved from its pinned room"), ("check-in", "is in house")])
def test_the_auditor_reports_a_reshuffle_of_a_guest_who_must_not_be_moved(
    file: ReadModelFile, step: str, what: str
) -> None:
    hotel = FollowedHotel(file)
    hotel.take("book")
    hotel.take(step)
    departure = hotel.hotel_state.bookings[hotel.booking].departure
    moved = events.RoomMoved(hotel.booking, "101", "102", (RoomSegment("102", TODAY, departure),), MoveReason.RESHUFFLE)
    last = hotel.hotel_records[-1]
    hotel.auditor.handle([msgspec.structs.replace(last, hotel_seq=last.hotel_seq + 1, event=moved)])
    assert [what in violation for violation in hotel.auditor.violations] == [True]
