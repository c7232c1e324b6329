"""Records what a real server does to its disk under load, and rebuilds what a loss of power leaves of it."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from power_loss.disk import Disk, Names, Unsynced
from power_loss.load import Clients, Request
from power_loss.operations import Departures, Operation, departures, parse
from support.required_tools import require
from support.server_process import ServerProcess
from support.smtp_server import RecordingSmtpServer, smtp_server
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver
from support.whole_installation import has_caught_up

CLIENTS = 12
CATCH_UP_SECONDS_MAX = 60
KILL_ATTEMPTS_MAX = 1_000
SERVICES = ("/billing.db-wal", "/notifications.db-wal", "/delivery.db-wal")
_SOURCE = Path(__file__).with_name("recorder.c")
_AT_NAMES = "CDRLUT"  # operations that change names or sizes
_OPERATIONS_OF_A_START = 800
_NUMBERS = "/made/"  # files that say how many changes a database has had


class Cut(NamedTuple):
    """A loss of power after so many operations; `seed` decides what is there of what was not synced."""

    operations: int
    names: Names
    unsynced: Unsynced
    seed: int

    def __str__(self) -> str:
        return f"{self.operations} operations, {self.names.value}, {self.unsynced.value}, seed {self.seed}"


class History(NamedTuple):
    """What was recorded. `data` is the data directory, in a folder that stands for the disk. The second process began
    after the operation `second_start`."""

    data: Path
    operations: list[Operation]
    gone: Departures
    requests: list[Request]
    receiver_port: int
    second_start: int

    def rebuilt(self, cuts: Iterable[Cut], folder: Path) -> Iterator[tuple[Cut, Path]]:
        """The data directory after each cut, in a new folder, which is removed afterwards."""
        disks = {names: Disk(self.data.parent, names) for names in Names}
        done = 0
        for number, cut in enumerate(sorted(cuts, key=lambda cut: cut.operations)):
            for operation in self.operations[done : cut.operations]:
                for disk in disks.values():
                    disk.carry_out(operation)
            done = cut.operations
            copy = folder / f"cut-{number}"
            disks[cut.names].lose_power(copy, cut.unsynced, Random(cut.seed))
            yield cut, copy / self.data.name
            shutil.rmtree(copy)

    def cuts(self, count: int, chance: Random) -> list[Cut]:
        """Cuts at random operations: after replies, letters and webhooks, which promise something; after changes of
        names and sizes; while the second process starts; and anywhere. Each model of the disk has its turn."""
        promised = self.gone.numbers()
        renamed = [
            number
            for number, operation in enumerate(self.operations)
            if operation.kind in _AT_NAMES or _NUMBERS in operation.path
        ]
        restarted = range(self.second_start, min(self.second_start + _OPERATIONS_OF_A_START, len(self.operations)))
        found = []
        for number in range(count):
            places = chance.choice([promised, promised, renamed, restarted, range(len(self.operations))])
            names, unsynced = [*Names][number % 2], [Unsynced.MIXED, Unsynced.NOTHING, Unsynced.MIXED][number % 3]
            found.append(Cut(chance.choice(places) + 1, names, unsynced, chance.randrange(1_000_000)))
        return found


def build_recorder(folder: Path) -> Path:
    """Compile the library; its path."""
    compiler = shutil.which("cc")
    require(compiler is not None, "no C compiler, with which the operations of a server are recorded")
    folder.mkdir(parents=True)
    library = folder / "recorder.so"
    subprocess.run([str(compiler), "-O1", "-shared", "-fPIC", "-o", library, _SOURCE, "-lpthread"], check=True)
    return library


def record(folder: Path, seconds: float, seed: int, ignored: str = "", processes: bool = False) -> History:
    """Run a server under load, kill it, run it again, and stop it. With `processes` each part of it is a process, and
    it is stopped in order both times. The syncs of files that end in `ignored` do nothing."""
    disk, log = folder.resolve() / "disk", folder.resolve() / "operations"
    disk.mkdir(parents=True)
    environment = {
        "LD_PRELOAD": str(build_recorder(folder / "build")), "RECORDER_ROOT": str(disk), "RECORDER_LOG": str(log),
        "RECORDER_IGNORES": ignored,
    }  # fmt: skip
    clients = Clients(Random(seed))
    with smtp_server(pipelines=True) as mail, webhook_receiver() as receiver:
        options = [*mail_options(mail), *(["--processes"] if processes else [])]
        server = ServerProcess(disk / "data", options=options, env={**os.environ, **environment})
        with closing(server):
            asyncio.run(clients.set_up(server.url, receiver.url))
            stop = (lambda: server.stop()) if processes else partial(_kill_during_sync, server, log)
            asyncio.run(_load(clients, server, seconds, "first", stop))
            second_start = len(parse(log.read_bytes()))
            server.start_again()
            asyncio.run(_load(clients, server, seconds / 2, "second"))
            wait_until(lambda: has_caught_up(server.url), CATCH_UP_SECONDS_MAX)
            code, output = server.stop()
            assert code == 0, output
    operations = parse(log.read_bytes())
    return History(disk / "data", operations, departures(operations), clients.requests, receiver.port, second_start)


def mail_options(mail: RecordingSmtpServer) -> list[str]:
    """The options of a server that sends its letters there."""
    return ["--smtp", f"smtp://127.0.0.1:{mail.port}", "--mail-from", "desk@example.com"]


async def _load(
    clients: Clients, server: ServerProcess, seconds: float, name: str, stop: Callable[[], object] = lambda: None
) -> None:
    """Send requests for so long; the server is stopped before they end."""
    stopped = asyncio.Event()
    load = asyncio.create_task(clients.run(server.url, name, CLIENTS, stopped))
    await asyncio.sleep(seconds)
    await asyncio.to_thread(stop)
    stopped.set()
    await load


def _kill_during_sync(server: ServerProcess, log: Path) -> None:
    """Kill the server while it syncs the database of a service: the next process reads what this one has written, and
    has not synced. The log is locked meanwhile, so that no operation is without its record."""
    running = set[tuple[int, int]]()
    with log.open("rb") as reader:
        for patience in range(KILL_ATTEMPTS_MAX, 0, -1):
            fcntl.flock(reader, fcntl.LOCK_EX)
            for operation in parse(reader.read()):
                if operation.kind == "B" and operation.path.endswith(SERVICES):
                    running.add((operation.inode, operation.at))
                elif operation.kind == "E":
                    running.discard((operation.inode, operation.at))
            if running or patience == 1:
                server.kill()
                return
            fcntl.flock(reader, fcntl.LOCK_UN)
            time.sleep(0.001)
