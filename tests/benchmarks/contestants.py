"""The servers that are compared: each a process on a free loopback port, started anew for each round."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 120
QUIET_SECONDS_MAX = 600
EXIT_MISSING = 3
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PARENT_DEATH_SIGNAL = 1


class Missing(Exception):
    """A program that a benchmark needs is not on this machine; the message names it."""


class Server(NamedTuple):
    """A running contestant: its URL, its process, and the processes of its database's connections, if it has one."""

    url: str
    process: int
    database: tuple[int, ...] = ()

    def cpu_microseconds(self) -> int:
        """Processor time that the server and the processes that it has started have used so far."""
        return sum(map(cpu_microseconds, _with_children(self.process)))

    def resident_bytes(self) -> int:
        """Memory of the server that is in RAM now."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith("VmRSS:"))

    def database_microseconds(self) -> int:
        """Processor time that the database's connections have used so far."""
        return sum(map(cpu_microseconds, self.database))

    def wait_until_quiet(self) -> None:
        """Wait until it has nothing left to do: less than a thirtieth of a processor for three seconds."""
        deadline = monotonic() + QUIET_SECONDS_MAX
        while monotonic() < deadline:
            before = self.cpu_microseconds()
            sleep(3)
            if self.cpu_microseconds() - before < 100_000:
                return
        raise RuntimeError(f"{self.url} is still busy after {QUIET_SECONDS_MAX} s")


class Contestant(NamedTuple):
    """A server that takes bookings. `command` gets a folder for its data; `first` are paths to POST to at the start."""

    name: str
    title: str
    command: Callable[[Path], Sequence[str]]
    stores: bool = True
    first: tuple[str, ...] = ()


def cpu_microseconds(process: int) -> int:
    """User and system time of a process so far, from /proc; it counts in steps of 10 ms."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // _TICKS_PER_SECOND


def _with_children(process: int) -> list[int]:
    """A process, those that its threads have started, and so on."""
    found = [process]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def innkeeper(data: Path) -> Sequence[str]:
    """Innkeeper itself, on a data directory."""
    return (sys.executable, str(ROOT / "run.py"), "demo", "--empty", "--port", "0", "--data", str(data))


def bare(nights: int = 7) -> Contestant:
    """A handler that decides and stores nothing; its availability responses are for this many nights."""
    command = (sys.executable, str(HERE / "bare.py"), "--nights", str(nights))
    return Contestant("bare", "bare aiohttp handler", lambda _: command, stores=False)


def bare_json() -> Contestant:
    """A handler that only reads and writes JSON, as aiohttp's documentation shows it."""
    command = (sys.executable, str(HERE / "bare.py"), "--renders")
    return Contestant("bare-json", "bare aiohttp handler, JSON read and written", lambda _: command, stores=False)


def postgres(design: str, connections: int) -> Contestant:
    """aiohttp, asyncpg and PostgreSQL."""
    command = (sys.executable, str(HERE / "postgres.py"), "--design", design, "--connections", str(connections))
    return Contestant(f"postgres-{design}", f"aiohttp + asyncpg + PostgreSQL, {design}", lambda _: command)


INNKEEPER = Contestant(
    "innkeeper",
    "Innkeeper",
    innkeeper,
    first=("/v1/subscribers/mail/actions/pause", "/v1/subscribers/archive/actions/pause"),
)


@contextmanager
def running(contestant: Contestant, folder: Path) -> Iterator[Server]:
    """The running contestant, stopped with SIGTERM at the end; raises if a check fails then."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / f"{contestant.name}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            contestant.command(folder), stdout=stderr, stderr=stderr, preexec_fn=_end_with_parent, cwd=folder
        )
    try:
        server = _ready(process, log)
        for path in contestant.first:
            urlopen(Request(server.url + path, method="POST"), timeout=START_SECONDS_MAX).close()
        yield server
        process.terminate()
        code = process.wait(STOP_SECONDS_MAX)
        if code != 0:
            raise RuntimeError(f"{contestant.title} ended with {code}: {log.read_text()[-2_000:]}")
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process: with SIGTERM, so that it can clean up, and with SIGKILL if it does not end."""
    try:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS_MAX)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _ready(process: "subprocess.Popen[bytes]", log: Path) -> Server:
    deadline = monotonic() + START_SECONDS_MAX
    while monotonic() < deadline:
        code, lines = process.poll(), log.read_text()
        found = re.search(r".*?(http://127\.0\.0\.1:\d+).*\n", lines)
        if found:
            _, _, pids = found[0].partition("database processes:")
            return Server(found[1], process.pid, tuple(pid for pid in map(int, pids.split()) if _is_postgres(pid)))
        if code == EXIT_MISSING:
            raise Missing(lines.strip().splitlines()[-1])
        if code is not None:
            break
        sleep(0.02)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2_000:]}")


def _is_postgres(process: int) -> bool:
    """Is this a PostgreSQL process on this machine, and not a number from another one?"""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip() == "postgres"
    except OSError:
        return False
