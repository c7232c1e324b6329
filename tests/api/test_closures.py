"""Rooms that are out of order or out of service: what can be sold, who is moved, and who is never displaced."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("closures") / "data") as started:
        yield started


def close(gateway: Gateway, hotel: str, room: str, until: int, **more: Any) -> HttpResponse:
    body = {"kind": "out_of_order", "until": str(night(until))} | more
    return gateway.post(f"{hotel}/rooms/{room}/closures", body)


def left(gateway: Gateway, hotel: str, arrival: int, nights: int = 1) -> int:
    shown = gateway.get(f"{hotel}/availability", arrival=night(arrival), departure=night(arrival + nights)).json
    rooms: int = shown["room_types"][0]["rooms"]
    return rooms


def test_a_room_that_is_out_of_order_is_not_sold_and_comes_back_by_itself(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    closed = close(gateway, hotel, "101", 3, first=str(night(1)), reason="The shower leaks")
    assert closed.status == 201
    assert closed.json | {"id": ""} == {
        "id": "", "room": "101", "kind": "out_of_order", "first": str(night(1)), "until": str(night(3)),
        "reason": "The shower leaks",
    }  # fmt: skip
    assert gateway.get(closed.headers["location"]).json == closed.json
    assert gateway.get(f"{hotel}/rooms/101").json["closures"] == [closed.json]
    assert gateway.get(f"{hotel}/tape-chart", from_=night(2), to=night(5)).json["closures"] == [closed.json]
    assert gateway.get(f"{hotel}/tape-chart", from_=night(3), to=night(5)).json["closures"] == []
    assert [left(gateway, hotel, arrival) for arrival in range(4)] == [2, 1, 1, 2]
    assert gateway.book(hotel, arrival=1, nights=2)["room"] == "102"
    refused = assert_problem(gateway.post(f"{hotel}/bookings", stay_request(1)), 409, "sold_out")
    assert refused["nights"] == [str(night(1))]
    pinned = gateway.post(f"{hotel}/bookings", stay_request(2, room="101"))
    assert_problem(pinned, 409)
    gateway.restart()
    assert [left(gateway, hotel, arrival) for arrival in range(4)] == [2, 0, 0, 2]
    assert gateway.run_night_audit(hotel, 3).status == 200
    assert left(gateway, hotel, 3) == 2
    assert gateway.list_all(f"{hotel}/rooms/101/closures") == []
    assert_problem(gateway.get(closed.headers["location"]), 404, "not_found")


def test_who_has_not_arrived_and_can_move_is_moved(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3})
    stays = [gateway.book(hotel, arrival=0, nights=2), gateway.book(hotel, arrival=2, nights=2)]
    assert {stay["room"] for stay in stays} == {"101"}
    assert close(gateway, hotel, "101", 3, first=str(night(1))).status == 201
    now = [gateway.get(booking_path(hotel, stay)).json for stay in stays]
    assert all(stay["room"] in ("102", "103") for stay in now)
    history = gateway.list_all(f"{booking_path(hotel, now[0])}/history")
    assert (history[-1]["type"], history[-1]["data"]["reason_code"]) == (
        "innkeeper.booking.room_moved.v1",
        "room_closed",
    )


def test_who_cannot_move_is_listed_and_never_displaced(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    in_house = gateway.book(hotel, arrival=0, nights=3)
    assert gateway.act(hotel, in_house, "check-in").status == 200
    pinned = gateway.book(hotel, arrival=0, nights=1, room="102")
    later = gateway.book(hotel, arrival=1, nights=1)
    before = gateway.get(f"{hotel}/rooms").json
    first = assert_problem(close(gateway, hotel, "101", 5), 409, "room_needed")
    assert [(one["booking"], one["obstacle"]) for one in first["displaced"]] == [(in_house["id"], "in_house")]
    second = assert_problem(close(gateway, hotel, "102", 5), 409, "room_needed")
    assert [(one["booking"], one["obstacle"]) for one in second["displaced"]] == [
        (pinned["id"], "pinned"),
        (later["id"], "no_room"),
    ]
    assert pinned["locator"] in second["detail"]
    assert gateway.get(f"{hotel}/rooms").json == before
    assert gateway.get(booking_path(hotel, later)).json == later
    after = close(gateway, hotel, "101", 5, first=str(night(3)))
    assert after.status == 201, "from the day of departure on"


def test_a_closure_ends_earlier_or_later(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    closed = close(gateway, hotel, "101", 4)
    path = closed.headers["location"]
    changed = gateway.send("PATCH", path, {"until": str(night(2)), "reason": "Done sooner"})
    assert (changed.status, changed.json["until"], changed.json["reason"]) == (200, str(night(2)), "Done sooner")
    assert [left(gateway, hotel, arrival) for arrival in range(4)] == [1, 1, 2, 2]
    pinned = gateway.book(hotel, arrival=3, room="101")
    refused = assert_problem(gateway.send("PATCH", path, {"until": str(night(4))}), 409, "room_needed")
    assert [one["booking"] for one in refused["displaced"]] == [pinned["id"]]
    assert gateway.act(hotel, pinned, "unpin").status == 200
    assert gateway.send("PATCH", path, {"until": str(night(5))}).status == 200
    assert gateway.get(booking_path(hotel, pinned)).json["room"] == "102"
    assert gateway.send("DELETE", path).status == 200
    assert [left(gateway, hotel, arrival) for arrival in range(4)] == [2, 2, 2, 1]
    assert_problem(gateway.send("DELETE", path), 404, "not_found")


def test_a_room_that_reopens_is_offered_to_the_waitlist(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    path = close(gateway, hotel, "101", 3).headers["location"]
    waiting = gateway.post(f"{hotel}/waitlist", stay_request(1))
    assert waiting.status == 201
    assert gateway.send("DELETE", path).status == 200
    assert gateway.get(f"{hotel}/bookings/{waiting.json['id']}").json["status"] == "held"


def test_a_room_that_is_out_of_service_is_given_last(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    assert close(gateway, hotel, "101", 3, kind="out_of_service").status == 201
    assert [left(gateway, hotel, arrival) for arrival in range(2)] == [2, 2]
    assert [gateway.book(hotel, arrival=1)["room"] for _ in range(2)] == ["102", "101"]
    assert gateway.book(hotel, arrival=3)["room"] == "101", "after the closure it is a room like any other"


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({"until": str(night(0))}, "until", "after_first"),
        ({"first": str(night(-1))}, "first", "not_past"),
        ({"until": str(night(1_097))}, "until", "days_ahead_max"),
        ({"kind": "on fire"}, "kind", "one_of"),
        ({"until": None}, "until", "type"),
        ({"nights": 2}, "nights", "unknown"),
    ],
)
def test_nights_that_cannot_be_closed_are_refused(
    gateway: Gateway, body: dict[str, Any], field: str, rule: str
) -> None:
    hotel = gateway.open_hotel()
    request = {"kind": "out_of_order", "until": str(night(2))} | body
    problem = assert_problem(gateway.post(f"{hotel}/rooms/101/closures", request), 422, "invalid")
    assert field in [error["field"] for error in problem["errors"]], problem
    assert gateway.list_all(f"{hotel}/rooms/101/closures") == []


def test_a_room_is_closed_once_at_a_time(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    first = close(gateway, hotel, "101", 3).json
    again = assert_problem(close(gateway, hotel, "101", 5, kind="out_of_service"), 409, "room_closed")
    assert again["closure"] == first["id"]
    assert close(gateway, hotel, "101", 5, first=str(night(3))).status == 201
    begun = gateway.send("PATCH", f"{hotel}/rooms/101/closures/{first['id']}", {"first": str(night(1))})
    assert_problem(begun, 422, "invalid", "first", "begun")
    assert_problem(close(gateway, hotel, "999", 5), 404, "not_found")
    assert_problem(gateway.send("DELETE", f"{hotel}/rooms/102/closures/{first['id']}"), 404, "not_found")


def test_the_closures_of_a_retired_room_end_with_it(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    close(gateway, hotel, "101", 3)
    retired = gateway.send("DELETE", f"{hotel}/rooms/101")
    assert (retired.status, retired.json["closures"]) == (200, [])
    assert gateway.post(f"{hotel}/rooms", {"number": "101", "room_type": "DBL"}).status == 201
    assert left(gateway, hotel, 1) == 2


def test_a_guest_who_leaves_today_does_not_move_into_a_room_that_is_out_of_order(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2}, housekeeping=False)
    booking = gateway.book(hotel, arrival=0)
    assert gateway.act(hotel, booking, "check-in").status == 200
    assert gateway.run_night_audit(hotel, 1).status == 200
    assert close(gateway, hotel, "102", 4).status == 201
    refused = assert_problem(gateway.act(hotel, booking, "move", room="102"), 409, "room_taken")
    assert refused["nights"] == [str(night(1))]
    assert gateway.get(booking_path(hotel, booking)).json["room"] == "101"
