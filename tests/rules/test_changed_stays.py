"""A stay that is changed keeps what was agreed: its deadline by the clock on the wall, and the rooms that it has."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking, BookingStatus, RoomSegment
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.hotel_requests import ClosureRequest, HotelChange
from innkeeper.protocol.reservations.queries import FindAvailability
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.refusals import NoSingleRoom, RoomTaken
from innkeeper.protocol.reservations.replies import AvailabilityReply, NightAuditReply, RoomsReply
from innkeeper.protocol.reservations.requests import BookingChange
from innkeeper.protocol.reservations.room_events import ClosureKind
from innkeeper.protocol.reservations.terms import CancellationRequest
from innkeeper.protocol.values.instants import instant, microseconds
from support.partition_fixture import HOTEL, NOON, PartitionFixture, night, partition_fixture, request

MORNING = NOON + 19 * 3_600_000_000  # 2026-06-02 08:00 in Lisbon


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    with partition_fixture(tmp_path / "journal.db") as opened:
        yield opened


def change(partition: PartitionFixture, booking: Booking, **fields: Any) -> Booking:
    return partition.booking_after(commands.ChangeBooking(HOTEL, booking.id, BookingChange(**fields)))


def check_in_from(partition: PartitionFixture, hour: str) -> None:
    """Change the hotel's check-in hour."""
    partition.execute(commands.ChangeHotel(HOTEL, HotelChange(check_in=hour)))


def deadline(booking: Booking, zone: str = "Europe/Lisbon") -> str:
    """Until when cancelling is free, by the hotel's clock."""
    return datetime.strftime(instant(booking.free_until).astimezone(ZoneInfo(zone)), "%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    "fields", [{"source": "phone"}, {"departure": night(6)}, {"departure": night(9), "adults": 2}], ids=str
)
def test_a_booking_keeps_its_deadline_whatever_the_check_in_hour_is_now(
    partition: PartitionFixture, fields: dict[str, Any]
) -> None:
    partition.open_hotel()
    booking = partition.book(5, 2)
    check_in_from(partition, "06:00")
    assert change(partition, booking, **fields).free_until == booking.free_until
    assert deadline(partition.book(5, 2)) == "2026-06-05 06:00"


def test_the_deadline_of_a_moved_arrival_is_at_the_hour_of_the_old_one(partition: PartitionFixture) -> None:
    partition.open_hotel()
    booking = partition.book(5, 2)
    check_in_from(partition, "06:00")
    assert deadline(booking) == "2026-06-05 15:00"
    assert deadline(change(partition, booking, arrival=night(4))) == "2026-06-04 15:00"


@pytest.mark.parametrize("check_in", ["14:30", "15:00"])
def test_a_deadline_that_is_moved_over_a_change_of_clocks_and_back_is_the_same(
    partition: PartitionFixture, check_in: str
) -> None:
    """On 2026-03-29 there is no 01:30 in Lisbon."""
    partition.at = microseconds(datetime(2026, 3, 1, 12, tzinfo=UTC))
    policy = CancellationRequest(free_until_hours=13)
    partition.open_hotel(business_date=date(2026, 3, 1), check_in=check_in, cancellation=policy)
    days = (date(2026, 3, 20) - night(0)).days
    booking = partition.book(days, 12)
    moved = change(partition, booking, arrival=date(2026, 3, 29))
    assert change(partition, moved, arrival=booking.arrival).free_until == booking.free_until


def open_on_the_morning_after(partition: PartitionFixture) -> None:
    """Open a hotel whose business date, 1 June, is still open at eight in the morning of 2 June."""
    partition.open_hotel({"DBL": 3}, clock=HotelClock.WALL, housekeeping=False)
    partition.at = MORNING


def close_the_first_of_june(partition: PartitionFixture) -> None:
    reply = partition.execute(commands.RollBusinessDate(HOTEL, None, night(0)))
    assert isinstance(reply, NightAuditReply), reply


def come_and_leave(partition: PartitionFixture, booking: Booking, reason: DepartureReason) -> None:
    """Let a guest arrive, before the date is open, and leave."""
    partition.booking_after(commands.CheckInGuest(HOTEL, booking.id))
    left = partition.booking_after(commands.CheckOutGuest(HOTEL, booking.id, reason))
    assert left.status is BookingStatus.CHECKED_OUT


def rooms_left(partition: PartitionFixture, arrival: int, nights: int) -> tuple[int, bool]:
    """How many rooms are left for a stay, and whether more are with a move during it."""
    reply = partition.execute(FindAvailability(HOTEL, night(arrival), night(arrival + nights)))
    assert isinstance(reply, AvailabilityReply)
    return reply.types[0].rooms, reply.types[0].needs_move


def test_what_is_offered_beside_a_guest_who_came_too_early_and_left_can_be_booked(tmp_path: Path) -> None:
    """102 and 103 have guests until 2 June; in 101, the night of 2 June is that of a guest who has left."""
    with partition_fixture(tmp_path / "journal.db") as partition:
        open_on_the_morning_after(partition)
        early, *others = [partition.book(1, 1), *(partition.book(0, 1) for _ in range(3))]
        assert (early.room, [other.room for other in others]) == ("101", ["101", "102", "103"])
        partition.booking_after(commands.CancelBooking(HOTEL, others[0].id))
        for other in others[1:]:
            partition.booking_after(commands.CheckInGuest(HOTEL, other.id))
        come_and_leave(partition, early, DepartureReason.EARLY)
        check_that_no_room_is_offered(partition)
    with partition_fixture(tmp_path / "journal.db") as partition:
        partition.at = MORNING
        check_that_no_room_is_offered(partition)
        assert partition.host.save_snapshots(after_events=1)
    with partition_fixture(tmp_path / "journal.db") as partition:
        partition.at = MORNING
        check_that_no_room_is_offered(partition)
        close_the_first_of_june(partition)
        assert rooms_left(partition, 1, 1) == (2, False)


def check_that_no_room_is_offered(partition: PartitionFixture) -> None:
    """No single room is free on both nights, though one is on each."""
    assert rooms_left(partition, 0, 2) == (0, True)
    assert isinstance(partition.execute(commands.BookRoom(HOTEL, request(0, 2))), NoSingleRoom)


def test_a_day_use_before_the_date_is_open_holds_no_night(partition: PartitionFixture) -> None:
    open_on_the_morning_after(partition)
    booking = partition.book(1, 1)
    come_and_leave(partition, booking, DepartureReason.DAY_USE)
    assert rooms_left(partition, 1, 1) == (3, False)
    closure = ClosureRequest(kind=ClosureKind.OUT_OF_ORDER, until=night(4), reason="flooded")
    assert isinstance(partition.execute(commands.CloseRoom(HOTEL, booking.room, closure)), RoomsReply)
    close_the_first_of_june(partition)
    assert rooms_left(partition, 1, 1) == (2, False)


def divided(partition: PartitionFixture) -> Booking:
    """A stay in three rooms, one on each night."""
    partition.open_hotel({"DBL": 3}, housekeeping=False)
    for room, nights in (("101", (2, 3)), ("102", (1, 3)), ("103", (1, 2))):
        for first in nights:
            partition.book(first, 1, room=room)
    booking = partition.book(1, 3, allow_split=True)
    assert [part.room for part in booking.rooms] == ["101", "102", "103"]
    return booking


@pytest.mark.parametrize(
    ("arrival", "departure", "rooms"), [(1, 3, ("101", "102")), (2, 4, ("102", "103")), (2, 3, ("102",))]
)
def test_a_stay_that_gives_back_nights_keeps_the_rooms_of_the_others(
    partition: PartitionFixture, arrival: int, departure: int, rooms: tuple[str, ...]
) -> None:
    booking = divided(partition)
    shorter = change(partition, booking, arrival=night(arrival), departure=night(departure))
    firsts = range(arrival, departure)
    assert shorter.rooms == tuple(
        RoomSegment(room, night(first), night(first + 1)) for room, first in zip(rooms, firsts, strict=True)
    )
    assert shorter.room == rooms[0]
    assert len(shorter.lines) == len(rooms)
    assert [rooms_left(partition, first, 1)[0] for first in range(1, 4)] == [
        int(one not in firsts) for one in range(1, 4)
    ]


def test_a_night_more_still_needs_one_room_for_the_whole_stay(partition: PartitionFixture) -> None:
    booking = divided(partition)
    longer = commands.ChangeBooking(HOTEL, booking.id, BookingChange(arrival=night(2), departure=night(5)))
    assert isinstance(partition.execute(longer), NoSingleRoom)


def due_out(partition: PartitionFixture, guests: int) -> list[Booking]:
    """Guests in house who leave today, and beside them rooms that are vacant."""
    partition.open_hotel({"DBL": 3}, housekeeping=False)
    bookings = [partition.book(0, 1) for _ in range(guests)]
    for booking in bookings:
        partition.booking_after(commands.CheckInGuest(HOTEL, booking.id))
    partition.execute(commands.RollBusinessDate(HOTEL, to=night(1)))
    return bookings


def close(partition: PartitionFixture, room: str, first: int, until: int, kind: ClosureKind) -> None:
    closure = ClosureRequest(kind=kind, first=night(first), until=night(until), reason="flooded")
    reply = partition.execute(commands.CloseRoom(HOTEL, room, closure))
    assert isinstance(reply, RoomsReply), reply


def test_a_guest_who_leaves_today_does_not_move_into_a_room_that_is_out_of_order(partition: PartitionFixture) -> None:
    (booking,) = due_out(partition, 1)
    close(partition, "102", 1, 4, ClosureKind.OUT_OF_ORDER)
    close(partition, "103", 2, 4, ClosureKind.OUT_OF_ORDER)
    refused = partition.execute(commands.MoveBooking(hotel=HOTEL, booking=booking.id, room="102"))
    assert refused == RoomTaken("102", (night(1),))
    moved = partition.booking_after(commands.MoveBooking(hotel=HOTEL, booking=booking.id, room="103"))
    assert moved.room == "103"


def test_a_guest_who_leaves_today_may_move_into_a_room_that_is_out_of_service(partition: PartitionFixture) -> None:
    (booking,) = due_out(partition, 1)
    close(partition, "102", 1, 4, ClosureKind.OUT_OF_SERVICE)
    assert partition.booking_after(commands.MoveBooking(hotel=HOTEL, booking=booking.id, room="102")).room == "102"


def test_guests_who_leave_today_do_not_swap_into_a_room_that_is_out_of_order(partition: PartitionFixture) -> None:
    """It is closed from today on, and its guest leaves today."""
    one, other = due_out(partition, 2)
    close(partition, other.room, 1, 4, ClosureKind.OUT_OF_ORDER)
    for first, second in ((one, other), (other, one)):
        refused = partition.execute(commands.SwapRooms(hotel=HOTEL, booking=first.id, with_=second.id))
        assert refused == RoomTaken(other.room, (night(1),))


def test_a_guest_who_comes_on_the_day_of_departure_is_not_let_into_a_room_that_is_out_of_order(
    partition: PartitionFixture,
) -> None:
    partition.open_hotel({"DBL": 2}, housekeeping=False)
    booking = partition.book(0, 1)
    partition.execute(commands.RollBusinessDate(HOTEL, to=night(1)))
    partition.booking_after(commands.ReinstateBooking(HOTEL, booking.id))
    close(partition, booking.room, 1, 2, ClosureKind.OUT_OF_ORDER)
    refused = partition.execute(commands.CheckInGuest(HOTEL, booking.id))
    assert refused == RoomTaken(booking.room, (night(1),))
