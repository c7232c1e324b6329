"""Housekeeping: which rooms are dirty, who is checked in to a clean one, and the list of the day."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("housekeeping") / "data") as started:
        yield started


def conditions(gateway: Gateway, hotel: str) -> dict[str, str]:
    return {room["number"]: room["condition"] for room in gateway.list_all(f"{hotel}/rooms")}


def stay_over_night(gateway: Gateway, hotel: str, day: int, **more: Any) -> dict[str, Any]:
    """A booking whose guest slept one night, until this day."""
    booking = gateway.book(hotel, arrival=day - 1, **more)
    assert gateway.act(hotel, booking, "check-in").status == 200
    assert gateway.run_night_audit(hotel, day).status == 200
    return booking


def test_a_night_and_a_check_out_make_a_room_dirty_until_somebody_cleans_it(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    assert conditions(gateway, hotel) == {"101": "clean", "102": "clean"}
    booking = stay_over_night(gateway, hotel, 1, nights=2)
    assert conditions(gateway, hotel) == {"101": "dirty", "102": "clean"}
    cleaned = gateway.send("PATCH", f"{hotel}/rooms/101", {"condition": "clean"})
    assert (cleaned.status, cleaned.json["condition"], cleaned.json["occupied"]) == (200, "clean", True)
    assert gateway.run_night_audit(hotel, 2).status == 200
    assert gateway.send("PATCH", f"{hotel}/rooms/101", {"condition": "inspected"}).status == 200
    gateway.restart()
    assert conditions(gateway, hotel) == {"101": "inspected", "102": "clean"}
    assert gateway.act(hotel, booking, "check-out").status == 200
    assert conditions(gateway, hotel) == {"101": "dirty", "102": "clean"}


def test_a_guest_is_checked_in_to_a_clean_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3})
    left = stay_over_night(gateway, hotel, 1)
    assert gateway.act(hotel, left, "check-out").status == 200
    booking = gateway.book(hotel, arrival=1, room="101")
    refused = assert_problem(gateway.act(hotel, booking, "check-in"), 409, "room_not_clean")
    assert (refused["room"], refused["condition"], refused["clean_rooms"]) == ("101", "dirty", ["102", "103"])
    assert gateway.get(booking_path(hotel, booking)).json == booking
    accepted = gateway.act(hotel, booking, "check-in", accept_not_clean=True)
    assert (accepted.status, accepted.json["status"]) == (200, "in_house")
    event = gateway.list_all(f"{booking_path(hotel, booking)}/history")[-1]
    assert (event["type"], event["data"]["not_clean"]) == ("innkeeper.booking.checked_in.v1", True)


def test_a_room_that_is_clean_or_inspected_takes_a_guest(gateway: Gateway) -> None:
    for condition in ("clean", "inspected"):
        hotel = gateway.open_hotel({"DBL": 1})
        left = stay_over_night(gateway, hotel, 1)
        assert gateway.act(hotel, left, "check-out").status == 200
        booking = gateway.book(hotel, arrival=1)
        assert gateway.send("PATCH", f"{hotel}/rooms/101", {"condition": condition}).status == 200
        done = gateway.act(hotel, booking, "check-in")
        assert done.status == 200
        event = gateway.list_all(f"{booking_path(hotel, booking)}/history")[-1]
        assert not event["data"].get("not_clean")


def test_a_hotel_that_keeps_no_housekeeping_asks_for_no_clean_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1}, housekeeping=False)
    left = stay_over_night(gateway, hotel, 1)
    assert gateway.act(hotel, left, "check-out").status == 200
    booking = gateway.book(hotel, arrival=1)
    assert gateway.send("PATCH", hotel, {"housekeeping": True}).json["housekeeping"] is True
    assert_problem(gateway.act(hotel, booking, "check-in"), 409, "room_not_clean")
    assert gateway.send("PATCH", hotel, {"housekeeping": False}).status == 200
    assert gateway.act(hotel, booking, "check-in").status == 200


def test_who_arrives_today_gets_a_clean_room_where_there_is_one(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    left = stay_over_night(gateway, hotel, 1)
    assert gateway.act(hotel, left, "check-out").status == 200
    assert [gateway.book(hotel, arrival=1)["room"] for _ in range(2)] == ["102", "101"]
    assert gateway.book(hotel, arrival=3)["room"] == "101", "until then it is cleaned"


def test_a_guest_who_changes_rooms_leaves_a_dirty_one(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    booking = gateway.book(hotel, arrival=0, nights=2)
    assert gateway.act(hotel, booking, "check-in").status == 200
    assert gateway.act(hotel, booking, "move", room="102").status == 200
    assert conditions(gateway, hotel) == {"101": "dirty", "102": "clean"}


def test_a_guest_in_house_moves_to_a_clean_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3})
    left = stay_over_night(gateway, hotel, 1, room="102")
    assert gateway.act(hotel, left, "check-out").status == 200
    booking = gateway.book(hotel, arrival=1, nights=2)
    assert gateway.act(hotel, booking, "check-in").json["room"] == "101"
    refused = assert_problem(gateway.act(hotel, booking, "move", room="102"), 409, "room_not_clean")
    assert (refused["room"], refused["clean_rooms"]) == ("102", ["103"])
    later = gateway.act(hotel, booking, "move", **{"room": "102", "from": str(night(2))})
    assert later.status == 200, "until that day it is cleaned"
    accepted = gateway.act(hotel, booking, "move", room="102", accept_not_clean=True)
    assert (accepted.status, accepted.json["room"]) == (200, "102")
    event = gateway.list_all(f"{booking_path(hotel, booking)}/history")[-1]
    assert (event["type"], event["data"]["not_clean"]) == ("innkeeper.booking.room_moved.v1", True)


def test_the_list_of_the_day(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 4})
    stay_over_night(gateway, hotel, 1, adults=2, room="101")
    staying = gateway.book(hotel, arrival=1, nights=3, adults=1, children=[4], room="102")
    assert gateway.act(hotel, staying, "check-in").status == 200
    gateway.book(hotel, arrival=1, nights=1, adults=2, room="101")
    closure = gateway.post(f"{hotel}/rooms/103/closures", {"kind": "out_of_order", "until": str(night(2))}).json
    listed = {room["room"]: room for room in gateway.list_all(f"{hotel}/housekeeping", limit=3)}
    nobody = {
        "room_type": "DBL", "condition": "clean", "occupied": False, "due_out": False, "stay_over": False,
        "due_in": False, "adults": 0, "children": 0, "arriving_adults": 0, "arriving_children": 0, "closure": None,
    }  # fmt: skip
    assert listed == {
        "101": nobody | {
            "room": "101", "condition": "dirty", "occupied": True, "due_out": True, "adults": 2, "due_in": True,
            "arriving_adults": 2,
        },
        "102": nobody | {"room": "102", "occupied": True, "adults": 1, "children": 1},
        "103": nobody | {"room": "103", "closure": closure},
        "104": nobody | {"room": "104"},
    }  # fmt: skip


def test_what_cannot_be_said_of_a_room_is_refused(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    path = f"{hotel}/rooms/101"
    assert_problem(gateway.send("PATCH", path, {"condition": "spotless"}), 422, "invalid")
    assert_problem(gateway.send("PATCH", path, {}), 422, "invalid", "condition", "required")
    assert_problem(gateway.send("PATCH", f"{hotel}/rooms/999", {"condition": "clean"}), 404, "not_found")
    assert_problem(gateway.get(f"{hotel}/rooms", cursor="999"), 422, "invalid", "cursor", "unknown")
