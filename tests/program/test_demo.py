"""The demo, used from outside: a booking produces a folio, a letter, a webhook, a line in the archive and a live event,
and subscribers that were paused catch up."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support.archive import archived_ids
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until
from support.webhook_receiver import WebhookReceiver, webhook_receiver

SECONDS_MAX = 60
HOTEL = "/v1/hotels/hotel-do-mar"
SUBSCRIBERS = ("billing", "notifications", "mail", "archive")


class Demo:
    """A demo with example data, a receiver of its webhooks, and a reader of its live stream."""

    def __init__(self, server: ServerProcess, receiver: WebhookReceiver) -> None:
        self.server = server
        self.receiver = receiver
        self._connected = False
        self.live: list[dict[str, Any]] = []
        self.post("/v1/webhooks", {"url": receiver.url, "events": ["innkeeper.booking.*"]})
        threading.Thread(target=self._read_stream, daemon=True).start()
        wait_until(lambda: bool(self._connected), SECONDS_MAX)

    def _read_stream(self) -> None:
        with urlopen(f"{self.server.url}/v1/events/stream", timeout=SECONDS_MAX) as stream:
            for line in stream:
                self._connected = True
                if line.startswith(b"data: "):
                    self.live.append(json.loads(line.removeprefix(b"data: ")))

    def get(self, path: str) -> Any:
        """GET"""
        with urlopen(self.server.url + path, timeout=SECONDS_MAX) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any = None) -> Any:
        """POST"""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.server.url + path, data, {"Content-Type": "application/json"}, method="POST")
        with urlopen(request, timeout=SECONDS_MAX) as answer:
            return json.load(answer)

    def book(self, nights: int) -> Any:
        """Book this many nights for Ana, 200 days ahead."""
        arrival = date.fromisoformat(self.get(HOTEL)["business_date"]) + timedelta(days=200)
        stay = {"arrival": str(arrival), "departure": str(arrival + timedelta(days=nights)), "room_type": "DBL"}
        guest = {"name": "Ana Sousa", "email": "ana@example.com"}
        return self.post(f"{HOTEL}/bookings", {**stay, "adults": 2, "guest": guest})

    def missing(self, booking: Any) -> set[str]:
        """The outputs of a booking that are still missing."""
        (event,) = (one["id"] for one in self.get(f"{HOTEL}/bookings/{booking['id']}/history")["data"])
        outputs = {
            "letter": any(self.server.data.glob(f"mail/{booking['locator']}-confirmation-*.eml")),
            "webhook": event in self.receiver.ids(),
            "archive": event in archived_ids(self.server.data / "archive"),
            "live": event in {one["id"] for one in self.live},
        }
        return {name for name, done in outputs.items() if not done}

    def folio(self, booking: Any) -> Any:
        """The folio of a booking."""
        return self.get(f"{HOTEL}/bookings/{booking['id']}/folio")

    def act_on_subscribers(self, action: str) -> None:
        """Pause or resume all subscribers."""
        for name in (*SUBSCRIBERS, *self.webhooks()):
            self.post(f"/v1/subscribers/{name}/actions/{action}", {})

    def webhooks(self) -> list[str]:
        """The subscribers that deliver webhooks."""
        names: list[str] = [one["name"] for one in self.get("/v1/subscribers")["data"]]
        return [name for name in names if name.startswith("webhook")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The running demo with its webhook receiver."""
    server = ServerProcess(tmp_path_factory.mktemp("demo") / "data", with_example_hotels=True)
    try:
        with webhook_receiver() as receiver:
            yield Demo(server, receiver)
    finally:
        server.close()


def test_a_booking_produces_folio_letter_webhook_archive_line_and_live_event(demo: Demo) -> None:
    booking = demo.book(2)
    assert demo.folio(booking)["booking"] == booking["id"]
    wait_until(lambda: not demo.missing(booking), SECONDS_MAX)


def test_paused_subscribers_catch_up_when_they_are_resumed(demo: Demo) -> None:
    demo.act_on_subscribers("pause")
    bookings = [demo.book(nights) for nights in (1, 2, 3)]
    wait_until(lambda: all("live" not in demo.missing(one) for one in bookings), SECONDS_MAX)
    assert [demo.missing(one) for one in bookings] == [{"letter", "webhook", "archive"}] * 3
    demo.act_on_subscribers("resume")
    wait_until(lambda: not any(demo.missing(one) for one in bookings), SECONDS_MAX)
    assert [demo.folio(one)["booking"] for one in bookings] == [one["id"] for one in bookings]


def test_a_demo_in_memory_works_writes_nothing_to_disk_and_forgets_all(tmp_path: Path) -> None:
    (folder := tmp_path / "folder").mkdir()
    variables = os.environ | {"INNKEEPER_IN_MEMORY": "yes", "HOME": str(folder), "TMPDIR": str(folder)}
    server = ServerProcess(tmp_path / "data", with_example_hotels=True, cwd=folder, env=variables)
    with closing(server), webhook_receiver() as receiver:
        demo = Demo(server, receiver)
        booking = demo.book(2)
        assert demo.folio(booking)["booking"] == booking["id"]
        wait_until(lambda: demo.missing(booking) == {"letter", "archive"}, SECONDS_MAX)
        found = demo.get(f"{HOTEL}/bookings?q={booking['locator']}")["data"]
        assert [one["id"] for one in found] == [booking["id"]]
        assert "data: in memory only" in server.log.read_text()
        assert server.stop()[0] == 0
        assert not [*folder.rglob("*")]
        assert not server.data.exists()
        variables["INNKEEPER_EMPTY"] = "yes"
        server.start_again()
        assert demo.get("/v1/hotels")["data"] == []


def test_a_demo_runs_on_thespians_actor_system(tmp_path: Path) -> None:
    variables = os.environ | {"INNKEEPER_ACTOR_SYSTEM": "thespian", "INNKEEPER_IN_MEMORY": "yes"}
    server = ServerProcess(tmp_path / "data", with_example_hotels=True, env=variables)
    with closing(server), webhook_receiver() as receiver:
        demo = Demo(server, receiver)
        booking = demo.book(2)
        assert demo.folio(booking)["booking"] == booking["id"]
        assert server.stop()[0] == 0


def test_a_demo_in_memory_is_one_process(tmp_path: Path) -> None:
    ended = run_to_end("demo", "--in-memory", "--processes", "--data", tmp_path / "data")
    assert (ended.returncode, "--in-memory" in ended.stderr) == (2, True), ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_a_port_in_use_is_reported_before_anything_is_created(command: str, tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text("front-desk:0123456789abcdef0123456789abcdef\n")
    keys.chmod(0o600)
    options = {"demo": (), "serve": ("--keys", keys, "--host", "127.0.0.1")}[command]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = run_to_end(command, "--port", str(port), "--data", tmp_path / "data", *options)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr == f"innkeeper: port {port} is in use; choose another with --port\n"
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_of_this_machine_is_a_usage_error(tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text("front-desk:0123456789abcdef0123456789abcdef\n")
    keys.chmod(0o600)
    ended = run_to_end("serve", "--keys", keys, "--host", "192.0.2.1", "--port", "0", "--data", tmp_path / "data")
    assert ended.returncode == 2
    assert ended.stderr.startswith("innkeeper: cannot listen on 192.0.2.1:0: ")
    assert not (tmp_path / "data").exists()
