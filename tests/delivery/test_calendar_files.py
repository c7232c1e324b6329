"""The calendar file of a letter, as a library for iCalendar reads it."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar, Event
from innkeeper.delivery.email.calendar_file import calendar_file
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.notices import HotelContact, Notice, NoticeKind
from support.example_notices import EXPIRES, HOTEL, NOON, STAY, notice

SENDER = "stay@inn.example"
TEXTS = st.text(min_size=1, max_size=120).filter(lambda text: bool(clean(text)) and text.isprintable())


def calendar(one: Notice) -> Any:
    """The calendar in the file of a notice, whose lines have a legal length."""
    file = calendar_file(one, SENDER, NOON)
    assert file is not None
    assert all(len(line) <= 75 for line in file.body.split(b"\r\n"))
    assert b"\n" not in file.body.replace(b"\r\n", b"")
    read = Calendar.from_ical(file.body)
    assert str(read["METHOD"]) == file.method
    return read


def event(one: Notice) -> Event:
    """The only event in the file of a notice."""
    (found,) = calendar(one).walk("VEVENT")
    return found


def utc(local: str, zone: str) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_confirmed_stay_is_published_from_check_in_to_check_out_in_the_hotels_zone() -> None:
    contact = HotelContact(("Rua do Mar 1", "Faro; Algarve"), "", "desk@inn.example", "https://inn.example/{locator}")
    one = notice(sequence=7, hotel=msgspec.structs.replace(HOTEL, contact=contact))
    found = event(one)
    assert str(calendar(one)["METHOD"]) == "PUBLISH"
    assert (str(found["UID"]), found["SEQUENCE"], str(found["STATUS"])) == ("b@seaside", 7, "CONFIRMED")
    assert found.start.astimezone(UTC) == utc("2026-07-02T15:00", "Europe/Lisbon")
    assert found.end.astimezone(UTC) == utc("2026-07-04T11:00", "Europe/Lisbon")
    assert found["DTSTART"].params["TZID"] == "Europe/Lisbon"
    assert str(found["SUMMARY"]) == "Seaside Lodge (K7Q2ZP)"
    assert str(found["LOCATION"]) == "Seaside Lodge, Rua do Mar 1, Faro; Algarve"
    assert str(found["URL"]) == "https://inn.example/K7Q2ZP"
    assert str(found["ORGANIZER"]) == "mailto:desk@inn.example"


def test_a_change_and_a_cancellation_are_about_the_same_entry() -> None:
    change, cancelled = event(notice(NoticeKind.CHANGE, sequence=8)), notice(NoticeKind.CANCELLATION, sequence=9)
    assert (change["UID"], change["SEQUENCE"], str(change["STATUS"])) == (event(cancelled)["UID"], 8, "CONFIRMED")
    assert str(calendar(cancelled)["METHOD"]) == "CANCEL"
    assert (event(cancelled)["SEQUENCE"], str(event(cancelled)["STATUS"])) == (9, "CANCELLED")
    assert str(event(cancelled)["ORGANIZER"]) == f"mailto:{SENDER}"


def test_other_letters_and_those_about_holds_have_no_calendar_file() -> None:
    with_file = {kind for kind in NoticeKind if calendar_file(notice(kind), SENDER, NOON)}
    assert with_file == {NoticeKind.CONFIRMATION, NoticeKind.CHANGE, NoticeKind.CANCELLATION}
    assert calendar_file(notice(NoticeKind.CHANGE, expires_at=EXPIRES), SENDER, NOON) is None


@pytest.mark.parametrize(
    ("zone", "arrival", "departure"),
    [
        ("Europe/Lisbon", date(2027, 3, 26), date(2027, 3, 29)),  # the clocks change on the 28th
        ("Europe/Lisbon", date(2027, 10, 30), date(2027, 11, 1)),
        ("America/New_York", date(2027, 3, 13), date(2027, 3, 15)),
        ("Australia/Lord_Howe", date(2027, 4, 3), date(2027, 4, 5)),  # by half an hour
        ("Asia/Kathmandu", date(2027, 4, 3), date(2027, 4, 5)),
        ("UTC", date(2027, 4, 3), date(2027, 4, 5)),
    ],
)
def test_the_time_zone_in_the_file_says_the_same_as_the_database(zone: str, arrival: date, departure: date) -> None:
    stay = msgspec.structs.replace(STAY, arrival=arrival, departure=departure)
    one = notice(stay=stay, hotel=msgspec.structs.replace(HOTEL, timezone=zone))
    (component,) = calendar(one).walk("VTIMEZONE")
    by_file = component.to_tz(lookup_tzid=False)
    for local in (f"{arrival}T15:00", f"{departure}T11:00"):
        moment = datetime.fromisoformat(local)
        assert moment.replace(tzinfo=by_file).astimezone(UTC) == utc(local, zone)
    found = event(one)
    assert [moment.astimezone(UTC) for moment in (found.start, found.end)] == [
        utc(f"{arrival}T15:00", zone), utc(f"{departure}T11:00", zone)
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(hotel=TEXTS, address=TEXTS)
def test_no_name_or_address_breaks_the_file(hotel: str, address: str) -> None:
    facts = msgspec.structs.replace(HOTEL, name=hotel, contact=HotelContact((address,)))
    found = event(notice(hotel=facts))
    assert str(found["SUMMARY"]) == f"{clean(hotel)} (K7Q2ZP)"
    assert str(found["LOCATION"]) == f"{clean(hotel)}, {clean(address)}"
    assert str(found["UID"]) == "b@seaside"
