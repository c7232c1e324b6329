"""The manners of HTTP: versions (If-Match), request ids, and idempotency keys."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, gateway, hotel_plan, stay_request
from support.partition_fixture import night

_numbers = count(1)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One front desk for this file; each test opens hotels of its own."""
    with gateway(tmp_path_factory.mktemp("front")) as opened:
        yield opened


@pytest.fixture
def hotel(front: Gateway) -> str:
    """A hotel with one double; its path."""
    return front.open_hotel({"DBL": 1})


@pytest.fixture
def keyed(front: Gateway) -> Callable[..., HttpResponse]:
    """POST under a key that is the same for the whole test."""
    key = {"Idempotency-Key": f"key-{next(_numbers)}"}

    def post(path: str, body: Any = None) -> HttpResponse:
        return front.post(path, body, key)

    return post


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "1", "*"])
def test_a_change_is_made_to_the_version_that_was_seen(front: Gateway, hotel: str, tag: str) -> None:
    booking = front.book(hotel)
    assert front.send("PATCH", booking_path(hotel, booking), {"notes": "x"}, {"If-Match": tag}).status == 200


@pytest.mark.parametrize("tag", ['"1"', '"3"', '"abc"', "", '""', "-2", '"99999999999999999999"', "\udcff"])
def test_a_change_to_another_version_is_refused(front: Gateway, hotel: str, tag: str) -> None:
    booking = front.book(hotel)
    front.send("PATCH", booking_path(hotel, booking), {"notes": "x"})
    seen = {"If-Match": tag.encode("utf-8", "surrogateescape").decode("latin-1")}
    before = front.last_position()
    for reply in (
        front.send("PATCH", booking_path(hotel, booking), {"notes": "y"}, seen),
        front.post(booking_path(hotel, booking) + "/actions/cancel", {}, seen),
    ):
        assert assert_problem(reply, 412, "stale_version")["version"] == 2
    assert front.last_position() == before


def test_a_request_id_is_echoed_and_stands_in_the_events(front: Gateway, hotel: str) -> None:
    before = front.last_position()
    reply = front.post(f"{hotel}/bookings", stay_request(), {"X-Request-ID": "desk-7/42"})
    assert reply.headers["x-request-id"] == "desk-7/42"
    [event] = front.get("/v1/events", after=before).json["data"]
    assert event["correlationid"] == "desk-7/42"
    refused = front.post(f"{hotel}/bookings", stay_request(), {"X-Request-ID": "again"})
    assert assert_problem(refused, 409, "sold_out")["request_id"] == "again"


@pytest.mark.parametrize("asked", [None, "", "with space", "x" * 129, "é"])
def test_a_request_without_a_usable_id_gets_one(front: Gateway, asked: str | None) -> None:
    headers = {} if asked is None else {"X-Request-ID": asked}
    made = [front.send("GET", "/v1/hotels", None, headers).headers["x-request-id"] for _ in range(2)]
    assert len({*made, asked}) == 3
    assert all(made)


def test_the_same_key_gets_the_same_reply(front: Gateway, hotel: str, keyed: Callable[..., HttpResponse]) -> None:
    first = keyed(f"{hotel}/bookings", stay_request())
    front.act(hotel, first.json, "cancel")
    before = front.last_position()
    again = keyed(f"{hotel}/bookings", stay_request())
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status, again.json) == (201, first.json)
    assert all(again.headers[name] == first.headers[name] for name in ("location", "etag"))
    assert front.last_position() == before


def test_every_kind_of_post_takes_a_key(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel)
    posts = (
        ("/v1/hotels", hotel_plan(id="keyed")),
        (booking_path(hotel, booking) + "/actions/pin", {}),
        (booking_path(hotel, booking) + "/actions/cancel", {"reason": "ill"}),
        (f"{hotel}/night-audit", {"to": str(night(1))}),
    )
    for number, (path, body) in enumerate(posts):
        key = {"Idempotency-Key": f"post-{number}-" + "~" * 240}
        first, again = front.post(path, body, key), front.post(path, body, key)
        assert first.status in (200, 201), first
        assert (again.status, again.body, again.headers["idempotent-replayed"]) == (first.status, first.body, "true")


def test_a_key_used_for_something_else_is_refused(
    front: Gateway, hotel: str, keyed: Callable[..., HttpResponse]
) -> None:
    booking = keyed(f"{hotel}/bookings", stay_request()).json
    before = front.last_position()
    for path, body in (
        (f"{hotel}/bookings", stay_request(notes="other")),
        (f"{front.open_hotel()}/bookings", stay_request()),
        (booking_path(hotel, booking) + "/actions/cancel", {}),
    ):
        assert_problem(keyed(path, body), 422, "idempotency_key_reused")
    assert front.get(booking_path(hotel, booking)).json == booking
    assert front.last_position() == before + 5  # the other hotel, and nothing else
    assert keyed(f"{hotel}/bookings", stay_request()).json == booking


def test_a_refusal_is_replayed_too(front: Gateway, hotel: str, keyed: Callable[..., HttpResponse]) -> None:
    taken = front.book(hotel)
    first = keyed(f"{hotel}/bookings", stay_request())
    assert_problem(first, 409, "sold_out")
    front.act(hotel, taken, "cancel")
    again = keyed(f"{hotel}/bookings", stay_request())
    assert assert_problem(again, 409, "sold_out")["nights"] == first.json["nights"]
    assert again.headers["idempotent-replayed"] == "true"
    assert front.book(hotel)["status"] == "confirmed"


def test_what_could_not_be_read_does_not_use_up_the_key(
    front: Gateway, hotel: str, keyed: Callable[..., HttpResponse]
) -> None:
    assert_problem(keyed(f"{hotel}/bookings", {}), 422, "invalid")
    reply = keyed(f"{hotel}/bookings", stay_request())
    assert (reply.status, "idempotent-replayed" in reply.headers) == (201, False)


def test_equal_bodies_are_the_same_however_they_are_written(
    front: Gateway, hotel: str, keyed: Callable[..., HttpResponse]
) -> None:
    first = keyed(f"{hotel}/bookings", stay_request())
    again = keyed(f"{hotel}/bookings", dict(reversed(stay_request(adults=1).items())))
    assert (again.status, again.json) == (201, first.json)
