"""The mail server, the archive's disk or the payment provider is away while guests book and pay, for as long as
`INNKEEPER_AWAY_SECONDS` says (`make away`), and the mail server with all receivers of webhooks but one: no booking is
refused, and afterwards nothing is missing or doubled. How long the slowest bookings took is printed."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support.archive import archived_ids
from support.away_receivers import WAYS_TO_BE_AWAY, away_receivers, back_seconds_max
from support.failing_disk import SmallDisk
from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess
from support.smtp_server import RecordingSmtpServer, free_port, smtp_server
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver

AWAY_SECONDS = int(os.environ.get("INNKEEPER_AWAY_SECONDS", "3"))
SECONDS_MAX = 180 + AWAY_SECONDS
HOTEL = "/v1/hotels/seaside"
PAUSE_SECONDS = 0.05


class Load:
    """A client that books and pays, one booking after another, until it is closed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.booked: list[str] = []
        self.payments: list[str] = []
        self.seconds: list[float] = []
        self.token = "tok"
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def ask(self, path: str, body: Any = None) -> Any:
        """Send a request, which must be answered."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=SECONDS_MAX) as response:
            return json.loads(response.read())

    def _run(self) -> None:
        try:
            while not self._stop.wait(PAUSE_SECONDS):
                self._book(len(self.booked))
        except BaseException as error:
            self._failure = error

    def _book(self, number: int) -> None:
        guest = {"name": f"Guest {number}", "email": f"{number}@example.com"}
        began = time.monotonic()
        booked = self.ask(f"{HOTEL}/bookings", stay_request(number % 300, guest=guest))["id"]
        self.seconds.append(time.monotonic() - began)
        self.booked.append(booked)
        if number % 5 == 0:
            wait_until(lambda: bool(self.subscriber("billing")["lag"] == 0), SECONDS_MAX)
            amount = {"amount": "10.00", "currency": "EUR"}
            body = {"method": "simulated", "amount": amount, "token": self.token}
            self.payments.append(self.ask(f"{HOTEL}/bookings/{booked}/folio/payments", body)["id"])

    def subscriber(self, name: str) -> Any:
        """The state of a subscriber."""
        return next(one for one in self.ask("/v1/subscribers")["data"] if one["name"] == name)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure


class MailServer:
    """A mail server that comes and goes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.letters: list[Any] = []

    @contextmanager
    def there(self) -> Iterator[RecordingSmtpServer]:
        """It is there."""
        with smtp_server(port=self.port) as server:
            yield server
        self.letters += server.letters


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with closing(SmallDisk(tmp_path / "disk", megabytes=64)) as disk:
        yield disk


@pytest.mark.slow
@pytest.mark.parametrize("away", ["the mail server", "the archive's disk", "the payment provider"])
def test_under_load_nothing_is_refused_or_lost(away: str, disk: SmallDisk, tmp_path: Path) -> None:
    mail, archive = MailServer(), tmp_path / "disk/archive"
    options = (
        "--archive", str(archive), "--smtp", f"smtp://127.0.0.1:{mail.port}", "--mail-from", "stay@inn.example",
    )  # fmt: skip
    with closing(ServerProcess(tmp_path / "data", options=options, prefix=disk.prefix)) as server:
        load = Load(server.url)
        load.ask("/v1/hotels", {**hotel_request({"DBL": 400}), "id": "seaside"})
        mail_at_first: AbstractContextManager[Any] = nullcontext() if away == "the mail server" else mail.there()
        with mail_at_first:
            if away == "the archive's disk":
                disk.fail()
            load.token = f"away-{AWAY_SECONDS}" if away == "the payment provider" else "tok"
            waiting = {"the mail server": "mail", "the archive's disk": "archive", "the payment provider": "providers"}
            with load:
                wait_until(lambda: load.subscriber(waiting[away])["lag"] > 0, SECONDS_MAX)
                until = time.monotonic() + AWAY_SECONDS
                wait_until(lambda: time.monotonic() > until and len(load.payments) > 1, SECONDS_MAX)
            if away == "the archive's disk":
                disk.mend()
            if away != "the mail server":
                finish(load, lambda: all_there(load))
        if away == "the mail server":
            with mail.there():
                finish(load, lambda: all_there(load))
        ids = sorted(
            event["id"] for log in ("reservations", "billing", "delivery") for event in all_events(load, log)
        )  # fmt: skip
        assert archived_ids(disk.outside(archive)) == ids
        confirmed = Counter(str(one["message-id"]) for one in mail.letters)
        assert max(confirmed.values()) == 1
        assert len({str(one["to"]) for one in mail.letters}) == len(load.booked)
        code, said = server.stop()
        assert (code, "Traceback" in said) == (0, False), said
    print(f"{away} away for {AWAY_SECONDS} s: {slowest_percent(load.seconds)}")


@pytest.mark.slow
def test_everybody_away_at_once_loses_nothing_and_refuses_no_booking(tmp_path: Path) -> None:
    mail = MailServer()
    options = ("--smtp", f"smtp://127.0.0.1:{mail.port}", "--mail-from", "stay@inn.example")
    with (
        away_receivers() as away,
        webhook_receiver() as healthy,
        closing(ServerProcess(tmp_path / "data", options=options)) as server,
    ):
        load = Load(server.url)
        load.ask("/v1/hotels", {**hotel_request({"DBL": 400}), "id": "seaside"})
        for receiver in (*away.receivers.values(), healthy):
            load.ask("/v1/webhooks", {"url": receiver.url, "events": ["innkeeper.booking.*"]})
        with load:
            with mail.there():
                time.sleep(AWAY_SECONDS / 5)
                wait_until(lambda: all(len(away.accepted(way)) > 3 for way in WAYS_TO_BE_AWAY), SECONDS_MAX)
            usual = [*load.seconds]
            away.begin()
            time.sleep(AWAY_SECONDS)
            wait_until(lambda: len(load.seconds) > len(usual), SECONDS_MAX)
            during = load.seconds[len(usual) :]
            wait_until(lambda: len(healthy.accepted) > len(usual) + len(during) - 20, SECONDS_MAX)
        away.end()
        with mail.there():
            wait_until(lambda: all_there(load), back_seconds_max(AWAY_SECONDS))
        assert load.ask("/v1/dead-letters")["data"] == []
        found = all_events(load, "reservations")
        expected = [event["id"] for event in found if event["type"].startswith("innkeeper.booking.")]
        assert [*dict.fromkeys(healthy.accepted)] == expected
        assert {way: away.accepted(way) for way in WAYS_TO_BE_AWAY} == dict.fromkeys(WAYS_TO_BE_AWAY, expected)
        assert len({str(one["to"]) for one in mail.letters}) == len(load.booked)
        code, said = server.stop()
        assert (code, "Traceback" in said) == (0, False), said
    print(f"everybody away for {AWAY_SECONDS} s: {slowest_percent(during)}; before: {slowest_percent(usual)}")


def slowest_percent(seconds: list[float]) -> str:
    """How many bookings there were, and how long the slowest percent took at least."""
    return f"{len(seconds)} bookings, the slowest percent {sorted(seconds)[-max(1, len(seconds) // 100)] * 1e3:.0f} ms"


def all_there(load: Load) -> bool:
    """Whether everything was sent, archived and paid."""
    states = load.ask("/v1/subscribers")["data"]
    return all(one["lag"] == 0 and not one["stalled"] for one in states) and all(
        load.ask(f"{HOTEL}/payments/{payment}")["status"] == "captured" for payment in load.payments
    )


def finish(load: Load, is_done: Callable[[], bool]) -> None:
    wait_until(is_done, SECONDS_MAX)
    assert load.ask("/v1/dead-letters")["data"] == []


def all_events(load: Load, log: str) -> list[Any]:
    """All events of a log."""
    found: list[Any] = []
    while page := load.ask(f"/v1/events?log={log}&limit=200&after={found[-1]['position'] if found else 0}")["data"]:
        found += page
    return found
