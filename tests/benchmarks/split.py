"""Bookings/s where each part is a process, and how soon a partition that was killed takes bookings again."""

import json
import os
import signal
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from random import randrange
from time import monotonic, sleep
from urllib.parse import urlsplit

from contestants import INNKEEPER, Contestant, innkeeper, running
from hotels import NIGHTS, open_hotels, stay
from inside import partition
from load import Round, booking_arguments, drive, ratios
from parts import Bench, progress

SHARE_MIN = 0.8
RESTART_SECONDS_MAX = 2.0
EVENTS_OF_THE_GOAL = 100_000
WAIT_SECONDS_MAX = 60
CREATED = 201
SPLIT = {
    "1 partition, 1 gateway": (),
    "2 partitions, 1 gateway": ("--partitions", "2"),
    "4 partitions, 2 gateways": ("--partitions", "4", "--workers", "2"),
}


def _contestant(title: str, *options: str) -> Contestant:
    command = lambda data: (*innkeeper(data), "--processes", *options)  # noqa: E731
    return Contestant("innkeeper-split", f"Innkeeper, a process for each part: {title}", command, first=INNKEEPER.first)


def split(bench: Bench) -> None:
    """Measure one process and several in turn, each time on a new server."""
    contestants = {INNKEEPER.title: INNKEEPER} | {
        title: _contestant(title, *options) for title, options in SPLIT.items()
    }
    rounds: dict[str, list[Round]] = {title: [] for title in contestants}
    with progress(bench.rounds * len(contestants), "split") as bar:
        for number in range(bench.rounds):
            for index, (title, contestant) in enumerate(contestants.items()):
                with running(contestant, bench.folder / f"split-{number}-{index}") as server:
                    open_hotels(server.url, bench.hotels)
                    rounds[title].append(drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, number))
                bar.update()
    for title in SPLIT:
        bench.report.add_runs(contestants[title].title, rounds[title])
        found = ratios(rounds[title], rounds[INNKEEPER.title])
        bench.report.at_least(f"bookings/s, {title} ÷ one process", SHARE_MIN, found)
    _restart(bench)


def _restart(bench: Bench) -> None:
    """Measure the time from kill -9 of a partition to its first booking."""
    data = bench.folder / "restart"
    events = min(bench.events, EVENTS_OF_THE_GOAL)
    partition("write", bench.hotels, data, events)
    seconds = []
    with running(_contestant("1 partition"), data) as server:
        server.wait_until_quiet()
        for _ in range(bench.rounds):
            os.kill(int((data / "reservations.lock").read_text()), signal.SIGKILL)
            seconds.append(_seconds_until_booked(server.url, monotonic()))
            sleep(1)
    longest = max(seconds)
    bench.report.add(
        f"kill -9 of a partition with {events:,} bookings → its first booking, longest of {bench.rounds}",
        f"≤ {RESTART_SECONDS_MAX:.0f} s",
        f"{longest:.2f} s",
        longest <= RESTART_SECONDS_MAX,
    )


def _seconds_until_booked(url: str, start: float) -> float:
    """Send bookings until one succeeds; the seconds since the start."""
    address = urlsplit(url)
    while monotonic() - start < WAIT_SECONDS_MAX:
        with suppress(HTTPException, OSError):
            connection = HTTPConnection(str(address.hostname), address.port, timeout=WAIT_SECONDS_MAX)
            body = json.dumps(stay("Ann", randrange(NIGHTS), 1))
            connection.request("POST", "/v1/hotels/hotel-1/bookings", body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
            connection.close()
            if status == CREATED:
                return monotonic() - start
        sleep(0.005)
    raise RuntimeError("the partition did not restart")
