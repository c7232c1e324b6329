"""When guests are reminded of their stay: in the hotel's own time, and on the day that the booking names."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.notifications.rules.scheduling import reminder_due_at
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.values.instants import instant
from support.notifications_fixture import DAY, ZONES, NotificationsFixture, local
from support.partition_fixture import night


@pytest.fixture
def hotel() -> NotificationsFixture:
    return NotificationsFixture()


def test_a_booking_can_set_the_date_of_its_reminder(hotel: NotificationsFixture) -> None:
    booking = hotel.book(reminder_on=night(25))
    assert [local(notice.due_at) for notice in hotel.scheduled.values()] == ["2026-06-26 10:00"]
    hotel.change(booking, reminder_on=night(30))
    assert [local(notice.due_at) for notice in hotel.scheduled.values()] == ["2026-07-01 10:00"]
    hotel.change(booking, reminder_on=None)
    assert [local(notice.due_at) for notice in hotel.scheduled.values()] == ["2026-06-28 10:00"]
    assert hotel.immediate_kinds() == ["confirmation"]


def test_a_reminder_that_is_asked_for_today_after_its_hour_is_sent_at_once_and_only_once(
    hotel: NotificationsFixture,
) -> None:
    booking = hotel.book(reminder_on=night(0))  # it is noon
    assert hotel.immediate_kinds() == ["confirmation", "reminder"]
    hotel.change(booking, adults=2)
    assert hotel.immediate_kinds() == ["confirmation", "reminder", "change"]
    hotel.change(booking, reminder_on=None)
    assert hotel.scheduled_kinds() == ["reminder"]
    hotel.change(booking, reminder_on=night(0))
    assert hotel.immediate_kinds()[3:] == ["reminder"]
    assert hotel.scheduled == {}


def test_a_reminder_on_a_day_that_is_over_by_the_calendar_is_refused(hotel: NotificationsFixture) -> None:
    booking = hotel.book(reminder_on=night(2))
    hotel.advance_clock(DAY)  # the business date is still the day before
    for ask in (lambda: hotel.book(reminder_on=night(0)), lambda: hotel.change(booking, reminder_on=night(0))):
        with pytest.raises(Refused) as refused:
            ask()
        assert "reminder_on" in str(refused.value)
    hotel.change(booking, adults=2)
    assert hotel.scheduled_kinds() == ["reminder"], "what was asked for in time stays"


@given(ZONES, st.dates(date(2024, 1, 10), date(2030, 12, 31)))
def test_the_reminder_is_due_at_ten_local_time_in_every_season(timezone: str, arrival: date) -> None:
    hotel = NotificationsFixture(timezone=timezone)
    assert hotel.known_hotel is not None
    due = instant(reminder_due_at(hotel.known_hotel, arrival)).astimezone(ZoneInfo(timezone))
    assert (due.date(), due.hour, due.minute) == (arrival - timedelta(days=3), 10, 0)


def test_the_reminder_stays_at_ten_local_time_across_a_clock_change() -> None:
    """Lisbon changes to winter time on 2026-10-25."""
    hotel = NotificationsFixture(timezone="Europe/Lisbon")
    assert hotel.known_hotel is not None
    before, after = (reminder_due_at(hotel.known_hotel, date(2026, 10, day)) for day in (27, 28))
    assert instant(before) == datetime(2026, 10, 24, 9, tzinfo=UTC)
    assert instant(after) == datetime(2026, 10, 25, 10, tzinfo=UTC)
