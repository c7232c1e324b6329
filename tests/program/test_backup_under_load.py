"""A backup of a server that takes bookings has each one that was acknowledged before it began, and is consistent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from innkeeper.storage.operations.backup import back_up
from support.gateway import stay_request
from support.installation import Installation
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until
from support.whole_installation import HOTEL, SECONDS_MAX, get, has_caught_up, letters, open_seaside, post

CLIENTS = 4
BACKUPS = 2
BOOKINGS_BEFORE = 60
ROOMS = 200
Made = tuple[str, dict[str, Any], dict[str, Any]]
"""The key and the request of a booking, and the reply."""
Start = Callable[[Path], ServerProcess | Installation]


def stay_request_of(number: int, day: date) -> dict[str, Any]:
    """The request of a guest who gets a letter."""
    arrival = day + timedelta(days=20 + number % 60)
    guest = {"name": f"Guest {number}", "email": f"guest{number}@example.com"}
    return {
        **stay_request(),
        "arrival": str(arrival),
        "departure": str(arrival + timedelta(days=2)),
        "guest": guest,
    }


def book(url: str, number: int, day: date) -> Made:
    """Book with a key."""
    key, request = f"key-{number}", stay_request_of(number, day)
    return key, request, post(url, f"{HOTEL}/bookings", request, key)


class Clients:
    """Clients that book one stay after the other, with idempotency keys, until they are stopped."""

    def __init__(self, url: str, day: date) -> None:
        self.booked: list[Made] = []
        self.failures: list[BaseException] = []
        self._url = url
        self._day = day
        self._numbers = count()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                number = next(self._numbers)
                self.booked.append(book(self._url, number, self._day))
        except BaseException as error:
            self.failures.append(error)

    def stop(self) -> None:
        """Stop, and raise what failed."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        assert not self.failures, self.failures

    close = stop


def test_no_service_is_ahead_of_its_journal_in_a_backup(tmp_path: Path) -> None:
    """Between the copies of two databases a guest books, and every subscriber handles that."""
    with closing(ServerProcess(tmp_path / "data")) as server:
        day = open_seaside(server.url, ROOMS)
        known: list[Made] = []

        @contextmanager
        def booking_between(_: str, __: int) -> Iterator[Callable[[int], None]]:
            def step(_: int) -> None:
                known.append(book(server.url, len(known), day))
                wait_until(lambda: has_caught_up(server.url), SECONDS_MAX)

            yield step

        back_up(server.data, tmp_path / "backup", booking_between)
        assert len(known) == len([*(tmp_path / "backup").glob("*.db")])
    assert_restored(ServerProcess, tmp_path / "backup", tmp_path / "restored", known[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("start", [ServerProcess, lambda data: Installation(data, "--partitions", "2")], ids=["1", "n"])
def test_a_backup_under_load_has_every_booking_from_before_it(start: Start, tmp_path: Path) -> None:
    known: list[list[Made]] = []
    with (
        closing(start(tmp_path / "data")) as server,
        closing(Clients(server.url, open_seaside(server.url, ROOMS))) as load,
    ):
        for number in range(BACKUPS):
            wait_until(lambda: len(load.booked) >= BOOKINGS_BEFORE * (number + 1), SECONDS_MAX)  # noqa: B023
            known.append([*load.booked])
            done = run_to_end("backup", tmp_path / f"backup-{number}", "--data", server.data)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
        load.stop()
        assert len(load.booked) > len(known[-1]), "the server took bookings during the backup"
    for number in range(BACKUPS):
        assert_restored(start, tmp_path / f"backup-{number}", tmp_path / f"restored-{number}", known[number])


def assert_restored(start: Start, backup: Path, data: Path, known: list[Made]) -> None:
    """Restore a backup elsewhere, verify it, and check that it serves the known bookings and catches up."""
    restored = run_to_end("restore", backup, "--data", data)
    assert restored.returncode == 0, restored.stderr
    verified = run_to_end("verify", "--data", data)
    assert (verified.returncode, json.loads(verified.stdout)["violations"]) == (0, []), verified.stderr
    with closing(start(data)) as server:
        wait_until(lambda: has_caught_up(server.url), SECONDS_MAX)
        for key, request, booking in known:
            path = f"{HOTEL}/bookings/{booking['id']}"
            assert get(server.url, path)["locator"] == booking["locator"]
            assert get(server.url, f"{path}/folio")["booking"] == booking["id"]
            assert post(server.url, f"{HOTEL}/bookings", request, key) == booking, "a retry gets the same reply"
        assert get(server.url, "/v1/dead-letters")["data"] == []
        before = len(letters(data))
        tomorrow = date.fromisoformat(get(server.url, HOTEL)["business_date"]) + timedelta(days=1)
        post(server.url, f"{HOTEL}/bookings", stay_request_of(0, tomorrow), "a-new-key")
        wait_until(lambda: len(letters(data)) > before, SECONDS_MAX)
    assert run_to_end("verify", "--data", data).returncode == 0
