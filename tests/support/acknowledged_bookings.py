"""The answers that clients of a killed server have, and checks of the server against them."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession
from innkeeper.protocol.values import limits
from support.gateway import stay_request
from support.partition_fixture import night

HOTELS = ("north", "south")


@dataclass
class ClientRequest:
    """A request with an idempotency key, to book or to act on a booking; `answer` is its definite answer."""

    key: str
    path: str
    body: dict[str, Any]
    answer: tuple[int, dict[str, Any]] | None = None


@dataclass
class ClientRecords:
    """All requests of the clients, and the newest version of every booking that they know."""

    requests: list[ClientRequest] = field(default_factory=list)
    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def record(self, request: ClientRequest, status: int, answer: dict[str, Any]) -> None:
        """Record a definite answer."""
        assert status in (200, 201, 409), (status, answer)
        if request.answer is not None:
            assert request.answer == (status, answer), "the same key has another answer than before (P7)"
        request.answer = status, answer
        if status < 300:
            known = self.bookings.get(answer["id"])
            if known is None or known["version"] < answer["version"]:
                self.bookings[answer["id"]] = answer

    def unanswered(self) -> list[ClientRequest]:
        """The requests without an answer."""
        return [request for request in self.requests if request.answer is None]


async def send_request(session: ClientSession, records: ClientRecords, request: ClientRequest) -> None:
    """Send a request once; a status of 503 is no answer."""
    async with session.post(request.path, json=request.body, headers={"Idempotency-Key": request.key}) as response:
        answer = await response.json(content_type=None)
        if response.status != 503:
            records.record(request, response.status, answer)


def next_request(
    records: ClientRecords, random_source: random.Random, booking_ids: list[str], name: str
) -> ClientRequest:
    """Mostly a new booking; else an action on a booking of this client."""
    key = f"{name}-{len(records.requests)}"
    known = [records.bookings[id_] for id_ in booking_ids if records.bookings[id_]["status"] in ("held", "confirmed")]
    if known and random_source.random() < 0.4:
        booking = random_source.choice(known)
        actions = ["release", "confirm", "extend"] if booking["status"] == "held" else ["cancel", "pin"]
        path = f"/v1/hotels/{booking['hotel']}/bookings/{booking['id']}/actions/{random_source.choice(actions)}"
        return ClientRequest(key, path, {})
    status = random_source.choice(["confirmed", "confirmed", "held"])
    hold = {"hold_seconds": limits.hold_seconds_max} if status == "held" else {}  # none expires during a test
    body = stay_request(
        random_source.randrange(60),
        random_source.randint(1, 4),
        guest={"name": key, "email": f"{key}@example.com"},
        status=status,
        **hold,
    )
    return ClientRequest(key, f"/v1/hotels/{random_source.choice(HOTELS)}/bookings", body)


def assert_unchanged(known: dict[str, Any], found: dict[str, Any]) -> None:
    """Check that a booking is as the client knows it; only its room may have changed, to make space for another."""
    assert found["version"] >= known["version"], (known, found)
    if found["version"] > known["version"]:
        moved = ("room", "rooms", "version", "changed_at", "changed_by")
        known, found = ({name: value for name, value in one.items() if name not in moved} for one in (known, found))
    assert found == known, "what was acknowledged is not there (P3)"


async def list_bookings(session: ClientSession, hotel: str) -> list[dict[str, Any]]:
    """All bookings of a hotel, page by page."""
    found, cursor = [], ""
    while True:
        async with session.get(f"/v1/hotels/{hotel}/bookings?limit=200{cursor}") as response:
            page = await response.json()
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def assert_no_double_booking(found: Any) -> None:
    """P1: no room is booked twice for a night."""
    nights = Counter(
        (booking["hotel"], booking["room"], str(night(number)))
        for booking in found
        if booking["status"] in ("held", "confirmed")
        for number in range(70)
        if booking["arrival"] <= str(night(number)) < booking["departure"]
    )
    assert not [place for place, holders in nights.items() if holders > 1]
