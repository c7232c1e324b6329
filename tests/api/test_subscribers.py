"""Subscribers over HTTP and on the command line: position and lag, pause and resume, dead letters."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.archive.segments import SegmentArchive
from innkeeper.http.keys import ApiKeys
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects
from innkeeper.protocol.reservations.events import BookingCancelled
from innkeeper.protocol.values import limits
from support.archive import archived_ids
from support.gateway import Gateway, assert_problem
from support.gateway import gateway as running_gateway
from support.openapi_schemas import check_response
from support.server_process import run_to_end
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def archive(gateway: Gateway) -> dict[str, Any]:
    """The state of the subscriber `archive`."""
    (found,) = [each for each in gateway.get("/v1/subscribers").json["data"] if each["name"] == "archive"]
    return found


@pytest.fixture
def failing_archive(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """While this list is not empty, the archive fails on cancellations."""
    failing = [True]
    handle = SegmentArchive.handle

    async def choke(self: SegmentArchive, entries: Sequence[LogEntry]) -> Effects:
        if failing and any(isinstance(record.event, BookingCancelled) for _, record in entries):
            raise ValueError("what is a cancellation?")
        return await handle(self, entries)

    monkeypatch.setattr(SegmentArchive, "handle", choke)
    gateway.restart()
    return failing


def book_and_cancel(gateway: Gateway, hotel: str) -> str:
    """Book and cancel; the id of the cancellation."""
    booking = gateway.book(hotel)
    assert gateway.act(hotel, booking, "cancel").status == 200
    return gateway.list_all("/v1/events", limit=200)[-1]["id"]


def dead_letters(gateway: Gateway) -> list[dict[str, Any]]:
    """The dead letters."""
    return gateway.get("/v1/dead-letters").json["data"]


def test_the_positions_and_the_lag_of_a_subscriber_are_shown(gateway: Gateway) -> None:
    gateway.book(gateway.open_hotel())
    wait_until(lambda: archive(gateway)["lag"] == 0, SECONDS_MAX)
    events = gateway.all_events()
    reservations = gateway.last_position()
    positions = {"reservations": reservations, "billing": len(events) - reservations, "delivery": 0}
    wait_until(lambda: archive(gateway)["positions"] == positions, SECONDS_MAX)
    state = archive(gateway)
    assert 0 <= state.pop("lag_age_seconds") < SECONDS_MAX
    assert state == {
        "name": "archive", "types": ["innkeeper.*"], "positions": positions, "lag": 0, "paused": False,
        "parked": 0, "stalled": None,
    }  # fmt: skip
    metrics = gateway.get("/metrics").body.decode()
    assert 'innkeeper_subscriber_lag_events{subscriber="archive"} 0.0' in metrics
    for what in ("parked_hotels", "stalled", "paused"):
        assert f'innkeeper_subscriber_{what}{{subscriber="archive"}} 0.0' in metrics


def test_a_paused_subscriber_misses_no_event(gateway: Gateway, tmp_path: Path) -> None:
    hotel = gateway.open_hotel()
    gateway.all_events()
    wait_until(lambda: archive(gateway)["lag"] == 0, SECONDS_MAX)
    paused = gateway.post("/v1/subscribers/archive/actions/pause")
    assert (paused.status, paused.json["paused"]) == (200, True)
    assert 'innkeeper_subscriber_paused{subscriber="archive"} 1.0' in gateway.get("/metrics").body.decode()
    gateway.book(hotel)
    before = {*archived_ids(tmp_path / "archive")}
    gateway.restart()
    gateway.book(hotel)
    gateway.all_events()
    state = archive(gateway)
    assert (state["paused"], state["lag"]) == (True, 4)
    assert {*archived_ids(tmp_path / "archive")} == before
    assert gateway.post("/v1/subscribers/archive/actions/resume").json["paused"] is False
    events = {event["id"] for event in gateway.all_events()}
    wait_until(lambda: {*archived_ids(tmp_path / "archive")} == events, SECONDS_MAX)


def test_an_event_that_fails_becomes_a_dead_letter_and_delays_only_its_hotel(
    gateway: Gateway, failing_archive: list[bool], tmp_path: Path
) -> None:
    hotel, other_hotel = gateway.open_hotel(), gateway.open_hotel()
    event = book_and_cancel(gateway, hotel)
    wait_until(lambda: bool(dead_letters(gateway)), SECONDS_MAX)
    gateway.book(hotel)
    gateway.book(other_hotel)
    other_events = {
        each["id"] for each in gateway.list_all("/v1/events", limit=200) if each["source"] != hotel.removeprefix("/v1")
    }
    wait_until(lambda: other_events <= {*archived_ids(tmp_path / "archive")}, SECONDS_MAX)
    check_response("list_dead_letters", gateway.get("/v1/dead-letters"))
    (letter,) = dead_letters(gateway)
    assert (letter["subscriber"], letter["event"], letter["hotel"]) == ("archive", event, hotel.rpartition("/")[2])
    assert (letter["type"], letter["reason"]) == (
        "innkeeper.booking.cancelled.v1", "ValueError('what is a cancellation?')",
    )  # fmt: skip
    assert "in choke" in letter["trace"]
    assert event not in {*archived_ids(tmp_path / "archive")}
    assert archive(gateway)["parked"] == 1


def fail_all_attempts(gateway: Gateway) -> None:
    """Let every automatic attempt fail."""
    for attempts in range(1, limits.subscriber_attempts_max + 1):
        wait_until(
            lambda expected=attempts: [each["attempts"] for each in dead_letters(gateway)] == [expected], SECONDS_MAX
        )
        gateway.advance_clock(60)
        gateway.post("/v1/subscribers/archive/actions/resume")  # makes the service read the clock, which has jumped


@pytest.mark.parametrize("action", ["redrive", "drop"])
def test_a_dead_letter_is_redriven_or_dropped(
    gateway: Gateway, failing_archive: list[bool], tmp_path: Path, action: str
) -> None:
    hotel = gateway.open_hotel()
    event = book_and_cancel(gateway, hotel)
    fail_all_attempts(gateway)
    gateway.book(hotel)
    if action == "redrive":
        failing_archive.clear()
    reply = gateway.post(f"/v1/dead-letters/archive/{event}/actions/{action}")
    assert (reply.status, reply.json["event"]) == (200, event)
    check_response(f"{action}_dead_letter", reply)
    events = {each["id"] for each in gateway.all_events()} - ({event} if action == "drop" else set())
    wait_until(lambda: {*archived_ids(tmp_path / "archive")} == events, SECONDS_MAX)
    assert dead_letters(gateway) == []
    assert_problem(gateway.post(f"/v1/dead-letters/archive/{event}/actions/{action}"), 404, "not_found")


@pytest.mark.usefixtures("failing_archive")
def test_a_dead_letter_is_not_retried_after_the_last_attempt(gateway: Gateway) -> None:
    book_and_cancel(gateway, gateway.open_hotel())
    fail_all_attempts(gateway)
    (letter,) = dead_letters(gateway)
    assert letter["retry_at"] is None


def test_unknown_subscribers_actions_and_dead_letters_are_not_found(gateway: Gateway) -> None:
    for path in (
        "subscribers/nobody/actions/pause", "subscribers/nobody/actions/resume", "subscribers/archive/actions/dance",
        "dead-letters/archive/none:1/actions/redrive", "dead-letters/nobody/none:1/actions/drop",
        "dead-letters/archive/%00/actions/drop", "dead-letters/archive/none/actions/drop",
    ):  # fmt: skip
        assert_problem(gateway.post(f"/v1/{path}"), 404, "not_found")
    assert_problem(gateway.post("/v1/subscribers/archive/actions/pause", {"for": 5}), 422, "invalid", "for", "unknown")
    assert archive(gateway)["paused"] is False


def run_dead_letters(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dead-letters` on the command line."""
    return run_to_end("dead-letters", *arguments, "--url", f"http://127.0.0.1:{gateway.port}")


@pytest.mark.slow
@pytest.mark.usefixtures("failing_archive")
def test_the_command_line_lists_shows_and_drops_dead_letters(gateway: Gateway) -> None:
    assert run_dead_letters(gateway, "list").stdout == "No dead letters.\n"
    event = book_and_cancel(gateway, gateway.open_hotel())
    wait_until(lambda: bool(dead_letters(gateway)), SECONDS_MAX)
    head, line = run_dead_letters(gateway, "list").stdout.splitlines()
    assert head.split() == ["subscriber", "event", "type", "attempts", "since", "reason"]
    assert line.split()[:3] == ["archive", event, "innkeeper.booking.cancelled.v1"]
    letter, _, trace = run_dead_letters(gateway, "show", "archive", event).stdout.partition("\n\n")
    assert json.loads(letter)["event"] == event
    assert "in choke" in trace
    done = run_dead_letters(gateway, "drop", "archive", event)
    assert (done.returncode, event in done.stdout) == (0, True)
    again = run_dead_letters(gateway, "redrive", "archive", event)
    assert (again.returncode, again.stdout) == (2, "")
    assert "there is no dead letter" in again.stderr
    assert run_dead_letters(gateway, "list").stdout == "No dead letters.\n"


def test_the_command_line_reports_what_is_missing(tmp_path: Path) -> None:
    assert "must be named" in run_to_end("dead-letters", "show").stderr
    unreachable = run_to_end("dead-letters", "list", "--url", "http://127.0.0.1:1")
    assert (unreachable.returncode, "no Innkeeper answers" in unreachable.stderr) == (2, True)
    file = tmp_path / "keys"
    file.write_text("ann:a-long-enough-key-for-anybody")
    with running_gateway(tmp_path / "data", ApiKeys.read(file)) as gateway:
        assert "--key" in run_dead_letters(gateway, "list").stderr
        assert (
            run_dead_letters(gateway, "list", "--key", "a-long-enough-key-for-anybody").stdout == "No dead letters.\n"
        )
