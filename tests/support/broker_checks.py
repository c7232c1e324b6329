"""Bookings whose events go to a broker, and what must be true of them there."""

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
    """A hotel id of which the broker has never heard."""
    return f"hotel-{uuid.uuid4().hex[:12]}"


def pinned_entry(hotel: str, number: int) -> LogEntry:
    event = BookingPinned("b-1", "101")
    return number, RecordedEvent(hotel, number, 86_400_000_000, "ann", "request", "command", event)


def book_nights(front: Gateway, hotel: str, nights: range) -> None:
    for night in nights:
        front.book(f"/v1/hotels/{hotel}", night)


def is_broker_caught_up(front: Gateway) -> bool:
    """Has the broker all events of reservations?"""
    return lag(front) == 0


def lag(front: Gateway, publisher: str = "broker") -> int:
    (state,) = [one for one in front.get("/v1/subscribers").json["data"] if one["name"] == publisher]
    return int(state["lag"])


def assert_each_once_in_order(told: list[dict[str, Any]], front: Gateway) -> None:
    """Without what was told twice, it is what the log says, in its order."""
    seen: dict[str, dict[str, Any]] = {}
    for event in told:
        assert seen.setdefault(event["id"], event) == event
    for log in ("reservations", "billing"):
        said = front.list_all("/v1/events", limit=200, log=log)
        assert [event for event in seen.values() if event["source"] == said[0]["source"]] == said


def book_until(front: Gateway, hotels: list[str], done: threading.Event, took: list[float]) -> None:
    """Book in each of these hotels in turn; `took` gains the seconds of each booking."""
    while not done.wait(0.02):
        start = monotonic()
        front.book(f"/v1/hotels/{hotels[len(took) % len(hotels)]}", 1 + len(took) % 300)
        took.append(monotonic() - start)


def stall_reason(front: Gateway) -> str:
    (state,) = [one for one in front.get("/v1/subscribers").json["data"] if one["name"] == "broker"]
    return str(state["stalled"] or "")
