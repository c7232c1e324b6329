"""When processes of an installation are killed under load, or all of them end, no acknowledged booking is lost or
doubled.

`make kill ROUNDS=20` ends them more often.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from support.acknowledged_bookings import (
    ClientRecords,
    assert_no_double_booking,
    assert_unchanged,
    list_bookings,
    next_request,
    send_request,
)
from support.archive import archived_ids
from support.installation import Installation
from support.installations import names_in
from support.partitioned_hotels import HOTELS, PARTITIONS, open_hotels
from support.rabbitmq_queues import delete_queues
from support.server_process import run_to_end
from support.waiting import wait_until

ROUNDS = int(os.environ.get("INNKEEPER_KILL_ROUNDS", "2"))
PARTS = (*(f"reservations-{n}" for n in range(PARTITIONS)), "billing", "notifications", "delivery", "gateway-0")
CLIENTS = 12
BACK_SECONDS_MAX = 120
LETTERS_SECONDS_MAX = 90


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
