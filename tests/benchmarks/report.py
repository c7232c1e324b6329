"""The results as text tables, as JSON, and as the page docs/benchmarks.md."""

import asyncio
import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import sleep
from typing import NamedTuple

import asyncpg
from load import Round
from load import median as median_round

_PAGE = """# Benchmarks

`make bench` measures the figures of this page in one run on one machine, and writes the page.

## Figures

{figures}

A figure without a verdict has no goal, or was measured at a smaller size than that of its goal.

## Side by side

{runs}

`wrk` measured req/s, p50 and p99. CPU is processor time per request: of the server process during the run, of its
database's connections during the run, and of the server process after the run until it was idle (Innkeeper's read
models and subscribers step back while there are many bookings). Each figure is the median of {rounds} round(s) of
{seconds} s; a ratio is that of each round, with the least and the most of them in brackets.
{notes}
## What is compared

- **A bare aiohttp handler** is the upper limit of this stack: it reads the JSON, stores nothing, and sends a body of
  the same size that was rendered once. The difference to 1.00 is the cost of booking. A second one reads and writes
  the same JSON with aiohttp's own `request.json()` and `web.json_response()`.
- **aiohttp + asyncpg + PostgreSQL** in two designs. *Exclusion*: a row per booking,
  `EXCLUDE USING gist (hotel WITH =, room WITH =, stay WITH &&)`, a free room chosen by query. *Counters*: free rooms
  per hotel, type and night, without an assigned room. Both book in one statement, which is one transaction with its
  outbox row, `synchronous_commit = on`. Both avoid needless cost: statements are prepared, connections are kept and
  not reset between requests, keys are integers, the planner is set to use the indexes. They share the cores with
  their database.
- **Innkeeper**, as `python run.py demo --empty` starts it: SQLite with `synchronous=FULL`, every acknowledged booking
  on disk. It checks more (all limits, the business date, guests per room) and does more: it assigns rooms and
  reshuffles them, chains its journal by hashes, keeps lists that can be searched, and bills. Letters to guests and the
  archive run only in the part that measures the cost of all subscribers.
- Each is one Python process on uvloop and one loopback port. Requests and responses are the same. Innkeeper's own code
  reads the requests for PostgreSQL and renders its responses, so that only the storage differs. Both keep their data
  in the project's folder.
- The load is `wrk -t1 -c{clients}` with one script for all: a random one of {hotels} hotels (300 rooms each), any
  type, arrival on one of 1,000 dates, one to three nights, another guest each time. In each round the contestants take
  turns; each has a new process and new data, a second to warm up, and {seconds} s that count.
- *Every subscriber keeping up*: bookings arrive at random at a rate, whether the server is ready for them or not, and
  every guest gets a letter by SMTP. A rate holds if no subscriber is more than 2 s behind when the last booking
  arrives. A booking costs, all in, the processor time from the first one until everybody is at rest, by the bookings.
- After every run PostgreSQL's tables are checked, and after its last run Innkeeper's journal is (`python run.py
  verify`): a single room-night that was sold twice ends the benchmark with an error.
- Recovery is timed from opening the journal until all hotels can answer, in a process of its own, with all bookings
  still live, which is the slowest case. Memory is the growth of a process without a journal. A reshuffle is the whole
  decision, in the thread that takes it.

## Machine

{machine}

## Run it again

    {command}

`--events 1000000` measures recovery and the large journal at full size. `--only NAME` measures one part:
{parts}.
`--seconds`, `--rounds`, `--clients`, `--hotels` and `--connections` set the load. The benchmark starts PostgreSQL
where its server is installed; `INNKEEPER_BENCH_POSTGRES` gives the URL of a running one instead (the benchmark makes a
schema of its own there, and drops it at the end). Without `wrk` or PostgreSQL the parts that need them are left out,
and the report says so.
"""


class Figure(NamedTuple):
    """A measured figure and its goal. `met` is None where no goal applies."""

    name: str
    goal: str
    measured: str
    met: bool | None


class Report:
    """The results so far."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.runs: list[tuple[str, Sequence[Round]]] = []
        self.notes: list[str] = []

    def add(self, name: str, goal: str, measured: str, met: bool | None) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, goal, measured, met))

    def at_least(self, name: str, goal: float | None, ratios: Sequence[float]) -> None:
        """Add a ratio by its values in several rounds, with the least that their median must be."""
        middle = median(ratios)
        met = None if goal is None else middle >= goal
        measured = f"{middle:.2f}" + (f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else "")
        self.add(name, "–" if goal is None else f"≥ {goal:g}", measured, met)

    def add_runs(self, title: str, rounds: Sequence[Round]) -> None:
        """Add a row of figures of wrk: their medians, and the least and most requests/s."""
        self.runs.append((title, rounds))

    def note(self, text: str) -> None:
        """Add a remark for the reader."""
        self.notes.append(text)

    def figure_rows(self) -> list[tuple[str, ...]]:
        """The rows of the table of figures: figure, goal, measured, verdict."""
        verdicts = {True: "met", False: "**missed**", None: ""}
        rows = [(figure.name, figure.goal, figure.measured, verdicts[figure.met]) for figure in self.figures]
        return [("figure", "goal", "measured", ""), *rows]

    def run_rows(self) -> list[tuple[str, ...]]:
        """The rows of the table of runs, with the units in the head."""
        head = ("", "req/s", "least", "most", "p50, ms", "p99, ms", "2xx, %")
        processor = ("CPU, µs/req", "database CPU, µs/req", "CPU after, µs/req")
        return [(*head, *processor), *((title, *_cells(found)) for title, found in self.runs)]

    def text(self) -> str:
        """The report as text."""
        tables = [aligned(rows) for rows in (self.run_rows(), self.figure_rows()) if len(rows) > 1]
        return "\n\n".join([*tables, *self.notes]).replace("**", "")

    def json(self) -> str:
        """The report as JSON."""
        return json.dumps(
            {
                "machine": machine(),
                "figures": [figure._asdict() for figure in self.figures],
                "runs": {title: [found._asdict() for found in rounds] for title, rounds in self.runs},
                "notes": self.notes,
            },
            indent=2,
            ensure_ascii=False,
        )

    def page(self, **more: object) -> str:
        """The text of docs/benchmarks.md."""
        notes = "".join(f"\n{note}\n" for note in self.notes)
        facts = "\n".join(f"- {name}: {value}" for name, value in machine().items())
        figures, runs = aligned(self.figure_rows()), aligned(self.run_rows())
        return _PAGE.format(figures=figures, runs=runs, notes=notes, machine=facts, **more)


def _cells(rounds: Sequence[Round]) -> tuple[str, ...]:
    found, speeds = median_round(rounds), [one.requests_per_second for one in rounds]
    latencies = f"{found.p50:.2f}", f"{found.p99:.2f}"
    processor = f"{found.cpu:.0f}", f"{found.database_cpu:.0f}", f"{found.later:.0f}"
    spread = f"{min(speeds):,.0f}", f"{max(speeds):,.0f}"
    return f"{found.requests_per_second:,.0f}", *spread, *latencies, f"{100 * found.good:.2f}", *processor


def aligned(rows: list[tuple[str, ...]]) -> str:
    """A Markdown table that can be read as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    head, *lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines])


def busy_share(seconds: float = 1.0) -> float:
    """The share of the machine's processors that is in use now."""

    def ticks() -> tuple[int, int]:
        values = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
        return sum(values), values[3] + values[4]

    before = ticks()
    sleep(seconds)
    total, idle = (now - then for now, then in zip(ticks(), before, strict=True))
    return 1 - idle / total


def machine() -> dict[str, str]:
    """The machine and the versions on which the figures depend."""
    cores = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", cores)
    return {
        "processor": f"{model[1] if model else platform.machine()}, {cores.count('processor	:')} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "aiohttp, uvloop, asyncpg": ", ".join(map(version, ("aiohttp", "uvloop", "asyncpg"))),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _postgres_version(),
        "wrk": _first_line("wrk", "-v"),
    }


def _postgres_version() -> str:
    url = os.environ.get("INNKEEPER_BENCH_POSTGRES")
    if url is None:
        return "not available"

    async def ask() -> str:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()

    try:
        return asyncio.run(ask())
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return "not available"


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "not available"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return (done.stdout + done.stderr).partition("Copyright")[0].strip()
