"""Request headers: versions (If-Match), request ids and idempotency keys."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, hotel_request, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

_numbers = count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file; each test opens its own hotels."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture
def hotel(gateway: Gateway) -> str:
    """A hotel with one double; its path."""
    return gateway.open_hotel({"DBL": 1})


@pytest.fixture
def keyed(gateway: Gateway) -> Callable[..., HttpResponse]:
    """POST with an idempotency key that is the same throughout the test."""
    key = {"Idempotency-Key": f"key-{next(_numbers)}"}

    def post(path: str, body: Any = None) -> HttpResponse:
        return gateway.post(path, body, key)

    return post


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "1", "*"])
def test_a_change_with_the_current_version_is_made(gateway: Gateway, hotel: str, tag: str) -> None:
    booking = gateway.book(hotel)
    assert gateway.send("PATCH", booking_path(hotel, booking), {"notes": "x"}, {"If-Match": tag}).status == 200


@pytest.mark.parametrize("tag", ['"1"', '"3"', '"abc"', "", '""', "-2", '"99999999999999999999"', "\udcff"])
def test_a_change_with_another_version_is_refused(gateway: Gateway, hotel: str, tag: str) -> None:
    booking = gateway.book(hotel)
    gateway.send("PATCH", booking_path(hotel, booking), {"notes": "x"})
    if_match = {"If-Match": tag.encode("utf-8", "surrogateescape").decode("latin-1")}
    before = gateway.last_position()
    for reply in (
        gateway.send("PATCH", booking_path(hotel, booking), {"notes": "y"}, if_match),
        gateway.post(booking_path(hotel, booking) + "/actions/cancel", {}, if_match),
    ):
        assert assert_problem(reply, 412, "stale_version")["version"] == 2
    assert gateway.last_position() == before


def test_a_request_id_is_echoed_and_recorded_in_the_events(gateway: Gateway, hotel: str) -> None:
    before = gateway.last_position()
    reply = gateway.post(f"{hotel}/bookings", stay_request(), {"X-Request-ID": "desk-7/42"})
    assert reply.headers["x-request-id"] == "desk-7/42"
    [event] = gateway.get("/v1/events", after=before).json["data"]
    assert event["correlationid"] == "desk-7/42"
    refused = gateway.post(f"{hotel}/bookings", stay_request(), {"X-Request-ID": "again"})
    assert assert_problem(refused, 409, "sold_out")["request_id"] == "again"


@pytest.mark.parametrize("request_id", [None, "", "with space", "x" * 129, "é"])
def test_a_request_without_a_valid_id_gets_one(gateway: Gateway, request_id: str | None) -> None:
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    returned = [gateway.send("GET", "/v1/hotels", None, headers).headers["x-request-id"] for _ in range(2)]
    assert len({*returned, request_id}) == 3
    assert all(returned)


def test_the_same_key_gets_the_same_reply(gateway: Gateway, hotel: str, keyed: Callable[..., HttpResponse]) -> None:
    first = keyed(f"{hotel}/bookings", stay_request())
    gateway.act(hotel, first.json, "cancel")
    before = gateway.last_position()
    again = keyed(f"{hotel}/bookings", stay_request())
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status, again.json) == (201, first.json)
    assert all(again.headers[name] == first.headers[name] for name in ("location", "etag"))
    assert gateway.last_position() == before


def test_every_kind_of_post_accepts_a_key(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel)
    posts = (
        ("/v1/hotels", hotel_request(id="keyed")),
        (booking_path(hotel, booking) + "/actions/pin", {}),
        (booking_path(hotel, booking) + "/actions/cancel", {"reason": "ill"}),
        (f"{hotel}/night-audit", {"to": str(night(1))}),
    )
    for number, (path, body) in enumerate(posts):
        key = {"Idempotency-Key": f"post-{number}-" + "~" * 240}
        first, again = gateway.post(path, body, key), gateway.post(path, body, key)
        assert first.status in (200, 201), first
        assert (again.status, again.body, again.headers["idempotent-replayed"]) == (first.status, first.body, "true")


def test_a_key_reused_for_another_request_is_refused(
    gateway: Gateway, hotel: str, keyed: Callable[..., HttpResponse]
) -> None:
    booking = keyed(f"{hotel}/bookings", stay_request()).json
    before = gateway.last_position()
    for path, body in (
        (f"{hotel}/bookings", stay_request(notes="other")),
        (f"{gateway.open_hotel()}/bookings", stay_request()),
        (booking_path(hotel, booking) + "/actions/cancel", {}),
    ):
        assert_problem(keyed(path, body), 422, "idempotency_key_reused")
    assert gateway.get(booking_path(hotel, booking)).json == booking
    assert gateway.last_position() == before + 5  # those of the other hotel only
    assert keyed(f"{hotel}/bookings", stay_request()).json == booking


def test_a_refusal_is_replayed_too(gateway: Gateway, hotel: str, keyed: Callable[..., HttpResponse]) -> None:
    taken = gateway.book(hotel)
    first = keyed(f"{hotel}/bookings", stay_request())
    assert_problem(first, 409, "sold_out")
    gateway.act(hotel, taken, "cancel")
    again = keyed(f"{hotel}/bookings", stay_request())
    assert assert_problem(again, 409, "sold_out")["nights"] == first.json["nights"]
    assert again.headers["idempotent-replayed"] == "true"
    assert gateway.book(hotel)["status"] == "confirmed"


def test_an_invalid_request_does_not_use_up_the_key(
    gateway: Gateway, hotel: str, keyed: Callable[..., HttpResponse]
) -> None:
    assert_problem(keyed(f"{hotel}/bookings", {}), 422, "invalid")
    reply = keyed(f"{hotel}/bookings", stay_request())
    assert (reply.status, "idempotent-replayed" in reply.headers) == (201, False)


def test_equal_json_bodies_count_as_the_same_request(
    gateway: Gateway, hotel: str, keyed: Callable[..., HttpResponse]
) -> None:
    first = keyed(f"{hotel}/bookings", stay_request())
    again = keyed(f"{hotel}/bookings", dict(reversed(stay_request(adults=1).items())))
    assert (again.status, again.json) == (201, first.json)
