"""What clients of a server that is killed were told, and what must be true of it afterwards."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession
from support.gateway import stay_request
from support.partition_fixture import night

HOTELS = ("north", "south")


@dataclass
class ClientRequest:
    """What a client wants under one key: to book, or to change a booking. `answer` is what it was told."""

    key: str
    path: str
    body: dict[str, Any]
    answer: tuple[int, dict[str, Any]] | None = None


@dataclass
class ClientRecords:
    """The clients' own books: every wish, and the last that each of them knows of every booking."""

    requests: list[ClientRequest] = field(default_factory=list)
    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def record(self, wish: ClientRequest, status: int, answer: dict[str, Any]) -> None:
        """A definite answer."""
        assert status in (200, 201, 409), (status, answer)
        if wish.answer is not None:
            assert wish.answer == (status, answer), "the same key has another answer than before (P7)"
        wish.answer = status, answer
        if status < 300:
            known = self.bookings.get(answer["id"])
            if known is None or known["version"] < answer["version"]:
                self.bookings[answer["id"]] = answer

    def unanswered(self) -> list[ClientRequest]:
        """Who still waits."""
        return [wish for wish in self.requests if wish.answer is None]


async def send_request(session: ClientSession, books: ClientRecords, wish: ClientRequest) -> None:
    """Ask once; a refusal for now (503) is no answer."""
    async with session.post(wish.path, json=wish.body, headers={"Idempotency-Key": wish.key}) as response:
        answer = await response.json(content_type=None)
        if response.status != 503:
            books.record(wish, response.status, answer)


def next_request(books: ClientRecords, chance: random.Random, own: list[str], name: str) -> ClientRequest:
    """Mostly a new booking; else an end for one of this client's own."""
    key = f"{name}-{len(books.requests)}"
    known = [books.bookings[id_] for id_ in own if books.bookings[id_]["status"] in ("held", "confirmed")]
    if known and chance.random() < 0.4:
        booking = chance.choice(known)
        actions = ["release", "confirm", "extend"] if booking["status"] == "held" else ["cancel", "pin"]
        path = f"/v1/hotels/{booking['hotel']}/bookings/{booking['id']}/actions/{chance.choice(actions)}"
        return ClientRequest(key, path, {})
    status = chance.choice(["confirmed", "confirmed", "held"])
    body = stay_request(
        chance.randrange(60), chance.randint(1, 4), guest={"name": key, "email": f"{key}@example.com"}, status=status
    )
    return ClientRequest(key, f"/v1/hotels/{chance.choice(HOTELS)}/bookings", body)


def assert_unchanged(known: dict[str, Any], found: dict[str, Any]) -> None:
    """What a client knows of a booking is still so; only its room may have changed, for another guest's sake."""
    assert found["version"] >= known["version"], (known, found)
    if found["version"] > known["version"]:
        moved = ("room", "version", "changed_at", "changed_by")
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
    """P1, counted from the list alone."""
    nights = Counter(
        (booking["hotel"], booking["room"], str(night(number)))
        for booking in found
        if booking["status"] in ("held", "confirmed")
        for number in range(70)
        if booking["arrival"] <= str(night(number)) < booking["departure"]
    )
    assert not [place for place, holders in nights.items() if holders > 1]
