"""A hotel that is open changes: its name and hours, its room types and its rooms. Nothing past changes."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night
from support.waiting import wait_until

SECONDS_MAX = 20
EUR_150 = {"amount": "150.00", "currency": "EUR"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("hotels") / "data") as started:
        yield started


def rooms_of(gateway: Gateway, hotel: str) -> list[str]:
    return [room["number"] for room in gateway.list_all(f"{hotel}/rooms")]


def left(gateway: Gateway, hotel: str, arrival: int = 1, nights: int = 1) -> dict[str, int]:
    """The rooms left of each type."""
    shown = gateway.get(f"{hotel}/availability", arrival=night(arrival), departure=night(arrival + nights)).json
    return {kind["code"]: kind["rooms"] for kind in shown["room_types"]}


def delete(gateway: Gateway, path: str, **headers: str) -> HttpResponse:
    return gateway.send("DELETE", path, None, headers)


def test_a_hotel_has_another_name_and_other_hours_from_now_on(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    early = gateway.book(hotel, arrival=3)
    before = gateway.get(hotel).json
    changes = {"name": "Grand Seaside", "check_in": "13:00", "check_out": "10:30", "night_audit": "04:00"}
    changed = gateway.send("PATCH", hotel, changes)
    assert changed.status == 200
    assert changed.json == before | changes | {"version": before["version"] + 1}
    assert changed.headers["etag"] == f'"{before["version"] + 1}"'
    assert gateway.get(hotel).json == changed.json
    listed = [one for one in gateway.list_all("/v1/hotels") if one["id"] == before["id"]]
    assert listed == [changed.json], "the read models follow"
    late = gateway.book(hotel, arrival=3)
    assert early["free_until"] == "2026-06-03T14:00:00Z", "a booking keeps its deadline"
    assert late["free_until"] == "2026-06-03T12:00:00Z"
    assert gateway.get(booking_path(hotel, early)).json == early
    shorter = gateway.send("PATCH", booking_path(hotel, early), {"adults": 2, "source": "phone"}).json
    assert shorter["free_until"] == early["free_until"], "also where it is changed"
    moved = gateway.send("PATCH", booking_path(hotel, early), {"departure": str(night(6)), "arrival": str(night(5))})
    assert moved.json["free_until"] == "2026-06-05T14:00:00Z", "at the hour that was agreed"


def test_the_seller_on_invoices_is_renamed_with_the_hotel_unless_it_has_a_name_of_its_own(gateway: Gateway) -> None:
    hotel, other = gateway.open_hotel(), gateway.open_hotel()
    own = {"seller": {"name": "Sea Ltd", "address": ["1 Quay"]}}
    assert gateway.send("PUT", f"{other}/billing", own).status == 200
    for name in ("Grand Seaside", "Old Seaside"):
        for each in (hotel, other):
            assert gateway.send("PATCH", each, {"name": name}).status == 200
    wait_until(lambda: gateway.get(f"{hotel}/billing").json["seller"]["name"] == "Old Seaside", SECONDS_MAX)
    assert gateway.get(f"{other}/billing").json["seller"]["name"] == "Sea Ltd"


def test_a_new_audit_time_is_that_of_the_next_audit(gateway: Gateway) -> None:
    hotel = gateway.open_hotel(clock="wall", business_date=None)
    today = date.fromisoformat(gateway.get(hotel).json["business_date"])
    assert gateway.send("PATCH", hotel, {"night_audit": "04:00"}).status == 200
    assert gateway.get(hotel).json["business_date"] == str(today)
    gateway.advance_clock(24 * 3_600)
    wait_until(lambda: gateway.get(hotel).json["business_date"] == str(today + timedelta(days=1)), SECONDS_MAX)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"timezone": "Europe/Berlin"}, "timezone"),
        ({"currency": "USD"}, "currency"),
        ({"business_date": "2030-01-01"}, "business_date"),
        ({"night_audit": "25:00"}, "night_audit"),
        ({"check_in": "3pm"}, "check_in"),
        ({"name": ""}, "name"),
        ({"infants_below": 19}, "infants_below"),
        ({"housekeeping": "yes"}, "housekeeping"),
    ],
)
def test_what_a_hotel_cannot_become_is_refused(gateway: Gateway, body: dict[str, Any], field: str) -> None:
    hotel = gateway.open_hotel()
    before = gateway.get(hotel).json
    problem = assert_problem(gateway.send("PATCH", hotel, body), 422, "invalid")
    assert field in [error["field"] for error in problem["errors"]], problem
    assert gateway.get(hotel).json == before


def test_a_room_type_is_added_changed_and_sold(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    suite = {"code": "STE", "name": "Suite", "max_guests": 4, "rate": EUR_150, "rooms": ["901", "902"]}
    added = gateway.post(f"{hotel}/room-types", suite)
    assert added.status == 201
    assert added.json == suite | {"max_adults": None, "cots": None, "retired": False}
    assert gateway.get(added.headers["location"]).json == added.json
    assert left(gateway, hotel) == {"DBL": 3, "STE": 2}
    booking = gateway.book(hotel, room_type="STE", adults=4)
    assert (booking["room"], booking["price"]["total"]) == ("901", "150.00")
    rate = {"amount": "170.00", "currency": "EUR"}
    changed = gateway.send("PATCH", f"{hotel}/room-types/STE", {"name": "Sea suite", "rate": rate, "max_guests": 3})
    assert (changed.status, changed.json["name"], changed.json["rate"]) == (200, "Sea suite", rate)
    assert gateway.get(booking_path(hotel, booking)).json == booking, "a booking keeps its price"
    assert gateway.book(hotel, room_type="STE")["price"]["total"] == "170.00"
    assert_problem(gateway.post(f"{hotel}/room-types", suite), 409, "room_type_exists")
    assert [kind["code"] for kind in gateway.list_all(f"{hotel}/room-types")] == ["DBL", "STE"]


def test_an_added_room_is_sold_and_offered_to_the_waitlist(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    gateway.book(hotel)
    waiting = gateway.post(f"{hotel}/waitlist", {
        "room_type": "DBL", "arrival": str(night(1)), "departure": str(night(2)), "guest": {"name": "Bea"},
    })  # fmt: skip
    assert waiting.status == 201
    added = gateway.post(f"{hotel}/rooms", {"number": "105", "room_type": "DBL"})
    assert (added.status, added.json["number"], added.json["condition"]) == (201, "105", "clean")
    assert gateway.get(added.headers["location"]).json == added.json
    offer = gateway.get(f"{hotel}/bookings/{waiting.json['id']}").json
    assert (offer["status"], offer["room"]) == ("held", "105")
    assert rooms_of(gateway, hotel) == ["101", "105"]
    assert_problem(gateway.post(f"{hotel}/rooms", {"number": "101", "room_type": "DBL"}), 409, "room_exists")
    unknown = gateway.post(f"{hotel}/rooms", {"number": "106", "room_type": "XXL"})
    assert_problem(unknown, 422, "invalid", "room_type", "unknown")


def test_who_is_booked_in_a_retired_room_gets_another_one(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3})
    bookings = [gateway.book(hotel, arrival=number) for number in (1, 2, 3)]
    assert {booking["room"] for booking in bookings} == {"101"}
    retired = delete(gateway, f"{hotel}/rooms/101")
    assert (retired.status, retired.json["number"], retired.json["retired"]) == (200, "101", True)
    now = [gateway.get(booking_path(hotel, booking)).json for booking in bookings]
    assert all(booking["room"] in ("102", "103") for booking in now)
    assert rooms_of(gateway, hotel) == ["102", "103"]
    assert left(gateway, hotel, 1, 3) == {"DBL": 1}
    moves = gateway.list_all(f"{booking_path(hotel, now[0])}/history")
    assert (moves[-1]["type"], moves[-1]["data"]["reason_code"]) == ("innkeeper.booking.room_moved.v1", "room_retired")
    asked = gateway.post(f"{hotel}/bookings", {
        "room_type": "DBL", "arrival": str(night(1)), "departure": str(night(2)), "guest": {"name": "C"}, "room": "101",
    })  # fmt: skip
    assert_problem(asked, 422, "invalid", "room", "unknown")
    assert_problem(delete(gateway, f"{hotel}/rooms/101"), 404, "not_found")


def test_a_room_that_somebody_needs_is_not_retired(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    in_house = gateway.book(hotel, arrival=0, nights=3)
    assert gateway.act(hotel, in_house, "check-in").status == 200
    pinned = gateway.book(hotel, arrival=0, nights=1, room="102")
    later = gateway.book(hotel, arrival=1, nights=1)
    before = gateway.get(hotel).json
    first = assert_problem(delete(gateway, f"{hotel}/rooms/101"), 409, "room_needed")
    assert [(one["booking"], one["obstacle"]) for one in first["displaced"]] == [(in_house["id"], "in_house")]
    second = assert_problem(delete(gateway, f"{hotel}/rooms/102"), 409, "room_needed")
    displaced = [(one["booking"], one["locator"], one["obstacle"]) for one in second["displaced"]]
    assert displaced == [(pinned["id"], pinned["locator"], "pinned"), (later["id"], later["locator"], "no_room")]
    assert gateway.get(hotel).json == before
    assert gateway.get(booking_path(hotel, later)).json == later, "nobody was moved"


def test_a_retired_room_that_comes_again_is_the_same_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    stay = gateway.book(hotel, arrival=0, room="101")
    assert gateway.act(hotel, stay, "check-in").status == 200
    assert gateway.run_night_audit(hotel, 1).status == 200
    assert gateway.act(hotel, stay, "check-out").status == 200
    assert delete(gateway, f"{hotel}/rooms/101").status == 200
    chart = gateway.get(f"{hotel}/tape-chart", from_=night(0), to=night(2)).json
    assert chart["rooms"][-1] == {
        "number": "101",
        "room_type": "DBL",
        "retired": True,
        "condition": "clean",
    }, "the past keeps its row"
    assert gateway.get(f"{hotel}/bookings", room="101").json["data"][0]["id"] == stay["id"]
    gateway.restart()
    assert gateway.post(f"{hotel}/rooms", {"number": "101", "room_type": "DBL"}).status == 201
    assert rooms_of(gateway, hotel) == ["102", "101"]
    assert gateway.get(f"{hotel}/rooms/101").json["condition"] == "dirty", "and it still has to be cleaned"
    assert gateway.book(hotel, arrival=2, room="101")["room"] == "101"


def test_a_room_type_is_retired_when_nothing_is_booked_in_its_rooms(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1, "STE": 1})
    booking = gateway.book(hotel, room_type="STE")
    kept = assert_problem(delete(gateway, f"{hotel}/room-types/STE"), 409, "room_type_needed")
    assert [one["booking"] for one in kept["displaced"]] == [booking["id"]]
    assert gateway.act(hotel, booking, "cancel").status == 200
    retired = delete(gateway, f"{hotel}/room-types/STE")
    assert (retired.status, retired.json["retired"], retired.json["rooms"]) == (200, True, [])
    assert left(gateway, hotel) == {"DBL": 1}
    gone = gateway.post(f"{hotel}/bookings", {
        "room_type": "STE", "arrival": str(night(1)), "departure": str(night(2)), "guest": {"name": "C"},
    })  # fmt: skip
    assert_problem(gone, 422, "invalid", "room_type", "unknown")
    assert_problem(gateway.act(hotel, booking, "reinstate"), 409, "sold_out")
    assert_problem(delete(gateway, f"{hotel}/room-types/DBL"), 422, "invalid", "code", "last")
    assert_problem(delete(gateway, f"{hotel}/room-types/XXL"), 404, "not_found")
    again = {"code": "STE", "name": "Suite", "max_guests": 2, "rate": EUR_150, "rooms": ["201"]}
    assert gateway.post(f"{hotel}/room-types", again).status == 201
    assert gateway.act(hotel, booking, "reinstate").json["room"] == "201"


@pytest.mark.parametrize("restarts", [False, True])
def test_a_stale_change_of_the_rooms_is_refused(gateway: Gateway, restarts: bool) -> None:
    hotel = gateway.open_hotel({"DBL": 3})
    tag = gateway.get(hotel).headers["etag"]
    first = gateway.send("DELETE", f"{hotel}/rooms/101", None, {"If-Match": tag})
    assert first.status == 200
    if restarts:
        gateway.restart()
    assert_problem(gateway.send("DELETE", f"{hotel}/rooms/102", None, {"If-Match": tag}), 412, "stale_version")
    assert_problem(
        gateway.send("PATCH", f"{hotel}/room-types/DBL", {"name": "X"}, {"If-Match": tag}), 412, "stale_version"
    )
    assert gateway.send("DELETE", f"{hotel}/rooms/102", None, {"If-Match": first.headers["etag"]}).status == 200
