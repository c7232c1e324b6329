"""The fees of a cancellation or no-show, and the hotel's local time."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import MANUAL_AUDIT, Hotel
from innkeeper.protocol.values.instants import instant, microseconds


def hotel_now(hotel: Hotel, at: int) -> datetime:
    """The hotel's local time, without its zone. The business date takes precedence: where the clock shows another day
    than that one or the next (a manual audit, a replayed history), only its time of day is used."""
    local = instant(at).astimezone(ZoneInfo(hotel.timezone)).replace(tzinfo=None)
    ahead = (local.date() - hotel.business_date).days
    return local if ahead in (0, 1) else datetime.combine(hotel.business_date, local.time())


def first_night(booking: Booking) -> int:
    """The rate of the first night."""
    return booking.rate


def cancellation_fee(hotel: Hotel, booking: Booking, at: int) -> int:
    """Zero until so many hours before check-in time on the day of arrival, then the rate of the first night."""
    expected = datetime.combine(booking.arrival, time.fromisoformat(hotel.check_in))
    hours = hotel.cancellation.free_until_hours
    return 0 if expected - hotel_now(hotel, at) >= timedelta(hours=hours) else first_night(booking)


def next_audit(hotel: Hotel) -> int | None:
    """When the automatic audit is due: at its local time on the day after the business date; None for a manual audit.

    Of a time that the change of clocks skips or repeats, the first instant is taken.
    """
    if hotel.night_audit == MANUAL_AUDIT:
        return None
    return _instant_of(hotel.business_date + timedelta(days=1), hotel.night_audit, hotel.timezone)


@lru_cache(maxsize=1_000)
def _instant_of(day: date, clock_time: str, timezone: str) -> int:
    local = datetime.combine(day, time.fromisoformat(clock_time), ZoneInfo(timezone))
    return microseconds(local.astimezone(UTC))


def local_date(hotel_timezone: str, at: int) -> date:
    """The hotel's local date at this instant."""
    return instant(at).astimezone(ZoneInfo(hotel_timezone)).date()
