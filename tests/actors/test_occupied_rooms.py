"""A room knows who is in it from the events, and lets no second party in, whatever the hotel believes."""

from pathlib import Path

import msgspec
import pytest
from innkeeper.actors.reservations.rules.rooms import RoomState, RoomStates
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.journal import Snapshot
from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.protocol.reservations.commands import CheckInGuest, MoveBooking, RollBusinessDate, SwapRooms
from innkeeper.protocol.reservations.events import (
    CheckInUndone,
    GuestCheckedIn,
    GuestCheckedOut,
    RoomAdded,
    RoomMoved,
)
from innkeeper.protocol.reservations.queries import DescribeHotelState
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.refusals import RoomOccupied
from innkeeper.protocol.reservations.replies import HotelStateReply
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, TODAY, PartitionFixture, night

DAY = TODAY.toordinal()


def came(booking: str, room: str = "101") -> GuestCheckedIn:
    return GuestCheckedIn(booking, room, TODAY)


def moved(booking: str, here: str, there: str) -> RoomMoved:
    rooms = (RoomSegment(there, TODAY, night(1)),)
    return RoomMoved(booking, here, there, rooms, MoveReason.SWAP, None, True)


def test_a_room_lets_no_second_party_in() -> None:
    room = RoomState("101")
    assert room.claim([came("ann")], DAY) is None
    assert room.claim([came("ben")], DAY) == "ann"
    assert room.guests == {"ann"}
    assert room.claim([GuestCheckedOut("ann", TODAY, night(1), (), ())], DAY) is None
    assert room.claim([came("ben")], DAY) is None


def test_a_room_takes_back_who_has_come_in() -> None:
    room = RoomState("101")
    assert room.claim([came("ann")], DAY) is None
    room.take_back()
    assert room.guests == frozenset()
    assert room.claim([came("ben")], DAY) is None


def test_two_guests_change_places_in_one_claim_of_each_room() -> None:
    here, there = RoomState("101"), RoomState("102")
    assert here.claim([came("ann")], DAY) is None
    assert there.claim([came("ben", "102")], DAY) is None
    swapped = [moved("ann", "101", "102"), moved("ben", "102", "101")]
    assert (here.claim(swapped, DAY), there.claim(swapped, DAY)) == (None, None)
    assert (here.guests, there.guests) == ({"ben"}, {"ann"})


def test_a_room_of_the_journal_knows_who_is_in_it_without_nights() -> None:
    """A guest who is due out has moved for the last hours: no night changes."""
    rooms = RoomStates()
    for number in ("101", "102"):
        rooms.apply(RoomAdded(number, "DBL"))
    rooms.apply(came("ann"))
    past = (RoomSegment("101", night(-1), TODAY),)
    rooms.apply(RoomMoved("ann", "101", "102", past, MoveReason.REQUEST, None, True))
    described = rooms.describe(DAY)
    assert [(room.room, room.guests) for room in described] == [("102", ("ann",))]
    again = RoomStates()
    for number in ("101", "102"):
        again.apply(RoomAdded(number, "DBL"))
    again.restore(described)
    again.apply(CheckInUndone("ann", "102"))
    assert again.describe(DAY) == ()


def test_a_hotel_that_has_forgotten_a_guest_in_house_learns_it_from_the_room(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    partition.open_hotel({"DBL": 1})
    here = partition.book(0)
    partition.booking_after(CheckInGuest(HOTEL, here.id))
    due_in = partition.book(1)
    partition.execute(RollBusinessDate(HOTEL, night(1)))
    state = partition.execute(DescribeHotelState(HOTEL))
    assert isinstance(state, HotelStateReply)
    wrong = msgspec.structs.replace(state, bookings=tuple(one for one in state.bookings if one.id != here.id))
    partition.host.journal.save_snapshots([Snapshot(HOTEL, wrong.hotel_seq, wire.encode(wrong))])
    partition.host.close()
    partition = PartitionFixture(SqliteJournal(path))
    assert isinstance(
        partition.execute(CheckInGuest(HOTEL, due_in.id, accept_not_clean=True)), Unavailable | RoomOccupied
    )
    refused = partition.execute(CheckInGuest(HOTEL, due_in.id, accept_not_clean=True))
    assert isinstance(refused, RoomOccupied)
    assert (refused.room, refused.booking) == ("101", here.id)
    partition.host.close()


@pytest.mark.parametrize("snapshot", [False, True])
def test_who_is_in_which_room_is_known_again_after_a_restart(tmp_path: Path, snapshot: bool) -> None:
    path = tmp_path / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    partition.open_hotel({"DBL": 3})
    ann, ben = partition.book(0, 2), partition.book(0, 2)
    for booking in (ann, ben):
        partition.booking_after(CheckInGuest(HOTEL, booking.id))
    partition.booking_after(MoveBooking(HOTEL, ann.id, room="103", from_=night(1)))
    partition.booking_after(SwapRooms(HOTEL, ann.id, with_=ben.id))
    before = partition.execute(DescribeHotelState(HOTEL))
    if snapshot:
        partition.host.save_snapshots(after_events=1)
    partition.host.close()
    partition = PartitionFixture(SqliteJournal(path))
    assert partition.execute(DescribeHotelState(HOTEL)) == before
    partition.host.close()


def test_the_auditor_reports_two_parties_in_one_room(tmp_path: Path) -> None:
    partition = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
    partition.open_hotel({"DBL": 2})
    ann, ben = partition.book(0), partition.book(0)
    partition.booking_after(CheckInGuest(HOTEL, ann.id))
    records = [record for _, record in partition.host.journal.read()]
    partition.host.close()
    last = records[-1]
    wrong = RecordedEvent(HOTEL, last.hotel_seq + 1, last.at, "", "", "another", came(ben.id, ann.room))
    auditor = ReservationsAuditor()
    auditor.handle([*records, wrong])
    assert any("are in room 101 (P1)" in violation for violation in auditor.violations)
