"""A clock that jumps, and a server that was down, close no date before somebody has looked (P12)."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.partition.clock import ServerClock
from innkeeper.storage.data_directory import DataDirectory
from support.gateway import Gateway, assert_problem, booking_path, load_run
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

HOUR = 3_600
DAY = 24 * HOUR
YEAR = 365 * DAY


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A server whose clock begins at 13:00 in Lisbon on the first business date."""
    with running_gateway(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def hotel(gateway: Gateway) -> str:
    """A hotel in Lisbon that closes its dates by itself at 03:00."""
    return gateway.open_hotel({"DBL": 3}, clock="wall", night_audit="03:00")


def business_date(gateway: Gateway, hotel: str) -> str:
    """The business date of a hotel."""
    return str(gateway.get(hotel).json["business_date"])


def status_of(gateway: Gateway, hotel: str, booking: dict[str, Any]) -> str:
    """The status of a booking."""
    return str(gateway.get(booking_path(hotel, booking)).json["status"])


def down_until(gateway: Gateway, local: str) -> None:
    """Stop the server, and start it again at this time."""
    gateway.close()
    gateway.set_clock(local)
    gateway.open_again()


@pytest.mark.parametrize("seconds", [YEAR, DAY, -DAY])
def test_a_clock_that_jumps_makes_nobody_a_no_show(gateway: Gateway, hotel: str, seconds: int) -> None:
    bookings = [gateway.book(hotel, arrival) for arrival in (0, 1, 30)]
    gateway.jump_clock(seconds)
    assert business_date(gateway, hotel) == "2026-06-01"
    ready = gateway.get("/health/ready").json
    assert (ready["status"], "the server's clock jumped" in ready["clock"]) == ("ready", True)
    assert b"innkeeper_clock_in_doubt 1.0" in gateway.get("/metrics").body
    for body in ({}, {"date": str(night(0))}, {"date": str(night(0)), "early": True}):
        assert_problem(gateway.post(f"{hotel}/night-audit", body), 409, "clock_in_doubt")
    gateway.jump_clock(-seconds)
    assert business_date(gateway, hotel) == "2026-06-01"
    assert gateway.get("/health/ready").json == {"status": "ready"}
    assert b"innkeeper_clock_in_doubt 0.0" in gateway.get("/metrics").body
    assert [status_of(gateway, hotel, booking) for booking in bookings] == ["confirmed"] * 3
    gateway.set_clock("2026-06-02T03:01")
    assert business_date(gateway, hotel) == "2026-06-02"


def test_a_charge_that_is_sent_again_after_a_jump_is_the_same_charge(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, 0, 1)
    path, key = f"{booking_path(hotel, booking)}/folio/charges", {"Idempotency-Key": "breakfast"}
    charge = {"charge": "breakfast", "text": "Breakfast", "amount": {"amount": "20.00", "currency": "EUR"}}
    first = gateway.post(path, charge, key)
    gateway.jump_clock(YEAR)
    gateway.post(path, charge, {"Idempotency-Key": "another"})  # old replies are removed with new ones
    time.sleep(3)  # and while nothing happens
    gateway.jump_clock(-YEAR)
    again = gateway.post(path, charge, key)
    assert (first.status, again.status, again.json) == (201, 201, first.json)


def test_one_checked_clock_is_that_of_all_parts_of_a_process(tmp_path: Path) -> None:
    run = load_run()

    async def clock() -> object:
        async with run.running(data, run.Integrations(mail_from="desk@example.com")) as parts:
            return parts.clock

    data = tmp_path / "other"
    DataDirectory(data).installation()
    assert isinstance(asyncio.run(clock()), ServerClock)


def test_a_hold_that_is_made_while_the_clock_is_an_hour_ahead_lives_no_longer(gateway: Gateway, hotel: str) -> None:
    gateway.jump_clock(HOUR)
    hold = gateway.book(hotel, 5, 1, status="held", hold_seconds=15 * 60)
    assert hold["expires_at"].startswith("2026-06-01T12:15")
    gateway.jump_clock(-HOUR)
    gateway.advance_clock(15 * 60)
    assert status_of(gateway, hotel, hold) == "expired"


def test_a_clock_that_was_set_right_is_confirmed_by_a_person(gateway: Gateway, hotel: str) -> None:
    gateway.jump_clock(15 * HOUR)  # it was wrong before, and shows 04:00 of the next day now
    assert_problem(gateway.post(f"{hotel}/night-audit"), 409, "clock_in_doubt")
    answer = gateway.post(f"{hotel}/night-audit", {"confirm_clock": True})
    assert (answer.status, answer.json["business_date"]) == (200, "2026-06-02")
    assert gateway.get("/health/ready").json == {"status": "ready"}
    gateway.set_clock("2026-06-03T03:01")
    assert business_date(gateway, hotel) == "2026-06-03"


def test_a_server_that_was_down_at_night_waits_until_its_guests_can_be_checked_in(
    gateway: Gateway, hotel: str, caplog: pytest.LogCaptureFixture
) -> None:
    monday, tuesday = gateway.book(hotel, 0), gateway.book(hotel, 1, room="102")
    down_until(gateway, "2026-06-02T10:00")
    assert business_date(gateway, hotel) == "2026-06-01"
    assert status_of(gateway, hotel, monday) == "confirmed"
    assert "the audit of 2026-06-01 waits until 2026-06-03 02:00:00" in caplog.text
    assert gateway.act(hotel, tuesday, "check-in").status == 200  # today's guests arrive as on any day
    assert gateway.act(hotel, monday, "check-in").status == 200  # and those of yesterday are entered now
    gateway.set_clock("2026-06-03T03:01")
    assert business_date(gateway, hotel) == "2026-06-03"


def test_a_person_need_not_wait_for_the_next_audit_time(gateway: Gateway, hotel: str) -> None:
    monday = gateway.book(hotel, 0)
    down_until(gateway, "2026-06-02T10:00")
    assert gateway.post(f"{hotel}/night-audit").json["business_date"] == "2026-06-02"
    assert status_of(gateway, hotel, monday) == "no_show"


def test_a_server_that_was_down_for_two_days_goes_on_by_itself(gateway: Gateway, hotel: str) -> None:
    down_until(gateway, "2026-06-03T10:00")
    assert business_date(gateway, hotel) == "2026-06-03"  # nobody was to arrive


def test_a_short_downtime_at_the_audit_time_delays_nothing(gateway: Gateway, hotel: str) -> None:
    monday = gateway.book(hotel, 0)
    gateway.set_clock("2026-06-02T02:50")
    gateway.book(hotel, 5)
    down_until(gateway, "2026-06-02T03:20")
    assert (business_date(gateway, hotel), status_of(gateway, hotel, monday)) == ("2026-06-02", "no_show")


@pytest.mark.parametrize("local", ["2027-06-01T10:00", "2026-06-08T10:00"])
def test_a_server_that_starts_long_after_its_last_event_asks_a_person(gateway: Gateway, hotel: str, local: str) -> None:
    booking = gateway.book(hotel, 2)
    down_until(gateway, local)
    assert business_date(gateway, hotel) == "2026-06-01"
    assert "long after the last event" in gateway.get("/health/ready").json["clock"]
    assert_problem(gateway.post(f"{hotel}/night-audit"), 409, "clock_in_doubt")
    gateway.set_clock(f"{local[:8]}09T03:10")
    assert (business_date(gateway, hotel), status_of(gateway, hotel, booking)) == ("2026-06-01", "confirmed")
    answer = gateway.post(f"{hotel}/night-audit", {"date": "2026-06-01", "confirm_clock": True})
    assert answer.json["business_date"] == "2026-06-02"


def test_a_server_that_starts_before_its_last_event_asks_a_person(gateway: Gateway, hotel: str) -> None:
    gateway.close()
    gateway.jump_clock(-5 * HOUR)
    gateway.open_again()
    assert "before the last event" in gateway.get("/health/ready").json["clock"]
    assert_problem(gateway.post(f"{hotel}/night-audit", {"date": "2026-06-01"}), 409, "clock_in_doubt")
    gateway.advance_clock(6 * HOUR)
    assert business_date(gateway, hotel) == "2026-06-01"
    assert gateway.get("/health/ready").json == {"status": "ready"}
