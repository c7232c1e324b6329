#!/usr/bin/env python3
"""Innkeeper from the command line. The only file that knows every room of the house; it puts them together."""

import argparse
import asyncio
import errno
import fcntl
import gc
import json
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import IO

from aiohttp import web
from innkeeper.actors.host import Host
from innkeeper.actors.partition import Partition
from innkeeper.actors.rules.state import HotelState, describe, fold
from innkeeper.actors.stamps import clock, uuid7
from innkeeper.http.app import make_app
from innkeeper.http.furnishing import furnish
from innkeeper.http.keys import BadKeys, Keys
from innkeeper.http.replay import HistoryError, play
from innkeeper.protocol import wire
from innkeeper.protocol.journal import Fenced, JournalError
from innkeeper.protocol.limits import header_seconds_max, shutdown_seconds_max
from innkeeper.storage.auditor import Auditor
from innkeeper.storage.journal import SqliteJournal
from innkeeper.storage.read_models import ReadModels
from tqdm import tqdm

EXIT_VIOLATED, EXIT_USAGE, EXIT_IN_USE, EXIT_DAMAGED = 1, 2, 3, 4

logger = logging.getLogger("innkeeper")


class CannotRun(Exception):
    """Why the program ends at once, for the person at the terminal; `code` for the script that called."""

    def __init__(self, message: str, code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.code = code


def lock_data(data: Path) -> IO[str]:
    """Make the data directory ours for as long as the returned file is open."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / "lock").open("a")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotRun(
            f"{data} is in use by another Innkeeper; stop it, or choose another with --data", EXIT_IN_USE
        ) from None
    except OSError as error:
        raise CannotRun(f"{data} cannot be used: {error.strerror}; choose another with --data") from None
    return file


def journal_path(data: Path) -> Path:
    """The journal of the one partition."""
    return data / "partition-0.db"


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[tuple[Partition, ReadModels]]:
    """A partition and its read models on a data directory, stopped in good order at the end."""
    with lock_data(data), tqdm(unit=" events", desc="recovering", disable=not sys.stderr.isatty(), leave=False) as bar:

        def progress(events: int) -> None:
            bar.update(events - bar.n)

        partition = Partition(lambda: open_host(data, progress), clock)
        await partition.start()
        bar.close()
        views = ReadModels(data / "views-0.db", journal_path(data))
        views.start()
        gc.collect()
        gc.freeze()  # what stands now stands for long: the collector need not look at it again
        try:
            yield partition, views
        finally:
            await partition.stop()
            views.stop()


def open_host(data: Path, progress: Callable[[int], None]) -> Host:
    """A host on the journal of a data directory, with its hotels rebuilt."""
    host = Host(SqliteJournal(journal_path(data)), clock, uuid7)
    host.recover(progress)
    return host


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """The gateway on a port (0: any); at the end it takes no more, and finishes what it took."""
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=header_seconds_max, shutdown_timeout=shutdown_seconds_max
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotRun(f"port {port} is in use; choose another with --port", EXIT_IN_USE) from None
            raise CannotRun(f"cannot listen on {host}:{port}: {error}") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def until_stopped(partition: Partition) -> None:
    """Wait for SIGTERM or Ctrl-C; raises what ends the partition before that."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    ended, asked_to = asyncio.create_task(partition.ended()), asyncio.create_task(stopped.wait())
    await asyncio.wait({ended, asked_to}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        ended.result()
    ended.cancel()
    print("Finishing what was accepted …", file=sys.stderr)


async def demo(options: argparse.Namespace) -> None:
    """Two furnished hotels on this machine alone."""
    async with running(options.data) as (partition, views):
        if not options.empty and partition.position == 0:
            await furnish(partition, sys.stderr.isatty())
        async with serving(make_app(partition, views), "127.0.0.1", options.port) as port:
            print(
                f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: {options.data}",
                file=sys.stderr,
            )
            print("Ctrl-C stops it; what was booked is there again at the next start.", file=sys.stderr)
            await until_stopped(partition)


async def serve(options: argparse.Namespace) -> None:
    """Production: keys are required."""
    try:
        keys = Keys.read(options.keys)
    except (OSError, BadKeys, UnicodeDecodeError) as error:
        raise CannotRun(f"serve needs a file of keys (--keys): {error}") from None
    async with (
        running(options.data) as (partition, views),
        serving(make_app(partition, views, keys), options.host, options.port) as port,
    ):
        print(f"Serving http://{options.host}:{port}, data: {options.data}", file=sys.stderr)
        await until_stopped(partition)


def verify(options: argparse.Namespace) -> None:
    """Prove the promises over a whole journal; prints a report, and ends with 1 where one is broken."""
    if not journal_path(options.data).exists():
        raise CannotRun(f"{options.data} holds no journal; give the data directory with --data")
    with lock_data(options.data):
        journal = SqliteJournal(journal_path(options.data))
        bar = tqdm(journal.checked(), total=journal.position(), unit=" events", disable=not sys.stderr.isatty())
        auditor = Auditor()
        auditor.take_in(record for _, record in bar)
        violations = auditor.violations + snapshot_violations(journal)
        journal.close()
    print(json.dumps({"events": auditor.events, "hotels": len(auditor.hotels), "violations": violations}, indent=2))
    if violations:
        raise CannotRun(f"{len(violations)} violations", EXIT_VIOLATED)


def snapshot_violations(journal: SqliteJournal) -> list[str]:
    """P6: each snapshot is byte for byte what the events up to it make."""
    found = []
    for snapshot in journal.snapshots():
        records = journal.read(hotel=snapshot.hotel)
        state = fold(HotelState(), (record for _, record in islice(records, snapshot.hotel_seq)))
        if wire.encode(describe(state)) != snapshot.state:
            found.append(
                f"{snapshot.hotel}: the snapshot at event {snapshot.hotel_seq} is not what its events make (P6)"
            )
    return found


async def replay(options: argparse.Namespace) -> None:
    """Play a booking history through the HTTP API: of a running server, or of one that is started just for this."""
    try:
        async with own_server() if not options.url else nullcontext(options.url) as url:
            tally, decisions = await play(url, options.hotel, options.history, options.rooms, sys.stderr.isatty())
    except HistoryError as error:
        raise CannotRun(str(error)) from None
    if options.decisions:
        options.decisions.write_text(decisions, encoding="ascii")
    print(json.dumps(tally))


@asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """The URL of an empty server in a process of its own, which ends with its data at the end."""
    with tempfile.TemporaryDirectory(prefix="innkeeper-") as data:
        command = (sys.executable, __file__, "demo", "--empty", "--port", "0", "--data", data)
        server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert server.stderr is not None
        try:
            first = (await server.stderr.readline()).decode()
            match = re.search(r"http://[0-9.:]+", first)
            if match is None:
                raise CannotRun(f"the server for this replay did not start: {first.strip()}")
            yield match[0]
        finally:
            if server.returncode is None:
                server.terminate()
            await server.communicate()


def parser() -> argparse.ArgumentParser:
    """The command line. Every option can also be given by its environment variable."""
    top = argparse.ArgumentParser(
        prog="run.py",
        description="Innkeeper: a hotel reservation system made of actors and events.",
        epilog="Without a command it runs the demo. Every option --some-name has a variable INNKEEPER_SOME_NAME.",
    )
    top.set_defaults(run=None)
    commands = top.add_subparsers(metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], object], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=(run.__doc__ or text).strip())
        added.set_defaults(run=run)
        return added

    demo_options = command("demo", demo, "two furnished hotels on this machine alone (the default)")
    serve_options = command("serve", serve, "production: listens where you say, and asks for keys")
    verify_options = command("verify", verify, "prove the promises over a whole journal")
    for options in (demo_options, serve_options, verify_options):
        option(options, "--data", Path, "data", "the data directory")
    for options in (demo_options, serve_options):
        option(options, "--port", port_number, "8080", "the port to listen on; 0 takes any that is free")
    demo_options.add_argument(
        "--empty", action="store_true", default=variable("--empty") in os.environ, help="no hotels yet"
    )
    option(serve_options, "--host", str, "0.0.0.0", "the address to listen on")
    option(serve_options, "--keys", Path, "keys", "a file with a line name:key for each client")
    replay_options = command("replay", replay, "play a booking history (CSV) through the HTTP API")
    replay_options.add_argument("history", type=Path, metavar="HISTORY.csv", help="the bookings and their fates")
    option(replay_options, "--rooms", Path, None, "how many rooms of each type (CSV)", metavar="ROOMS.csv")
    option(replay_options, "--url", str, "", "a running server; without it one is started for this alone")
    option(replay_options, "--hotel", str, "history", "the id of the hotel to open there")
    option(
        replay_options,
        "--decisions",
        Path,
        None,
        "write a letter per booking here: Y accepted, n refused",
        metavar="FILE",
    )
    return top


def option(
    options: argparse.ArgumentParser,
    name: str,
    kind: Callable[[str], object],
    default: str | None,
    text: str,
    metavar: str | None = None,
) -> None:
    """One option with its environment variable and its default."""
    given = os.environ.get(variable(name), default)
    required = given is None and name == "--rooms"
    shown = f"{text} ({variable(name)}" + (f"; {default})" if default else ")")
    options.add_argument(name, type=kind, default=given, required=required, metavar=metavar, help=shown)


def variable(name: str) -> str:
    """The environment variable of an option: `--port` is INNKEEPER_PORT."""
    return "INNKEEPER_" + name.strip("-").upper().replace("-", "_")


def port_number(text: str) -> int:
    """A port, as the command line has it."""
    number = int(text)
    if not 0 <= number <= 65_535:
        raise ValueError(text)
    return number


def run_async(work: Coroutine[object, object, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop

        loops: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        loops = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(work)


def main(arguments: list[str]) -> int:
    """Run a command; the exit code says how it ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # what strangers send that is not HTTP is no error
    top = parser()
    options = top.parse_args(arguments)
    if options.run is None:
        options = top.parse_args(["demo", *arguments])
    try:
        work = options.run(options)
        if work is not None:
            run_async(work)
    except CannotRun as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return error.code
    except JournalError as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return EXIT_IN_USE if isinstance(error, Fenced) else EXIT_DAMAGED
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
