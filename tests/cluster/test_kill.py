"""The server process is killed or stopped under load: after a restart each acknowledged booking is there, and none is
doubled. `make kill ROUNDS=100` does it more often.
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
from innkeeper.storage.sqlite.event_rows import GENESIS
from innkeeper.storage.sqlite.journal import SqliteJournal, link
from innkeeper.storage.sqlite.journal_head import HeadFile
from support.acknowledged_bookings import (
    HOTELS,
    ClientRecords,
    assert_no_double_booking,
    assert_unchanged,
    list_bookings,
    next_request,
    send_request,
)
from support.archive import archived_ids
from support.gateway import hotel_request
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
    "innkeeper.booking.hold_released.v1": "hold_released",
    "innkeeper.booking.hold_expired.v1": "hold_expired",
}


async def client(session: ClientSession, records: ClientRecords, chance: random.Random, name: str) -> None:
    """Send one request after the other, until the server has ended."""
    own: list[str] = []
    with suppress(ClientError, asyncio.TimeoutError):
        while True:
            request = next_request(records, chance, own, name)
            records.requests.append(request)
            await send_request(session, records, request)
            if request.answer is not None and request.answer[0] == 201:
                own.append(request.answer[1]["id"])


async def load(
    server: ServerProcess, records: ClientRecords, chance: random.Random, round_number: int, *, kill: bool
) -> Any:
    """Run all clients at once, and kill or stop the server after a moment; the result of that."""
    async with ClientSession(server.url) as session:
        clients = [
            asyncio.create_task(client(session, records, random.Random(chance.random()), f"{round_number}-{number}"))
            for number in range(CLIENTS)
        ]
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        ended = await asyncio.to_thread(server.kill if kill else server.stop)
        await asyncio.gather(*clients)
        return ended


async def retry_and_compare(server: ServerProcess, records: ClientRecords) -> None:
    """Repeat the requests without an answer, then compare the bookings of the server with the clients' records."""
    async with ClientSession(server.url) as session:
        for request in records.unanswered():
            await send_request(session, records, request)
        found = {booking["id"]: booking for hotel in HOTELS for booking in await list_bookings(session, hotel)}
    for id_, booking in records.bookings.items():
        assert id_ in found, "an acknowledged booking is missing (P3)"
        assert_unchanged(booking, found[id_])
    names = Counter(booking["guest"]["name"] for booking in found.values())
    assert not [name for name, times in names.items() if times > 1], "a request was carried out twice (P7)"
    assert found.keys() == records.bookings.keys(), "a booking that no client requested"
    assert_no_double_booking(found.values())


async def open_hotels(server: ServerProcess) -> None:
    """Open two hotels that are small enough to sell out."""
    async with ClientSession(server.url) as session:
        for hotel in HOTELS:
            async with session.post("/v1/hotels", json=hotel_request({"DBL": 40}, id=hotel)) as response:
                assert response.status == 201, await response.text()


async def add_webhook(server: ServerProcess, url: str) -> None:
    """Subscribe the receiver to all events."""
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
    """The letters that these events require: the locator of the booking, and the kind of letter."""
    locators: dict[str, str] = {}
    for event in events:
        booking = event["data"].get("booking", "")
        locators[booking] = event["data"].get("locator") or locators.get(booking, "")
        kind = LETTERS.get(event["type"])
        if kind is not None:
            yield locators[booking], kind


def letters_in(folder: Path) -> Iterator[tuple[str, str]]:
    """The letters in a folder: the locator of the booking, and the kind of letter."""
    for path in folder.glob("*.eml"):
        locator, kind, _ = path.stem.split("-")
        yield locator, kind


def assert_all_events_were_delivered(server: ServerProcess, receiver: WebhookReceiver, before: list[int]) -> None:
    """P5: the archive has each event once; the receiver got each event since its subscription, some twice, in the order
    of each log; each guest has every letter once."""
    events = asyncio.run(logs_of(server))
    assert sorted(letters_in(server.data / "mail")) == sorted(letters_for(events[0]))
    logs = [[event["id"] for event in log] for log in events]
    assert archived_ids(server.data / "archive") == sorted(event for log in logs for event in log)
    received = list(dict.fromkeys(receiver.ids()))
    for log, start in zip(logs, before, strict=True):
        assert len(log) > start
        members = set(log)
        assert [event for event in received if event in members] == log[start:]
    assert len(received) == sum(map(len, logs)) - sum(before)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_acknowledged_bookings_survive_the_end_of_the_server(server: ServerProcess, *, kill: bool) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance, records = random.Random(seed), ClientRecords()
    asyncio.run(open_hotels(server))
    with webhook_receiver() as receiver:
        before = [len(log) for log in asyncio.run(logs_of(server))]
        asyncio.run(add_webhook(server, receiver.url))
        for round_number in range(ROUNDS):
            ended = asyncio.run(load(server, records, chance, round_number, kill=kill))
            assert kill or (ended[0], "Traceback" in ended[1]) == (0, False), ended
            server.start_again()
            asyncio.run(retry_and_compare(server, records))
            assert not records.unanswered()
        assert len(records.bookings) > 5 * ROUNDS
        assert_all_events_were_delivered(server, receiver, before)
    assert server.stop()[0] == 0
    verified = run_to_end("verify", "--data", server.data)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_second_process_on_the_same_data_is_refused(server: ServerProcess) -> None:
    second = run_to_end("demo", "--port", "0", "--data", server.data)
    assert second.returncode == EXIT_IN_USE
    assert "in use by another Innkeeper" in second.stderr
    assert run_to_end("verify", "--data", server.data).returncode == EXIT_IN_USE
    assert server.stop()[0] == 0


def test_a_port_in_use_is_reported(server: ServerProcess, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    second = run_to_end("demo", "--empty", "--port", port, "--data", tmp_path / "other")
    assert second.returncode == EXIT_IN_USE
    assert f"port {port} is in use" in second.stderr


@pytest.fixture
def journal(server: ServerProcess) -> Path:
    """The journal of a stopped server, with some events."""
    asyncio.run(open_hotels(server))
    assert server.stop()[0] == 0
    return server.data / "partition-0.db"


def changed_event(journal: Path) -> None:
    """Replace the body of an event."""
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE events SET body = (SELECT body FROM events WHERE position = 4) WHERE position = 3")
    db.close()


def lost_event(journal: Path) -> None:
    """Delete the last event."""
    with sqlite3.connect(journal) as db:
        db.execute("DELETE FROM events WHERE position = (SELECT max(position) FROM events)")
    db.close()


def cut_short(journal: Path) -> None:
    """Keep the first half of the file."""
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])


def not_a_database(journal: Path) -> None:
    """Replace the file with text."""
    journal.write_text("dear diary " * 1_000)


def newer(journal: Path) -> None:
    """Set the schema version of a later release."""
    with sqlite3.connect(journal) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def added_reply(journal: Path) -> None:
    """Add a kept reply that was never given."""
    with sqlite3.connect(journal) as db:
        db.execute("INSERT INTO replies VALUES ('key', x'00', x'00', 1, x'00')")
    db.close()


def newer_event(journal: Path) -> None:
    """Change the type of an event to one of a later release, which also wrote the hash chain."""
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE events SET type = 'innkeeper.room.painted.v1' WHERE position = 3")
        previous = GENESIS
        for row in db.execute("SELECT * FROM events ORDER BY position").fetchall():
            previous = link(previous, row)
            db.execute("UPDATE events SET hash = ? WHERE position = ?", (previous, row[0]))
        db.execute("UPDATE writer SET hash = ?", (previous,))
    db.close()
    SqliteJournal(journal, HeadFile(journal, accepts=True)).close()  # which also wrote its head


@pytest.mark.parametrize("damage", [changed_event, lost_event, cut_short, not_a_database, newer, added_reply])
def test_a_damaged_or_newer_journal_is_not_opened(journal: Path, damage: Any) -> None:
    damage(journal)
    before = journal.read_bytes()
    assert_refused(journal)
    assert journal.read_bytes() == before


def test_an_event_of_a_newer_version_is_named(journal: Path) -> None:
    newer_event(journal)
    for message in assert_refused(journal):
        assert "event 3 is of the type 'innkeeper.room.painted.v1', which this version does not know" in message


def assert_refused(journal: Path) -> list[str]:
    """Assert that neither a server nor `verify` opens this journal; what they say of it."""
    messages = []
    for command in (("demo", "--port", "0"), ("verify",)):
        ended = run_to_end(*command, "--data", journal.parent)
        assert ended.returncode == EXIT_DAMAGED, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        assert "partition-0.db" in ended.stderr
        messages.append(ended.stderr)
    return messages
