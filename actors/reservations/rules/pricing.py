"""What a stay costs, and what not coming costs."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.values.instants import instant, microseconds


def hotel_now(hotel: Hotel, at: int) -> datetime:
    """The hotel's local time, without its zone. A hotel lives in its business date: where the wall clock shows
    another day than that one or the next (a manual audit, a replayed history), only its time of day counts."""
    local = instant(at).astimezone(ZoneInfo(hotel.timezone)).replace(tzinfo=None)
    ahead = (local.date() - hotel.business_date).days
    return local if ahead in (0, 1) else datetime.combine(hotel.business_date, local.time())


def first_night(booking: Booking) -> int:
    """The rate of the first night."""
    return booking.rate


def cancellation_fee(hotel: Hotel, booking: Booking, at: int) -> int:
    """Free until so many hours before check-in time on the day of arrival, then the first night."""
    expected = datetime.combine(booking.arrival, time.fromisoformat(hotel.check_in))
    hours = hotel.cancellation.free_until_hours
    return 0 if expected - hotel_now(hotel, at) >= timedelta(hours=hours) else first_night(booking)


def next_audit(hotel: Hotel) -> int | None:
    """When the business date rolls by itself: at the audit's local time on the day after it; None for a manual audit.

    A time that the change of clocks skips or repeats is taken as the first instant at which it can be read.
    """
    if hotel.night_audit == "manual":
        return None
    return _instant_of(hotel.business_date + timedelta(days=1), hotel.night_audit, hotel.timezone)


@lru_cache(maxsize=1_000)
def _instant_of(day: date, clock_time: str, timezone: str) -> int:
    local = datetime.combine(day, time.fromisoformat(clock_time), ZoneInfo(timezone))
    return microseconds(local.astimezone(UTC))


def local_date(hotel_timezone: str, at: int) -> date:
    """Which day it is there."""
    return instant(at).astimezone(ZoneInfo(hotel_timezone)).date()
