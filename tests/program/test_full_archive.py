"""The disk of the archive is full: bookings, letters and bills go on; the archive waits, says so, and goes on by itself
with nothing missing, doubled or torn."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.failing_disk import SmallDisk
from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess
from support.waiting import wait_until

SECONDS_MAX = 120
HOTEL = "/v1/hotels/seaside"


class Server:
    """A server whose archive is on a small disk, and what was booked at it."""

    def __init__(self, data: Path, disk: SmallDisk, archive: Path, form: str) -> None:
        options = ("--archive", str(archive), "--archive-form", form)
        self.process = ServerProcess(data, options=options, prefix=disk.prefix)
        self.bookings: list[str] = []

    def ask(self, path: str, body: Any = None) -> Any:
        """Send a request, which must be answered."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.process.url + path, data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=SECONDS_MAX) as response:
            answer = response.read()
        return json.loads(answer) if answer.startswith(b"{") else answer.decode()

    def book(self, count: int) -> None:
        """Book so often."""
        for _ in range(count):
            number = len(self.bookings)
            guest = {"name": f"Guest {number}", "email": f"{number}@example.com"}
            self.bookings.append(self.ask(f"{HOTEL}/bookings", stay_request(number, guest=guest))["id"])

    def has_folio(self, booking: str) -> bool:
        """Whether the bill of this booking is there."""
        try:
            return bool(self.ask(f"{HOTEL}/bookings/{booking}/folio"))
        except HTTPError as error:
            error.close()
            return False

    def close(self) -> None:
        """Kill the process if it runs."""
        self.process.close()

    def archive(self) -> Any:
        """How far the archive is."""
        return next(one for one in self.ask("/v1/subscribers")["data"] if one["name"] == "archive")

    def event_ids(self) -> list[str]:
        """The ids of all events, in the order of their logs."""
        return [
            event["id"]
            for log in ("reservations", "billing", "delivery")
            for event in self.ask(f"/v1/events?log={log}&limit=200")["data"]
        ]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with closing(SmallDisk(tmp_path / "disk", megabytes=2)) as disk:
        yield disk


def archived(disk: SmallDisk, folder: Path) -> list[str]:
    """The ids of the events in the archive, whose files are all whole."""
    ids = []
    for path in sorted(disk.outside(folder).rglob("*.json*")):
        if path.name == "index.jsonl" or path.parts[-4] in ("forgotten-guests", "invoices"):
            continue
        content = path.read_bytes()
        if path.suffix == ".jsonl":
            assert content.endswith(b"\n")
        ids += [json.loads(line)["id"] for line in content.splitlines()]
    return sorted(ids)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["segments", "events"])
def test_a_full_archive_waits_alone_and_goes_on_by_itself(disk: SmallDisk, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "disk/archive"
    with closing(Server(tmp_path / "data", disk, folder, form)) as server:
        server.ask("/v1/hotels", {**hotel_request({"DBL": 20}), "id": "seaside"})
        server.book(3)
        wait_until(lambda: server.archive()["lag"] == 0, SECONDS_MAX)
        disk.fail()
        server.book(20)
        wait_until(lambda: "No space left" in (server.archive()["stalled"] or ""), SECONDS_MAX)
        assert server.archive()["lag"] > 20
        assert re.search(r'innkeeper_subscriber_stalled\{subscriber="archive"\} 1', server.ask("/metrics"))
        wait_until(lambda: len([*(tmp_path / "data/mail").glob("*.eml")]) == len(server.bookings), SECONDS_MAX)
        for id_ in server.bookings:
            wait_until(lambda id_=id_: server.has_folio(id_), SECONDS_MAX)  # type: ignore[misc]
        others = [one for one in server.ask("/v1/subscribers")["data"] if one["name"] != "archive"]
        assert not [one for one in others if one["stalled"]]
        until = time.monotonic() + 5  # some tries, which must not be said
        wait_until(lambda: time.monotonic() > until, SECONDS_MAX)
        said_once(server.process.stop()[1])
        server.process.start_again()
        server.book(5)
        server.process.kill()
        server.process.start_again()
        disk.mend()
        wait_until(lambda: server.archive()["lag"] == 0, SECONDS_MAX)
        assert server.archive()["stalled"] is None
        assert archived(disk, folder) == sorted(server.event_ids())
        said_once(server.process.stop()[1])


def said_once(said: str) -> None:
    """Check that no line was said twice, and no traceback."""
    lines = Counter(re.sub(r"^\S+ \S+ ", "", line) for line in said.splitlines())
    assert "Traceback" not in said, said
    assert max(lines.values()) == 1, said
