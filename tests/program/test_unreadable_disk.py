"""A server whose disk cannot be read: what needs the disk is refused clearly, no answer is wrong, and it goes on by
itself when the disk can be read again."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.failing_disk import FailingDisk
from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess
from support.waiting import wait_until
from support.whole_installation import has_caught_up

SECONDS_MAX = 120
HOTEL = "/v1/hotels/seaside"
BOOKINGS = f"{HOTEL}/bookings"
BOOKED = 150
Answer = tuple[int, Any, Any]


def ask(url: str, path: str, body: Any = None, key: str = "") -> Answer:
    """Send a request; the status, the headers and the body of the answer."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url + path, data, headers), timeout=SECONDS_MAX) as response:
            return response.status, response.headers, json.loads(response.read())
    except HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read())


def book(url: str, number: int) -> Answer:
    """Book for a guest of its own."""
    guest = {"name": f"Guest {number}", "email": f"{number}@example.com"}
    return ask(url, BOOKINGS, stay_request(number % 300, guest=guest, notes="x" * 900), f"key-{number}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FailingDisk]:
    with closing(FailingDisk(tmp_path / "disk", reads=True)) as disk:
        yield disk


def test_a_disk_that_cannot_be_read_is_said_and_survived(disk: FailingDisk, tmp_path: Path) -> None:
    data = tmp_path / "disk/data"
    with closing(ServerProcess(data, env={**os.environ, **disk.environment})) as server:
        assert ask(server.url, "/v1/hotels", hotel_request({"DBL": 20}))[0] == 201
        ids = [book(server.url, number)[2]["id"] for number in range(BOOKED)]
        wait_until(lambda: has_caught_up(server.url), SECONDS_MAX)
        paths = [
            HOTEL, "/v1/hotels", BOOKINGS, f"{BOOKINGS}?q=Guest", "/v1/events", "/v1/events?log=billing",
            "/v1/dead-letters", "/v1/webhooks", f"{HOTEL}/invoices", f"{HOTEL}/ledger", f"{HOTEL}/waitlist",
            f"{HOTEL}/notifications", f"{HOTEL}/billing",
        ]  # fmt: skip
        for id_ in ids[::10]:
            of_booking = f"{BOOKINGS}/{id_}"
            paths += [of_booking, f"{of_booking}/history", f"{of_booking}/folio", f"{of_booking}/letters"]
        right = {path: ask(server.url, path) for path in paths}
        assert {answer[0] for answer in right.values()} == {200}
        server.stop()
        server.start_again()  # with nothing in memory
        wait_until(lambda: ask(server.url, "/health/ready")[0] == 200, SECONDS_MAX)

        disk.fail()
        for path in paths:
            answer = ask(server.url, path)
            if answer[0] == 200:
                assert answer[2] == right[path][2], path
            else:
                assert_refused(path, answer)
        keys = [f"key-{number}" for number in range(0, BOOKED, 10)]
        for number, key in zip(range(0, BOOKED, 10), keys, strict=True):
            answer = book(server.url, number)
            assert answer[0] == 201 or assert_refused(key, answer) is None
            if answer[0] == 201:
                assert answer[2]["id"] == ids[number]
        assert ask(server.url, "/health/live")[0] == 200
        assert_refused("a new booking", book(server.url, BOOKED))
        not_ready = ask(server.url, "/health/ready")
        assert_refused("ready", not_ready)
        assert "cannot be read" in not_ready[2]["detail"]

        disk.mend()
        wait_until(lambda: ask(server.url, "/health/ready")[0] == 200, SECONDS_MAX)
        wait_until(lambda: all(ask(server.url, path)[0] == 200 for path in paths), SECONDS_MAX)
        assert {path: ask(server.url, path)[2] for path in paths} == {path: right[path][2] for path in paths}
        for number in range(0, BOOKED, 10):
            assert book(server.url, number)[2]["id"] == ids[number]
        assert book(server.url, BOOKED)[0] == 201
        wait_until(lambda: has_caught_up(server.url), SECONDS_MAX)
        code, said = server.stop()
        assert (code, "Traceback" in said) == (0, False), said
        lines = Counter(re.sub(r"^\S+ \S+ ", "", line) for line in said.splitlines())
        assert max(lines.values()) == 1, said


def assert_refused(what: str, answer: Answer) -> None:
    status, headers, body = answer
    assert (status, headers["Content-Type"].partition(";")[0]) == (503, "application/problem+json"), (what, answer)
    assert (body["code"], headers["Retry-After"]) == ("unavailable", "1"), (what, answer)
