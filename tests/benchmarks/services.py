"""The cost of subscribers: bookings/s with all subscribers running ÷ with all of them paused; and how fast subscribers
that are behind catch up."""

import json
from time import monotonic, sleep
from urllib.request import Request, urlopen

from contestants import INNKEEPER, Server, running
from hotels import open_hotels
from inside import partition
from load import Round, booking_arguments, drive, ratios
from parts import Bench, progress

SHARE_MIN = 0.85
CATCH_UP_PER_SECOND_MIN = 20_000
EVENTS_OF_THE_GOAL = 200_000
MEASURED = ("billing", "notifications", "payments")
CATCH_UP_SECONDS_MAX = 600


def services(bench: Bench) -> None:
    """Measure with paused and with running subscribers in turn, each time on a new server."""
    rounds: dict[bool, list[Round]] = {True: [], False: []}
    caught_up: dict[str, float] = {}
    with progress(bench.rounds * 2, "services") as bar:
        for number in range(bench.rounds):
            for paused in (True, False):
                with running(INNKEEPER, bench.folder / f"services-{number}-{paused}") as server:
                    open_hotels(server.url, bench.hotels)
                    if paused:
                        _pause_all(server)
                    else:
                        for path in INNKEEPER.first:
                            _post(server, path.replace("pause", "resume"))
                    rounds[paused].append(
                        drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, number)
                    )
                    if not paused:
                        caught_up = _caught_up_per_second(server)
                bar.update()
    bench.report.add_runs("Innkeeper, all subscribers paused", rounds[True])
    bench.report.add_runs("Innkeeper, all subscribers running", rounds[False])
    found = ratios(rounds[False], rounds[True])
    bench.report.at_least("bookings/s with all subscribers running ÷ with all paused", SHARE_MIN, found)
    for name, rate in caught_up.items():
        bench.report.add(
            f"{name}, catching up after that load, with the other subscribers", "", f"{rate:,.0f} events/s", None
        )


def behind(bench: Bench) -> None:
    """Each subscriber alone handles a large journal that is new to it; mail and archive stay paused."""
    data = bench.folder / "behind"
    with running(INNKEEPER, data) as server:
        _pause_all(server)
    partition("write", bench.hotels, data, bench.events)
    full_size = bench.events >= EVENTS_OF_THE_GOAL
    with running(INNKEEPER, data) as server, progress(len(MEASURED), "behind") as bar:
        server.wait_until_quiet()
        for name in MEASURED:
            before = server.resident_bytes()
            _post(server, f"/v1/subscribers/{name}/actions/resume")
            start, lag, most_memory = monotonic(), _lags(server)[name], before
            cpu = server.cpu_microseconds()
            while _lags(server)[name]:
                _check_time(start)
                most_memory = max(most_memory, server.resident_bytes())
                sleep(0.05)
            rate = lag / (monotonic() - start)
            bench.report.add(
                f"{name}, {lag:,} events behind, catching up",
                f"≥ {CATCH_UP_PER_SECOND_MIN:,} events/s",
                f"{rate:,.0f} events/s, {(server.cpu_microseconds() - cpu) / lag:.0f} µs of processor time each,"
                f" {(most_memory - before) / 1e6:,.0f} MB more memory",
                rate >= CATCH_UP_PER_SECOND_MIN if full_size else None,
            )
            bar.update()


def _caught_up_per_second(server: Server) -> dict[str, float]:
    """How many events per second each subscriber handles until it has caught up."""
    start, rates, behind = monotonic(), dict[str, float](), _lags(server)
    while behind.keys() - rates.keys():
        _check_time(start)
        sleep(0.05)
        now, seconds = _lags(server), monotonic() - start
        for name in behind.keys() - rates.keys():
            behind[name] = max(behind[name], now[name])
            if not now[name]:
                rates[name] = behind[name] / seconds
    return {name: rates[name] for name in behind}


def _check_time(start: float) -> None:
    if monotonic() - start > CATCH_UP_SECONDS_MAX:
        raise RuntimeError(f"a subscriber did not catch up in {CATCH_UP_SECONDS_MAX} s")


def _lags(server: Server) -> dict[str, int]:
    """How many events each subscriber has not handled yet; for mail, how many letters wait."""
    with urlopen(f"{server.url}/v1/subscribers", timeout=30) as answer:
        return {subscriber["name"]: subscriber["lag"] for subscriber in json.load(answer)["data"]}


def _pause_all(server: Server) -> None:
    for name in _lags(server):
        _post(server, f"/v1/subscribers/{name}/actions/pause")


def _post(server: Server, path: str) -> None:
    urlopen(Request(server.url + path, method="POST"), timeout=30).close()
