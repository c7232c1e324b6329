#!/usr/bin/env python3
"""Compares Innkeeper with a bare aiohttp handler, with PostgreSQL, and with its own goals: make bench, or python
tests/benchmarks/run.py. The tables go to stdout; docs/benchmarks.md explains them."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import archive
import broker
import inside
import letters
import parts
import services
import split
import stream
import sustained
from contestants import ROOT, Missing
from load import Load, need_wrk
from parts import Bench
from report import Report, busy_share
from support.postgres_node import postgres_node, programs

PARTS: dict[str, Callable[[Bench], None]] = {
    "bookings": parts.bookings,
    "contention": parts.contention,
    "availability": parts.availability,
    "journal": inside.journal,
    "stream": stream.stream,
    "services": services.services,
    "sustained": sustained.sustained,
    "split": split.split,
    "letters": letters.letters,
    "archive": archive.archive,
    "publishing": broker.publishing,
    "behind": services.behind,
    "memory": inside.memory,
    "reshuffle": inside.reshuffle,
}
WITH_POSTGRES = {"bookings"}
WITHOUT_WRK = ("sustained", "letters", "archive", "publishing", "behind", "memory", "reshuffle")
BUSY_SHARE_MAX = 0.1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5, help="seconds of each run of wrk (5)")
    options.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians are taken (3)")
    options.add_argument("--clients", type=int, default=64, help="connections at once (64)")
    options.add_argument("--hotels", type=int, default=20, help="hotels of 300 rooms (20)")
    options.add_argument("--connections", type=int, default=32, help="connections to PostgreSQL (32)")
    options.add_argument("--events", type=int, default=200_000, help="bookings in the large journal (200,000)")
    options.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    options.add_argument("--data", type=Path, help="a folder on a real disk for temporary data (build)")
    options.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    options.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the page to this file (docs/benchmarks.md)"
    )
    return options


def measure(options: argparse.Namespace) -> Report:
    """Run the parts one after the other, each in a temporary folder for its data."""
    report = Report()
    busy: dict[str, float] = {}
    chosen = options.only or list(PARTS)
    try:
        need_wrk()
    except Missing as missing:
        report.note(str(missing))
        chosen = [name for name in chosen if name in WITHOUT_WRK]
    data = options.data or ROOT / "build"
    data.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        print(f"{name} …", file=sys.stderr)
        busy[name] = busy_share()
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=data) as folder:
            load = Load(options.seconds, options.clients)
            sizes = options.hotels, options.connections, options.events
            PARTS[name](Bench(load, options.rounds, *sizes, Path(folder), report))
    shares = [f"{share:.0%} ({name})" for name, share in busy.items() if share > BUSY_SHARE_MAX]
    if shares:
        report.note(f"Other programs used the processors before these parts: {', '.join(shares)}.")
    return report


@contextmanager
def database(options: argparse.Namespace) -> Iterator[None]:
    """Run a PostgreSQL for the parts that need one, unless a URL is set or none is installed."""
    needed = WITH_POSTGRES.intersection(options.only or PARTS) and "INNKEEPER_BENCH_POSTGRES" not in os.environ
    if not needed or programs() is None:
        yield
        return
    data = options.data or ROOT / "build"
    data.mkdir(parents=True, exist_ok=True)
    with postgres_node(data) as url:
        os.environ["INNKEEPER_BENCH_POSTGRES"] = url
        yield


def page(report: Report, options: argparse.Namespace) -> str:
    """The text of docs/benchmarks.md, with the command that measures it again."""
    sizes = "".join(
        f" --{name} {getattr(options, name)}"
        for name in ("seconds", "rounds", "clients", "hotels", "connections", "events")
    )
    only = "".join(f" --only {name}" for name in options.only or ())
    return report.page(
        rounds=options.rounds,
        clients=options.clients,
        hotels=options.hotels,
        seconds=options.seconds,
        command=f"python tests/benchmarks/run.py{sizes}{only} --markdown docs/benchmarks.md",
        parts=", ".join(f"`{name}`" for name in PARTS),
    )


def main() -> int:
    """The exit code: 1 where a check failed, 130 after an interrupt."""
    options = parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with database(options):
            report = measure(options)
            print(report.text())
            if options.json:
                options.json.write_text(report.json() + "\n", encoding="utf-8")
            if options.markdown:
                options.markdown.write_text(page(report, options), encoding="utf-8")
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
