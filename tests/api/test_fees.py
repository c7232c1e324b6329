"""Fees for late cancellations and no-shows over HTTP: when they are due, how much, and how they are waived."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(tmp_path) as opened:
        yield opened


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def set_clock(gateway: Gateway, instant: str) -> None:
    """Move the clock forward to this instant."""
    gateway.advance_clock(datetime.fromisoformat(instant).timestamp() - gateway.clock() / 1e6)


def confirmations(tmp_path: Path) -> list[str]:
    """The texts of all confirmations, with single blanks."""
    found = []
    for path in tmp_path.glob("mail/*-confirmation-*.eml"):
        letter = message_from_bytes(path.read_bytes(), policy=default)
        assert isinstance(letter, EmailMessage)
        body = letter.get_body(("plain",))
        assert body is not None
        found.append(" ".join(body.get_content().split()))
    return found


@pytest.mark.parametrize(
    ("zone", "arrival", "free_until", "local"),
    [
        ("Europe/Lisbon", "2027-03-28", "2027-03-27T15:00:00Z", "March 27, 2027 at 3:00 PM (hotel time)"),
        ("Europe/Lisbon", "2027-10-31", "2027-10-30T14:00:00Z", "October 30, 2027 at 3:00 PM (hotel time)"),
        ("America/New_York", "2027-03-14", "2027-03-13T20:00:00Z", "March 13, 2027 at 3:00 PM (hotel time)"),
        ("Australia/Lord_Howe", "2027-04-04", "2027-04-03T04:00:00Z", "April 3, 2027 at 3:00 PM (hotel time)"),
    ],
)
def test_the_deadline_is_local_on_the_weekend_the_clocks_change(
    gateway: Gateway, tmp_path: Path, zone: str, arrival: str, free_until: str, local: str
) -> None:
    """Example 17: free up to and including this instant, and late from the next second on."""
    deadline = datetime.fromisoformat(free_until)
    set_clock(gateway, str(deadline - timedelta(minutes=2)))
    hotel = gateway.open_hotel(timezone=zone, business_date=None)
    days, ana = (date.fromisoformat(arrival) - night(0)).days, {"name": "Ana", "email": "ana@example.com"}
    on_time, late = gateway.book(hotel, days, guest=ana), gateway.book(hotel, days, guest=ana)
    assert on_time["free_until"] == free_until
    wait_until(lambda: len(confirmations(tmp_path)) == 2, SECONDS_MAX)
    for letter in confirmations(tmp_path):
        assert f"free of charge until {local}. After that, a cancellation costs €100.00." in letter
    assert gateway.act(hotel, on_time, "cancel").json["fee"] is None
    set_clock(gateway, str(deadline + timedelta(seconds=1)))
    assert gateway.act(hotel, late, "cancel").json["fee"] == eur("100.00")


def test_an_early_audit_brings_no_deadline_forward(gateway: Gateway) -> None:
    """The date is closed at 23:31; the guest cancels 39 hours before the arrival."""
    hotel = gateway.open_hotel(clock="wall")
    booking = gateway.book(hotel, 2)
    set_clock(gateway, "2026-06-01T22:31:00+00:00")
    closed = gateway.post(f"{hotel}/night-audit", {"date": str(night(0)), "early": True})
    assert (closed.status, closed.json["business_date"]) == (200, str(night(1)))
    assert gateway.act(hotel, booking, "cancel").json["fee"] is None


def test_a_forgotten_audit_puts_no_deadline_off(gateway: Gateway) -> None:
    """Nobody has closed the date for two days; the guest cancels 5 hours before the arrival."""
    hotel = gateway.open_hotel(clock="wall")
    booking = gateway.book(hotel, 2)
    set_clock(gateway, "2026-06-03T09:00:00+00:00")
    assert gateway.get(hotel).json["business_date"] == str(night(0))
    assert gateway.act(hotel, booking, "cancel").json["fee"] == eur("100.00")


def test_a_hotel_sets_how_many_nights_a_late_cancellation_and_a_no_show_cost(gateway: Gateway) -> None:
    hotel = gateway.open_hotel(cancellation={"late_nights": 2, "no_show_nights": 365})
    late, absent = gateway.book(hotel, 0, 3), gateway.book(hotel, 0, 3)
    assert (late["late_fee"], late["no_show_fee"]) == (eur("200.00"), eur("300.00"))
    assert gateway.act(hotel, late, "cancel").json["fee"] == eur("200.00")
    assert gateway.act(hotel, absent, "no-show").json["fee"] == eur("300.00")
    bills = [gateway.get(f"{booking_path(hotel, one)}/folio").json["balance"] for one in (late, absent)]
    assert bills == [eur("200.00"), eur("300.00")]
    gateway.send("PATCH", hotel, {"cancellation": {"no_show_nights": 0}})
    free = gateway.book(hotel, 0, 3)
    assert gateway.act(hotel, free, "no-show").json["fee"] is None


def test_a_fee_of_more_nights_than_the_stay_is_the_stay(gateway: Gateway) -> None:
    """Example 18 b: two nights, of a stay of one night at 120.00."""
    hotel = gateway.open_hotel(cancellation={"late_nights": 2})
    booking = gateway.book(hotel, 0, 1, rate=eur("120.00"))
    assert gateway.act(hotel, booking, "cancel").json["fee"] == eur("120.00")


@pytest.mark.parametrize(("action", "event"), [("cancel", "cancelled"), ("no-show", "no_show")])
def test_the_desk_waives_a_fee_with_a_reason(gateway: Gateway, action: str, event: str) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 0, 2)
    for body in ({"waive_fee": True}, {"waive_fee": True, "reason": " "}):
        refused = gateway.act(hotel, booking, action, **body)
        assert_problem(refused, 422, "invalid", "reason", "required")
    waived = gateway.act(hotel, booking, action, waive_fee=True, reason="flight cancelled")
    assert (waived.status, waived.json["fee"]) == (200, None)
    recorded: Any = gateway.get(f"{booking_path(hotel, booking)}/history").json["data"][-1]
    assert recorded["type"] == f"innkeeper.booking.{event}.v1"
    assert recorded["data"]["waived"] == 10_000
    assert recorded["data"]["reason"] == "flight cancelled"
    assert recorded["by"]
    assert gateway.get(f"{booking_path(hotel, booking)}/folio").json["balance"] == eur("0.00")


@pytest.mark.parametrize("field", ["late_nights", "no_show_nights"])
@pytest.mark.parametrize("nights", [-1, 366])
def test_a_fee_of_fewer_nights_than_none_or_more_than_a_stay_is_refused(
    gateway: Gateway, field: str, nights: int
) -> None:
    hotel = gateway.open_hotel()
    changed = gateway.send("PATCH", hotel, {"cancellation": {field: nights}})
    assert_problem(changed, 422, "invalid", f"cancellation.{field}", "range")
