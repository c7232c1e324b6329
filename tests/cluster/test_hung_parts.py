"""A part that hangs (SIGSTOP): who needs it is refused within three seconds, all others are answered, and readiness
names it. One that goes on is left alone; one that does not is replaced."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.protocol.values.contexts import partition_of
from innkeeper.protocol.values.limits import part_silence_seconds_max, rpc_silence_seconds_max
from support.gateway import HttpResponse, assert_problem, hotel_request, send, stay_request
from support.installation import Installation, is_alive
from support.waiting import wait_until

FIRST_ANSWER_SECONDS_MAX = 3.0 + 3.0  # the latter for a busy machine
REPLACED_SECONDS_MAX = 60
NAMES = ("north", "south", "east", "west", "harbour")
PARTS = ("reservations-0", "reservations-1", "billing", "notifications", "delivery", "gateway-0")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation with two partitions, each of which has a hotel."""
    started = Installation(tmp_path / "data", "--partitions", "2")
    for name in hotels():
        assert ask(started, "POST", "/v1/hotels", hotel_request(id=name))[0].status == 201
    yield started
    started.close()


def hotels() -> list[str]:
    """The names of a hotel in the first partition, and of one in the second."""
    return [next(name for name in NAMES if partition_of(name, 2) == number) for number in range(2)]


def ask(installation: Installation, method: str, path: str, body: Any = None) -> tuple[HttpResponse, float]:
    """A request; its response, and the seconds that it took."""
    start = monotonic()
    return send(installation.port, method, path, body), monotonic() - start


def is_answered(installation: Installation, path: str) -> bool:
    """Whether a query is answered, also while the only gateway is started again."""
    with suppress(OSError, HTTPException):
        return ask(installation, "GET", path)[0].status == 200
    return False


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Stops these processes, one after the other, and lets them go on in the opposite order."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)


def test_the_first_who_needs_a_part_that_hangs_is_refused_within_three_seconds(installation: Installation) -> None:
    hanging, running = hotels()
    pid = installation.pid("reservations-0")
    with stopped(pid), ThreadPoolExecutor() as clients:
        booking = clients.submit(ask, installation, "POST", f"/v1/hotels/{hanging}/bookings", stay_request())
        paths = f"/v1/hotels/{hanging}", f"/v1/hotels/{hanging}/bookings", f"/v1/events?hotel={hanging}", "/v1/hotels"
        asked = [clients.submit(ask, installation, "GET", path) for path in paths]
        other, seconds = ask(installation, "POST", f"/v1/hotels/{running}/bookings", stay_request())
        assert other.status == 201, "the other partition goes on"
        for response, seconds in (one.result() for one in (booking, *asked)):
            assert_problem(response, 503, "unavailable")
            assert response.headers["retry-after"] == "1"
            assert seconds < FIRST_ANSWER_SECONDS_MAX
        later, seconds = ask(installation, "GET", f"/v1/hotels/{hanging}")
        assert (later.status, seconds < rpc_silence_seconds_max) == (503, True), "who comes later is refused at once"
        assert "reservations-0 does not answer" in later.json["detail"]
        ready, seconds = ask(installation, "GET", "/health/ready")
        assert (ready.status, seconds < rpc_silence_seconds_max) == (200, True)
        assert ready.json == {"status": "ready", "silent": ["reservations-0"]}
        metrics, _ = ask(installation, "GET", "/metrics")
        assert b'innkeeper_part_silent{part="reservations-0"} 1.0' in metrics.body
    wait_until(lambda: ask(installation, "GET", f"/v1/hotels/{hanging}")[0].status == 200, REPLACED_SECONDS_MAX)
    assert ask(installation, "GET", "/health/ready")[0].json == {"status": "ready"}
    assert installation.pid("reservations-0") == pid, "it goes on, and was not replaced"


def test_an_installation_of_which_every_partition_hangs_is_not_ready_and_says_why(installation: Installation) -> None:
    with stopped(*(installation.pid(f"reservations-{number}") for number in range(2))):
        wait_until(lambda: ask(installation, "GET", "/health/ready")[0].status == 503, FIRST_ANSWER_SECONDS_MAX)
        problem = assert_problem(ask(installation, "GET", "/health/ready")[0], 503, "unavailable")
        assert "reservations-0 does not answer" in problem["detail"]
        assert ask(installation, "GET", "/health/live")[0].status == 200
    wait_until(lambda: ask(installation, "GET", "/health/ready")[0].status == 200, REPLACED_SECONDS_MAX)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["reservations-0", "billing", "gateway-0"])
def test_a_part_that_goes_on_hanging_is_killed_and_started_again(installation: Installation, part: str) -> None:
    hotel, _ = hotels()
    pid = installation.pid(part)
    start = monotonic()
    with stopped(pid):
        wait_until(lambda: installation.pid_or_none(part) not in (pid, None), REPLACED_SECONDS_MAX)
        assert monotonic() - start > part_silence_seconds_max - 1
        assert not is_alive(pid), "it cannot wake up beside the new one"
        wait_until(lambda: is_answered(installation, f"/v1/hotels/{hotel}/ledger"), REPLACED_SECONDS_MAX)
    booked, _ = ask(installation, "POST", f"/v1/hotels/{hotel}/bookings", stay_request())
    assert booked.status == 201
    assert f"{part} has not responded for 16 s; it is killed" in installation.log()
    assert installation.stop() == 0


@pytest.mark.slow
def test_a_machine_that_is_suspended_as_a_whole_replaces_nothing_when_it_goes_on(installation: Installation) -> None:
    pids = [installation.pid(part) for part in (*PARTS, "supervisor")]
    with stopped(*pids):
        sleep(part_silence_seconds_max + 3)
    wait_until(lambda: is_answered(installation, "/v1/hotels"), REPLACED_SECONDS_MAX)
    sleep(2)  # the supervisor looks each second
    assert [installation.pid(part) for part in (*PARTS, "supervisor")] == pids
    assert "has not responded" not in installation.log()
    assert installation.stop() == 0
