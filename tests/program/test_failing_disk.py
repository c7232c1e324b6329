"""A server whose disk is full, or whose writes fail: it says so, refuses what it cannot write, shows what it has, and
goes on by itself. Nothing that was acknowledged is lost."""

import errno
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.failing_disk import FailingDisk, SmallDisk
from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess, program_command
from support.waiting import wait_until
from support.whole_installation import has_caught_up

SECONDS_MAX = 60
BOOKINGS = "/v1/hotels/seaside/bookings"
Answer = tuple[int, dict[str, str], Any]


class Disk(Protocol):
    """A disk that can fail."""

    prefix: Any
    environment: dict[str, str]
    reason: str

    def fail(self) -> None: ...

    def mend(self) -> None: ...

    def close(self) -> None: ...


DISKS: dict[str, Callable[[Path], Disk]] = {
    "a full disk": SmallDisk,
    "writes that fail": FailingDisk,
    "a read-only disk": lambda folder: FailingDisk(folder, errno.EROFS),
}


class Server:
    """A server on such a disk, and a client that keeps what was acknowledged."""

    def __init__(self, disk: Disk, data: Path) -> None:
        self.disk = disk
        self.data = data
        self.process = ServerProcess(data, prefix=disk.prefix, env={**os.environ, **disk.environment})
        self.acknowledged: dict[str, Any] = {}
        self.refused: list[int] = []

    def ask(self, path: str, body: Any = None, key: str = "") -> Answer:
        """Send a request."""
        headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        request = Request(self.process.url + path, None if body is None else json.dumps(body).encode(), headers)
        try:
            with urlopen(request, timeout=SECONDS_MAX) as response:
                return response.status, {**response.headers}, json.loads(response.read())
        except HTTPError as error:
            with error:
                return error.code, {**error.headers}, json.loads(error.read())

    def book(self, number: int) -> bool:
        """Book; whether it was acknowledged."""
        guest = {"name": f"Guest {number}", "email": f"{number}@example.com"}
        body = stay_request(number % 300, guest=guest, notes="x" * 900)
        status, headers, answer = self.ask(BOOKINGS, body, f"key-{number}")
        if status == 201:
            self.acknowledged[answer["id"]] = answer
            return True
        assert_refused((status, headers, answer))
        self.refused.append(number)
        return False

    def ready(self) -> Answer:
        """What the health check says."""
        return self.ask("/health/ready")

    def verify(self) -> subprocess.CompletedProcess[str]:
        """Run `verify`."""
        command = [*self.disk.prefix, *program_command("verify", "--data", self.data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)

    def close(self) -> None:
        """Kill it if it runs."""
        self.process.close()


def assert_refused(answer: Answer) -> None:
    """The answer is a complete problem document that says when to try again."""
    status, headers, body = answer
    assert (status, headers["Content-Type"].partition(";")[0]) == (503, "application/problem+json"), answer
    assert (body["code"], headers["Retry-After"]) == ("unavailable", "1"), answer


@pytest.fixture(params=DISKS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server with a hotel and some bookings, on each kind of disk."""
    with (
        closing(DISKS[request.param](tmp_path / "disk")) as disk,
        closing(Server(disk, tmp_path / "disk/data")) as server,
    ):
        assert server.ask("/v1/hotels", hotel_request({"DBL": 20}))[0] == 201
        for number in range(20):
            assert server.book(number)
        yield server


def test_a_failing_disk_is_said_and_survived(server: Server) -> None:
    wait_until(lambda: has_caught_up(server.process.url), SECONDS_MAX)
    server.disk.fail()
    numbers = iter(range(1_000, 3_000))
    wait_until(lambda: not server.book(next(numbers)), SECONDS_MAX)
    known = [*server.acknowledged]
    not_ready = server.ready()
    assert_refused(not_ready)
    assert server.disk.reason in not_ready[2]["detail"]
    assert str(server.data) not in not_ready[2]["detail"]
    for _ in range(30):
        server.book(next(numbers))
    assert len(server.refused) > 20
    assert server.ask("/health/live")[0] == 200
    for path in ("/v1/hotels/seaside", f"{BOOKINGS}/{known[0]}", f"{BOOKINGS}/{known[0]}/folio"):
        answer = server.ask(path)
        assert answer[0] == 200, (path, answer)
    for path in ("/v1/hotels", BOOKINGS, "/v1/events", "/v1/subscribers", "/v1/webhooks"):
        answer = server.ask(path)
        assert answer[0] == 200 or assert_refused(answer) is None, path
    assert_refused(server.ask("/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"]}, "webhook"))
    assert_refused(server.ready())

    server.disk.mend()
    wait_until(lambda: server.ready()[0] == 200, SECONDS_MAX)  # although nobody books
    for number in [*server.refused]:
        assert server.book(number)
    wait_until(lambda: has_caught_up(server.process.url), SECONDS_MAX)
    assert server.ask("/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"]}, "webhook")[0] == 201
    for id_, booking in server.acknowledged.items():
        assert server.ask(f"{BOOKINGS}/{id_}")[2] == booking
        assert server.ask(f"{BOOKINGS}/{id_}/folio")[0] == 200
    code, output = server.process.stop()
    assert (code, "Traceback" in output) == (0, False), output
    said = Counter(re.sub(r"^\S+ \S+ |[0-9a-f]{16}-[0-9a-f]+", "", line) for line in output.splitlines())
    assert not {line: times for line, times in said.items() if times > 1}, output
    verified = server.verify()
    assert verified.returncode == 0, verified.stderr + verified.stdout
    server.process.start_again()
    assert {id_: server.ask(f"{BOOKINGS}/{id_}")[2] for id_ in server.acknowledged} == server.acknowledged


def test_a_server_that_cannot_write_does_not_start(server: Server) -> None:
    server.process.stop()
    server.disk.fail()
    ended = start(server, server.data)
    assert ended.stderr.startswith("innkeeper: ")
    assert server.disk.reason in ended.stderr
    assert "cannot be" in start(server, server.data.with_name("new")).stderr
    server.disk.mend()
    server.process.start_again()
    assert server.ready()[0] == 200


def start(server: Server, data: Path) -> subprocess.CompletedProcess[str]:
    """Start a server that cannot; checks that it says why in one line."""
    command = [*server.disk.prefix, *program_command("demo", "--empty", "--port", "0", "--data", data)]
    environment = {**os.environ, **server.disk.environment}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False, env=environment)
    assert (ended.returncode, ended.stderr.count("\n")) == (5, 1), ended.stderr
    return ended
