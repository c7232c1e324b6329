"""What a late cancellation and a no-show cost: by the clock on the hotel's wall, and by the booking's own terms."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from innkeeper.actors.reservations.rules.pricing import cancellation_fee
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel, HotelClock
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import HotelReply
from innkeeper.protocol.reservations.requests import BookingChange
from innkeeper.protocol.reservations.terms import CancellationRequest
from innkeeper.protocol.values.instants import microseconds
from innkeeper.protocol.values.money import Money
from support.partition_fixture import HOTEL, PartitionFixture, night, partition_fixture


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    with partition_fixture(tmp_path / "journal.db") as opened:
        yield opened


def open_hotel(partition: PartitionFixture, **policy: int) -> None:
    partition.open_hotel({"DBL": 5}, cancellation=CancellationRequest(**policy))


def hotel(partition: PartitionFixture) -> Hotel:
    reply = partition.execute(DescribeHotel(HOTEL))
    assert isinstance(reply, HotelReply)
    return reply.hotel


def lisbon(day: int, clock: str) -> int:
    """The instant of a local time in Lisbon in June, so many days after the first business date."""
    local = datetime.fromisoformat(f"{night(day)}T{clock}:00+01:00")
    return microseconds(local.astimezone(UTC))


def fees(booking: Booking) -> tuple[int, int]:
    return booking.late_fee, booking.no_show_fee


@pytest.mark.parametrize(
    ("zone", "arrival", "free_until"),
    [
        ("Europe/Lisbon", "2027-03-28", "2027-03-27T15:00:00Z"),
        ("Europe/Lisbon", "2027-10-31", "2027-10-30T14:00:00Z"),
        ("America/New_York", "2027-03-14", "2027-03-13T20:00:00Z"),
        ("Australia/Lord_Howe", "2027-04-04", "2027-04-03T04:00:00Z"),
    ],
)
def test_cancelling_is_free_up_to_and_including_the_deadline(
    partition: PartitionFixture, zone: str, arrival: str, free_until: str
) -> None:
    """Example 17: the weekend the clocks change."""
    deadline = microseconds(datetime.fromisoformat(free_until))
    partition.at = deadline - 3_600_000_000
    partition.open_hotel({"DBL": 2}, timezone=zone, business_date=None)
    days = (date.fromisoformat(arrival) - night(0)).days
    on_time, late = partition.book(days), partition.book(days)
    assert on_time.free_until == deadline
    partition.at = deadline
    assert partition.booking_after(commands.CancelBooking(HOTEL, on_time.id)).fee == 0
    partition.at = deadline + 1_000_000
    assert partition.booking_after(commands.CancelBooking(HOTEL, late.id)).fee == 10_000


@pytest.mark.parametrize(
    ("day", "clock", "business_date", "fee"),
    [(0, "23:31", 1, 0), (0, "23:31", 0, 0), (2, "10:00", 0, 10_000), (2, "10:00", 2, 10_000), (1, "14:59", 3, 0)],
    ids=["an early audit", "no audit yet", "a forgotten audit", "audited", "two days ahead"],
)
def test_the_deadline_is_by_the_hotels_clock_however_far_the_business_date_is(
    partition: PartitionFixture, day: int, clock: str, business_date: int, fee: int
) -> None:
    """39 hours before arrival is free after an early audit, and 5 hours before it is late after a forgotten one."""
    open_hotel(partition)
    booking = partition.book(2)
    rolled = msgspec.structs.replace(hotel(partition), business_date=night(business_date), clock=HotelClock.WALL)
    assert cancellation_fee(rolled, booking, lisbon(day, clock)) == fee


def test_a_fee_is_never_more_than_the_stay(partition: PartitionFixture) -> None:
    """Example 18 b."""
    open_hotel(partition, late_nights=2, no_show_nights=3)
    assert fees(partition.book(9, 1, rate=Money("120.00", "EUR"))) == (12_000, 12_000)
    assert fees(partition.book(9, 2, rate=Money("120.00", "EUR"))) == (24_000, 24_000)
    assert fees(partition.book(9, 5, rate=Money("120.00", "EUR"))) == (24_000, 36_000)


@pytest.mark.parametrize("nights", [0, 1, 365])
def test_a_no_show_costs_the_nights_of_the_policy(partition: PartitionFixture, nights: int) -> None:
    open_hotel(partition, no_show_nights=nights)
    booking = partition.book(0, 3)
    marked = partition.booking_after(commands.MarkNoShow(HOTEL, booking.id))
    assert marked.fee == min(nights, 3) * 10_000


def test_a_booking_keeps_the_fees_that_it_was_made_on(partition: PartitionFixture) -> None:
    open_hotel(partition, late_nights=2, no_show_nights=2)
    booking = partition.book(5, 2)
    policy = CancellationRequest(late_nights=0, no_show_nights=0)
    partition.execute(commands.ChangeHotel(HOTEL, commands.HotelChange(cancellation=policy)))
    longer = BookingChange(departure=booking.departure + timedelta(days=1), rate=Money("50.00", "EUR"))
    assert fees(partition.booking_after(commands.ChangeBooking(HOTEL, booking.id, longer))) == (10_000, 10_000)
    assert fees(partition.book(5, 2)) == (0, 0)


def test_a_change_after_the_deadline_keeps_both_fees(partition: PartitionFixture) -> None:
    """Example 18 c, for a no-show too."""
    open_hotel(partition, late_nights=2, no_show_nights=2)
    booking = partition.book(0, 2)
    shorter = BookingChange(departure=night(1))
    assert fees(partition.booking_after(commands.ChangeBooking(HOTEL, booking.id, shorter))) == (20_000, 20_000)


@pytest.mark.parametrize("kind", [commands.CancelBooking, commands.MarkNoShow])
def test_a_waived_fee_is_recorded_with_its_reason(partition: PartitionFixture, kind: Any) -> None:
    open_hotel(partition)
    booking = partition.book(0, 2)
    ended = partition.booking_after(kind(HOTEL, booking.id, waive_fee=True, reason="flight cancelled"))
    assert ended.fee == 0
    event: Any = [*partition.host.journal.read()][-1][1].event
    assert (event.fee, event.waived, event.reason) == (0, 10_000, "flight cancelled")
