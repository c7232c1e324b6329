"""The metrics for operators: requests by route and outcome, and the state of the partition and the process."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from innkeeper.http.keys import ApiKeys
from prometheus_client.parser import text_string_to_metric_families
from support.gateway import Gateway, assert_problem, stay_request
from support.gateway import gateway as running_gateway
from support.paths import ROOT

BOOKINGS = "/v1/hotels/{hotel}/bookings"
OPERATIONS = ROOT / "docs" / "operations.md"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def read_metrics(gateway: Gateway) -> dict[frozenset[str], float]:
    """All metrics, each under its name and the values of its labels."""
    return {
        frozenset({sample.name, *sample.labels.values()}): sample.value
        for family in text_string_to_metric_families(gateway.get("/metrics").body.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_outcome(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    gateway.book(hotel)
    for _ in range(2):
        assert_problem(gateway.post(f"{hotel}/bookings", stay_request()), 409, "sold_out")
    gateway.get("/nowhere")
    metrics = read_metrics(gateway)
    count, bucket, total = (f"innkeeper_http_request_seconds_{part}" for part in ("count", "bucket", "sum"))
    assert metrics[frozenset({count, "POST", BOOKINGS, "201"})] == 1
    assert metrics[frozenset({count, "POST", BOOKINGS, "409"})] == 2
    assert metrics[frozenset({count, "GET", "none", "404"})] == 1
    assert metrics[frozenset({bucket, "POST", BOOKINGS, "409", "+Inf"})] == 2
    assert 0 < metrics[frozenset({total, "POST", BOOKINGS, "409"})] < 10


def test_the_partition_and_the_process_are_measured(gateway: Gateway) -> None:
    gateway.book(gateway.open_hotel())
    metrics = read_metrics(gateway)
    assert metrics[frozenset({"innkeeper_events_total", "reservations"})] == gateway.last_position()
    assert metrics[frozenset({"innkeeper_ready"})] == 1
    assert metrics[frozenset({"innkeeper_commands_waiting"})] == 0
    assert metrics[frozenset({"innkeeper_listeners"})] == 0
    assert metrics[frozenset({"process_resident_memory_bytes"})] > 1_000_000


def test_metrics_need_a_key(tmp_path: Path) -> None:
    with running_gateway(tmp_path, ApiKeys({"prometheus": "a-key-that-is-long-enough"})) as gateway:
        assert_problem(gateway.get("/metrics"), 401, "key_required")
        allowed = {"Authorization": "Bearer a-key-that-is-long-enough"}
        assert gateway.send("GET", "/metrics", headers=allowed).status == 200


def test_the_page_for_operators_names_every_metric_and_no_other(gateway: Gateway) -> None:
    gateway.book(gateway.open_hotel())
    text = gateway.get("/metrics").body.decode()
    families = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("innkeeper_")}
    page = OPERATIONS.read_text()
    named = {re.sub("_(total|bucket)$", "", name) for name in re.findall(r"innkeeper_[a-z_]+", page)}
    assert named == families


def test_the_configuration_on_the_page_for_operators_is_yaml() -> None:
    scraped, alerts = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", OPERATIONS.read_text(), re.DOTALL))
    assert [config["job_name"] for config in scraped["scrape_configs"]] == ["innkeeper"]
    (group,) = alerts["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len({*names}) == len(names)
    assert all(rule["expr"] and rule["annotations"]["summary"] for rule in group["rules"])
