"""Many clients at once over real HTTP: whatever they do, some order of one thing at a time explains it (P1, P2, P4)."""

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
from support.gateway import Gateway, booking_path, gateway, stay_request
from support.linearizability import Operation, Outcome, linearization
from support.partition_fixture import TODAY, night

TYPES = ("DBL", "STE")
WINDOW = 5


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One front desk for this file; each example opens a hotel of its own."""
    with gateway(tmp_path_factory.mktemp("front")) as opened:
        yield opened


@dataclass(frozen=True)
class Take:
    """Book, or hold, so many nights from an arrival on."""

    room_type: str
    arrival: int
    nights: int
    status: str


@dataclass(frozen=True)
class Give:
    """Cancel or release a booking: one of this client's own, or one that was there before and that everyone knows."""

    number: int
    shared: bool


@dataclass(frozen=True)
class Look:
    """Ask what is left."""


Step = Take | Give | Look
Program = list[Step]


@dataclass
class Scene:
    """A hotel with all that its clients know of it and have seen."""

    session: ClientSession
    hotel: str
    shared: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, list[Operation]] = field(default_factory=dict)

    def note(self, room_type: str, invoked: int, answered: int, what: Outcome, **more: Any) -> None:
        """One operation on a room type."""
        self.seen.setdefault(room_type, []).append(Operation(invoked, answered, what, **more))

    async def timed(self, method: str, path: str, body: Any = None) -> tuple[int, int, int, Any]:
        """One request: when it began and ended, the status, and the body."""
        invoked = monotonic_ns()
        async with self.session.request(method, path, json=body) as response:
            answer = await response.json(content_type=None)
        return invoked, monotonic_ns(), response.status, answer

    async def take(self, step: Take, own: list[dict[str, Any]]) -> None:
        """A booking, or the nights on which there is none."""
        body = stay_request(step.arrival, step.nights, room_type=step.room_type, status=step.status)
        invoked, answered, status, answer = await self.timed("POST", f"{self.hotel}/bookings", body)
        nights = tuple(range(step.arrival, step.arrival + step.nights))
        if status == 201:
            own.append(answer)
            self.note(step.room_type, invoked, answered, Outcome.BOOKED, booking=answer["id"], nights=nights)
        else:
            assert (status, answer["code"]) == (409, "sold_out"), answer
            full = tuple(number for number in nights if str(night(number)) in answer["nights"])
            assert len(full) == len(answer["nights"]), answer
            self.note(step.room_type, invoked, answered, Outcome.SOLD_OUT, nights=nights, reported=full)

    async def give(self, step: Give, own: list[dict[str, Any]]) -> None:
        """Nights given back, unless they had been."""
        bookings = self.shared if step.shared else own
        if not bookings:
            return
        booking = bookings[step.number % len(bookings)]
        action = "release" if booking["status"] == "held" else "cancel"
        path = f"{booking_path(self.hotel, booking)}/actions/{action}"
        invoked, answered, status, answer = await self.timed("POST", path, {})
        assert status == 200 or (status, answer["code"]) == (409, "not_allowed"), answer
        what = Outcome.CANCELLED if status == 200 else Outcome.ALREADY_CANCELLED
        self.note(booking["room_type"], invoked, answered, what, booking=booking["id"])

    async def look(self) -> None:
        """What is left of each type on each night."""
        path = f"{self.hotel}/availability?arrival={TODAY}&departure={night(WINDOW)}"
        invoked, answered, status, answer = await self.timed("GET", path)
        assert status == 200, answer
        for kind in answer["room_types"]:
            left = tuple(entry["rooms"] for entry in kind["nights"])
            self.note(kind["code"], invoked, answered, Outcome.AVAILABLE, nights=tuple(range(WINDOW)), reported=left)

    async def play(self, program: Program, own: list[dict[str, Any]]) -> None:
        """One client: one step after the other."""
        for step in program:
            match step:
                case Take():
                    await self.take(step, own)
                case Give():
                    await self.give(step, own)
                case Look():
                    await self.look()


def act_out(front: Gateway, rooms: dict[str, int], before: Program, programs: list[Program]) -> Scene:
    """Play one program alone, and then all the others at once; what everyone saw."""
    hotel = front.open_hotel(rooms)

    async def together() -> Scene:
        async with session_to(front) as session:
            scene = Scene(session, hotel)
            await scene.play(before, scene.shared)
            await asyncio.gather(*(scene.play(program, []) for program in programs))
            await scene.look()
            return scene

    return asyncio.run(together())


def session_to(front: Gateway) -> ClientSession:
    """A session with as many connections as there are clients."""
    return ClientSession(f"http://127.0.0.1:{front.port}", connector=TCPConnector(limit=0))


arrivals = st.integers(0, WINDOW - 1)
takes = arrivals.flatmap(
    lambda arrival: st.builds(
        Take,
        st.sampled_from(TYPES[:1] * 3 + TYPES[1:]),
        st.just(arrival),
        st.integers(1, WINDOW - arrival),
        st.sampled_from(["confirmed", "held"]),
    )
)
gives = st.builds(Give, st.integers(0, 3), st.booleans())
programs = st.lists(takes | takes | gives | st.just(Look()), min_size=1, max_size=5)
hotels = st.fixed_dictionaries({"DBL": st.integers(1, 3), "STE": st.integers(1, 2)})


@pytest.mark.slow
@settings(max_examples=120)
@given(rooms=hotels, before=st.lists(takes, max_size=3), clients=st.lists(programs, min_size=2, max_size=7))
def test_some_order_explains_what_all_clients_saw(
    front: Gateway, rooms: dict[str, int], before: Program, clients: list[Program]
) -> None:
    scene = act_out(front, rooms, before, clients)
    for room_type, history in scene.seen.items():
        assert linearization(history, rooms[room_type]) is not None, f"nothing explains {room_type}: {history}"
    assert_nobody_shares_a_room(front, scene.hotel)


def assert_nobody_shares_a_room(front: Gateway, hotel: str) -> None:
    """P1, as the tape chart shows it."""
    chart = front.get(f"{hotel}/tape-chart", from_=TODAY, to=night(WINDOW)).json["bookings"]
    for one, other in combinations(chart, 2):
        apart = one["departure"] <= other["arrival"] or other["departure"] <= one["arrival"]
        assert apart or one["room"] != other["room"], (one, other)


def all_at_once(front: Gateway, ask: Callable[[ClientSession, int], Awaitable[Any]], clients: int) -> list[Any]:
    """What each of so many clients got, who all ask at the same moment."""

    async def together() -> list[Any]:
        async with session_to(front) as session:
            return await asyncio.gather(*(ask(session, client) for client in range(clients)))

    return asyncio.run(together())


def booker(hotel: str, key: str | None = None, **more: Any) -> Callable[[ClientSession, int], Awaitable[Any]]:
    """How a client books: the status, the code of the problem or the id of the booking, and whether it is a replay."""
    headers = {} if key is None else {"Idempotency-Key": key}

    async def book(session: ClientSession, client: int) -> tuple[int, str, bool]:
        body = stay_request(**{"guest": {"name": f"Guest {client}"}} | more)
        async with session.post(f"{hotel}/bookings", json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
            return (
                response.status,
                answer.get("code", answer.get("id")),
                "Idempotent-Replayed" in response.headers,
            )

    return book


@pytest.mark.parametrize("clients", [10, 300])
@pytest.mark.parametrize("rooms", [1, 2, 7])
@pytest.mark.parametrize("status", ["confirmed", "held"])
def test_the_last_rooms_go_to_exactly_as_many_guests(front: Gateway, clients: int, rooms: int, status: str) -> None:
    hotel = front.open_hotel({"DBL": rooms})
    answers = all_at_once(front, booker(hotel, status=status), clients)
    told = Counter(status if status == 201 else code for status, code, _ in answers)
    assert told == {201: rooms, "sold_out": clients - rooms}
    assert_nobody_shares_a_room(front, hotel)


def test_the_same_key_at_the_same_moment_books_once(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 50})
    answers = all_at_once(front, booker(hotel, key="one-and-only", guest={"name": "Ann"}), 50)
    assert {status for status, _, _ in answers} == {201}
    assert len({booking for _, booking, _ in answers}) == 1
    assert sorted(replayed for _, _, replayed in answers) == [False] + [True] * 49
    assert len(front.list_all(f"{hotel}/bookings")) == 1


def test_one_key_for_different_bodies_at_the_same_moment_books_once(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 50})
    answers = all_at_once(front, booker(hotel, key="one-for-all"), 50)
    assert Counter(status for status, _, _ in answers) == {201: 1, 422: 49}
    assert len(front.list_all(f"{hotel}/bookings")) == 1


def test_of_many_who_saw_the_same_version_one_changes_it(front: Gateway) -> None:
    hotel = front.open_hotel()
    path = booking_path(hotel, front.book(hotel))

    async def change(session: ClientSession, client: int) -> int:
        async with session.patch(path, json={"notes": f"by {client}"}, headers={"If-Match": '"1"'}) as response:
            return response.status

    assert Counter(all_at_once(front, change, 40)) == {200: 1, 412: 39}
    assert front.get(path).json["version"] == 2


def test_a_night_is_audited_once_however_many_ask(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 5})
    for _ in range(5):
        front.book(hotel, arrival=0)

    async def audit(session: ClientSession, _: int) -> tuple[str, int]:
        async with session.post(f"{hotel}/night-audit", json={"to": str(night(1))}) as response:
            answer = await response.json()
            return answer["business_date"], answer["no_shows"]

    assert sorted(all_at_once(front, audit, 20)) == [(str(night(1)), 0)] * 19 + [(str(night(1)), 5)]


def take(invoked: int, answered: int, booking: str, *nights: int) -> Operation:
    """An accepted booking."""
    return Operation(invoked, answered, Outcome.BOOKED, booking, nights)


def full(invoked: int, answered: int, *nights: int, saw: tuple[int, ...] = (1,)) -> Operation:
    """A refused one."""
    return Operation(invoked, answered, Outcome.SOLD_OUT, "", nights, saw)


def free(invoked: int, answered: int, booking: str, what: Outcome = Outcome.CANCELLED) -> Operation:
    """A cancellation."""
    return Operation(invoked, answered, what, booking)


def left(invoked: int, answered: int, rooms: int) -> Operation:
    """A look at night 1."""
    return Operation(invoked, answered, Outcome.AVAILABLE, "", (1,), (rooms,))


@pytest.mark.parametrize(
    "history",
    [
        [take(0, 9, "a", 1), take(0, 9, "b", 1)],
        [take(0, 1, "a", 1, 2), take(2, 3, "b", 2, 3)],
        [full(0, 9, 1)],
        [take(0, 1, "a", 1), free(2, 3, "a"), full(4, 5, 1)],
        [full(0, 1, 1), take(2, 3, "a", 1)],
        [take(0, 1, "a", 1), full(2, 3, 1, 2, saw=(1, 2))],
        [take(0, 1, "a", 1), full(2, 3, 1, 2, saw=(2,))],
        [take(0, 1, "a", 1), left(2, 3, 1)],
        [take(0, 1, "a", 1), free(2, 9, "a"), left(3, 4, 1), left(5, 6, 0)],
        [take(0, 1, "a", 1), free(2, 9, "a"), free(2, 9, "a")],
        [take(0, 1, "a", 1), free(2, 3, "a", Outcome.ALREADY_CANCELLED), free(4, 5, "a")],
        [take(0, 1, "a", 1), free(2, 9, "a"), take(3, 4, "b", 1), take(5, 6, "c", 1)],
    ],
)
def test_the_checker_rejects_what_no_order_explains(history: list[Operation]) -> None:
    assert linearization(history, rooms=1) is None


@pytest.mark.parametrize(
    "history",
    [
        [],
        [take(0, 1, "a", 1, 2), take(0, 1, "b", 3)],
        [full(0, 3, 1), take(1, 2, "a", 1)],
        [take(0, 1, "a", 1), free(2, 9, "a"), take(3, 4, "b", 1)],
        [take(0, 1, "a", 1), full(2, 9, 1), free(3, 4, "a"), take(5, 6, "b", 2)],
        [take(0, 1, "a", 1), full(2, 3, 1, 2)],
        [take(0, 1, "a", 1), free(2, 9, "a"), left(3, 4, 0), left(5, 6, 1)],
        [take(0, 1, "a", 1), free(2, 9, "a"), free(2, 9, "a", Outcome.ALREADY_CANCELLED)],
        [take(0, 9, "a", 1), take(0, 9, "b", 1), free(0, 9, "a")],
    ],
)
def test_the_checker_finds_the_order_that_explains(history: list[Operation]) -> None:
    found = linearization(history, rooms=1)
    assert found is not None
    assert sorted(map(repr, found)) == sorted(map(repr, history))
