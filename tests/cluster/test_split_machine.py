"""Any sequence of what a front desk does over HTTP leaves an inn of many processes where a naive model says it should
be, whichever gateway is asked, and whichever process dies meanwhile.

The model counts rooms per hotel, type and night; it knows nothing of rooms, partitions or processes.
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
from support.gateway import HttpResponse, hotel_plan, send, stay_request
from support.installation import Installation
from support.partition_fixture import night
from support.waiting import wait_until

PARTITIONS, GATEWAYS = 4, 2
ROOMS = {"DBL": 2, "STE": 1}
PARTS = (*(f"reservations-{n}" for n in range(PARTITIONS)), "gateway-0", "gateway-1")
BACK_SECONDS_MAX = 120
TAKES = {"held", "confirmed"}
LEGAL = {
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
    """Three hotels in different partitions, opened anew for each life in one running inn."""

    inn: ClassVar[Installation]
    names: ClassVar[Iterator[int]] = count(1)
    known = Bundle("known")

    @initialize()
    def open_hotels(self) -> None:
        """Each in a partition of its own."""
        self.killed = False
        self.stays: dict[str, Stay] = {}
        self.kept: list[tuple[str, dict[str, Any], str, HttpResponse]] = []
        self.hotels: list[str] = []
        while len(self.hotels) < 3:
            name = f"machine-{next(self.names)}"
            if partition_of(name, PARTITIONS) not in {partition_of(one, PARTITIONS) for one in self.hotels}:
                self.hotels.append(name)
                assert self.say("/v1/hotels", hotel_plan(ROOMS, id=name)).status == 201

    def say(self, path: str, body: dict[str, Any], key: str | None = None) -> HttpResponse:
        """Ask, with a key, until there is an answer: a process may be on its way back."""
        again = key is not None
        key = key or f"key-{next(self.names)}"
        answers: list[HttpResponse] = []

        def answered() -> bool:
            try:
                answers.append(send(self.inn.port, "POST", path, body, {"Idempotency-Key": key}))
            except OSError:
                return False
            return answers[-1].status != 503

        wait_until(answered, BACK_SECONDS_MAX)
        if not again:
            self.kept.append((path, body, key, answers[-1]))
        return answers[-1]

    def look(self, path: str) -> Any:
        """What is shown, once it is."""
        shown: list[Any] = []

        def seen() -> bool:
            try:
                answer = send(self.inn.port, "GET", path)
            except OSError:
                return False
            shown.append(answer.json)
            return answer.status == 200

        wait_until(seen, BACK_SECONDS_MAX)
        return shown[-1]

    def full(self, wanted: Stay) -> list[str]:
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
            and one.status in TAKES
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
        answer = self.say(f"/v1/hotels/{wanted.hotel}/bookings", body)
        full = self.full(wanted)
        assert (answer.status, answer.json.get("nights") if full else []) == ((409, full) if full else (201, []))
        if full:
            return ""
        self.stays[answer.json["id"]] = wanted
        return str(answer.json["id"])

    @rule(booking=known, action=st.sampled_from(sorted(LEGAL)))
    def act(self, booking: str, action: str) -> None:
        if booking:
            was = self.stays[booking]
            answer = self.say(f"/v1/hotels/{was.hotel}/bookings/{booking}/actions/{action}", {})
            before, status = LEGAL[action]
            full = was.status in before and status in TAKES and was.status not in TAKES and self.full(was)
            assert answer.status == (200 if was.status in before and not full else 409), answer
            if answer.status == 200:
                was.status = status
                assert answer.json["status"] == status

    @rule(chance=st.randoms(use_true_random=False))
    def say_again(self, chance: Any) -> None:
        """Under the same key, maybe to the other gateway."""
        path, body, key, answer = chance.choice(self.kept)
        again = self.say(path, body, key)
        assert (again.status, again.json.get("id")) == (answer.status, answer.json.get("id"))

    @precondition(lambda self: not self.killed)
    @rule(part=st.sampled_from(PARTS))
    def kill(self, part: str) -> None:
        self.killed = True
        before = self.inn.pid_or_none(part)
        if before is not None:
            self.inn.kill(part)
            wait_until(lambda: self.inn.pid_or_none(part) not in (None, before), BACK_SECONDS_MAX)

    @invariant()
    def the_house_is_where_the_model_is(self) -> None:
        if not getattr(self, "hotels", None):
            return
        for hotel in self.hotels:
            listed = self.look(f"/v1/hotels/{hotel}/bookings?limit=200")["data"]
            assert {one["id"]: one["status"] for one in listed} == {
                id_: one.status for id_, one in self.stays.items() if one.hotel == hotel
            }
            taken = [
                (one["room"], number)
                for one in listed
                if one["status"] in TAKES
                for number in range(10)
                if one["arrival"] <= str(night(number)) < one["departure"]
            ]
            assert len(set(taken)) == len(taken), "a room has two guests in one night (P1)"


@pytest.fixture
def inn(tmp_path: Path) -> Iterator[Installation]:
    """Two gateways before four partitions."""
    started = Installation(tmp_path / "data", "--partitions", str(PARTITIONS), "--workers", str(GATEWAYS))
    yield started
    started.close()


def test_an_inn_of_many_processes_is_where_the_model_is(inn: Installation) -> None:
    SplitMachine.inn = inn
    run_state_machine_as_test(
        SplitMachine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
