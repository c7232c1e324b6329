"""Who listens, over HTTP and from the terminal: how far each has come, pauses, and what could not be taken in."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.archive import Archive
from innkeeper.http.keys import Keys
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects
from innkeeper.protocol.reservations.events import BookingCancelled
from innkeeper.protocol.values import limits
from support.gateway import Gateway, assert_problem, gateway
from support.openapi_schemas import check_response
from support.server_process import run_to_end
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    """A front desk of its own."""
    with gateway(tmp_path) as opened:
        yield opened


def archive(front: Gateway) -> dict[str, Any]:
    """How far the archive has come."""
    (found,) = [one for one in front.get("/v1/subscribers").json["data"] if one["name"] == "archive"]
    return found


def archived(folder: Path) -> set[str]:
    """The events in the archive."""
    return {path.stem for path in (folder / "archive").rglob("*.json")}


@pytest.fixture
def choking(front: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """While it is not empty, the archive cannot cope with cancellations."""
    chokes = [True]
    handle = Archive.handle

    async def choke(self: Archive, entries: Sequence[LogEntry]) -> Effects:
        if chokes and any(isinstance(record.event, BookingCancelled) for _, record in entries):
            raise ValueError("what is a cancellation?")
        return await handle(self, entries)

    monkeypatch.setattr(Archive, "handle", choke)
    front.restart()
    return chokes


def cancelled(front: Gateway, hotel: str) -> str:
    """Book and cancel; the event that says so."""
    booking = front.book(hotel)
    assert front.act(hotel, booking, "cancel").status == 200
    return front.list_all("/v1/events", limit=200)[-1]["id"]


def dead_letters(front: Gateway) -> list[dict[str, Any]]:
    """What could not be taken in."""
    return front.get("/v1/dead-letters").json["data"]


def test_the_lag_of_each_subscriber_is_shown(front: Gateway) -> None:
    front.book(front.open_hotel())
    wait_until(lambda: archive(front)["lag"] == 0, SECONDS_MAX)
    events = front.all_events()
    ours = front.last_position()
    positions = {"reservations": ours, "billing": len(events) - ours, "delivery": 0}
    wait_until(lambda: archive(front)["positions"] == positions, SECONDS_MAX)
    told = archive(front)
    assert told == {
        "name": "archive", "types": ["innkeeper.*"], "positions": positions, "lag": 0, "paused": False,
        "parked": 0, "stalled": None,
    }  # fmt: skip
    figures = front.get("/metrics").body.decode()
    assert 'innkeeper_subscriber_lag_events{subscriber="archive"} 0.0' in figures
    assert 'innkeeper_subscriber_parked_hotels{subscriber="archive"} 0.0' in figures


def test_a_subscriber_that_was_stopped_misses_nothing(front: Gateway, tmp_path: Path) -> None:
    hotel = front.open_hotel()
    wait_until(lambda: archive(front)["lag"] == 0, SECONDS_MAX)
    paused = front.post("/v1/subscribers/archive/actions/pause")
    assert (paused.status, paused.json["paused"]) == (200, True)
    front.book(hotel)
    before = archived(tmp_path)
    front.restart()
    front.book(hotel)
    front.all_events()
    told = archive(front)
    assert (told["paused"], told["lag"]) == (True, 4)
    assert archived(tmp_path) == before
    assert front.post("/v1/subscribers/archive/actions/resume").json["paused"] is False
    events = {event["id"] for event in front.all_events()}
    wait_until(lambda: archived(tmp_path) == events, SECONDS_MAX)


def test_what_cannot_be_taken_in_is_shown_and_holds_up_only_its_hotel(
    front: Gateway, choking: list[bool], tmp_path: Path
) -> None:
    hotel, other = front.open_hotel(), front.open_hotel()
    event = cancelled(front, hotel)
    wait_until(lambda: bool(dead_letters(front)), SECONDS_MAX)
    front.book(hotel)
    front.book(other)
    mine = {
        told["id"] for told in front.list_all("/v1/events", limit=200) if told["source"] != hotel.removeprefix("/v1")
    }
    wait_until(lambda: mine <= archived(tmp_path), SECONDS_MAX)
    check_response("list_dead_letters", front.get("/v1/dead-letters"))
    (letter,) = dead_letters(front)
    assert (letter["subscriber"], letter["event"], letter["hotel"]) == ("archive", event, hotel.rpartition("/")[2])
    assert (letter["type"], letter["reason"]) == (
        "innkeeper.booking.cancelled.v1", "ValueError('what is a cancellation?')",
    )  # fmt: skip
    assert "in choke" in letter["trace"]
    assert event not in archived(tmp_path)
    assert archive(front)["parked"] == 1


def use_up_attempts(front: Gateway) -> None:
    """Until only a person can help."""
    for attempts in range(1, limits.subscriber_attempts_max + 1):
        wait_until(lambda tried=attempts: [one["attempts"] for one in dead_letters(front)] == [tried], SECONDS_MAX)
        front.advance_clock(60)
        front.post("/v1/subscribers/archive/actions/resume")  # look at the clock, which has jumped


@pytest.mark.parametrize("action", ["redrive", "drop"])
def test_a_dead_letter_is_tried_again_or_left_out(
    front: Gateway, choking: list[bool], tmp_path: Path, action: str
) -> None:
    hotel = front.open_hotel()
    event = cancelled(front, hotel)
    use_up_attempts(front)
    front.book(hotel)
    if action == "redrive":
        choking.clear()
    reply = front.post(f"/v1/dead-letters/archive/{event}/actions/{action}")
    assert (reply.status, reply.json["event"]) == (200, event)
    check_response(f"{action}_dead_letter", reply)
    events = {told["id"] for told in front.all_events()} - ({event} if action == "drop" else set())
    wait_until(lambda: archived(tmp_path) == events, SECONDS_MAX)
    assert dead_letters(front) == []
    assert_problem(front.post(f"/v1/dead-letters/archive/{event}/actions/{action}"), 404, "not_found")


@pytest.mark.usefixtures("choking")
def test_after_some_tries_it_needs_a_person(front: Gateway) -> None:
    cancelled(front, front.open_hotel())
    use_up_attempts(front)
    (letter,) = dead_letters(front)
    assert letter["retry_at"] is None


def test_who_asks_for_what_is_not_there_is_told(front: Gateway) -> None:
    for path in (
        "subscribers/nobody/actions/pause", "subscribers/nobody/actions/resume", "subscribers/archive/actions/dance",
        "dead-letters/archive/none:1/actions/redrive", "dead-letters/nobody/none:1/actions/drop",
        "dead-letters/archive/%00/actions/drop", "dead-letters/archive/none/actions/drop",
    ):  # fmt: skip
        assert_problem(front.post(f"/v1/{path}"), 404, "not_found")
    assert_problem(front.post("/v1/subscribers/archive/actions/pause", {"for": 5}), 422, "invalid", "for", "unknown")
    assert archive(front)["paused"] is False


def terminal(front: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What an operator sees."""
    return run_to_end("dead-letters", *arguments, "--url", f"http://127.0.0.1:{front.port}")


@pytest.mark.usefixtures("choking")
def test_an_operator_sees_and_settles_dead_letters_from_the_terminal(front: Gateway) -> None:
    assert terminal(front, "list").stdout == "No dead letters.\n"
    event = cancelled(front, front.open_hotel())
    wait_until(lambda: bool(dead_letters(front)), SECONDS_MAX)
    head, line = terminal(front, "list").stdout.splitlines()
    assert head.split() == ["subscriber", "event", "type", "attempts", "since", "reason"]
    assert line.split()[:3] == ["archive", event, "innkeeper.booking.cancelled.v1"]
    letter, _, trace = terminal(front, "show", "archive", event).stdout.partition("\n\n")
    assert json.loads(letter)["event"] == event
    assert "in choke" in trace
    done = terminal(front, "drop", "archive", event)
    assert (done.returncode, event in done.stdout) == (0, True)
    again = terminal(front, "redrive", "archive", event)
    assert (again.returncode, again.stdout) == (2, "")
    assert "there is no dead letter" in again.stderr
    assert terminal(front, "list").stdout == "No dead letters.\n"


def test_the_terminal_says_what_is_missing(tmp_path: Path) -> None:
    assert "must be named" in run_to_end("dead-letters", "show").stderr
    gone = run_to_end("dead-letters", "list", "--url", "http://127.0.0.1:1")
    assert (gone.returncode, "no Innkeeper answers" in gone.stderr) == (2, True)
    file = tmp_path / "keys"
    file.write_text("ann:a-long-enough-key-for-anybody")
    with gateway(tmp_path / "data", Keys.read(file)) as front:
        assert "--key" in terminal(front, "list").stderr
        assert terminal(front, "list", "--key", "a-long-enough-key-for-anybody").stdout == "No dead letters.\n"
