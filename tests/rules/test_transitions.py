"""The table of transitions decides: the lives of some bookings notice every wrong or missing entry of it.

The lives are written here in full, without a look at the table. The hotel, its bill, its notices and its read models
follow each, and so does the auditor, which knows nothing of the table either.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from innkeeper.actors.billing.rules.reservation_events import BILLING_RULES
from innkeeper.actors.notifications.rules.notices import NOTICE_RULES
from innkeeper.actors.reservations.rules.lifecycle import allowed, why_not
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import BookingStatus, RoomSegment
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.transitions import ACTIONS, TRANSITIONS, status_after
from innkeeper.storage.sqlite.read_model_file import ReadModelFile
from support.followed_hotel import FollowedHotel
from support.partition_fixture import HOTEL, TODAY, request

Entry = tuple[BookingStatus | None, type[Event]]
HELD, CONFIRMED, IN_HOUSE = BookingStatus.HELD, BookingStatus.CONFIRMED, BookingStatus.IN_HOUSE
RELEASED, EXPIRED, CANCELLED = BookingStatus.RELEASED, BookingStatus.EXPIRED, BookingStatus.CANCELLED
CHECKED_OUT, NO_SHOW = BookingStatus.CHECKED_OUT, BookingStatus.NO_SHOW


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
        Stage("address", events.GuestChanged, CHECKED_OUT),
        Stage("undo-check-out", events.CheckOutUndone, IN_HOUSE),
        Stage("overstay", events.GuestOverstayed, IN_HOUSE),
        Stage("check-out", events.GuestCheckedOut, CHECKED_OUT),
    ],
    "a guest who cancels and does not come": [
        Stage("book", events.BookingConfirmed, CONFIRMED),
        Stage("cancel", events.BookingCancelled, CANCELLED),
        Stage("address", events.GuestChanged, CANCELLED),
        Stage("reinstate", events.BookingReinstated, CONFIRMED),
        Stage("no-show", events.GuestNoShow, NO_SHOW),
        Stage("address", events.GuestChanged, NO_SHOW),
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
