"""Bookings whose events go to a broker, and checks of the events there."""

import threading
import uuid
from time import monotonic
from typing import Any

import pytest
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.reservations.events import BookingPinned
from support.gateway import Gateway


@pytest.fixture
def hotel() -> str:
    """A hotel id that the broker does not know."""
    return f"hotel-{uuid.uuid4().hex[:12]}"


def pinned_entry(hotel: str, number: int) -> LogEntry:
    event = BookingPinned("b-1", "101")
    return number, RecordedEvent(hotel, number, 86_400_000_000, "ann", "request", "command", event)


def book_nights(client: Gateway, hotel: str, nights: range) -> None:
    for night in nights:
        client.book(f"/v1/hotels/{hotel}", night)


def is_broker_caught_up(client: Gateway) -> bool:
    """Whether the broker has all events of reservations."""
    return lag(client) == 0


def lag(client: Gateway, publisher: str = "broker") -> int:
    (state,) = [
        subscriber for subscriber in client.get("/v1/subscribers").json["data"] if subscriber["name"] == publisher
    ]
    return int(state["lag"])


def assert_each_once_in_order(messages: list[dict[str, Any]], client: Gateway) -> None:
    """Check that the messages without duplicates are the events of the logs, in order."""
    seen: dict[str, dict[str, Any]] = {}
    for event in messages:
        assert seen.setdefault(event["id"], event) == event
    for log in ("reservations", "billing"):
        log_events = client.list_all("/v1/events", limit=200, log=log)
        assert [event for event in seen.values() if event["source"] == log_events[0]["source"]] == log_events


def book_until(client: Gateway, hotels: list[str], done: threading.Event, durations: list[float]) -> None:
    """Book in each of these hotels in turn; the seconds of each booking are appended to `durations`."""
    while not done.wait(0.02):
        start = monotonic()
        client.book(f"/v1/hotels/{hotels[len(durations) % len(hotels)]}", 1 + len(durations) % 300)
        durations.append(monotonic() - start)


def stall_reason(client: Gateway) -> str:
    (state,) = [
        subscriber for subscriber in client.get("/v1/subscribers").json["data"] if subscriber["name"] == "broker"
    ]
    return str(state["stalled"] or "")
