"""The load: wrk with a script, on one thread, and what it did to the server."""

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
    """How hard to press, and for how long at a time."""

    seconds: int
    clients: int


class Round(NamedTuple):
    """What one run of wrk found. Latencies in ms; `good` is the share of answers below 400. Processor time in µs per
    request: of the server, of its database's connections, and (`later`) of the server after the run until it was quiet.
    """

    requests_per_second: float
    p50: float
    p99: float
    good: float
    cpu: float
    database_cpu: float
    later: float = 0.0


def median(rounds: Sequence[Round]) -> Round:
    """Each figure's median."""
    return Round(*(statistics.median(values) for values in zip(*rounds, strict=True)))


def booking_arguments(
    hotels: int, prefix: str = "hotel", types: Sequence[str] = ROOM_TYPES, nights: int = NIGHTS
) -> tuple[str, ...]:
    """What book.lua is told after its seed."""
    return str(hotels), prefix, ",".join(types), str(nights)


def drive(server: Server, script: str, arguments: Sequence[str], load: Load, seed: int, warm_up: bool = True) -> Round:
    """Warm up, then measure."""
    if warm_up:
        _wrk(server, script, [str(seed + 500_000), *arguments], WARM_UP_SECONDS, load.clients)
    before = server.cpu_microseconds(), server.database_microseconds()
    told = _wrk(server, script, [str(seed), *arguments], load.seconds, load.clients)
    after = server.cpu_microseconds(), server.database_microseconds()
    requests = max(told["requests"], 1)
    if told["broken"]:
        raise RuntimeError(f"{told['broken']} connections to {server.url} broke or timed out")
    return Round(
        requests * 1e6 / told["microseconds"],
        told["p50"] / 1e3,
        told["p99"] / 1e3,
        1 - told["refused"] / requests,
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
    told: dict[str, int] = json.loads(lines[-1])
    return told
