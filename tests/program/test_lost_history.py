"""A file that was deleted, emptied, rolled back or replaced is noticed at the start, by those who have seen more."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, EXIT_USAGE, EXIT_VIOLATED
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.gateway import send, stay_request
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until
from support.whole_installation import HOTEL, SECONDS_MAX, get, has_caught_up, open_seaside, post, use, wait_for_folio

ACCEPT = "innkeeper accept-rollback"


class Copies(NamedTuple):
    """Copies of one data directory: after its first bookings, after more, after others instead of those, and the second
    one again, but killed."""

    older: Path
    newer: Path
    other: Path
    killed: Path


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Copies, to take files from. Tests copy them before they change them."""
    folder = tmp_path_factory.mktemp("copies")
    found = Copies(*(folder / name for name in Copies._fields))
    with closing(ServerProcess(found.older)) as server:
        use(server.url)
        assert server.stop()[0] == 0
    for path in found[1:]:
        with closing(ServerProcess(copied(found.older, path))) as server:
            book(server.url)
            if path == found.killed:
                wal = path / "partition-0.db-wal"
                while not wal.stat().st_size:  # the first transaction after a start empties it, unless it is being read
                    book(server.url)
                server.kill()
            else:
                assert server.stop()[0] == 0
    return found


def book(url: str) -> str:
    """Book, post a charge, add a webhook, and wait until everybody has handled it; the booking's id."""
    today = date.fromisoformat(get(url, "/v1/hotels")["data"][0]["business_date"])
    dates = {"arrival": str(today + timedelta(days=40)), "departure": str(today + timedelta(days=41))}
    guest = {"name": "Eva", "email": "eva@example.com"}
    booking = str(post(url, f"{HOTEL}/bookings", {**stay_request(), **dates, "guest": guest})["id"])
    wait_for_folio(url, booking)
    charge = {"charge": "minibar", "text": "Water", "amount": {"amount": "3.00", "currency": "EUR"}}
    post(url, f"{HOTEL}/bookings/{booking}/folio/charges", charge, f"charge-{booking}")
    webhook = post(url, "/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["innkeeper.hotel.*"]})
    assert send(urlsplit(url).port or 0, "POST", f"/v1/webhooks/{webhook['id']}/actions/disable", {}).status == 200
    wait_until(lambda: has_caught_up(url), SECONDS_MAX)
    return booking


def copied(path: Path, to: Path) -> Path:
    """A copy of a data directory."""
    return Path(shutil.copytree(path, to, ignore=shutil.ignore_patterns("*lock", "sockets")))


def take(name: str, source: Path, data: Path) -> None:
    """Replace a database, or another file, by that of another copy, as somebody would who copies it over."""
    remove(name, data)
    shutil.copy(source / name, data / name)


def remove(name: str, data: Path) -> None:
    """Delete a database with its write-ahead log, or another file."""
    for ending in ("", "-wal", "-shm"):
        (data / f"{name}{ending}").unlink(missing_ok=True)


def new_journal(data: Path) -> None:
    """Replace the journal by a new one of the same installation."""
    remove("partition-0.db", data)
    head = (data / "partition-0.head").read_bytes()
    (data / "partition-0.head").unlink()
    (data / "made/partition-0").unlink()
    SqliteStorage(DataDirectory(data)).journal("reservations").close()
    (data / "partition-0.head").write_bytes(head)


def truncated(data: Path) -> None:
    """Empty the file of the journal."""
    (data / "partition-0.db").write_bytes(b"")


Change = Callable[[Path, Copies], object]


def older(*names: str) -> Change:
    """Replaces these files by those of the older copy."""
    return lambda data, copies: [take(name, copies.older, data) for name in names]


def without(*names: str) -> Change:
    """Deletes these files."""
    return lambda data, _: [remove(name, data) for name in names]


RESERVATIONS_FILES = ("partition-0.db", "partition-0.head")
REFUSED: dict[str, tuple[Change, str]] = {
    "journal deleted": (without("partition-0.db"), "partition-0.db is missing"),
    "journal and head deleted": (without(*RESERVATIONS_FILES), "partition-0.db is missing"),
    "journal emptied": (lambda data, _: truncated(data), "partition-0.db does not say"),
    "journal made anew": (lambda data, _: new_journal(data), "ends at event 0"),
    "older journal": (older("partition-0.db"), "partition-0.head has seen event"),
    "older journal and head": (older(*RESERVATIONS_FILES), "has seen event"),
    "older journal, head and views": (older(*RESERVATIONS_FILES, "views-0.db"), "has seen event"),
    "head deleted": (without("partition-0.head"), "partition-0.head is missing"),
    "head damaged": (lambda data, _: flip(data / "partition-0.head"), "partition-0.head is damaged"),
    "another history": (
        lambda data, copies: take("partition-0.db", copies.other, data), "partition-0.head has seen event"
    ),
    "another history with its head": (
        lambda data, copies: [take(name, copies.other, data) for name in RESERVATIONS_FILES],
        "which has another event",
    ),
    "older journal of billing": (older("billing-0.db"), "billing-0.head has seen event"),
    "older journal and head of billing": (older("billing-0.db", "billing-0.head"), "of billing, which ends"),
    "journal of billing deleted": (without("billing-0.db"), "billing-0.db is missing"),
    "older journal of delivery": (older("delivery-0.db"), "delivery-0.head has seen event"),
    "older database of billing": (older("billing.db"), "billing.db is an older copy"),
    "older database of notifications": (older("notifications.db"), "notifications.db is an older copy"),
    "older database of delivery": (older("delivery.db"), "delivery.db is an older copy"),
    "older journal and head of delivery": (older("delivery-0.db", "delivery-0.head"), "of delivery, which ends"),
}  # fmt: skip


QUICK = {"older journal", "journal of billing deleted", "older database of notifications"}
"""Cases that are accepted in every run of the tests; the others are in the slow ones."""
NO_JOURNAL = {"journal deleted", "journal and head deleted", "journal emptied"}
"""Cases in which `verify` is refused."""


def flip(path: Path) -> None:
    """Change a digit of a position in a head."""
    content = path.read_text()
    place = content.index('"marks":[[') + len('"marks":[[')
    path.write_text(content[:place] + str((int(content[place]) + 1) % 9 + 1) + content[place + 1 :])


@pytest.mark.parametrize("case", REFUSED)
def test_what_was_lost_is_said_at_the_start(case: str, copies: Copies, tmp_path: Path) -> None:
    change, words = REFUSED[case]
    data = copied(copies.newer, tmp_path / "data")
    change(data, copies)
    if case not in NO_JOURNAL:
        verified = run_to_end("verify", "--data", data)
        assert verified.returncode == EXIT_VIOLATED
        assert any("(P13)" in violation for violation in json.loads(verified.stdout)["violations"])
    done = run_to_end("demo", "--empty", "--port", "0", "--data", data)
    lines = [line for line in done.stderr.splitlines() if line.startswith("innkeeper: ")]
    assert (done.returncode, len(lines)) == (EXIT_DAMAGED, 1), done.stderr
    assert words in lines[0]


def test_a_write_ahead_log_that_was_removed_after_a_kill_is_noticed(copies: Copies, tmp_path: Path) -> None:
    data = copied(copies.killed, tmp_path / "data")
    assert (data / "partition-0.db-wal").stat().st_size > 0
    with closing(ServerProcess(copied(data, tmp_path / "whole"))):
        pass
    for name in ("partition-0.db-wal", "partition-0.db-shm"):
        (data / name).unlink()
    done = run_to_end("demo", "--empty", "--port", "0", "--data", data)
    assert done.returncode == EXIT_DAMAGED
    noticed = ("partition-0.db is an older copy", "partition-0.head has seen event", "billing has seen event")
    assert any(words in done.stderr for words in noticed), done.stderr


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in REFUSED]
)
def test_what_was_lost_is_accepted_by_everybody(case: str, copies: Copies, tmp_path: Path) -> None:
    data = copied(copies.newer, tmp_path / "data")
    REFUSED[case][0](data, copies)
    if case == "journal emptied":
        remove("partition-0.db", data)
    done = run_to_end("accept-rollback", "--data", data)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    report = json.loads(done.stdout)
    assert report["timeline"] == DataDirectory(data).installation().timeline
    with closing(ServerProcess(data)) as server:
        if lost_hotel := not get(server.url, "/v1/hotels")["data"]:
            open_seaside(server.url)
        book(server.url)
        assert server.stop()[0] == 0
    violations = json.loads(run_to_end("verify", "--data", data).stdout)["violations"]
    assert [one for one in violations if not (lost_hotel and "there is a folio of" in one)] == []
    again = run_to_end("accept-rollback", "--data", data)
    assert (again.returncode, again.stderr.count("there is nothing to accept")) == (EXIT_USAGE, 1), again.stderr


def test_read_models_that_are_older_are_brought_up_to_date(copies: Copies, tmp_path: Path) -> None:
    data = copied(copies.newer, tmp_path / "data")
    take("views-0.db", copies.older, data)
    with closing(ServerProcess(data)) as server:
        assert len(get(server.url, f"{HOTEL}/bookings?limit=200")["data"]) == 9
        assert server.stop()[0] == 0
    assert run_to_end("verify", "--data", data).returncode == 0


def test_a_service_that_is_newer_than_its_journal_is_noticed(copies: Copies, tmp_path: Path) -> None:
    data = copied(copies.older, tmp_path / "data")
    take("billing.db", copies.newer, data)
    done = run_to_end("demo", "--empty", "--port", "0", "--data", data)
    assert (done.returncode, done.stderr.count("billing has seen event")) == (EXIT_DAMAGED, 1), done.stderr
