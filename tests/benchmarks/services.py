"""What it costs bookings that somebody listens: bookings/s with all subscribers at work ÷ with all of them paused."""

import json
from time import monotonic, sleep
from urllib.request import Request, urlopen

from contestants import INNKEEPER, Server, running
from hotels import open_hotels
from load import Round, booking_arguments, drive, median
from parts import Bench, progress

SHARE_MIN = 0.85
CATCH_UP_SECONDS_MAX = 600


def services(bench: Bench) -> None:
    """Both in turns, each time on a fresh server."""
    rounds: dict[bool, list[Round]] = {True: [], False: []}
    caught_up: list[float] = []
    with progress(bench.rounds * 2, "services") as bar:
        for number in range(bench.rounds):
            for paused in (True, False):
                with running(INNKEEPER, bench.folder / f"services-{number}-{paused}") as server:
                    open_hotels(server.url, bench.hotels)
                    for subscriber in _subscribers(server) if paused else ():
                        _post(server, f"/v1/subscribers/{subscriber['name']}/actions/pause")
                    rounds[paused].append(
                        drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, number)
                    )
                    if not paused:
                        caught_up.append(_caught_up_per_second(server))
                bar.update()
    alone, together = median(rounds[True]), median(rounds[False])
    bench.report.contest("Innkeeper, all subscribers paused", alone)
    bench.report.contest("Innkeeper, all subscribers at work", together)
    ratio = together.requests_per_second / alone.requests_per_second
    bench.report.at_least("bookings/s with all subscribers at work ÷ with all paused", SHARE_MIN, ratio)
    bench.report.add("slowest subscriber, catching up", "", f"{min(caught_up):,.0f} events/s", None)


def _caught_up_per_second(server: Server) -> float:
    """How fast the last of them gets over what piled up."""
    start, lag = monotonic(), max(subscriber["lag"] for subscriber in _subscribers(server))
    while any(subscriber["lag"] for subscriber in _subscribers(server)):
        if monotonic() - start > CATCH_UP_SECONDS_MAX:
            raise RuntimeError(f"a subscriber did not catch up in {CATCH_UP_SECONDS_MAX} s")
        sleep(0.05)
    return lag / (monotonic() - start)


def _subscribers(server: Server) -> list[dict[str, object]]:
    with urlopen(f"{server.url}/v1/subscribers", timeout=30) as answer:
        found: list[dict[str, object]] = json.load(answer)["data"]
    return found


def _post(server: Server, path: str) -> None:
    urlopen(Request(server.url + path, method="POST"), timeout=30).close()
