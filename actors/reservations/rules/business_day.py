"""When a business date is over, and what may happen on it: the calendar of a hotel by its own local time.

A date is over at the audit time on the morning after it or, where the audit time is from 12:00 on, on its own evening.
Of a time that the change of clocks skips or repeats, the first instant is taken.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from innkeeper.protocol.reservations.hotel import MANUAL_AUDIT, Hotel, HotelClock
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.instants import instant, microseconds

MANUAL_AUDIT_TIME = "03:00"  # when a date is over in a hotel that closes it by hand
NOON = "12:00"
_DAY = timedelta(days=1)


def audit_time(hotel: Hotel) -> str:
    """The local time at which a business date is over."""
    return MANUAL_AUDIT_TIME if hotel.night_audit == MANUAL_AUDIT else hotel.night_audit


def over_at(hotel: Hotel, day: date) -> int:
    """The instant at which this business date is over."""
    at = audit_time(hotel)
    return instant_of(day if at >= NOON else day + _DAY, at, hotel.timezone)


def early_at(hotel: Hotel, day: date) -> int:
    """The instant from which this business date can be closed early: its noon, or before, where it is over then."""
    return min(instant_of(day, NOON, hotel.timezone), over_at(hotel, day))


def next_audit(hotel: Hotel) -> int | None:
    """When the automatic audit of the open business date is due; None for a manual audit."""
    return None if hotel.night_audit == MANUAL_AUDIT else over_at(hotel, hotel.business_date)


def audit_after(hotel: Hotel, at: int) -> int:
    """The first audit time after this instant."""
    day = local_date(hotel.timezone, at) - _DAY
    while (audit := over_at(hotel, day)) <= at:
        day += _DAY
    return audit


def arrival_date(hotel: Hotel, at: int) -> date:
    """The latest arrival that can be checked in: the business date or, where that is not closed yet, the calendar day
    that should be open. So who arrives after midnight before the audit on the morning arrives on the day before."""
    if hotel.clock is HotelClock.SIMULATED:
        return hotel.business_date
    today = local_date(hotel.timezone, at)
    if over_at(hotel, today - _DAY) > at:
        today -= _DAY
    return max(today, hotel.business_date)


def hold_until(hotel: Hotel, arrival: date, at: int, seconds: int) -> int:
    """When a hold ends that was made at this instant for so many seconds: at the latest two hours before the audit of
    the day of arrival or, where less than four hours are left until then, after half of that time. So the next in line
    can have the room."""
    audit = over_at(hotel, arrival)
    now = hotel_instant(hotel, at)
    if audit <= now:  # that audit is overdue, and waits for the next time or for a person
        audit = audit_after(hotel, now)
    left = max(audit - now - limits.hold_margin_seconds * 1_000_000, (audit - now) // 2)
    return at + min(seconds * 1_000_000, left)


def hotel_instant(hotel: Hotel, at: int) -> int:
    """An instant in the hotel's own time. With a simulated clock that is the business date with the time of day, unless
    the clock on the wall shows this date or the next."""
    if hotel.clock is HotelClock.WALL:
        return at
    local = instant(at).astimezone(ZoneInfo(hotel.timezone))
    if (local.date() - hotel.business_date).days in (0, 1):
        return at
    return microseconds(datetime.combine(hotel.business_date, local.time(), local.tzinfo).astimezone(UTC))


@lru_cache(maxsize=1_000)
def instant_of(day: date, clock_time: str, timezone: str) -> int:
    """The instant of a local time on this day."""
    local = datetime.combine(day, time.fromisoformat(clock_time), ZoneInfo(timezone))
    return microseconds(local.astimezone(UTC))


def local_date(hotel_timezone: str, at: int) -> date:
    """The hotel's local date at this instant."""
    return instant(at).astimezone(ZoneInfo(hotel_timezone)).date()
