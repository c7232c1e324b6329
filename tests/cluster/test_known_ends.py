"""The lag of a service that gets its events from a broker counts to the end of the log itself, as the part that writes
it says with each heartbeat; and it says how old that knowledge is."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import pytest
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, SubscriptionRequest, no_effects
from innkeeper.protocol.values.limits import rpc_silence_seconds_max
from innkeeper.storage.gapless_log import GaplessLog
from innkeeper.storage.memory.storage import MemoryStorage
from support.gateway import hotel_request, send, stay_request
from support.installation import Installation
from support.recording_subscriber import GrowingLog
from support.waiting import wait_until

SECONDS_MAX = 60


class KnownEnd(NamedTuple):
    """What is known of the end of a log."""

    position: int
    age_seconds: float
    losses: int = 0


def subscriber_of_an_inbox(end: KnownEnd) -> Subscriber:
    """A subscriber of an inbox to which nothing was delivered, of a log with this end."""
    log = GaplessLog("reservations", lambda *_: [], GrowingLog())
    with MemoryStorage().service_store("billing") as store:
        cursor = store.open_cursor(SubscriptionRequest("clerk", EVERY_EVENT), "reservations", log)

    async def handle(_: object) -> Any:
        return no_effects

    return Subscriber([cursor], handle, lambda: 0, ends={"reservations": end})


def test_a_lag_counts_what_the_broker_has_not_delivered() -> None:
    state = subscriber_of_an_inbox(KnownEnd(position=3, age_seconds=40)).state()
    assert (state.lag, state.lag_age_seconds) == (3, 40)


def test_a_lag_is_zero_while_no_end_is_known_and_says_for_how_long() -> None:
    state = subscriber_of_an_inbox(KnownEnd(position=-1, age_seconds=40)).state()
    assert (state.lag, state.lag_age_seconds) == (0, 40)


@pytest.fixture
def installation(tmp_path: Path, rabbitmq: str) -> Iterator[Installation]:
    """An installation whose services get their events from RabbitMQ."""
    started = Installation(tmp_path / "data", "--broker", rabbitmq)
    yield started
    started.close()


def of_subscribers(installation: Installation, what: str) -> dict[str, Any]:
    """What is listed of each subscriber."""
    listed = send(installation.port, "GET", "/v1/subscribers").json["data"]
    return {one["name"]: one[what] for one in listed}


def ages(installation: Installation) -> dict[str, float]:
    """How old the knowledge of the ends of its logs is, for each subscriber."""
    return of_subscribers(installation, "lag_age_seconds")


@pytest.mark.slow
def test_a_service_whose_inbox_takes_no_events_has_a_lag_and_says_so(installation: Installation) -> None:
    assert send(installation.port, "POST", "/v1/hotels", hotel_request(id="seaside")).status == 201
    wait_until(lambda: of_subscribers(installation, "lag").get("billing") == 0, SECONDS_MAX)
    inbox = sqlite3.connect(installation.data / "billing-inbox.db", isolation_level=None, timeout=SECONDS_MAX)
    with closing(inbox):
        inbox.execute("BEGIN IMMEDIATE")
        assert send(installation.port, "POST", "/v1/hotels/seaside/bookings", stay_request()).status == 201
        for _ in range(5):
            answer = send(installation.port, "GET", "/v1/hotels/seaside/ledger")
            assert (answer.status, "billing has not handled" in answer.json["detail"]) == (503, True)
            wait_until(lambda: of_subscribers(installation, "lag").get("billing", 0) > 0, SECONDS_MAX)
            sleep(0.5)
        assert send(installation.port, "GET", "/health/ready").json == {"status": "ready"}
        inbox.execute("ROLLBACK")
    wait_until(lambda: of_subscribers(installation, "lag")["billing"] == 0, SECONDS_MAX)
    assert send(installation.port, "GET", "/v1/hotels/seaside/ledger").status == 200


def test_the_age_of_what_services_know_grows_while_the_part_that_writes_the_log_is_silent(
    installation: Installation,
) -> None:
    assert send(installation.port, "POST", "/v1/hotels", hotel_request(id="seaside")).status == 201
    wait_until(lambda: ages(installation).keys() >= {"billing", "archive"}, SECONDS_MAX)
    wait_until(lambda: max(ages(installation).values()) < rpc_silence_seconds_max, SECONDS_MAX)
    pid = installation.pid("reservations")
    os.kill(pid, signal.SIGSTOP)
    try:
        silent = rpc_silence_seconds_max + 2
        wait_until(lambda: all(ages(installation)[name] > silent for name in ("billing", "archive")), SECONDS_MAX)
        metrics = send(installation.port, "GET", "/metrics").body.decode()
        assert 'innkeeper_subscriber_lag_age_seconds{subscriber="billing"}' in metrics
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: max(ages(installation).values()) < rpc_silence_seconds_max, SECONDS_MAX)
