"""Real receivers of webhooks that are away in several ways at once, under load: nothing is lost, each hotel's events
arrive in order, and neither bookings nor the other receivers wait. `make away SECONDS=60` is the same for longer.

What takes days is in `test_webhook_outages.py`, on a virtual clock.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from support.away_receivers import WAYS_TO_BE_AWAY, AwayReceivers, away_receivers, back_seconds_max
from support.gateway import Gateway
from support.gateway import gateway as running_gateway
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver
from support.webhook_routes import add_webhook, show_webhook

AWAY_SECONDS = int(os.environ.get("INNKEEPER_WEBHOOKS_AWAY_SECONDS", "3"))
PAUSE_SECONDS = max(0.05, AWAY_SECONDS / 7_200)  # between bookings: about 7,000 in an hour
HOTELS = ("inn", "lodge", "motel")
EVENTS = ["innkeeper.booking.*"]


@pytest.fixture
def outage() -> Iterator[AwayReceivers]:
    """Receivers that can be away in all ways."""
    with away_receivers() as opened:
        yield opened


def book_until(gateway: Gateway, done: threading.Event, durations: list[float]) -> None:
    """Book in each hotel in turn; the seconds of each booking are appended to `durations`."""
    while not done.wait(PAUSE_SECONDS):
        start = monotonic()
        gateway.book(f"/v1/hotels/{HOTELS[len(durations) % len(HOTELS)]}", 1 + len(durations) % 300)
        durations.append(monotonic() - start)


def booking_events(gateway: Gateway) -> list[dict[str, Any]]:
    """What the webhooks are to get."""
    found = gateway.list_all("/v1/events", limit=200)
    return [event for event in found if event["type"].startswith("innkeeper.booking.")]


def lag_of(gateway: Gateway, webhook: dict[str, Any]) -> int:
    """The events that a webhook has not got."""
    states = {state["name"]: state for state in gateway.get("/v1/subscribers").json["data"]}
    return int(states[f"webhook-{webhook['id']}"]["lag"])


@pytest.mark.slow
def test_receivers_that_are_away_in_every_way_under_load_lose_nothing(outage: AwayReceivers, tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway, webhook_receiver() as healthy:
        for hotel in HOTELS:
            gateway.open_hotel({"DBL": 50}, id=hotel)
        always_there = add_webhook(gateway, healthy.url, events=EVENTS)
        webhooks = {
            way: add_webhook(gateway, receiver.url, events=EVENTS) for way, receiver in outage.receivers.items()
        }
        done, durations = threading.Event(), list[float]()
        load = threading.Thread(target=book_until, args=(gateway, done, durations))
        load.start()
        try:
            wait_until(lambda: all(len(outage.accepted(way)) > 3 for way in WAYS_TO_BE_AWAY), 120)
            outage.begin()
            sleep(AWAY_SECONDS)
            failing = [way for way, one in webhooks.items() if show_webhook(gateway, one)["failing_since"]]
            assert {*failing, "hangs"} == {*WAYS_TO_BE_AWAY}  # one that hangs may not be known to fail yet
            wait_until(lambda: lag_of(gateway, always_there) < 20, 60)
            assert gateway.get("/v1/dead-letters").json["data"] == []
        finally:
            outage.end()
            done.set()
            load.join()
        expected = booking_events(gateway)
        for way, webhook in webhooks.items():
            wait_until(lambda one=webhook: lag_of(gateway, one) == 0, back_seconds_max(AWAY_SECONDS))
            accepted = outage.accepted(way)
            assert sorted(accepted) == sorted(event["id"] for event in expected), way
            for hotel in HOTELS:
                own = [event["id"] for event in expected if event["source"] == f"/hotels/{hotel}"]
                assert [event for event in accepted if event in {*own}] == own, way
        assert healthy.accepted == [event["id"] for event in expected]
        assert gateway.get("/v1/dead-letters").json["data"] == []
        assert max(durations) < 5
