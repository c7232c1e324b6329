"""The figures for operators: what was asked, how it ended, and how the partition is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.http.keys import Keys
from prometheus_client.parser import text_string_to_metric_families
from support.gateway import Gateway, assert_problem, gateway, stay_request

BOOKINGS = "/v1/hotels/{hotel}/bookings"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    """A front desk of its own."""
    with gateway(tmp_path) as opened:
        yield opened


def figures(front: Gateway) -> dict[frozenset[str], float]:
    """All figures, each under its name and the values of its labels."""
    return {
        frozenset({sample.name, *sample.labels.values()}): sample.value
        for family in text_string_to_metric_families(front.get("/metrics").body.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_outcome(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 1})
    front.book(hotel)
    for _ in range(2):
        assert_problem(front.post(f"{hotel}/bookings", stay_request()), 409, "sold_out")
    front.get("/nowhere")
    told = figures(front)
    count, bucket, total = (f"innkeeper_http_request_seconds_{part}" for part in ("count", "bucket", "sum"))
    assert told[frozenset({count, "POST", BOOKINGS, "201"})] == 1
    assert told[frozenset({count, "POST", BOOKINGS, "409"})] == 2
    assert told[frozenset({count, "GET", "none", "404"})] == 1
    assert told[frozenset({bucket, "POST", BOOKINGS, "409", "+Inf"})] == 2
    assert 0 < told[frozenset({total, "POST", BOOKINGS, "409"})] < 10


def test_the_partition_and_the_process_are_told(front: Gateway) -> None:
    front.book(front.open_hotel())
    told = figures(front)
    assert told[frozenset({"innkeeper_events_total", "reservations"})] == front.last_position()
    assert told[frozenset({"innkeeper_ready"})] == 1
    assert told[frozenset({"innkeeper_commands_waiting"})] == 0
    assert told[frozenset({"innkeeper_listeners"})] == 0
    assert told[frozenset({"process_resident_memory_bytes"})] > 1_000_000


def test_figures_are_for_those_with_a_key(tmp_path: Path) -> None:
    with gateway(tmp_path, Keys({"prometheus": "a-key-that-is-long-enough"})) as front:
        assert_problem(front.get("/metrics"), 401, "key_required")
        allowed = {"Authorization": "Bearer a-key-that-is-long-enough"}
        assert front.send("GET", "/metrics", headers=allowed).status == 200
