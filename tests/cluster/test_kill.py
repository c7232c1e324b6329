"""The real process, killed in the middle of its work: what was acknowledged is there again, and nothing is doubled.

`make kill ROUNDS=100` kills it more often.
"""

import asyncio
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from support.acknowledged_bookings import (
    HOTELS,
    ClientRecords,
    assert_no_double_booking,
    assert_unchanged,
    list_bookings,
    next_request,
    send_request,
)
from support.gateway import hotel_plan
from support.server_process import ServerProcess, run_to_end
from support.webhook_receiver import WebhookReceiver, webhook_receiver

ROUNDS = int(os.environ.get("INNKEEPER_KILL_ROUNDS", "20"))
CLIENTS = 16
CATCH_UP_SECONDS_MAX = 120
LOGS = ("reservations", "billing")
EXIT_IN_USE, EXIT_DAMAGED = 3, 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A running server on an empty data directory."""
    started = ServerProcess(tmp_path / "data")
    yield started
    started.close()


LETTERS = {
    "innkeeper.booking.held.v1": "hold",
    "innkeeper.booking.confirmed.v1": "confirmation",
    "innkeeper.booking.cancelled.v1": "cancellation",
}


async def client(session: ClientSession, books: ClientRecords, chance: random.Random, name: str) -> None:
    """One wish after the other, until the server is gone."""
    own: list[str] = []
    with suppress(ClientError, asyncio.TimeoutError):
        while True:
            wish = next_request(books, chance, own, name)
            books.requests.append(wish)
            await send_request(session, books, wish)
            if wish.answer is not None and wish.answer[0] == 201:
                own.append(wish.answer[1]["id"])


async def load(
    server: ServerProcess, books: ClientRecords, chance: random.Random, round_number: int, *, kill: bool
) -> Any:
    """All clients at once, and the end of the server after a moment. Gives what stopping it gave."""
    async with ClientSession(server.url) as session:
        clients = [
            asyncio.create_task(client(session, books, random.Random(chance.random()), f"{round_number}-{number}"))
            for number in range(CLIENTS)
        ]
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        ended = await asyncio.to_thread(server.kill if kill else server.stop)
        await asyncio.gather(*clients)
        return ended


async def settle(server: ServerProcess, books: ClientRecords) -> None:
    """Everyone who waits asks again; then the house is compared with the clients' books."""
    async with ClientSession(server.url) as session:
        for wish in books.unanswered():
            await send_request(session, books, wish)
        found = {booking["id"]: booking for hotel in HOTELS for booking in await list_bookings(session, hotel)}
    for id_, booking in books.bookings.items():
        assert id_ in found, "what was acknowledged is not there (P3)"
        assert_unchanged(booking, found[id_])
    names = Counter(booking["guest"]["name"] for booking in found.values())
    assert not [name for name, times in names.items() if times > 1], "a wish was granted twice (P7)"
    assert found.keys() == books.bookings.keys(), "a booking that nobody asked for"
    assert_no_double_booking(found.values())


async def open_hotels(server: ServerProcess) -> None:
    """Two hotels, small enough to sell out."""
    async with ClientSession(server.url) as session:
        for hotel in HOTELS:
            async with session.post("/v1/hotels", json=hotel_plan({"DBL": 40}, id=hotel)) as response:
                assert response.status == 201, await response.text()


async def add_webhook(server: ServerProcess, url: str) -> None:
    """From now on the receiver is told of everything."""
    async with (
        ClientSession(server.url) as session,
        session.post("/v1/webhooks", json={"url": url, "events": ["innkeeper.*"]}) as response,
    ):
        assert response.status == 201, await response.text()


async def logs_of(server: ServerProcess) -> list[list[dict[str, Any]]]:
    """The events of each log, once every subscriber has seen them."""
    async with ClientSession(server.url) as session:
        async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
            while True:
                async with session.get("/v1/subscribers") as response:
                    if not any(one["lag"] for one in (await response.json())["data"]):
                        break
                await asyncio.sleep(0.1)
        return [await log_of(session, log) for log in LOGS]


async def log_of(session: ClientSession, log: str) -> list[dict[str, Any]]:
    """All events of a log."""
    found: list[dict[str, Any]] = []
    while True:
        async with session.get(f"/v1/events?limit=200&log={log}&after={len(found)}") as response:
            page = (await response.json())["data"]
        found += page
        if not page:
            return found


def letters_for(events: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What guests should have been told: for which booking, and which letter."""
    locators: dict[str, str] = {}
    for event in events:
        booking = event["data"].get("booking", "")
        locators[booking] = event["data"].get("locator") or locators.get(booking, "")
        kind = LETTERS.get(event["type"])
        if kind is not None:
            yield locators[booking], kind


def letters_in(folder: Path) -> Iterator[tuple[str, str]]:
    """What they were told."""
    for path in folder.glob("*.eml"):
        locator, kind, _ = path.stem.split("-")
        yield locator, kind


def assert_everyone_heard_everything(server: ServerProcess, other: WebhookReceiver, before: list[int]) -> None:
    """P5: the archive holds each event once; the receiver was told of each since it was there, those of each log in
    their order, some twice; each guest has every letter once."""
    events = asyncio.run(logs_of(server))
    assert sorted(letters_in(server.data / "mail")) == sorted(letters_for(events[0]))
    logs = [[event["id"] for event in log] for log in events]
    archived = [path.stem for path in (server.data / "archive").rglob("*.json")]
    assert sorted(archived) == sorted(event for log in logs for event in log)
    told = list(dict.fromkeys(other.ids()))
    for log, start in zip(logs, before, strict=True):
        assert len(log) > start
        members = set(log)
        assert [event for event in told if event in members] == log[start:]
    assert len(told) == sum(map(len, logs)) - sum(before)


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_minus_nine(server: ServerProcess) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance, books = random.Random(seed), ClientRecords()
    asyncio.run(open_hotels(server))
    with webhook_receiver() as other:
        before = [len(log) for log in asyncio.run(logs_of(server))]
        asyncio.run(add_webhook(server, other.url))
        for round_number in range(ROUNDS):
            asyncio.run(load(server, books, chance, round_number, kill=True))
            server.start_again()
            asyncio.run(settle(server, books))
            assert not books.unanswered()
        assert len(books.bookings) > 5 * ROUNDS
        assert_everyone_heard_everything(server, other, before)
    assert server.stop()[0] == 0
    verified = run_to_end("verify", "--data", server.data)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_polite_stop_finishes_what_was_accepted(server: ServerProcess) -> None:
    chance, books = random.Random(1), ClientRecords()
    asyncio.run(open_hotels(server))
    code, said = asyncio.run(load(server, books, chance, 0, kill=False))
    assert code == 0, said
    assert "Traceback" not in said
    server.start_again()
    asyncio.run(settle(server, books))


def test_a_second_process_on_the_same_data_is_sent_away(server: ServerProcess) -> None:
    second = run_to_end("demo", "--port", "0", "--data", server.data)
    assert second.returncode == EXIT_IN_USE
    assert "in use by another Innkeeper" in second.stderr
    assert run_to_end("verify", "--data", server.data).returncode == EXIT_IN_USE
    assert server.stop()[0] == 0


def test_a_port_in_use_is_said_so(server: ServerProcess, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    second = run_to_end("demo", "--empty", "--port", port, "--data", tmp_path / "other")
    assert second.returncode == EXIT_IN_USE
    assert f"port {port} is in use" in second.stderr


@pytest.fixture
def journal(server: ServerProcess) -> Path:
    """The journal of a server that has stopped, with some events."""
    asyncio.run(open_hotels(server))
    assert server.stop()[0] == 0
    return server.data / "partition-0.db"


def changed_event(journal: Path) -> None:
    """Another room than the one that was opened."""
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE events SET body = (SELECT body FROM events WHERE seq = 4) WHERE seq = 3")
    db.close()


def lost_event(journal: Path) -> None:
    """One less than was written."""
    with sqlite3.connect(journal) as db:
        db.execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
    db.close()


def cut_short(journal: Path) -> None:
    """Half a file."""
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])


def not_a_database(journal: Path) -> None:
    """Something else altogether."""
    journal.write_text("dear diary " * 1_000)


def newer(journal: Path) -> None:
    """As a later version would leave it."""
    with sqlite3.connect(journal) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize("harm", [changed_event, lost_event, cut_short, not_a_database, newer])
def test_a_journal_that_is_not_what_was_written_is_not_opened(journal: Path, harm: Any) -> None:
    harm(journal)
    before = journal.read_bytes()
    for command in (("demo", "--port", "0"), ("verify",)):
        refused = run_to_end(*command, "--data", journal.parent)
        assert refused.returncode == EXIT_DAMAGED, refused.stdout + refused.stderr
        assert "Traceback" not in refused.stderr
        assert "partition-0.db" in refused.stderr
    assert journal.read_bytes() == before
