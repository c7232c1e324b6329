"""A room is an authority of its own: what it holds comes from the events, and it contradicts a wrong calendar."""

import logging
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.partition import host
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.actors.reservations.rules.rooms import RoomState, RoomStates
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.actors.reservations.service import check_snapshots
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.journal import Snapshot
from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.protocol.reservations.commands import BookRoom, CancelBooking, ChangeBooking
from innkeeper.protocol.reservations.events import (
    BookingCancelled,
    BookingEvent,
    BusinessDateRolled,
    RoomAdded,
    RoomMoved,
)
from innkeeper.protocol.reservations.queries import DescribeHotelState, FindBooking
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.reservations.refusals import SoldOut
from innkeeper.protocol.reservations.replies import BookingReply, HotelStateReply
from innkeeper.protocol.reservations.requests import BookingChange
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, HOTEL_TYPE, PartitionFixture, night, request

ROOM = "101"
REQUEST = MoveReason.REQUEST
BOOKINGS = ("ann", "bea", "cid")


def described(partition: PartitionFixture) -> HotelStateReply:
    """The hotel as it describes itself, with its rooms."""
    reply = partition.execute(DescribeHotelState(HOTEL))
    assert isinstance(reply, HotelStateReply)
    return reply


def restarted_with(path: Path, partition: PartitionFixture, snapshot: HotelStateReply) -> PartitionFixture:
    """The partition after a restart with this snapshot of the hotel."""
    partition.host.journal.save_snapshots([Snapshot(HOTEL, snapshot.hotel_seq, wire.encode(snapshot))])
    partition.host.close()
    return PartitionFixture(SqliteJournal(path))


def fold(partition: PartitionFixture) -> HotelStateReply:
    """The fold of all events."""
    return describe(HOTEL_TYPE.fold(HotelState(), (record for _, record in partition.host.journal.read())))


def test_a_calendar_that_lacks_a_booking_is_found_at_the_claim_and_rebuilt_from_the_events(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    partition.open_hotel({"DBL": 2})
    first = partition.book(1, 2)
    snapshot = described(partition)
    assert [(room.room, len(room.stays)) for room in snapshot.rooms] == [(first.room, 1)]
    partition = restarted_with(path, partition, msgspec.structs.replace(snapshot, bookings=()))
    with caplog.at_level(logging.ERROR):
        second = partition.book(1, 2)
    assert second.room != first.room
    assert f"its calendar and its rooms disagree; the rooms say that {{'{first.room}': '{first.id}'}}" in caplog.text
    assert partition.host.must_drain
    assert isinstance(partition.execute(BookRoom(HOTEL, request(1, 2))), SoldOut)
    assert partition.booking_after(FindBooking(HOTEL, first.id)) == first
    assert wire.encode(described(partition)) == wire.encode(fold(partition))
    assert check_snapshots(partition.host.journal) != []
    assert partition.host.save_snapshots() == 1, "the wrong snapshot is replaced"
    assert check_snapshots(partition.host.journal) == []
    partition.host.close()


def test_a_hotel_whose_rooms_disagree_again_is_not_rebuilt_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if even the events made the calendar and the rooms disagree."""
    partition = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
    partition.open_hotel({"DBL": 9})
    rebuilt: list[bool] = []
    monkeypatch.setattr(RoomState, "claim", lambda room, *_: "somebody" if room.number == "101" else None)
    monkeypatch.setattr(host, "rebuild", lambda *arguments: rebuilt.append(arguments[-1]) or rebuild(*arguments))
    for _ in range(3):
        partition.book(1)
    assert rebuilt == [False]
    partition.advance_clock(120)
    partition.book(2)
    partition.advance_clock(1)
    assert rebuilt == [False, False]
    partition.host.close()


def test_where_no_room_is_left_but_those_that_refuse_nothing_is_sold(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    partition.open_hotel({"DBL": 1})
    first = partition.book(1, 2)
    partition = restarted_with(path, partition, msgspec.structs.replace(described(partition), bookings=()))
    before = partition.host.journal.position()
    assert isinstance(partition.execute(BookRoom(HOTEL, request(2, 2))), SoldOut | Unavailable)
    assert isinstance(partition.execute(BookRoom(HOTEL, request(2, 2))), SoldOut)
    assert partition.host.journal.position() == before
    assert partition.booking_after(FindBooking(HOTEL, first.id)) == first
    partition.host.close()


def test_rooms_that_accepted_take_back_what_another_room_refused(tmp_path: Path) -> None:
    """For a new guest, the one in room 101 is to move to 102, which refuses: 101 has neither let go nor taken."""
    path = tmp_path / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    partition.open_hotel({"DBL": 2})
    here, hidden = partition.book(1, 2), partition.book(1, 2)
    partition.book(4, 2, room=hidden.room)
    snapshot = described(partition)
    bookings = tuple(booking for booking in snapshot.bookings if booking.id != hidden.id)
    partition = restarted_with(path, partition, msgspec.structs.replace(snapshot, bookings=bookings))
    longer = ChangeBooking(HOTEL, here.id, BookingChange(departure=night(4)))
    refused, changed = partition.execute_batch([BookRoom(HOTEL, request(2, 3)), longer])
    assert isinstance(refused, SoldOut)
    assert isinstance(changed, BookingReply)
    assert partition.booking_after(FindBooking(HOTEL, hidden.id)) == hidden
    assert wire.encode(described(partition)) == wire.encode(fold(partition))
    partition.host.close()


def test_a_snapshot_whose_rooms_differ_from_the_events_is_reported(tmp_path: Path) -> None:
    partition = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
    partition.open_hotel({"DBL": 2})
    partition.book(1, 2)
    snapshot = described(partition)
    journal = partition.host.journal
    journal.save_snapshots([Snapshot(HOTEL, snapshot.hotel_seq, wire.encode(snapshot))])
    assert check_snapshots(journal) == []
    altered = msgspec.structs.replace(snapshot, rooms=())
    journal.save_snapshots([Snapshot(HOTEL, snapshot.hotel_seq, wire.encode(altered))])
    assert "(P6)" in check_snapshots(journal)[0]
    partition.host.close()


def test_a_room_opens_again_with_what_the_events_say(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    partition.open_hotel({"DBL": 2})
    kept, cancelled = partition.book(1, 3), partition.book(2, 3)
    partition.execute(CancelBooking(HOTEL, cancelled.id))
    before = described(partition)
    partition.host.close()
    again = PartitionFixture(SqliteJournal(path))
    assert described(again) == before
    assert [stay[0] for room in before.rooms for stay in room.stays] == [kept.id]
    again.host.close()


def test_the_rooms_of_a_journal_forget_bookings_that_are_over() -> None:
    rooms = RoomStates()
    rooms.apply(RoomAdded(ROOM, "DBL"))
    for number in range(3):
        rooms.apply(RoomMoved("ann", "102", ROOM, (RoomSegment(ROOM, night(number), night(number + 1)),), REQUEST))
        rooms.apply(BusinessDateRolled(night(number), night(number + 1)))
        assert (rooms.rooms_of, rooms.rooms[ROOM].stays) == ({}, {})


MOVES = st.lists(st.tuples(st.sampled_from(BOOKINGS), st.integers(0, 6), st.integers(1, 4), st.booleans()), max_size=4)


@given(st.lists(MOVES, max_size=8))
def test_a_room_accepts_a_claim_exactly_where_no_two_bookings_share_a_night(claims: list) -> None:  # type: ignore[type-arg]
    room, held = RoomState(ROOM), dict[str, set[int]]()
    for claim in claims:
        events: list[BookingEvent] = []
        after = dict(held)
        for booking, first, nights, leaves in claim:
            if leaves:
                events.append(BookingCancelled(booking, 0, ""))
                after.pop(booking, None)
            else:
                events.append(
                    RoomMoved(booking, "102", ROOM, (RoomSegment(ROOM, night(first), night(first + nights)),), REQUEST)
                )
                after[booking] = {night(number).toordinal() for number in range(first, first + nights)}
        taken = [number for nights in after.values() for number in nights]
        before = (room.taken, dict(room.stays))
        refused = room.claim(events, night(0).toordinal())
        assert (refused is None) == (len(taken) == len(set(taken)))
        if refused is None:
            held = after
            room.take_back()
            assert (room.taken, room.stays) == before or not claim
            assert room.claim(events, night(0).toordinal()) is None
        else:
            assert refused in after
            assert (room.taken, room.stays) == before
