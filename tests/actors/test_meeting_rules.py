"""Where overstays, planned moves, early arrivals, departures and retired rooms meet: each once broke a hotel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.reservations import hotel as hotel_actor
from innkeeper.protocol.messages.refusals import ActionNotAllowed, InvalidRequest
from innkeeper.protocol.reservations.booking import Booking, RoomSegment
from innkeeper.protocol.reservations.commands import (
    AddRoom,
    BookRoom,
    CancelBooking,
    ChangeHotel,
    CheckInGuest,
    CheckOutGuest,
    MoveBooking,
    ReinstateBooking,
    RetireRoom,
    RollBusinessDate,
    SwapRooms,
    UndoCheckOut,
    UnpinBooking,
)
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.hotel_requests import HotelChange, RoomAddition
from innkeeper.protocol.reservations.queries import DescribeHotelState, FindAvailability, FindBooking
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.replies import AvailabilityReply, BookingReply, HotelStateReply, NightAuditReply
from innkeeper.storage.audit.reservations import ReservationsAuditor
from support.partition_fixture import HOTEL, TODAY, PartitionFixture, night, partition_fixture, request

HOUR = 3_600


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A partition; at the end the auditor has nothing to report of its journal."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        yield opened
        auditor = ReservationsAuditor()
        auditor.handle([record for _, record in opened.host.journal.read()])
        assert auditor.violations == []


def in_house(partition: PartitionFixture, arrival: int = 0, nights: int = 1, **more: Any) -> Booking:
    return partition.booking_after(CheckInGuest(HOTEL, partition.book(arrival, nights, **more).id))


def audit(partition: PartitionFixture, to: int) -> NightAuditReply:
    answer = partition.execute(RollBusinessDate(HOTEL, night(to)))
    assert isinstance(answer, NightAuditReply), answer
    return answer


def now(partition: PartitionFixture, booking: Booking) -> Booking:
    return partition.booking_after(FindBooking(HOTEL, booking.id))


def slept(booking: Booking) -> list[tuple[str | None, int, int]]:
    return [(part.room, (part.first - TODAY).days, (part.until - TODAY).days) for part in booking.rooms]


def test_a_guest_overstays_in_a_room_whose_guest_left_early_today(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 2})
    stays = in_house(partition, room="101")
    audit(partition, 1)
    left = in_house(partition, 1, room="102")
    partition.booking_after(CheckOutGuest(HOTEL, left.id, DepartureReason.EARLY))
    partition.booking_after(MoveBooking(HOTEL, stays.id, room="102", accept_not_clean=True))
    assert [len(one.report.overstays.bookings) for one in audit(partition, 2).closed] == [1]
    assert slept(now(partition, stays)) == [("101", 0, 1), ("102", 1, 2)]


@pytest.mark.parametrize("planned_first", [True, False])
def test_an_overstay_in_the_room_of_a_planned_move(partition: PartitionFixture, planned_first: bool) -> None:
    """Whoever's id comes first, each has slept where the guest is."""
    partition.open_hotel({"DBL": 2})
    order = [("102", 4), ("101", 1)] if planned_first else [("101", 1), ("102", 4)]
    stays = {room: in_house(partition, 0, nights, room=room) for room, nights in order}
    partition.booking_after(MoveBooking(HOTEL, stays["102"].id, room="101", from_=night(1)))
    audit(partition, 1)
    audit(partition, 2)
    assert slept(now(partition, stays["101"])) == [("101", 0, 2)]
    assert slept(now(partition, stays["102"]))[0] == ("102", 0, 2)


def test_a_swap_that_was_planned_is_made_on_its_day(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 2})
    al, bo = in_house(partition, 0, 4, room="101"), in_house(partition, 0, 4, room="102")
    partition.booking_after(SwapRooms(HOTEL, al.id, with_=bo.id, from_=night(1)))
    audit(partition, 1)
    swapped = partition.booking_after(SwapRooms(HOTEL, al.id, with_=bo.id))
    assert (swapped.room, slept(swapped)) == ("102", [("101", 0, 1), ("102", 1, 4)])
    assert now(partition, bo).room == "101"


def test_a_swap_that_was_planned_and_not_made_leaves_both_where_they_slept(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 2})
    al, bo = in_house(partition, 0, 4, room="101"), in_house(partition, 0, 4, room="102")
    partition.booking_after(SwapRooms(HOTEL, al.id, with_=bo.id, from_=night(1)))
    for day in (1, 2, 3):
        audit(partition, day)
    assert slept(now(partition, al))[0] == ("101", 0, 3)
    assert slept(now(partition, bo))[0] == ("102", 0, 3)


def test_a_later_swap_does_not_ask_who_is_in_the_room_today(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 2})
    al = in_house(partition, 0, 5, room="101")
    in_house(partition, 0, 2, room="102")
    later = partition.book(2, 3, room="102")
    swapped = partition.booking_after(SwapRooms(HOTEL, al.id, with_=later.id, from_=night(2)))
    assert slept(swapped) == [("101", 0, 2), ("102", 2, 5)]


def test_nobody_makes_room_for_a_swap_in_the_room_that_its_other_guest_needs(partition: PartitionFixture) -> None:
    """102 is to be given up by its first guest, who could go to 103, which the second guest is to have."""
    partition.open_hotel({"DBL": 4})
    stays = {
        (room, first): partition.book(first, until - first, room=room)
        for room, first, until in [
            ("101", 0, 1), ("101", 2, 5), ("101", 5, 7), ("102", 0, 3), ("102", 3, 7), ("103", 0, 1), ("103", 1, 4),
            ("104", 0, 4),
        ]
    }  # fmt: skip
    pinned = stays.pop(("102", 3))
    for booking in stays.values():
        partition.booking_after(UnpinBooking(HOTEL, booking.id))
    swapped = partition.execute(SwapRooms(HOTEL, stays["103", 1].id, with_=pinned.id))
    assert isinstance(swapped, BookingReply), swapped
    assert (swapped.booking.room, now(partition, pinned).room) == ("102", "103")


def early_arrival(partition: PartitionFixture) -> Booking:
    """The date of a hotel that closes by hand is still open on the next day, whose first guest is in 101."""
    partition.open_hotel({"DBL": 2}, clock=HotelClock.WALL)
    partition.advance_clock(21 * HOUR)
    return in_house(partition, 1, 2, room="101")


def test_a_guest_who_came_before_the_date_was_open_moves_at_once(partition: PartitionFixture) -> None:
    guest = early_arrival(partition)
    assert partition.booking_after(MoveBooking(HOTEL, guest.id, room="102")).room == "102"
    assert isinstance(partition.execute(RollBusinessDate(HOTEL)), NightAuditReply)
    assert slept(now(partition, guest)) == [("102", 1, 3)]


def test_a_guest_who_came_before_the_date_was_open_swaps_and_leaves(partition: PartitionFixture) -> None:
    guest = early_arrival(partition)
    other = in_house(partition, 0, 3, room="102")
    assert partition.booking_after(SwapRooms(HOTEL, other.id, with_=guest.id)).room == "101"
    assert now(partition, guest).room == "102"
    left = partition.booking_after(CheckOutGuest(HOTEL, guest.id, DepartureReason.DAY_USE))
    assert (left.arrival, left.departure) == (night(1), night(1))


def test_what_is_left_beside_a_guest_who_came_before_the_date_was_open_can_be_booked(
    partition: PartitionFixture,
) -> None:
    early_arrival(partition)
    in_house(partition, 0, 1, room="102")
    found = partition.execute(FindAvailability(HOTEL, night(0), night(2)))
    assert isinstance(found, AvailabilityReply)
    (kind,) = found.types
    assert (kind.rooms, kind.needs_move) == (0, True)
    assert not isinstance(partition.execute(BookRoom(HOTEL, request(0, 2))), BookingReply)


def test_a_guest_whom_the_hotel_had_no_room_for_owes_nothing(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 1})
    in_house(partition)
    turned_away = partition.book(1, 2)
    audit(partition, 1)
    (closed,) = audit(partition, 2).closed
    assert [one.booking for one in closed.report.unassigned.bookings] == [turned_away.id]
    assert closed.report.no_shows.count == 0
    assert now(partition, turned_away).fee == 0
    reinstated = partition.execute(ReinstateBooking(HOTEL, turned_away.id))
    if isinstance(reinstated, BookingReply):
        assert [line.total for line in reinstated.booking.lines] == [0, 10_000]


def test_a_check_out_is_not_undone_into_a_retired_room(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 2})
    guest = in_house(partition, room="101")
    audit(partition, 1)
    partition.booking_after(CheckOutGuest(HOTEL, guest.id))
    partition.execute(RetireRoom(HOTEL, "101"))
    assert isinstance(partition.execute(UndoCheckOut(HOTEL, guest.id)), ActionNotAllowed)


def test_a_booking_is_not_reinstated_in_a_room_of_another_type(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 2, "SGL": 1})
    booking = partition.book(1, 1, adults=2)
    partition.booking_after(CancelBooking(HOTEL, booking.id))
    partition.execute(RetireRoom(HOTEL, booking.room))
    partition.execute(AddRoom(HOTEL, RoomAddition(number=booking.room, room_type="SGL")))
    assert partition.booking_after(ReinstateBooking(HOTEL, booking.id)).room != booking.room


def test_who_has_not_arrived_and_moves_is_to_come_to_the_new_room(partition: PartitionFixture) -> None:
    """A reinstated no-show has nights before today, in which nobody slept anywhere."""
    partition.open_hotel({"DBL": 2})
    booking = partition.book(0, 4)
    audit(partition, 1)
    partition.booking_after(ReinstateBooking(HOTEL, booking.id))
    moved = partition.booking_after(MoveBooking(HOTEL, booking.id, room="102"))
    assert (moved.room, moved.rooms) == ("102", (RoomSegment("102", night(0), night(4)),))
    assert partition.booking_after(CheckInGuest(HOTEL, booking.id)).room == "102"


def test_another_audit_time_does_not_close_the_open_date(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 1}, clock=HotelClock.WALL, night_audit="23:00")
    due_in = partition.book(0)
    partition.advance_clock(3 * HOUR)
    refused = partition.execute(ChangeHotel(HOTEL, HotelChange(night_audit="14:30")))
    assert isinstance(refused, InvalidRequest)
    assert (refused.errors[0].field, refused.errors[0].rule) == ("night_audit", "over")
    partition.advance_clock(60)
    assert now(partition, due_in).status.value == "confirmed"


@pytest.mark.parametrize("year", [1, 1980, 9_999])
def test_a_date_that_the_hotel_never_had_is_refused(partition: PartitionFixture, year: int) -> None:
    partition.open_hotel({"DBL": 1}, clock=HotelClock.WALL)
    refused = partition.execute(RollBusinessDate(HOTEL, None, TODAY.replace(year=year)))
    assert isinstance(refused, InvalidRequest)
    assert refused.errors[0].field == "date"


def test_what_is_due_and_fails_stops_no_command(
    partition: PartitionFixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    partition.open_hotel({"DBL": 2})
    held = partition.book(1, status="held", hold_seconds=60)
    right, calls = hotel_actor.decide_due, []

    def wrong(*arguments: Any) -> Any:
        calls.append(arguments)
        raise KeyError("wrong")

    monkeypatch.setattr(hotel_actor, "decide_due", wrong)
    partition.advance_clock(61)
    assert partition.book(2).status.value == "confirmed"
    assert len(calls) == 1
    assert "cannot do what is due" in caplog.text
    monkeypatch.setattr(hotel_actor, "decide_due", right)
    partition.advance_clock(61)
    state = partition.execute(DescribeHotelState(HOTEL))
    assert isinstance(state, HotelStateReply)
    assert {one.id: one.status.value for one in state.bookings}[held.id] == "expired"
