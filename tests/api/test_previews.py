"""`?dry_run=true` answers what a request would do, and does nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.openapi_schemas import check_response
from support.partition_fixture import night


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


DRY = "?dry_run=true"


def same_but(one: dict[str, Any], other: dict[str, Any], *names: str) -> None:
    """Check that two bookings are the same, except for these fields and for when they were made or changed."""
    changing = {*names, "created_at", "changed_at", "moves"}
    assert {**one, **dict.fromkeys(changing)} == {**other, **dict.fromkeys(changing)}


def test_a_booking_is_previewed_with_its_price_and_no_locator(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    before = gateway.last_position()
    seen = gateway.post(f"{hotel}/bookings{DRY}", stay_request(3, 2), {"Idempotency-Key": "preview-1"})
    check_response("book", seen)
    assert (seen.status, seen.json["id"], seen.json["locator"], seen.json["moves"]) == (200, "", "", [])
    assert "location" not in seen.headers
    assert gateway.last_position() == before
    made = gateway.post(f"{hotel}/bookings", stay_request(3, 2), {"Idempotency-Key": "preview-1"})
    assert (made.status, "idempotent-replayed" in made.headers) == (201, False)
    assert "moves" not in made.json
    assert seen.json["guest"] | {"id": ""} == made.json["guest"] | {"id": ""}
    same_but(seen.json, made.json, "id", "locator", "guest")
    assert gateway.get(f"{hotel}/bookings").json["data"] == [made.json]


def test_a_preview_names_the_guests_who_would_move(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    first, last = gateway.book(hotel, 1, 1), gateway.book(hotel, 2, 1)
    if first["room"] == last["room"]:
        gateway.act(hotel, last, "move", room="102" if last["room"] == "101" else "101")
        last = gateway.get(booking_path(hotel, last)).json
    seen = gateway.post(f"{hotel}/bookings{DRY}", stay_request(1, 2)).json
    (move,) = seen["moves"]
    moved = first if move["booking"] == first["id"] else last
    assert (move["locator"], move["from_room"]) == (moved["locator"], moved["room"])
    assert move["to_room"] != move["from_room"]
    assert gateway.get(booking_path(hotel, moved)).json == moved
    made = gateway.book(hotel, 1, 2)
    assert made["room"] == seen["room"]
    assert gateway.get(booking_path(hotel, moved)).json["room"] == move["to_room"]


def test_a_change_is_previewed_with_its_price_and_fees(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 5, 2)
    path = booking_path(hotel, booking)
    change = {"departure": str(night(9)), "rate": {"amount": "90.00", "currency": "EUR"}}
    seen = gateway.send("PATCH", path + DRY, change)
    check_response("change_booking", seen)
    assert (seen.json["price"]["total"], seen.json["late_fee"]["amount"]) == ("360.00", "90.00")
    assert gateway.get(path).json == booking
    same_but(seen.json, gateway.send("PATCH", path, change).json)


@pytest.mark.parametrize(("arrival", "fee"), [(0, "100.00"), (9, None)])
def test_a_cancellation_is_previewed_with_its_fee(gateway: Gateway, arrival: int, fee: str | None) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, arrival, 2)
    seen = gateway.post(f"{booking_path(hotel, booking)}/actions/cancel{DRY}", {"reason": "ill"})
    check_response("cancel", seen)
    assert (seen.status, seen.json["status"]) == (200, "cancelled")
    assert (seen.json["fee"] and seen.json["fee"]["amount"]) == fee
    assert gateway.get(booking_path(hotel, booking)).json == booking
    same_but(seen.json, gateway.act(hotel, booking, "cancel", reason="ill").json)


def refused_alike(gateway: Gateway, method: str, path: str, body: Any, headers: Any = None) -> HttpResponse:
    """A request that is refused, and whose preview is refused in the same way."""
    seen, done = (gateway.send(method, path + query, body, headers) for query in (DRY, ""))
    assert (seen.status, seen.json | {"request_id": ""}) == (done.status, done.json | {"request_id": ""})
    return seen


def test_a_preview_is_refused_as_the_request_would_be(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 3, 2)
    path = booking_path(hotel, booking)
    refused = refused_alike(gateway, "POST", f"{hotel}/bookings", stay_request(3, 1))
    assert_problem(refused, 409, "sold_out")
    assert_problem(refused_alike(gateway, "POST", f"{path}/actions/check-in", {}), 409, "not_allowed")
    assert_problem(refused_alike(gateway, "PATCH", path, {"notes": "x"}, {"If-Match": '"7"'}), 412, "stale_version")
    assert_problem(refused_alike(gateway, "POST", f"{hotel}/bookings/none/actions/cancel", {}), 404, "not_found")


def test_what_is_not_a_yes_or_a_no_is_refused(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    for query in ("?dry_run=perhaps", "?dry-run=true", "?dry_run=true&dry_run=true"):
        assert_problem(gateway.post(f"{hotel}/bookings{query}", stay_request()), 422, "invalid")
    assert gateway.post(f"{hotel}/bookings?dry_run=false", stay_request()).status == 201
    assert len(gateway.get(f"{hotel}/bookings").json["data"]) == 1
