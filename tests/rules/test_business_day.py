"""When a business date is over, by the hotel's local time; what may be checked in, and how long a hold lasts."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from innkeeper.actors.reservations.rules.business_day import (
    arrival_date,
    audit_after,
    early_at,
    hold_until,
    hotel_instant,
    over_at,
)
from innkeeper.protocol.reservations.hotel import Hotel, HotelClock
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.instants import instant, microseconds

HOUR = 3_600
LISBON = "Europe/Lisbon"


def hotel(night_audit: str = "03:00", timezone: str = LISBON, day: str = "2026-06-01", **more: Any) -> Hotel:
    """A hotel whose business date is this day."""
    return Hotel(
        id="seaside", name="Seaside", timezone=timezone, currency="EUR", check_in="15:00", check_out="11:00",
        night_audit=night_audit, business_date=date.fromisoformat(day), terms_of_sale=(TermsOfSale(),), **more,
    )  # fmt: skip


def at(local: str, timezone: str = LISBON) -> int:
    """The instant of a local time."""
    return microseconds(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(timezone)).astimezone(ZoneInfo("UTC")))


@pytest.mark.parametrize(
    ("night_audit", "timezone", "day", "over"),
    [
        ("03:00", LISBON, "2026-06-01", "2026-06-02T02:00:00"),
        ("manual", LISBON, "2026-06-01", "2026-06-02T02:00:00"),
        ("00:00", LISBON, "2026-06-01", "2026-06-01T23:00:00"),
        ("11:59", LISBON, "2026-06-01", "2026-06-02T10:59:00"),
        ("12:00", LISBON, "2026-06-01", "2026-06-01T11:00:00"),
        ("23:30", LISBON, "2026-06-01", "2026-06-01T22:30:00"),
        ("01:30", LISBON, "2027-03-27", "2027-03-28T01:30:00"),  # the clocks skip it: 02:30 by the new time
        ("01:30", LISBON, "2027-10-30", "2027-10-31T00:30:00"),  # it comes twice: the first counts
        ("01:45", "Australia/Lord_Howe", "2027-04-03", "2027-04-03T14:45:00"),  # half an hour comes twice
        ("03:00", "Pacific/Auckland", "2026-06-01", "2026-06-01T15:00:00"),
        ("03:00", "Pacific/Honolulu", "2026-06-01", "2026-06-02T13:00:00"),
    ],
)
def test_a_date_is_over_at_the_audit_time(night_audit: str, timezone: str, day: str, over: str) -> None:
    found = over_at(hotel(night_audit, timezone), date.fromisoformat(day))
    assert instant(found).isoformat()[:19] == over


def test_a_date_can_be_closed_early_from_its_noon_on() -> None:
    for night_audit in ("03:00", "23:30", "12:00"):
        assert early_at(hotel(night_audit), date(2026, 6, 1)) == at("2026-06-01T12:00")


@pytest.mark.parametrize("night_audit", ["03:00", "23:30", "00:00"])
@pytest.mark.parametrize("timezone", [LISBON, "Pacific/Auckland", "Pacific/Honolulu", "Australia/Lord_Howe"])
def test_the_next_audit_time_is_at_most_a_day_away(night_audit: str, timezone: str) -> None:
    there = hotel(night_audit, timezone)
    for hours in range(0, 24 * 400, 7):
        now = at("2026-03-01T00:00") + hours * HOUR * 1_000_000
        following = audit_after(there, now)
        assert now < following <= now + 25 * HOUR * 1_000_000
        assert audit_after(there, following - 1) == following


@pytest.mark.parametrize(
    ("night_audit", "local", "expected"),
    [
        ("03:00", "2026-06-02T00:40", "2026-06-01"),
        ("03:00", "2026-06-02T03:00", "2026-06-02"),  # the audit of the day before waits
        ("03:00", "2026-06-04T02:00", "2026-06-03"),
        ("23:30", "2026-06-01T23:45", "2026-06-01"),
        ("23:30", "2026-06-02T00:40", "2026-06-02"),
        ("23:30", "2026-06-02T22:00", "2026-06-02"),
    ],
)
def test_guests_arrive_on_their_own_calendar_day(night_audit: str, local: str, expected: str) -> None:
    assert str(arrival_date(hotel(night_audit), at(local))) == expected


def test_a_hotel_on_the_wall_clock_has_the_time_on_the_wall_however_far_its_date_was_rolled() -> None:
    now = at("2026-06-01T23:31")
    for day in ("2026-05-20", "2026-06-01", "2026-06-02"):
        assert hotel_instant(hotel(day=day), now) == now
    simulated = hotel(day="2014-08-01", clock=HotelClock.SIMULATED)
    assert hotel_instant(simulated, now) == at("2014-08-01T23:31")


@pytest.mark.parametrize(
    ("local", "hours", "ends"),
    [
        ("2026-06-01T13:00", 24, "2026-06-02T01:00"),  # two hours before the audit
        ("2026-06-01T13:00", 1, "2026-06-01T14:00"),
        ("2026-06-01T23:00", 24, "2026-06-02T01:00"),
        ("2026-06-02T01:00", 24, "2026-06-02T02:00"),  # half of the time that is left
        ("2026-06-02T02:00", 24, "2026-06-02T02:30"),
        ("2026-06-02T10:00", 24, "2026-06-03T01:00"),  # that audit is overdue: it is done at the next time
    ],
)
def test_a_hold_for_tonight_leaves_time_for_the_next_in_line(local: str, hours: int, ends: str) -> None:
    found = hold_until(hotel(), date(2026, 6, 1), at(local), hours * HOUR)
    assert found == at(ends)


def test_a_hold_for_a_later_night_lasts_as_long_as_it_says() -> None:
    now = at("2026-06-01T13:00")
    assert hold_until(hotel(), date(2026, 6, 2), now, 24 * HOUR) == now + 24 * HOUR * 1_000_000


def test_each_in_line_has_half_of_the_time_and_nobody_waits_beyond_the_audit() -> None:
    there, now = hotel(), at("2026-06-01T20:00")
    audit = over_at(there, date(2026, 6, 1))
    for _ in range(10):
        ends = hold_until(there, date(2026, 6, 1), now, 24 * HOUR)
        assert now < ends < audit
        now = ends
    assert instant(audit) - instant(now) < timedelta(minutes=1)
