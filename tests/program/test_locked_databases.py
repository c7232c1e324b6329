"""Another process holds the lock of a database (`sqlite3 … 'BEGIN IMMEDIATE'`): only what writes to it waits, and is
refused where it lasts. Health checks, queries and everything else are answered as always."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.protocol.values.limits import lock_seconds_max
from support.gateway import HttpResponse, assert_problem, hotel_request, send, stay_request
from support.server_process import ServerProcess
from support.waiting import wait_until

AT_ONCE_SECONDS_MAX = 2.0  # on a busy machine; who waits for the lock waits longer
LATE_SECONDS_MAX = 60
SERVICES = ("billing.db", "delivery.db", "notifications.db", "views-0.db", "billing-0.db", "delivery-0.db")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with a hotel and a booking of it."""
    started = ServerProcess(tmp_path / "data")
    assert ask(started, "POST", "/v1/hotels", hotel_request(id="seaside", rooms={"DBL": 20}))[0].status == 201
    assert book(started).status == 201
    wait_until(lambda: lag(started) == 0, LATE_SECONDS_MAX)
    assert len(ask(started, "GET", "/v1/hotels/seaside/bookings")[0].json["data"]) == 1  # the read models know it
    yield started
    started.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a database."""
    db = sqlite3.connect(path, isolation_level=None, timeout=LATE_SECONDS_MAX)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def ask(server: ServerProcess, method: str, path: str, body: Any = None) -> tuple[HttpResponse, float]:
    """A request; its response, and the seconds that it took."""
    start = monotonic()
    return send(int(server.url.rpartition(":")[2]), method, path, body), monotonic() - start


def book(server: ServerProcess) -> HttpResponse:
    """Books a room for a night."""
    return ask(server, "POST", "/v1/hotels/seaside/bookings", stay_request())[0]


def lag(server: ServerProcess) -> int:
    """What all subscribers have not handled yet."""
    return sum(one["lag"] for one in ask(server, "GET", "/v1/subscribers")[0].json["data"])


def assert_reads_are_answered(server: ServerProcess, *more: str) -> None:
    """Each of these is answered at once."""
    for path in ("/health/live", "/health/ready", "/v1/hotels/seaside", "/v1/events", "/metrics", *more):
        response, seconds = ask(server, "GET", path)
        assert (path, response.status, seconds < AT_ONCE_SECONDS_MAX) == (path, 200, True), (response, seconds)


def test_a_booking_waits_for_a_short_lock_of_the_journal_and_reads_do_not(server: ServerProcess) -> None:
    with ThreadPoolExecutor() as clients:
        with locked(server.data / "partition-0.db"):
            booking = clients.submit(book, server)
            sleep(0.5)
            assert_reads_are_answered(server, "/v1/hotels/seaside/bookings", "/v1/hotels/seaside/ledger")
            assert not booking.done()
        assert booking.result().status == 201
    _, output = server.stop()
    assert "partition-0.db is locked by another process; commands wait" in output
    assert "the journal is no longer locked" in output
    assert "Traceback" not in output


def test_a_booking_is_refused_where_the_lock_of_the_journal_lasts_and_the_server_goes_on_after_it(
    server: ServerProcess,
) -> None:
    with locked(server.data / "partition-0.db"):
        refused, seconds = ask(server, "POST", "/v1/hotels/seaside/bookings", stay_request())
        problem = assert_problem(refused, 503, "unavailable")
        assert problem["detail"] == (
            "the journal cannot be written (locked by another process); nothing was changed, try again"
        )
        assert lock_seconds_max <= seconds < lock_seconds_max + AT_ONCE_SECONDS_MAX
        later, seconds = ask(server, "POST", "/v1/hotels/seaside/bookings", stay_request())
        assert (later.status, seconds < AT_ONCE_SECONDS_MAX) == (503, True), "who comes later is refused at once"
        assert ask(server, "GET", "/health/ready")[0].status == 503
        for path in ("/health/live", "/v1/hotels/seaside", "/v1/hotels/seaside/bookings"):
            response, seconds = ask(server, "GET", path)
            assert (response.status, seconds < AT_ONCE_SECONDS_MAX) == (200, True)
    wait_until(lambda: ask(server, "GET", "/health/ready")[0].status == 200, LATE_SECONDS_MAX)
    assert book(server).status == 201
    assert len(ask(server, "GET", "/v1/hotels/seaside/bookings")[0].json["data"]) == 2


@pytest.mark.parametrize("database", SERVICES)
def test_bookings_and_reads_go_on_while_the_database_of_a_service_is_locked(
    server: ServerProcess, database: str
) -> None:
    with locked(server.data / database):
        for _ in range(3):
            start = monotonic()
            assert book(server).status == 201
            assert monotonic() - start < AT_ONCE_SECONDS_MAX
            assert_reads_are_answered(server, "/v1/subscribers")
            sleep(0.3)
    wait_until(lambda: lag(server) == 0, LATE_SECONDS_MAX)
    assert len(ask(server, "GET", "/v1/hotels/seaside/bookings")[0].json["data"]) == 4
    assert "Traceback" not in server.stop()[1]


def test_what_changes_a_locked_database_of_a_service_waits_and_is_refused_where_it_lasts(
    server: ServerProcess,
) -> None:
    pause = "/v1/subscribers/archive/actions/pause"
    with ThreadPoolExecutor() as clients:
        with locked(server.data / "delivery.db"):
            paused = clients.submit(ask, server, "POST", pause)
            sleep(0.5)
            assert not paused.done()
        assert paused.result()[0].json["paused"]
    with locked(server.data / "delivery.db"):
        refused, seconds = ask(server, "POST", "/v1/subscribers/archive/actions/resume")
        assert "locked by another process" in assert_problem(refused, 503, "unavailable")["detail"]
        assert lock_seconds_max <= seconds < lock_seconds_max + AT_ONCE_SECONDS_MAX
    assert ask(server, "POST", "/v1/subscribers/archive/actions/resume")[0].status == 200


def test_a_list_that_has_a_new_booking_waits_for_its_locked_read_models(server: ServerProcess) -> None:
    with ThreadPoolExecutor() as clients:
        with locked(server.data / "views-0.db"):
            assert_reads_are_answered(server, "/v1/hotels/seaside/bookings")
            assert book(server).status == 201
            listed = clients.submit(ask, server, "GET", "/v1/hotels/seaside/bookings")
            sleep(0.5)
            assert not listed.done()
        assert len(listed.result()[0].json["data"]) == 2
