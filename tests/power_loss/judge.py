"""Starts a real server on what a loss of power has left, and checks it against what had left the machine before."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from innkeeper.protocol.values.limits import letters_per_batch_max
from power_loss.history import CATCH_UP_SECONDS_MAX, Cut, History, mail_options
from power_loss.load import Request, address_of, exchange
from support.acknowledged_bookings import HOTELS, assert_no_double_booking, list_bookings
from support.gateway import load_run
from support.server_process import ServerProcess
from support.smtp_server import RecordingSmtpServer, smtp_server
from support.webhook_receiver import webhook_receiver

LOGS = ("reservations", "billing", "delivery")
_AGAIN_MAX = 40  # requests without an answer that are repeated
_LETTERS = {
    "innkeeper.booking.held.v1", "innkeeper.booking.confirmed.v1", "innkeeper.booking.cancelled.v1",
    "innkeeper.booking.hold_released.v1", "innkeeper.booking.hold_expired.v1", "innkeeper.payment.recorded.v1",
    "innkeeper.payment.refunded.v1",  # of a hold that ended before its payment could confirm it
}  # fmt: skip


def judge(data: Path, history: History, cut: Cut) -> None:
    """Check all promises after this cut, which left this data directory."""
    with smtp_server(pipelines=True) as mail, webhook_receiver(history.receiver_port) as receiver:
        with closing(ServerProcess(data, options=mail_options(mail))) as server:
            events, bookings = asyncio.run(_use(server.url, history, cut))
            code, output = server.stop()
        assert code == 0, output
        assert "Traceback" not in output, output
        received = set(receiver.ids())
    ids = [event["id"] for event in events]
    assert sorted(_archived(data / "archive")) == sorted(ids), "the archive does not have each event once (P5)"
    _check_webhooks(events, {id_ for id_, number in history.gone.webhooks.items() if number < cut.operations}, received)
    _check_letters(events, bookings, history, cut, mail)
    report = load_run().verified_directory(data)
    assert not report.violations, report.violations


def _archived(archive: Path) -> Iterator[str]:
    """The ids of the archived events. The program leaves damaged lines where they are, and writes their events anew."""
    for path in archive.glob("*/[0-9]*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            with suppress(ValueError):
                yield json.loads(line)["id"]


async def _use(url: str, history: History, cut: Cut) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Repeat requests; returns all events and all bookings, once every subscriber has caught up."""
    replies = history.gone.replies
    is_acknowledged = lambda request: request.status and replies[request.key] < cut.operations  # noqa: E731
    acknowledged = [request for request in history.requests if is_acknowledged(request)]
    others = [request for request in history.requests if not is_acknowledged(request)]
    async with ClientSession(url) as session:
        await _check_acknowledged(session, acknowledged)
        for request in others[:_AGAIN_MAX]:
            await exchange(session, Request(request.key, request.path, request.body))
        await _caught_up(session)
        bookings = [booking for hotel in HOTELS for booking in await list_bookings(session, hotel)]
        names = Counter(booking["guest"]["name"] for booking in bookings)
        assert not [name for name, times in names.items() if times > 1], "a request was carried out twice (P7)"
        assert_no_double_booking(bookings)
        _check_bookings({booking["id"]: booking for booking in bookings}, acknowledged)
        events = [event for log in LOGS for event in await _log_of(session, log)]
        return events, bookings


async def _check_acknowledged(session: ClientSession, requests: list[Request]) -> None:
    """P3, P7: each request that was acknowledged before the loss has the same reply now."""
    repeated = [Request(request.key, request.path, request.body) for request in requests]
    await asyncio.gather(*(exchange(session, request) for request in repeated))
    for request, again in zip(requests, repeated, strict=True):
        if request.is_done:
            assert again.is_replayed, f"an acknowledged request is lost (P3): {request}, now {again}"
            assert (again.status, again.answer) == (request.status, request.answer), "another reply than before (P7)"


def _check_bookings(found: dict[str, dict[str, Any]], acknowledged: list[Request]) -> None:
    """P3: each booking is there, and as new as the newest reply about it."""
    for request in acknowledged:
        if request.is_done and "arrival" in request.answer:
            known = request.answer
            assert known["id"] in found, f"an acknowledged booking is missing (P3): {known}"
            assert found[known["id"]]["version"] >= known["version"], (known, found[known["id"]])


async def _caught_up(session: ClientSession) -> None:
    """Wait until every subscriber has handled all events."""
    states: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
            while True:
                async with session.get("/v1/subscribers") as response:
                    states = (await response.json())["data"]
                if not any(one["lag"] for one in states):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"a subscriber does not catch up (P5): {states}") from None


async def _log_of(session: ClientSession, log: str) -> list[dict[str, Any]]:
    """All events of a log."""
    found: list[dict[str, Any]] = []
    while True:
        async with session.get(f"/v1/events?limit=200&log={log}&after={len(found)}") as response:
            page = (await response.json())["data"]
        if not page:
            return found
        found += page


def _check_webhooks(events: list[dict[str, Any]], before: set[str], after: set[str]) -> None:
    """P5: what left before the loss has happened, and all else has left since. Bookings are made after the receiver was
    subscribed."""
    ids = {event["id"] for event in events}
    assert before <= ids, f"a receiver has events that are lost: {before - ids}"
    assert after <= ids
    expected = {event["id"] for event in events if "booking" in event["data"]}
    assert expected <= before | after, "a receiver misses events (P5)"


def _check_letters(
    events: list[dict[str, Any]],
    bookings: list[dict[str, Any]],
    history: History,
    cut: Cut,
    mail: RecordingSmtpServer,
) -> None:
    """P5: each letter was sent, under one id; at most a batch of those that had left before the loss comes again."""
    before = {id_: to for id_, (number, to) in history.gone.letters.items() if number < cut.operations}
    again = Counter(str(letter["Message-ID"]) for letter in mail.letters)
    assert max(again.values(), default=0) <= 1, "a letter came twice since the loss"
    repeated = before.keys() & again.keys()
    assert len(repeated) <= letters_per_batch_max, f"{len(repeated)} letters came again"
    after = {str(letter["Message-ID"]): str(letter["To"].addresses[0].addr_spec) for letter in mail.letters}
    addresses = {booking["id"]: address_of(booking["guest"]["name"]) for booking in bookings}
    expected = Counter(addresses[event["data"]["booking"]] for event in events if event["type"] in _LETTERS)
    found = Counter((before | after).values())
    assert found == expected, f"letters are missing or too many: {expected - found}, {found - expected}"
