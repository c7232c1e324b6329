"""An installation of several processes: when one is killed the others go on, and no acknowledged booking is lost or
doubled.

`make kill ROUNDS=20` kills them more often.
"""

import asyncio
import os
import pickle
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from innkeeper.protocol.codec import frames
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import partition_of
from innkeeper.storage.data_directory import DataDirectory, DataUnusable
from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.acknowledged_bookings import (
    ClientRecords,
    assert_no_double_booking,
    assert_unchanged,
    list_bookings,
    next_request,
    send_request,
)
from support.archive import archived_ids
from support.gateway import hotel_request, stay_request
from support.installation import Installation, is_alive
from support.installations import names_in
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
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation with two gateways and four partitions."""
    started = Installation(tmp_path / "data", "--partitions", str(PARTITIONS), "--workers", "2")
    yield started
    started.close()


async def open_hotels(installation: Installation, rooms: int = 40) -> None:
    """Open hotels in all partitions."""
    assert len({partition_of(hotel, PARTITIONS) for hotel in HOTELS}) == PARTITIONS
    async with ClientSession(installation.url) as session:
        for hotel in HOTELS:
            async with session.post("/v1/hotels", json=hotel_request({"DBL": rooms}, id=hotel)) as response:
                assert response.status == 201, await response.text()


async def client(
    session: ClientSession, records: ClientRecords, chance: random.Random, name: str, done: asyncio.Event
) -> None:
    """Send one request after the other; one without an answer is repeated with the same key."""
    own: list[str] = []
    while not done.is_set():
        request = next_request(records, chance, own, name)
        parts = request.path.split("/")
        parts[3] = records.bookings[parts[5]]["hotel"] if len(parts) > 5 else chance.choice(HOTELS)
        request.path = "/".join(parts)
        records.requests.append(request)
        await send_until_answered(session, records, request)
        assert request.answer is not None
        if request.answer[0] == 201:
            own.append(request.answer[1]["id"])


async def send_until_answered(session: ClientSession, records: ClientRecords, request: Any) -> None:
    """Send a request until there is an answer."""
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while request.answer is None:
            try:
                await send_request(session, records, request)
            except (ClientError, OSError):
                await asyncio.sleep(0.1)  # that gateway was killed


@asynccontextmanager
async def busy_clients(
    installation: Installation, records: ClientRecords, chance: random.Random
) -> AsyncIterator[None]:
    """Runs all clients at once, and in the end until each has its answer."""
    done = asyncio.Event()
    async with ClientSession(installation.url) as session, asyncio.TaskGroup() as clients:
        number = len(records.requests)
        for one in range(CLIENTS):
            own_chance = random.Random(chance.random())
            clients.create_task(client(session, records, own_chance, f"{number}-{one}", done))
        yield
        await asyncio.sleep(0.2)
        done.set()


async def run_clients_while_killing(
    installation: Installation, records: ClientRecords, victims: list[str], chance: random.Random
) -> None:
    """Run all clients at once while these processes are killed one after the other."""
    async with busy_clients(installation, records, chance):
        for victim in victims:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            before = installation.pid(victim)
            installation.kill(victim)
            is_restarted = lambda victim=victim, before=before: installation.pid_or_none(victim) not in (None, before)  # noqa: E731
            await asyncio.to_thread(wait_until, is_restarted, BACK_SECONDS_MAX)


async def run_clients_while_ending(
    installation: Installation, records: ClientRecords, chance: random.Random, *, kill: bool
) -> None:
    """Run all clients at once while all processes end, and start again."""
    async with busy_clients(installation, records, chance):
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        if kill:
            installation.kill_all()
        else:
            assert await asyncio.to_thread(installation.stop) == 0
            assert "Traceback" not in installation.log()
        await asyncio.to_thread(installation.start_again)


async def compare_with_records(installation: Installation, records: ClientRecords) -> None:
    """Compare the bookings of the installation with the clients' records."""
    async with ClientSession(installation.url) as session:
        found = {booking["id"]: booking for hotel in HOTELS for booking in await list_bookings(session, hotel)}
    for id_, booking in records.bookings.items():
        assert id_ in found, "an acknowledged booking is missing (P3)"
        assert_unchanged(booking, found[id_])
    assert found.keys() == records.bookings.keys(), "a booking that no client requested (P7)"
    assert_no_double_booking(found.values())


async def event_ids_once_caught_up(installation: Installation) -> list[str]:
    """The ids of all events, once every subscriber has seen them."""
    logs = (*(f"reservations-{n}" for n in range(PARTITIONS)), "billing", "delivery")
    async with ClientSession(installation.url) as session:
        deadline, subscribers = monotonic() + LETTERS_SECONDS_MAX, list[dict[str, Any]]()
        while len(subscribers) < 5 or any(one["lag"] for one in subscribers):
            assert monotonic() < deadline, f"a subscriber lags behind: {subscribers}"
            await asyncio.sleep(0.1)
            async with session.get("/v1/subscribers") as response:
                subscribers = (await response.json()).get("data", [])
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
def installation_by_transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """The same installation, whose services get events from the other processes or from a broker."""
    options = ["--partitions", str(PARTITIONS), "--workers", "2"]
    url = request.getfixturevalue("rabbitmq") if request.param == "through a broker" else ""
    started = Installation(tmp_path / "data", *options, *(["--broker", url] if url else []))
    yield started
    started.close()
    if url:
        asyncio.run(delete_queues(url, names_in(tmp_path)))


@pytest.mark.slow
def test_killing_each_process_under_load_loses_no_booking_and_no_event(installation_by_transport: Installation) -> None:
    installation, chance, records = installation_by_transport, random.Random(4), ClientRecords()
    asyncio.run(open_hotels(installation))
    for _ in range(ROUNDS):
        asyncio.run(run_clients_while_killing(installation, records, [chance.choice(PARTS)], chance))
    asyncio.run(run_clients_while_killing(installation, records, list(PARTS), chance))
    assert_nothing_is_lost(installation, records)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_the_end_of_all_processes_under_load_loses_no_booking_and_no_event(
    installation: Installation, *, kill: bool
) -> None:
    chance, records = random.Random(5), ClientRecords()
    asyncio.run(open_hotels(installation))
    for _ in range(ROUNDS):
        asyncio.run(run_clients_while_ending(installation, records, chance, kill=kill))
    assert_nothing_is_lost(installation, records)


def assert_nothing_is_lost(installation: Installation, records: ClientRecords) -> None:
    """Assert that every booking, event and line of the archive is there, once; and stop."""
    asyncio.run(compare_with_records(installation, records))
    ids = asyncio.run(event_ids_once_caught_up(installation))
    assert len(set(ids)) == len(ids)
    wait_until(lambda: len(archived_ids(installation.data / "archive")) >= len(ids), BACK_SECONDS_MAX)
    assert archived_ids(installation.data / "archive") == sorted(ids)
    assert installation.stop() == 0
    verified = run_to_end("verify", "--data", installation.data)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_hotels_of_a_killed_partition_are_unavailable_and_the_others_go_on(installation: Installation) -> None:
    async def book(session: ClientSession, hotel: str) -> int:
        async with session.post(f"/v1/hotels/{hotel}/bookings", json=stay_request()) as response:
            return response.status

    async def check() -> None:
        await open_hotels(installation, rooms=1_000)  # enough to book one a round until the partition is back
        killed = partition_of(HOTELS[0], PARTITIONS)
        others = [hotel for hotel in HOTELS if partition_of(hotel, PARTITIONS) != killed]
        async with ClientSession(installation.url) as session:
            installation.kill(f"reservations-{killed}")
            start, statuses = monotonic(), list[int]()
            while (status := await book(session, HOTELS[0])) != 201:
                statuses.append(status)
                await asyncio.sleep(0.05)
                assert [await book(session, hotel) for hotel in others] == [201] * len(others)
                assert monotonic() - start < BACK_SECONDS_MAX
            assert set(statuses) <= {503}

    asyncio.run(check())


def test_a_hotels_events_are_found_whichever_partition_has_them(installation: Installation) -> None:
    async def check() -> None:
        await open_hotels(installation)
        async with ClientSession(installation.url) as session:
            for hotel in HOTELS:
                async with session.get(f"/v1/events?hotel={hotel}") as response:
                    found = (await response.json())["data"]
                assert [event["type"] for event in found][:2] == [
                    "innkeeper.hotel.opened.v1", "innkeeper.room_type.added.v1",
                ]  # fmt: skip
                assert {event["source"] for event in found} == {f"/hotels/{hotel}"}
            async with session.get("/v1/events") as response:
                assert (response.status, "reservations-0" in await response.text()) == (422, True)

    asyncio.run(check())


@pytest.mark.slow
def test_when_the_supervisor_is_killed_the_other_processes_finish_and_end(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", "--partitions", "2")
    pids = [installation.pid(part) for part in ("reservations-0", "reservations-1", "billing", "gateway-0")]
    installation.kill_supervisor()
    wait_until(lambda: not any(map(is_alive, pids)), BACK_SECONDS_MAX)
    again = Installation(tmp_path / "data", "--partitions", "2")
    assert again.stop() == 0
    wait_until(lambda: not processes_of(tmp_path), BACK_SECONDS_MAX)


def test_ctrl_c_ends_all_processes_in_order(installation: Installation, tmp_path: Path) -> None:
    asyncio.run(open_hotels(installation))
    start = monotonic()
    assert installation.interrupt() == 0
    assert monotonic() - start < limits.shutdown_seconds_max, "something had to be given up"
    wait_until(lambda: not processes_of(tmp_path), BACK_SECONDS_MAX)
    assert "Traceback" not in (tmp_path / "data.log").read_text()
    assert run_to_end("verify", "--data", installation.data).returncode == 0


def processes_of(folder: Path) -> list[str]:
    """The processes that have this folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [path.parent.name] if str(folder).encode() in path.read_bytes() else []
    return found


@pytest.mark.parametrize(
    ("created", "requested", "message"),
    [("2", "3", "was made with --partitions 2"), ("1", "4", "was made with --partitions 1")],
)
def test_another_number_of_partitions_is_refused(tmp_path: Path, created: str, requested: str, message: str) -> None:
    data = tmp_path / "data"
    Installation(data, "--partitions", created).close()
    for options in ([], ["--processes"]):
        refused = run_to_end("demo", "--port", "0", "--data", data, "--partitions", requested, *options)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


def test_the_maximum_of_partitions_runs_in_one_process_and_publishes(rabbitmq: str, tmp_path: Path) -> None:
    options = ("--partitions", limits.partitions_max, "--broker", rabbitmq, "--data", tmp_path / "data")
    command = program_command("reservations", *map(str, options))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert f"reservations-{limits.partitions_max - 1}: ready" in line
            wait_until((tmp_path / "data" / "publisher-reservations.db").exists, BACK_SECONDS_MAX)
        finally:
            process.terminate()
        assert process.wait(BACK_SECONDS_MAX) == 0


def test_a_missing_number_of_partitions_is_not_guessed(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    assert (data.installation(partitions=3).partitions, data.installation().partitions) == (3, 3)
    SqliteStorage(data).journal("reservations-1").close()
    (data.path / "installation.json").unlink()
    with pytest.raises(DataRefused, match="restore it"):
        data.installation()


def test_several_gateways_need_several_processes(tmp_path: Path) -> None:
    refused = run_to_end("demo", "--port", "0", "--data", tmp_path / "data", "--workers", "2")
    assert (refused.returncode, "--workers needs --processes" in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "data").exists()


def test_sockets_for_a_long_path_are_elsewhere_in_a_private_folder(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / ("long" * 30))
    socket_path = data.socket("billing")
    assert len(bytes(socket_path)) < 108
    assert socket_path.parent.stat().st_mode & 0o777 == 0o700
    if os.getuid() == 0:
        os.chown(socket_path.parent, 12345, -1)
        with pytest.raises(DataUnusable, match="belongs to another user"):
            data.socket("billing")
    socket_path.parent.rmdir()


def test_requests_on_a_socket_cannot_run_code(installation: Installation) -> None:
    async def send(sent: bytes, *, waits: bool) -> bytes:
        reader, writer = await asyncio.open_unix_connection(DataDirectory(installation.data).socket("billing"))
        writer.write(sent)
        async with asyncio.timeout(BACK_SECONDS_MAX):
            answer = await reader.read(65_536) if waits else b""
        writer.close()
        return answer

    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xc1", b"\x93\x01\xa3ask", pickle.dumps(print), b"\x92\x01\xa4take"):
        asyncio.run(send(data, waits=False))
    malformed = [
        ["ask"],
        ["ask", b"x", None, "", "", None],
        ["view", "__init__", {}],
        ["read", "x"],
        ["tell", "Exit", {}],
    ]
    for number, content in enumerate(malformed, start=1):
        answer = frames.frame_decoder()
        answer.feed(asyncio.run(send(frames.pack(number, *content), waits=True)))
        assert [frame[:2] for frame in answer] == [[number, frames.REFUSED]]
    pid = installation.pid("billing")
    asyncio.run(open_hotels(installation))
    assert installation.pid("billing") == pid


def test_an_installation_of_parts_shares_its_data_directory_with_no_other(installation: Installation) -> None:
    for command in (["demo", "--port", "0"], ["verify"], ["demo", "--port", "0", "--processes"]):
        refused = run_to_end(*command, "--data", installation.data)
        assert (refused.returncode, "in use by another Innkeeper" in refused.stderr) == (3, True), refused.stderr


def test_a_part_that_cannot_start_ends_all_with_its_message_and_exit_code(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.installation(partitions=2)
    SqliteStorage(data).locator_key()
    data.journal("reservations-1").write_bytes(b"this is no database" * 500)
    refused = run_to_end("demo", "--processes", "--port", "0", "--data", data.path)
    assert refused.returncode == 4, refused.stderr
    assert "reservations-1 could not start (exit code 4)" in refused.stderr
    wait_until(lambda: not processes_of(tmp_path), BACK_SECONDS_MAX)


@pytest.mark.parametrize(("part", "journal"), [("reservations-1", "partition-1.db"), ("billing", "billing-0.db")])
def test_a_part_that_ends_by_itself_is_started_again(installation: Installation, part: str, journal: str) -> None:
    asyncio.run(open_hotels(installation))
    before = installation.pid(part)
    SqliteJournal(installation.data / journal).close()  # another writer opened it: the part must stop

    async def ask_until_back() -> None:
        async with ClientSession(installation.url) as session, asyncio.timeout(BACK_SECONDS_MAX):
            while installation.pid_or_none(part) in (None, before):
                for hotel in HOTELS:
                    async with session.post(f"/v1/hotels/{hotel}/bookings", json=stay_request()) as response:
                        assert response.status in (201, 503)
                await asyncio.sleep(0.1)
            statuses = {503}
            while statuses != {200}:
                await asyncio.sleep(0.1)
                statuses = {(await session.get(f"/v1/hotels/{hotel}/ledger")).status for hotel in HOTELS}

    asyncio.run(ask_until_back())
