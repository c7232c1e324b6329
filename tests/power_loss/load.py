"""Clients of a server whose operations are recorded: bookings, actions on them, charges and payments.

Each request has an idempotency key that is also its request id. The server repeats it in the head of the reply, so that
the log says with which operation the reply left.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession
from support.acknowledged_bookings import HOTELS
from support.gateway import hotel_request, stay_request

ROOMS = 60
NIGHTS = 120
SETUP_END = "second-webhook"  # the key of the last request before the load
_METHODS = ({"method": "cash"}, {"method": "simulated", "token": "tok"}, {"method": "simulated", "token": "late-0"})
_DONE, _REFUSED = (200, 201), (404, 409, 422)


@dataclass
class Request:
    """A request with its key, and the answer to it; a status of 503 is none."""

    key: str
    path: str
    body: dict[str, Any]
    status: int = 0
    answer: Any = None
    is_replayed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it was acknowledged, and has changed something."""
        return self.status in _DONE


@dataclass
class Clients:
    """What the clients of one server have sent, in order, and know of their bookings."""

    chance: random.Random
    requests: list[Request] = field(default_factory=list)
    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)  # the newest of each id

    async def set_up(self, url: str, webhook: str) -> None:
        """Open the hotels, and subscribe a receiver to all events, and once more to those of hotels."""
        async with ClientSession(url) as session:
            for hotel in HOTELS:
                await self.send(session, Request(hotel, "/v1/hotels", hotel_request({"DBL": ROOMS}, id=hotel)))
            for key, events in (("first-webhook", "innkeeper.*"), (SETUP_END, "innkeeper.hotel.*")):
                await self.send(session, Request(key, "/v1/webhooks", {"url": webhook, "events": [events]}))
        for request in self.requests:
            assert request.is_done, request

    async def run(self, url: str, name: str, clients: int, stopped: asyncio.Event) -> None:
        """Send requests with so many clients at once, until they are stopped or the server has ended."""
        async with ClientSession(url) as session:
            await asyncio.gather(*(self._client(session, f"{name}-{number}", stopped) for number in range(clients)))

    async def _client(self, session: ClientSession, name: str, stopped: asyncio.Event) -> None:
        own: list[str] = []
        with suppress(ClientError, asyncio.TimeoutError):
            while not stopped.is_set():
                request = self._next_request(f"{name}-{len(self.requests)}", own)
                await self.send(session, request)
                if request.is_done and request.path.endswith("/bookings"):
                    own.append(request.answer["id"])

    def _next_request(self, key: str, own: list[str]) -> Request:
        """Mostly a new booking; else something about one of the client's own."""
        chance = self.chance
        if own and chance.random() < 0.5:
            booking = self.bookings[chance.choice(own)]
            path = f"/v1/hotels/{booking['hotel']}/bookings/{booking['id']}"
            kind = chance.randrange(4)
            amount = {"amount": f"{chance.randint(1, 90)}.00", "currency": "EUR"}
            if kind == 0:
                return Request(
                    key, f"{path}/folio/charges", {"charge": "minibar", "text": f"Water {key}", "amount": amount}
                )
            if kind == 1:
                return Request(
                    key,
                    f"{path}/folio/payments",
                    {"amount": amount, "allow_overpayment": True} | chance.choice(_METHODS),
                )
            actions = ["release", "confirm"] if booking["status"] == "held" else ["cancel", "pin"]
            return Request(key, f"{path}/actions/{chance.choice(actions)}", {})
        body = stay_request(
            chance.randrange(NIGHTS),
            chance.randint(1, 3),
            guest={"name": key, "email": address_of(key)},
            status=chance.choice(["confirmed", "confirmed", "held"]),
        )
        return Request(key, f"/v1/hotels/{chance.choice(HOTELS)}/bookings", body)

    async def send(self, session: ClientSession, request: Request) -> None:
        """Send a request for the first time, and keep the answer."""
        self.requests.append(request)
        await exchange(session, request)
        answer = request.answer
        if request.is_done and isinstance(answer, dict) and "arrival" in answer:
            known = self.bookings.get(answer["id"])
            if known is None or known["version"] < answer["version"]:
                self.bookings[answer["id"]] = answer


async def exchange(session: ClientSession, request: Request) -> None:
    """Send a request, and fill in the answer."""
    headers = {"Idempotency-Key": request.key, "X-Request-ID": request.key}
    async with session.post(request.path, json=request.body, headers=headers) as response:
        answer = await response.json(content_type=None)
        if response.status != 503:
            assert response.status in (*_DONE, *_REFUSED), (request, response.status, answer)
            request.status, request.answer = response.status, answer
            request.is_replayed = response.headers.get("Idempotent-Replayed") == "true"


def address_of(name: str) -> str:
    """The address of the guest of this name."""
    return f"{name}@example.com"
