"""After any sequence of front-desk requests an installation of many processes has the bookings of a simple model,
whichever gateway answers and whichever process is killed.

The model counts rooms per hotel, type and night; it has no single rooms, partitions or processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from innkeeper.protocol.values.contexts import partition_of
from support.gateway import HttpResponse, hotel_request, send, stay_request
from support.installation import Installation
from support.partition_fixture import night
from support.waiting import wait_until

PARTITIONS, GATEWAYS = 4, 2
ROOMS = {"DBL": 2, "STE": 1}
PARTS = (*(f"reservations-{n}" for n in range(PARTITIONS)), "gateway-0", "gateway-1")
BACK_SECONDS_MAX = 120
HOLDING = {"held", "confirmed"}
TRANSITIONS = {
    "confirm": ({"held"}, "confirmed"),
    "release": ({"held"}, "released"),
    "cancel": ({"confirmed"}, "cancelled"),
    "reinstate": ({"cancelled"}, "confirmed"),
}


@dataclass
class Stay:
    """One booking in the model."""

    hotel: str
    room_type: str
    arrival: int
    departure: int
    status: str


class SplitMachine(RuleBasedStateMachine):
    """Three hotels in different partitions, new ones for each example, in one running installation."""

    installation: ClassVar[Installation]
    names: ClassVar[Iterator[int]] = count(1)
    known = Bundle("known")

    @initialize()
    def open_hotels(self) -> None:
        """Open each hotel in a partition of its own."""
        self.killed = False
        self.stays: dict[str, Stay] = {}
        self.requests: list[tuple[str, dict[str, Any], str, HttpResponse]] = []
        self.hotels: list[str] = []
        while len(self.hotels) < 3:
            name = f"machine-{next(self.names)}"
            if partition_of(name, PARTITIONS) not in {partition_of(one, PARTITIONS) for one in self.hotels}:
                self.hotels.append(name)
                assert self.post("/v1/hotels", hotel_request(ROOMS, id=name)).status == 201

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> HttpResponse:
        """POST with a key until there is an answer: a process may be starting again."""
        is_repeated = key is not None
        key = key or f"key-{next(self.names)}"
        answers: list[HttpResponse] = []

        def is_answered() -> bool:
            try:
                answers.append(send(self.installation.port, "POST", path, body, {"Idempotency-Key": key}))
            except OSError:
                return False
            return answers[-1].status != 503

        wait_until(is_answered, BACK_SECONDS_MAX)
        if not is_repeated:
            self.requests.append((path, body, key, answers[-1]))
        return answers[-1]

    def get(self, path: str) -> Any:
        """The body of a GET, once it succeeds."""
        bodies: list[Any] = []

        def answered() -> bool:
            try:
                answer = send(self.installation.port, "GET", path)
            except OSError:
                return False
            bodies.append(answer.json)
            return answer.status == 200

        wait_until(answered, BACK_SECONDS_MAX)
        return bodies[-1]

    def sold_out_nights(self, wanted: Stay) -> list[str]:
        """The nights on which no room of the type is left."""
        return [
            str(night(number))
            for number in range(wanted.arrival, wanted.departure)
            if self.taken(wanted.hotel, wanted.room_type, number) >= ROOMS[wanted.room_type]
        ]

    def taken(self, hotel: str, room_type: str, number: int) -> int:
        return sum(
            one.hotel == hotel
            and one.room_type == room_type
            and one.status in HOLDING
            and one.arrival <= number < one.departure
            for one in self.stays.values()
        )

    @rule(
        target=known,
        hotel=st.integers(0, 2),
        room_type=st.sampled_from(["DBL", "DBL", "STE"]),
        arrival=st.integers(1, 5),
        nights=st.integers(1, 3),
        held=st.booleans(),
    )
    def book(self, hotel: int, room_type: str, arrival: int, nights: int, held: bool) -> str:
        status = "held" if held else "confirmed"
        wanted = Stay(self.hotels[hotel], room_type, arrival, arrival + nights, status)
        body = stay_request(arrival, nights, room_type=room_type, status=status)
        answer = self.post(f"/v1/hotels/{wanted.hotel}/bookings", body)
        sold_out = self.sold_out_nights(wanted)
        assert (answer.status, answer.json.get("nights") if sold_out else []) == (
            (409, sold_out) if sold_out else (201, [])
        )
        if sold_out:
            return ""
        self.stays[answer.json["id"]] = wanted
        return str(answer.json["id"])

    @rule(booking=known, action=st.sampled_from(sorted(TRANSITIONS)))
    def act(self, booking: str, action: str) -> None:
        if booking:
            current = self.stays[booking]
            answer = self.post(f"/v1/hotels/{current.hotel}/bookings/{booking}/actions/{action}", {})
            before, status = TRANSITIONS[action]
            sold_out = (
                current.status in before
                and status in HOLDING
                and current.status not in HOLDING
                and self.sold_out_nights(current)
            )
            assert answer.status == (200 if current.status in before and not sold_out else 409), answer
            if answer.status == 200:
                current.status = status
                assert answer.json["status"] == status

    @rule(chance=st.randoms(use_true_random=False))
    def repeat(self, chance: Any) -> None:
        """Repeat a request with the same key, maybe at the other gateway."""
        path, body, key, answer = chance.choice(self.requests)
        second = self.post(path, body, key)
        assert (second.status, second.json.get("id")) == (answer.status, answer.json.get("id"))

    @precondition(lambda self: not self.killed)
    @rule(part=st.sampled_from(PARTS))
    def kill(self, part: str) -> None:
        self.killed = True
        before = self.installation.pid_or_none(part)
        if before is not None:
            self.installation.kill(part)
            wait_until(lambda: self.installation.pid_or_none(part) not in (None, before), BACK_SECONDS_MAX)

    @invariant()
    def the_bookings_are_those_of_the_model(self) -> None:
        if not getattr(self, "hotels", None):
            return
        for hotel in self.hotels:
            listed = self.get(f"/v1/hotels/{hotel}/bookings?limit=200")["data"]
            assert {one["id"]: one["status"] for one in listed} == {
                id_: one.status for id_, one in self.stays.items() if one.hotel == hotel
            }
            taken = [
                (one["room"], number)
                for one in listed
                if one["status"] in HOLDING
                for number in range(10)
                if one["arrival"] <= str(night(number)) < one["departure"]
            ]
            assert len(set(taken)) == len(taken), "a room has two guests in one night (P1)"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation with two gateways and four partitions."""
    started = Installation(tmp_path / "data", "--partitions", str(PARTITIONS), "--workers", str(GATEWAYS))
    yield started
    started.close()


@pytest.mark.slow
def test_an_installation_of_many_processes_agrees_with_the_model(installation: Installation) -> None:
    SplitMachine.installation = installation
    run_state_machine_as_test(
        SplitMachine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
