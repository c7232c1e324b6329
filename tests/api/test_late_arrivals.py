"""A guest who comes after the audit has made a no-show of the booking: what is left of the stay, and what it costs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def prices(booking: dict[str, Any]) -> list[str]:
    return [line["total"] for line in booking["price"]["nights"]]


def balance(gateway: Gateway, hotel: str, booking: dict[str, Any]) -> str:
    bill = gateway.get(f"{booking_path(hotel, booking)}/folio").json
    assert (bill["balance"]["currency"], bill["charged"]) == ("EUR", bill["balance"])
    return bill["balance"]["amount"]


def nights_charged(gateway: Gateway, hotel: str, booking: dict[str, Any]) -> list[str]:
    bill = gateway.get(f"{booking_path(hotel, booking)}/folio").json
    lines = [line for folio in bill["folios"] for line in folio["lines"]]
    return [line["night"] for line in lines if line["kind"] == "charge" and line["night"] is not None]


def test_a_guest_for_one_night_who_comes_after_the_audit_sleeps_the_rest_of_it(gateway: Gateway) -> None:
    """At 03:20 on the day of departure."""
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, 1)
    gateway.run_night_audit(hotel, 1)
    assert balance(gateway, hotel, booking) == "100.00"
    arrived = gateway.act(hotel, booking, "reinstate")
    assert (arrived.status, arrived.json["status"], arrived.json["room"]) == (200, "confirmed", booking["room"])
    assert (prices(arrived.json), balance(gateway, hotel, booking)) == (["100.00"], "0.00")
    assert gateway.act(hotel, booking, "check-in", accept_not_clean=True).status == 200
    left = gateway.act(hotel, booking, "check-out")
    assert (left.status, left.json["departure"], prices(left.json)) == (200, str(night(1)), ["100.00"])
    assert (balance(gateway, hotel, booking), nights_charged(gateway, hotel, booking)) == ("100.00", [str(night(0))])


def test_a_guest_who_comes_at_twenty_past_three_gets_the_bed(tmp_path: Path) -> None:
    """The automatic audit of 03:00 has made a no-show of the booking."""
    with running_gateway(tmp_path) as opened:
        hotel = opened.open_hotel({"DBL": 1}, clock="wall", night_audit="03:00")
        booking = opened.book(hotel, 0, 1)
        opened.advance_clock(15 * 3_600 - 10 * 60)  # from 13:00 to 03:50 in Lisbon
        wait_until(lambda: opened.get(booking_path(hotel, booking)).json["status"] == "no_show", SECONDS_MAX)
        assert opened.act(hotel, booking, "reinstate").status == 200
        assert opened.act(hotel, booking, "check-in", accept_not_clean=True).json["room"] == booking["room"]
        left = opened.act(hotel, booking, "check-out").json
        assert (left["balance"]["amount"], left["warnings"]) == ("100.00", [])


def test_the_remaining_nights_are_the_guests_again(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, 3)
    gateway.run_night_audit(hotel, 1)
    arrived = gateway.act(hotel, booking, "reinstate").json
    assert (arrived["arrival"], prices(arrived)) == (str(night(0)), ["100.00"] * 3)
    assert gateway.post(f"{hotel}/bookings", {"room_type": "DBL", "guest": {"name": "Bo"}, "arrival": str(night(1)),
                                              "departure": str(night(3))}).status == 409  # fmt: skip
    gateway.act(hotel, booking, "check-in", accept_not_clean=True)
    gateway.run_night_audit(hotel, 3)
    gateway.act(hotel, booking, "check-out")
    assert balance(gateway, hotel, booking) == "300.00"
    assert nights_charged(gateway, hotel, booking) == [str(night(number)) for number in range(3)]


def test_a_night_that_was_given_back_is_not_charged(gateway: Gateway) -> None:
    """The second of three nights was sold to somebody else: neither it nor the fee is charged beside the others."""
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, 3)
    gateway.run_night_audit(hotel, 1)
    other = gateway.book(hotel, 1, 1, guest={"name": "Bo"})
    gateway.act(hotel, other, "check-in", accept_not_clean=True)
    refused = gateway.act(hotel, booking, "reinstate")
    assert_problem(refused, 409, "sold_out")
    assert refused.json["nights"] == [str(night(1))]
    gateway.run_night_audit(hotel, 2)
    gateway.act(hotel, other, "check-out")
    arrived = gateway.act(hotel, booking, "reinstate").json
    assert (prices(arrived), arrived["price"]["total"]) == (["100.00", "0.00", "100.00"], "200.00")
    gateway.act(hotel, booking, "check-in", accept_not_clean=True)
    gateway.run_night_audit(hotel, 3)
    gateway.act(hotel, booking, "check-out")
    assert balance(gateway, hotel, booking) == "200.00"
    assert (balance(gateway, hotel, other), nights_charged(gateway, hotel, other)) == ("100.00", [str(night(1))])


def test_a_no_show_by_hand_gives_back_the_first_night_too(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, 2)
    gateway.act(hotel, booking, "no-show")
    other = gateway.book(hotel, 0, 1, guest={"name": "Bo"})
    gateway.act(hotel, other, "check-in", accept_not_clean=True)
    gateway.run_night_audit(hotel, 1)
    gateway.act(hotel, other, "check-out")
    arrived = gateway.act(hotel, booking, "reinstate").json
    assert (prices(arrived), arrived["no_show_fee"]["amount"]) == (["0.00", "100.00"], "100.00")
    gateway.act(hotel, booking, "check-in", accept_not_clean=True)
    gateway.run_night_audit(hotel, 2)
    gateway.act(hotel, booking, "check-out")
    assert balance(gateway, hotel, booking) == "100.00"


def test_a_last_night_that_was_not_kept_cannot_be_slept(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    by_hand, kept = gateway.book(hotel, 0, 1), gateway.book(hotel, 2, 1)
    gateway.act(hotel, by_hand, "no-show")
    gateway.run_night_audit(hotel, 1)
    refused = gateway.act(hotel, by_hand, "reinstate")
    assert_problem(refused, 409, "not_allowed")
    assert str(night(1)) in refused.json["detail"]
    gateway.run_night_audit(hotel, 2)
    gateway.run_night_audit(hotel, 3)
    gateway.run_night_audit(hotel, 4)  # the day after the departure is too late
    assert_problem(gateway.act(hotel, kept, "reinstate"), 409, "not_allowed")


def test_a_late_guest_whose_room_is_occupied_gets_another_one(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    booking, stays = gateway.book(hotel, 0, 1), gateway.book(hotel, 0, 2, guest={"name": "Bo"})
    gateway.act(hotel, stays, "check-in", accept_not_clean=True)
    gateway.run_night_audit(hotel, 1)
    gateway.act(hotel, stays, "move", room=booking["room"])
    arrived = gateway.act(hotel, booking, "reinstate").json
    assert arrived["room"] == stays["room"]


def test_a_late_guest_waits_until_a_room_is_vacant(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    late, other = gateway.book(hotel, 0, 1), gateway.book(hotel, 1, 1, guest={"name": "Bo"})
    gateway.run_night_audit(hotel, 1)
    gateway.act(hotel, other, "check-in", accept_not_clean=True)
    problem = assert_problem(gateway.act(hotel, late, "reinstate"), 409, "no_room_assigned")
    assert (problem["room_type"], problem["rooms"]) == ("DBL", [])
    gateway.act(hotel, other, "undo-check-in", reason="wrong guest")
    assert gateway.act(hotel, late, "reinstate").json["status"] == "confirmed"


def test_a_late_guest_who_does_not_come_either_is_a_no_show_again(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, 1)
    gateway.run_night_audit(hotel, 1)
    gateway.act(hotel, booking, "reinstate")
    gateway.run_night_audit(hotel, 2)
    assert gateway.get(booking_path(hotel, booking)).json["status"] == "no_show"
    assert balance(gateway, hotel, booking) == "100.00"
