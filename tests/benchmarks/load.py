"""The load: wrk with a script, on one thread, and the figures of a run."""

import json
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from contestants import HERE, Missing, Server
from hotels import NIGHTS, ROOM_TYPES

WARM_UP_SECONDS = 1
_WRK_SECONDS_MORE = 30


class Load(NamedTuple):
    """The duration of each run, and the number of clients."""

    seconds: int
    clients: int


class Round(NamedTuple):
    """The figures of one run of wrk. Latencies in ms; `good` is the share of responses below 400. Processor time in µs
    per request: of the server, of its database's connections, and (`later`) of the server from then until it was idle.
    """

    requests_per_second: float
    p50: float
    p99: float
    good: float
    cpu: float
    database_cpu: float
    later: float = 0.0


def median(rounds: Sequence[Round]) -> Round:
    """The median of each figure."""
    return Round(*(statistics.median(values) for values in zip(*rounds, strict=True)))


def ratios(ones: Sequence[Round], others: Sequence[Round]) -> list[float]:
    """Requests/s of one contestant ÷ those of another, round by round."""
    return [one.requests_per_second / other.requests_per_second for one, other in zip(ones, others, strict=True)]


def booking_arguments(
    hotels: int, prefix: str = "hotel", types: Sequence[str] = ROOM_TYPES, nights: int = NIGHTS
) -> tuple[str, ...]:
    """The arguments of book.lua after its seed."""
    return str(hotels), prefix, ",".join(types), str(nights)


def drive(server: Server, script: str, arguments: Sequence[str], load: Load, seed: int, warm_up: bool = True) -> Round:
    """Warm up, then measure."""
    if warm_up:
        _wrk(server, script, [str(seed + 500_000), *arguments], WARM_UP_SECONDS, load.clients)
    before = server.cpu_microseconds(), server.database_microseconds()
    figures = _wrk(server, script, [str(seed), *arguments], load.seconds, load.clients)
    after = server.cpu_microseconds(), server.database_microseconds()
    requests = max(figures["requests"], 1)
    if figures["broken"]:
        raise RuntimeError(f"{figures['broken']} connections to {server.url} broke or timed out")
    return Round(
        requests * 1e6 / figures["microseconds"],
        figures["p50"] / 1e3,
        figures["p99"] / 1e3,
        1 - figures["refused"] / requests,
        (after[0] - before[0]) / requests,
        (after[1] - before[1]) / requests,
    )


def need_wrk() -> None:
    """Raises `Missing` where there is no wrk."""
    if shutil.which("wrk") is None:
        raise Missing("wrk is not installed (Debian and Ubuntu: apt install wrk); nothing over HTTP is measured")


def _wrk(server: Server, script: str, arguments: Sequence[str], seconds: int, clients: int) -> dict[str, int]:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / script), server.url]
    done = subprocess.run(
        [*command, "--", *arguments], capture_output=True, text=True, check=False, timeout=seconds + _WRK_SECONDS_MORE
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"wrk failed: {done.stdout} {done.stderr}")
    figures: dict[str, int] = json.loads(lines[-1])
    return figures
