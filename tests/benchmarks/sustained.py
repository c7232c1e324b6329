"""The rate of bookings that every subscriber keeps up with: bookings arrive at random at a rate, letters go to a mail
server, and nobody may be more than two seconds behind.

A rate is tried for some seconds; the highest that holds is then held for a minute, which is what counts.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import NamedTuple
from urllib.request import urlopen

from contestants import HERE, INNKEEPER, Missing, Server, bare_json, innkeeper, running
from hotels import open_hotels
from load import need_wrk
from parts import Bench, book_round, progress, verify
from tqdm import tqdm

PROCESSOR_MICROSECONDS_MAX = 750
LAYOUTS = {"in one process": (1_000, ()), "letters and all other parts apart": (1_500, ("--processes",))}
"""Each with the rate that is its goal, and its options."""
LAG_SECONDS_MAX = 2.0
TRY_SECONDS, HOLD_SECONDS = 15, 60
RATES = (100, 150, 200, 300, 400, 500, 600, 700, 850, 1_000, 1_250, 1_500, 1_750, 2_000)
_POLL_SECONDS = 0.25
_LETTERS = "mail"


class Held(NamedTuple):
    """What became of a rate: bookings accepted per second, their delay (p99, ms), how many seconds each subscriber was
    behind when the last booking arrived, and the processor time of a booking (µs) until everybody was at rest."""

    rate: float
    p99: float
    behind: dict[str, float]
    processor: float

    @property
    def slowest(self) -> str:
        """Who is the most behind."""
        return max(self.behind, key=lambda name: self.behind[name])

    @property
    def holds(self) -> bool:
        """Whether everybody has kept up."""
        return self.behind[self.slowest] <= LAG_SECONDS_MAX and self.p99 <= 1_000 * LAG_SECONDS_MAX


def sustained(bench: Bench) -> None:
    """The highest rate that everybody keeps up with, in one process and with letters apart."""
    for layout, (goal, options) in LAYOUTS.items():
        with progress(len(RATES), f"sustained, {layout}") as bar:
            found, tried = _highest(bench, options, bar)
        behind = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(found.behind.items()))
        bench.report.add(
            f"bookings/s with every subscriber keeping up, for {HOLD_SECONDS} s, {layout}",
            f"≥ {goal:,}",
            f"{found.rate:,.0f} (p99 {found.p99:.0f} ms; behind at the end: {behind}; at {tried.rate:,.0f}/s:"
            f" {tried.slowest} {tried.behind[tried.slowest]:.1f} s)",
            found.holds and found.rate >= 0.97 * goal,
        )
        if not options:
            bench.report.add(
                "processor time of a booking, all in",
                f"≤ {PROCESSOR_MICROSECONDS_MAX} µs",
                f"{found.processor:,.0f} µs",
                found.processor <= PROCESSOR_MICROSECONDS_MAX,
            )
            _compare(bench, found)


def _highest(bench: Bench, options: tuple[str, ...], bar: "tqdm[None]") -> tuple[Held, Held]:
    """The highest rate that holds, held for longer; and the last one that was tried before."""
    best: float | None = None
    for rate in RATES:
        tried = hold(bench, rate, TRY_SECONDS, options)
        bar.update()
        if not tried.holds:
            break
        best = rate
    return tried if best is None else hold(bench, best, HOLD_SECONDS, options), tried


def _compare(bench: Bench, found: Held) -> None:
    """Both figures beside those of a handler that only reads and writes the same JSON: a measure of the machine."""
    try:
        need_wrk()
    except Missing as missing:
        bench.report.note(f"the sustained rate is not compared with a bare handler: {missing}")
        return
    handlers = [book_round(bench, bare_json(), number) for number in range(bench.rounds)]
    for what, own, other in (
        ("that rate", found.rate, [one.requests_per_second for one in handlers]),
        ("that processor time", found.processor, [one.cpu for one in handlers]),
    ):
        title = f"{what} ÷ bare aiohttp handler, JSON read and written"
        bench.report.add(title, "–", f"{own / median(other):.2f}", None)


def hold(bench: Bench, rate: float, seconds: float, options: tuple[str, ...] = ()) -> Held:
    """Lets bookings arrive at this rate on a new server with these options."""
    data = Path(mkdtemp(dir=bench.folder)) / "data"
    with mail_sink() as port:
        more = ("--smtp", f"smtp://127.0.0.1:{port}", "--mail-from", "desk@example.com", *options)
        contestant = INNKEEPER._replace(command=lambda data: (*innkeeper(data), *more), first=())
        with running(contestant, data) as server:
            open_hotels(server.url, bench.hotels)
            server.wait_until_quiet()
            before = server.cpu_microseconds()
            found, behind = _arrive(server, rate, seconds, bench.hotels)
            _wait_until_at_rest(server)
            processor = (server.cpu_microseconds() - before) / max(found["accepted"], 1)
    if found["unanswered"]:
        raise RuntimeError(f"{found['unanswered']} bookings were not answered")
    verify(data)
    return Held(found["accepted"] / seconds, found["p99"], behind, processor)


def _arrive(server: Server, rate: float, seconds: float, hotels: int) -> tuple[dict[str, float], dict[str, float]]:
    command = ["book", server.url, "--rate", str(rate), "--seconds", str(seconds), "--hotels", str(hotels)]
    with _running(command) as load:
        ends: list[tuple[float, dict[str, int]]] = []
        while load.poll() is None:
            ends.append((monotonic(), _ends(server)))
            sleep(_POLL_SECONDS)
        now, states = monotonic(), _subscribers(server)
        assert load.stdout is not None
        found: dict[str, float] = json.loads(load.stdout.read())
    behind = {name: _seconds_behind(name, state, now, ends, rate) for name, state in states.items()}
    return found, behind


def _seconds_behind(
    name: str, state: "State", now: float, ends: Sequence[tuple[float, dict[str, int]]], rate: float
) -> float:
    """For how long the next event of a subscriber has been waiting; a letter waits in the queue of letters."""
    if not state.lag:
        return 0.0
    if name == _LETTERS:
        return state.lag / rate
    had = [at for at, end in ends if end.get(name, 0) <= state.handled]
    return now - (had[-1] if had else ends[0][0])


class State(NamedTuple):
    """The events that a subscriber has handled, and those that it has not."""

    handled: int
    lag: int


def _subscribers(server: Server) -> dict[str, State]:
    with urlopen(f"{server.url}/v1/subscribers", timeout=60) as answer:
        found = json.load(answer)["data"]
    return {one["name"]: State(sum(one["positions"].values()), one["lag"]) for one in found}


def _ends(server: Server) -> dict[str, int]:
    """How many events there are for each subscriber."""
    return {name: state.handled + state.lag for name, state in _subscribers(server).items()}


def _wait_until_at_rest(server: Server) -> None:
    while any(state.lag for state in _subscribers(server).values()):
        sleep(1)
    server.wait_until_quiet()


@contextmanager
def mail_sink() -> Iterator[int]:
    """Runs a mail server that takes every letter; yields its port."""
    with _running(["mail"]) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def _running(arguments: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, str(HERE / "arrivals.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Tries one rate: python tests/benchmarks/sustained.py RATE SECONDS [--processes]"""
    import argparse
    from tempfile import TemporaryDirectory

    from load import Load
    from report import Report

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--processes", action="store_true", help="letters and all other parts apart")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="benchmark-") as folder:
        bench = Bench(Load(1, 1), 1, 20, 1, 1, Path(folder), Report())
        print(hold(bench, options.rate, options.seconds, ("--processes",) if options.processes else ()))


if __name__ == "__main__":
    main()
