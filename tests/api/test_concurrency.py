"""Concurrent clients over HTTP: their operations are linearizable, as if done in some sequential order (P1, P2, P4)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from time import monotonic_ns
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway import Gateway, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.linearizability import Operation, Outcome, linearization
from support.partition_fixture import TODAY, night

TYPES = ("DBL", "STE")
WINDOW = 5


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file; each example opens its own hotel."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@dataclass(frozen=True)
class Reserve:
    """Book or hold this many nights from an arrival."""

    room_type: str
    arrival: int
    nights: int
    status: str


@dataclass(frozen=True)
class Cancel:
    """Cancel or release a booking: one of this client's own, or one made beforehand, which all clients know."""

    number: int
    shared: bool


@dataclass(frozen=True)
class QueryAvailability:
    """Query the availability."""


Step = Reserve | Cancel | QueryAvailability
Program = list[Step]


@dataclass
class ConcurrentRun:
    """A hotel, the bookings that all clients know, and the operations on each room type."""

    session: ClientSession
    hotel: str
    shared: list[dict[str, Any]] = field(default_factory=list)
    histories: dict[str, list[Operation]] = field(default_factory=dict)

    def record(self, room_type: str, started: int, ended: int, outcome: Outcome, **more: Any) -> None:
        """Record an operation on a room type."""
        self.histories.setdefault(room_type, []).append(Operation(started, ended, outcome, **more))

    async def timed(self, method: str, path: str, request_body: Any = None) -> tuple[int, int, int, Any]:
        """One request: its start and end, and the status and body of the reply."""
        started = monotonic_ns()
        async with self.session.request(method, path, json=request_body) as response:
            body = await response.json(content_type=None)
        return started, monotonic_ns(), response.status, body

    async def reserve(self, step: Reserve, own: list[dict[str, Any]]) -> None:
        """Book, and record the booking or the full nights."""
        request_body = stay_request(step.arrival, step.nights, room_type=step.room_type, status=step.status)
        started, ended, status, body = await self.timed("POST", f"{self.hotel}/bookings", request_body)
        nights = tuple(range(step.arrival, step.arrival + step.nights))
        if status == 201:
            own.append(body)
            self.record(step.room_type, started, ended, Outcome.BOOKED, booking=body["id"], nights=nights)
        else:
            assert (status, body["code"]) == (409, "sold_out"), body
            full_nights = tuple(number for number in nights if str(night(number)) in body["nights"])
            assert len(full_nights) == len(body["nights"]), body
            self.record(step.room_type, started, ended, Outcome.SOLD_OUT, nights=nights, reported=full_nights)

    async def cancel(self, step: Cancel, own: list[dict[str, Any]]) -> None:
        """Cancel, and record whether the nights were freed by this or before."""
        bookings = self.shared if step.shared else own
        if not bookings:
            return
        booking = bookings[step.number % len(bookings)]
        action = "release" if booking["status"] == "held" else "cancel"
        path = f"{booking_path(self.hotel, booking)}/actions/{action}"
        started, ended, status, body = await self.timed("POST", path, {})
        assert status == 200 or (status, body["code"]) == (409, "not_allowed"), body
        outcome = Outcome.CANCELLED if status == 200 else Outcome.ALREADY_CANCELLED
        self.record(booking["room_type"], started, ended, outcome, booking=booking["id"])

    async def query_availability(self) -> None:
        """Query and record the rooms left of each type on each night."""
        path = f"{self.hotel}/availability?arrival={TODAY}&departure={night(WINDOW)}"
        started, ended, status, body = await self.timed("GET", path)
        assert status == 200, body
        for room_type in body["room_types"]:
            rooms_left = tuple(entry["rooms"] for entry in room_type["nights"])
            self.record(
                room_type["code"], started, ended, Outcome.AVAILABLE, nights=tuple(range(WINDOW)), reported=rooms_left
            )

    async def execute(self, program: Program, own: list[dict[str, Any]]) -> None:
        """Run the steps of one client, one after the other."""
        for step in program:
            match step:
                case Reserve():
                    await self.reserve(step, own)
                case Cancel():
                    await self.cancel(step, own)
                case QueryAvailability():
                    await self.query_availability()


def run_programs(gateway: Gateway, rooms: dict[str, int], before: Program, programs: list[Program]) -> ConcurrentRun:
    """Run one program alone, and then all others concurrently."""
    hotel = gateway.open_hotel(rooms)

    async def run() -> ConcurrentRun:
        async with session_to(gateway) as session:
            execution = ConcurrentRun(session, hotel)
            await execution.execute(before, execution.shared)
            await asyncio.gather(*(execution.execute(program, []) for program in programs))
            await execution.query_availability()
            return execution

    return asyncio.run(run())


def session_to(gateway: Gateway) -> ClientSession:
    """A session without a limit on connections."""
    return ClientSession(f"http://127.0.0.1:{gateway.port}", connector=TCPConnector(limit=0))


arrivals = st.integers(0, WINDOW - 1)
reservations = arrivals.flatmap(
    lambda arrival: st.builds(
        Reserve,
        st.sampled_from(TYPES[:1] * 3 + TYPES[1:]),
        st.just(arrival),
        st.integers(1, WINDOW - arrival),
        st.sampled_from(["confirmed", "held"]),
    )
)
cancellations = st.builds(Cancel, st.integers(0, 3), st.booleans())
programs = st.lists(reservations | reservations | cancellations | st.just(QueryAvailability()), min_size=1, max_size=5)
hotels = st.fixed_dictionaries({"DBL": st.integers(1, 3), "STE": st.integers(1, 2)})


@pytest.mark.slow
@settings(max_examples=120)
@given(rooms=hotels, before=st.lists(reservations, max_size=3), clients=st.lists(programs, min_size=2, max_size=7))
def test_concurrent_operations_are_linearizable(
    gateway: Gateway, rooms: dict[str, int], before: Program, clients: list[Program]
) -> None:
    run = run_programs(gateway, rooms, before, clients)
    for room_type, history in run.histories.items():
        assert linearization(history, rooms[room_type]) is not None, f"nothing explains {room_type}: {history}"
    assert_no_overlapping_stays(gateway, run.hotel)


def assert_no_overlapping_stays(gateway: Gateway, hotel: str) -> None:
    """No two stays on the tape chart overlap in a room (P1)."""
    chart = gateway.get(f"{hotel}/tape-chart", from_=TODAY, to=night(WINDOW)).json["bookings"]
    for one, other in combinations(chart, 2):
        apart = one["departure"] <= other["arrival"] or other["departure"] <= one["arrival"]
        assert apart or one["room"] != other["room"], (one, other)


def all_at_once(gateway: Gateway, request: Callable[[ClientSession, int], Awaitable[Any]], clients: int) -> list[Any]:
    """The results of this many clients that send their requests concurrently."""

    async def run() -> list[Any]:
        async with session_to(gateway) as session:
            return await asyncio.gather(*(request(session, client) for client in range(clients)))

    return asyncio.run(run())


def booking_request(hotel: str, key: str | None = None, **more: Any) -> Callable[[ClientSession, int], Awaitable[Any]]:
    """A request that books: the status, the problem's code or the booking's id, and whether it was replayed."""
    headers = {} if key is None else {"Idempotency-Key": key}

    async def book(session: ClientSession, client: int) -> tuple[int, str, bool]:
        request_body = stay_request(**{"guest": {"name": f"Guest {client}"}} | more)
        async with session.post(f"{hotel}/bookings", json=request_body, headers=headers) as response:
            body = await response.json(content_type=None)
            return (
                response.status,
                body.get("code", body.get("id")),
                "Idempotent-Replayed" in response.headers,
            )

    return book


@pytest.mark.parametrize("clients", [10, 300])
@pytest.mark.parametrize("rooms", [1, 2, 7])
@pytest.mark.parametrize("status", ["confirmed", "held"])
def test_concurrent_bookings_succeed_for_exactly_the_rooms_left(
    gateway: Gateway, clients: int, rooms: int, status: str
) -> None:
    hotel = gateway.open_hotel({"DBL": rooms})
    results = all_at_once(gateway, booking_request(hotel, status=status), clients)
    outcomes = Counter(status if status == 201 else code for status, code, _ in results)
    assert outcomes == {201: rooms, "sold_out": clients - rooms}
    assert_no_overlapping_stays(gateway, hotel)


def test_concurrent_requests_with_one_key_book_once(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 50})
    results = all_at_once(gateway, booking_request(hotel, key="one-and-only", guest={"name": "Ann"}), 50)
    assert {status for status, _, _ in results} == {201}
    assert len({booking for _, booking, _ in results}) == 1
    assert sorted(replayed for _, _, replayed in results) == [False] + [True] * 49
    assert len(gateway.list_all(f"{hotel}/bookings")) == 1


def test_concurrent_requests_with_one_key_and_different_bodies_book_once(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 50})
    results = all_at_once(gateway, booking_request(hotel, key="one-for-all"), 50)
    assert Counter(status for status, _, _ in results) == {201: 1, 422: 49}
    assert len(gateway.list_all(f"{hotel}/bookings")) == 1


def test_one_of_many_concurrent_changes_to_a_version_succeeds(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    path = booking_path(hotel, gateway.book(hotel))

    async def change(session: ClientSession, client: int) -> int:
        async with session.patch(path, json={"notes": f"by {client}"}, headers={"If-Match": '"1"'}) as response:
            return response.status

    assert Counter(all_at_once(gateway, change, 40)) == {200: 1, 412: 39}
    assert gateway.get(path).json["version"] == 2


def test_concurrent_night_audits_close_a_night_once(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 5})
    for _ in range(5):
        gateway.book(hotel, arrival=0)

    async def audit(session: ClientSession, _: int) -> tuple[str, int]:
        async with session.post(f"{hotel}/night-audit", json={"to": str(night(1))}) as response:
            body = await response.json()
            return body["business_date"], body["no_shows"]

    assert sorted(all_at_once(gateway, audit, 20)) == [(str(night(1)), 0)] * 19 + [(str(night(1)), 5)]


def booked(invoked: int, answered: int, booking: str, *nights: int) -> Operation:
    """An accepted booking."""
    return Operation(invoked, answered, Outcome.BOOKED, booking, nights)


def sold_out(invoked: int, answered: int, *nights: int, reported: tuple[int, ...] = (1,)) -> Operation:
    """A refused booking."""
    return Operation(invoked, answered, Outcome.SOLD_OUT, "", nights, reported)


def cancelled(invoked: int, answered: int, booking: str, outcome: Outcome = Outcome.CANCELLED) -> Operation:
    """A cancellation."""
    return Operation(invoked, answered, outcome, booking)


def available(invoked: int, answered: int, rooms: int) -> Operation:
    """A query of the rooms left on night 1."""
    return Operation(invoked, answered, Outcome.AVAILABLE, "", (1,), (rooms,))


@pytest.mark.parametrize(
    "history",
    [
        [booked(0, 9, "a", 1), booked(0, 9, "b", 1)],
        [booked(0, 1, "a", 1, 2), booked(2, 3, "b", 2, 3)],
        [sold_out(0, 9, 1)],
        [booked(0, 1, "a", 1), cancelled(2, 3, "a"), sold_out(4, 5, 1)],
        [sold_out(0, 1, 1), booked(2, 3, "a", 1)],
        [booked(0, 1, "a", 1), sold_out(2, 3, 1, 2, reported=(1, 2))],
        [booked(0, 1, "a", 1), sold_out(2, 3, 1, 2, reported=(2,))],
        [booked(0, 1, "a", 1), available(2, 3, 1)],
        [booked(0, 1, "a", 1), cancelled(2, 9, "a"), available(3, 4, 1), available(5, 6, 0)],
        [booked(0, 1, "a", 1), cancelled(2, 9, "a"), cancelled(2, 9, "a")],
        [booked(0, 1, "a", 1), cancelled(2, 3, "a", Outcome.ALREADY_CANCELLED), cancelled(4, 5, "a")],
        [booked(0, 1, "a", 1), cancelled(2, 9, "a"), booked(3, 4, "b", 1), booked(5, 6, "c", 1)],
    ],
)
def test_the_checker_rejects_histories_without_a_sequential_order(history: list[Operation]) -> None:
    assert linearization(history, rooms=1) is None


@pytest.mark.parametrize(
    "history",
    [
        [],
        [booked(0, 1, "a", 1, 2), booked(0, 1, "b", 3)],
        [sold_out(0, 3, 1), booked(1, 2, "a", 1)],
        [booked(0, 1, "a", 1), cancelled(2, 9, "a"), booked(3, 4, "b", 1)],
        [booked(0, 1, "a", 1), sold_out(2, 9, 1), cancelled(3, 4, "a"), booked(5, 6, "b", 2)],
        [booked(0, 1, "a", 1), sold_out(2, 3, 1, 2)],
        [booked(0, 1, "a", 1), cancelled(2, 9, "a"), available(3, 4, 0), available(5, 6, 1)],
        [booked(0, 1, "a", 1), cancelled(2, 9, "a"), cancelled(2, 9, "a", Outcome.ALREADY_CANCELLED)],
        [booked(0, 9, "a", 1), booked(0, 9, "b", 1), cancelled(0, 9, "a")],
    ],
)
def test_the_checker_finds_a_sequential_order(history: list[Operation]) -> None:
    found = linearization(history, rooms=1)
    assert found is not None
    assert sorted(map(repr, found)) == sorted(map(repr, history))
