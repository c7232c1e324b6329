"""An inn in several processes: whichever of them dies, the others go on, and nothing acknowledged is lost or doubled.

`make kill ROUNDS=20` kills them more often.
"""

import asyncio
import os
import pickle
import random
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from innkeeper.protocol.codec import frames
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import partition_of
from innkeeper.storage.data_directory import DataDirectory, DataUnusable
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.acknowledged_bookings import (
    ClientRecords,
    assert_no_double_booking,
    assert_unchanged,
    list_bookings,
    next_request,
    send_request,
)
from support.gateway import hotel_plan, stay_request
from support.installation import Installation, is_alive
from support.rabbitmq_queues import delete_queues
from support.server_process import program_command, run_to_end
from support.waiting import wait_until

PARTITIONS, ROUNDS = 4, int(os.environ.get("INNKEEPER_KILL_ROUNDS", "2"))
PARTS = (*(f"reservations-{n}" for n in range(PARTITIONS)), "billing", "notifications", "delivery", "gateway-0")
HOTELS = ("north", "south", "east", "west", "harbour", "mill", "quay", "abbey")
CLIENTS = 12
BACK_SECONDS_MAX = 120
LETTERS_SECONDS_MAX = 90


@pytest.fixture
def inn(tmp_path: Path) -> Iterator[Installation]:
    """Two gateways before four partitions."""
    started = Installation(tmp_path / "data", "--partitions", str(PARTITIONS), "--workers", "2")
    yield started
    started.close()


async def open_hotels(inn: Installation, rooms: int = 40) -> None:
    """In several partitions."""
    assert len({partition_of(hotel, PARTITIONS) for hotel in HOTELS}) == PARTITIONS
    async with ClientSession(inn.url) as session:
        for hotel in HOTELS:
            async with session.post("/v1/hotels", json=hotel_plan({"DBL": rooms}, id=hotel)) as response:
                assert response.status == 201, await response.text()


async def client(
    session: ClientSession, books: ClientRecords, chance: random.Random, name: str, done: asyncio.Event
) -> None:
    """One wish after the other; one that got no answer is said again, under its key."""
    own: list[str] = []
    while not done.is_set():
        wish = next_request(books, chance, own, name)
        parts = wish.path.split("/")
        parts[3] = books.bookings[parts[5]]["hotel"] if len(parts) > 5 else chance.choice(HOTELS)
        wish.path = "/".join(parts)
        books.requests.append(wish)
        await answered(session, books, wish)
        assert wish.answer is not None
        if wish.answer[0] == 201:
            own.append(wish.answer[1]["id"])


async def answered(session: ClientSession, books: ClientRecords, wish: Any) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while wish.answer is None:
            try:
                await send_request(session, books, wish)
            except (ClientError, OSError):
                await asyncio.sleep(0.02)  # that gateway has died


async def live_through(inn: Installation, books: ClientRecords, victims: list[str], chance: random.Random) -> None:
    """All clients at once, while these processes die one after the other."""
    done = asyncio.Event()
    async with ClientSession(inn.url) as session:
        number = len(books.requests)
        clients = [
            asyncio.create_task(client(session, books, random.Random(chance.random()), f"{number}-{one}", done))
            for one in range(CLIENTS)
        ]
        for victim in victims:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            before = inn.pid(victim)
            inn.kill(victim)
            is_back = lambda victim=victim, before=before: inn.pid_or_none(victim) not in (None, before)  # noqa: E731
            await asyncio.to_thread(wait_until, is_back, BACK_SECONDS_MAX)
        await asyncio.sleep(0.2)
        done.set()
        await asyncio.gather(*clients)


async def compare(inn: Installation, books: ClientRecords) -> None:
    """The house and the clients' books are one."""
    async with ClientSession(inn.url) as session:
        found = {booking["id"]: booking for hotel in HOTELS for booking in await list_bookings(session, hotel)}
    for id_, booking in books.bookings.items():
        assert id_ in found, "what was acknowledged is not there (P3)"
        assert_unchanged(booking, found[id_])
    assert found.keys() == books.bookings.keys(), "a booking that nobody asked for (P7)"
    assert_no_double_booking(found.values())


async def everybody_heard(inn: Installation) -> list[str]:
    """The ids of all events, once every subscriber has seen them."""
    logs = (*(f"reservations-{n}" for n in range(PARTITIONS)), "billing", "delivery")
    async with ClientSession(inn.url) as session:
        until, listed = monotonic() + LETTERS_SECONDS_MAX, list[dict[str, Any]]()
        while len(listed) < 5 or any(one["lag"] for one in listed):
            assert monotonic() < until, f"somebody lags behind: {listed}"
            await asyncio.sleep(0.1)
            async with session.get("/v1/subscribers") as response:
                listed = (await response.json()).get("data", [])
        ids: list[str] = []
        for log in logs:
            cursor = "0"
            while cursor is not None:
                async with session.get(f"/v1/events?log={log}&limit=200&cursor={cursor}") as response:
                    page = await response.json()
                ids += [event["id"] for event in page["data"]]
                cursor = page["next_cursor"]
        return ids


THROUGH_A_BROKER = pytest.param("through a broker", marks=pytest.mark.xdist_group("rabbitmq"))


@pytest.fixture(params=["from process to process", THROUGH_A_BROKER])
def hearing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """The same, its services hearing in one way or the other."""
    options = ["--partitions", str(PARTITIONS), "--workers", "2"]
    url = request.getfixturevalue("rabbitmq") if request.param == "through a broker" else ""
    if url:
        asyncio.run(delete_queues(url))
    started = Installation(tmp_path / "data", *options, *(["--broker", url] if url else []))
    yield started
    started.close()
    if url:
        asyncio.run(delete_queues(url))


@pytest.mark.slow
def test_each_process_is_killed_in_turn_under_load(hearing: Installation) -> None:
    inn, chance, books = hearing, random.Random(4), ClientRecords()
    asyncio.run(open_hotels(inn))
    for _ in range(ROUNDS):
        asyncio.run(live_through(inn, books, [chance.choice(PARTS)], chance))
    asyncio.run(live_through(inn, books, list(PARTS), chance))
    asyncio.run(compare(inn, books))
    ids = asyncio.run(everybody_heard(inn))
    assert len(set(ids)) == len(ids)
    wait_until(lambda: len([*(inn.data / "archive").rglob("*.json")]) >= len(ids), BACK_SECONDS_MAX)
    assert sorted(path.stem for path in (inn.data / "archive").rglob("*.json")) == sorted(ids)
    assert inn.stop() == 0
    proved = run_to_end("verify", "--data", inn.data)
    assert proved.returncode == 0, proved.stdout + proved.stderr


def test_the_hotels_of_a_dead_partition_are_refused_at_once_and_the_others_go_on(inn: Installation) -> None:
    async def book(session: ClientSession, hotel: str) -> int:
        async with session.post(f"/v1/hotels/{hotel}/bookings", json=stay_request()) as response:
            return response.status

    async def look() -> None:
        await open_hotels(inn, rooms=1_000)  # enough to book one a round until the partition is back
        mine = partition_of(HOTELS[0], PARTITIONS)
        others = [hotel for hotel in HOTELS if partition_of(hotel, PARTITIONS) != mine]
        async with ClientSession(inn.url) as session:
            inn.kill(f"reservations-{mine}")
            start, statuses = monotonic(), list[int]()
            while (status := await book(session, HOTELS[0])) != 201:
                statuses.append(status)
                await asyncio.sleep(0.05)
                assert [await book(session, hotel) for hotel in others] == [201] * len(others)
                assert monotonic() - start < BACK_SECONDS_MAX
            assert set(statuses) <= {503}

    asyncio.run(look())


def test_a_hotels_events_are_found_wherever_they_stand(inn: Installation) -> None:
    async def look() -> None:
        await open_hotels(inn)
        async with ClientSession(inn.url) as session:
            for hotel in HOTELS:
                async with session.get(f"/v1/events?hotel={hotel}") as response:
                    found = (await response.json())["data"]
                assert [event["type"] for event in found][:2] == [
                    "innkeeper.hotel.opened.v1", "innkeeper.room_type.added.v1",
                ]  # fmt: skip
                assert {event["source"] for event in found} == {f"/hotels/{hotel}"}
            async with session.get("/v1/events") as response:
                assert (response.status, "reservations-0" in await response.text()) == (422, True)

    asyncio.run(look())


def test_when_the_first_process_is_killed_the_others_finish_and_end(tmp_path: Path) -> None:
    inn = Installation(tmp_path / "data", "--partitions", "2")
    pids = [inn.pid(part) for part in ("reservations-0", "reservations-1", "billing", "gateway-0")]
    inn.kill_supervisor()
    wait_until(lambda: not any(map(is_alive, pids)), BACK_SECONDS_MAX)
    again = Installation(tmp_path / "data", "--partitions", "2")
    assert again.stop() == 0
    wait_until(lambda: not left_over(tmp_path), BACK_SECONDS_MAX)


def test_ctrl_c_ends_all_in_order(inn: Installation, tmp_path: Path) -> None:
    asyncio.run(open_hotels(inn))
    start = monotonic()
    assert inn.interrupt() == 0
    assert monotonic() - start < limits.shutdown_seconds_max, "something had to be given up"
    wait_until(lambda: not left_over(tmp_path), BACK_SECONDS_MAX)
    assert "Traceback" not in (tmp_path / "data.log").read_text()
    assert run_to_end("verify", "--data", inn.data).returncode == 0


def left_over(folder: Path) -> list[str]:
    """Processes that were started for something in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [path.parent.name] if str(folder).encode() in path.read_bytes() else []
    return found


@pytest.mark.parametrize(
    ("made", "asked", "said"),
    [("2", "3", "was made with --partitions 2"), ("1", "4", "was made with --partitions 1")],
)
def test_another_number_of_partitions_is_refused(tmp_path: Path, made: str, asked: str, said: str) -> None:
    data = tmp_path / "data"
    Installation(data, "--partitions", made).close()
    for more in ([], ["--processes"]):
        refused = run_to_end("demo", "--port", "0", "--data", data, "--partitions", asked, *more)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr


def test_as_many_partitions_as_there_may_be_live_in_one_process_and_publish(rabbitmq: str, tmp_path: Path) -> None:
    options = ("--partitions", limits.partitions_max, "--broker", rabbitmq, "--data", tmp_path / "data")
    command = program_command("reservations", *map(str, options))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert f"reservations-{limits.partitions_max - 1}: ready" in said
            wait_until((tmp_path / "data" / "publisher-reservations.db").exists, BACK_SECONDS_MAX)
        finally:
            process.terminate()
        assert process.wait(BACK_SECONDS_MAX) == 0


def test_a_lost_number_of_partitions_is_not_guessed(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    assert (data.partitions(3), data.partitions()) == (3, 3)
    SqliteJournal(data.journal(1)).close()
    (data.path / "partitions").unlink()
    with pytest.raises(DataUnusable, match="restore it"):
        data.partitions()


def test_several_gateways_need_several_processes(tmp_path: Path) -> None:
    refused = run_to_end("demo", "--port", "0", "--data", tmp_path / "data", "--workers", "2")
    assert (refused.returncode, "--workers needs --processes" in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "data").exists()


def test_the_doors_of_a_long_path_are_elsewhere_and_nobody_elses(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / ("long" * 30))
    door = data.socket("billing")
    assert len(bytes(door)) < 108
    assert door.parent.stat().st_mode & 0o777 == 0o700
    if os.getuid() == 0:
        os.chown(door.parent, 12345, -1)
        with pytest.raises(DataUnusable, match="belongs to another user"):
            data.socket("billing")
    door.parent.rmdir()


def test_a_stranger_at_the_door_makes_nobody_run_anything(inn: Installation) -> None:
    async def knock(said: bytes, *, waits: bool) -> bytes:
        reader, writer = await asyncio.open_unix_connection(DataDirectory(inn.data).socket("billing"))
        writer.write(said)
        async with asyncio.timeout(BACK_SECONDS_MAX):
            answer = await reader.read(65_536) if waits else b""
        writer.close()
        return answer

    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\xc1", b"\x93\x01\xa3ask", pickle.dumps(print), b"\x92\x01\xa4take"):
        asyncio.run(knock(said, waits=False))
    strange = [
        ["ask"],
        ["ask", b"x", None, "", "", None],
        ["view", "__init__", {}],
        ["read", "x"],
        ["tell", "Exit", {}],
    ]
    for number, question in enumerate(strange, start=1):
        answer = frames.frame_decoder()
        answer.feed(asyncio.run(knock(frames.pack(number, *question), waits=True)))
        assert [frame[:2] for frame in answer] == [[number, frames.REFUSED]]
    pid = inn.pid("billing")
    asyncio.run(open_hotels(inn))
    assert inn.pid("billing") == pid


def test_a_whole_inn_and_its_parts_do_not_share_a_data_directory(inn: Installation) -> None:
    for command in (["demo", "--port", "0"], ["verify"], ["demo", "--port", "0", "--processes"]):
        refused = run_to_end(*command, "--data", inn.data)
        assert (refused.returncode, "in use by another Innkeeper" in refused.stderr) == (3, True), refused.stderr


def test_a_part_that_cannot_start_ends_all_with_its_own_message_and_exit_code(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.partitions(2)
    data.journal(1).write_bytes(b"this is no database" * 500)
    refused = run_to_end("demo", "--processes", "--port", "0", "--data", data.path)
    assert refused.returncode == 4, refused.stderr
    assert "reservations-1 could not start (exit code 4)" in refused.stderr
    wait_until(lambda: not left_over(tmp_path), BACK_SECONDS_MAX)


@pytest.mark.parametrize(("part", "journal"), [("reservations-1", "partition-1.db"), ("billing", "billing-0.db")])
def test_a_part_that_ends_by_itself_is_started_again(inn: Installation, part: str, journal: str) -> None:
    asyncio.run(open_hotels(inn))
    before = inn.pid(part)
    SqliteJournal(inn.data / journal).close()  # somebody else wrote to it: this one must stop

    async def ask_until_back() -> None:
        async with ClientSession(inn.url) as session, asyncio.timeout(BACK_SECONDS_MAX):
            while inn.pid_or_none(part) in (None, before):
                for hotel in HOTELS:
                    async with session.post(f"/v1/hotels/{hotel}/bookings", json=stay_request()) as response:
                        assert response.status in (201, 503)
                await asyncio.sleep(0.1)
            statuses = {503}
            while statuses != {200}:
                await asyncio.sleep(0.1)
                statuses = {(await session.get(f"/v1/hotels/{hotel}/ledger")).status for hotel in HOTELS}

    asyncio.run(ask_until_back())
