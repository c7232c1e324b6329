"""An installation listens on loopback, on the address that the operator named, and on Unix sockets of its owner alone;
nothing that arrives on a socket is unpickled.

The listeners are read from /proc, for the whole tree of processes, for each way to run.
"""

import ast
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from support.paths import ROOT
from support.server_process import program_command
from support.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="listeners are read from /proc (Linux)")

START_SECONDS_MAX = 120
TCP_LISTEN = "0A"
UNIX_LISTENS = 0x10000  # __SO_ACCEPTCON
KEY = "front-desk:a-key-for-tests-of-listeners\n"
NAMED = "127.0.0.77"


class Listener(NamedTuple):
    """A socket that accepts connections or datagrams: `tcp`, `udp` or `unix`, and its host or path."""

    kind: str
    host: str


def tree(pid: int) -> set[int]:
    """The ids of a process and of all its descendants."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents.setdefault(int(stat.read_text().rpartition(") ")[2].split()[1]), []).append(int(stat.parent.name))
    found, pending = set[int](), [pid]
    while pending:
        found.add(one := pending.pop())
        pending += parents.get(one, [])
    return found


def listeners(pids: set[int]) -> set[Listener]:
    """The sockets on which these processes listen."""
    inodes = {inode for pid in pids for inode in socket_inodes(pid)}
    found = {Listener("unix", path) for inode, path in unix_listeners() if inode in inodes}
    for kind in ("tcp", "udp"):
        for family in ("", "6"):
            table = Path(f"/proc/net/{kind}{family}")
            for line in table.read_text().splitlines()[1:] if table.exists() else ():
                fields = line.split()
                listens = fields[3] == TCP_LISTEN if kind == "tcp" else fields[2].startswith("0" * len(fields[2][:-5]))
                if listens and fields[9] in inodes:
                    found.add(Listener(kind, address(fields[1].partition(":")[0])))
    return found


def socket_inodes(pid: int) -> Iterator[str]:
    """The sockets that a process has open."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):
                    yield match[1]


def unix_listeners() -> Iterator[tuple[str, str]]:
    """Inode and path of each Unix socket on this machine that listens."""
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if int(fields[3], 16) & UNIX_LISTENS:
            yield fields[6], fields[7] if len(fields) == 8 else ""


def address(text: str) -> str:
    """An address from its form in /proc: words of four bytes, each in the machine's byte order."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    return str(ip_address(b"".join(words)))


def test_listeners_on_all_addresses_and_on_unix_sockets_are_found(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)), socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "here.sock"))
        unix.listen()
        found = listeners({os.getpid()})
    assert {Listener("tcp", "0.0.0.0"), Listener("unix", str(tmp_path / "here.sock"))} <= found


class Setup(NamedTuple):
    """The commands that make up an installation, and the text that each prints when it is ready."""

    commands: tuple[tuple[str, ...], ...]
    ready: str = r"ready|Serving|Front desk"


SPLIT = (
    ("reservations", "--partitions", "2", "--partition", "0"),
    ("reservations", "--partitions", "2", "--partition", "1"),
    ("billing",),
    ("notifications",),
    ("delivery",),
    ("gateway", "--port", "0", "--keys", "keys"),
)
SETUPS = {
    "the demo": Setup((("demo", "--port", "0", "--empty"),)),
    "a server": Setup((("serve", "--port", "0", "--keys", "keys"),)),
    "a server on a named host": Setup((("serve", "--port", "0", "--keys", "keys", "--host", NAMED),)),
    "the demo in several processes": Setup((("demo", "--port", "0", "--empty", "--processes", "--partitions", "2"),)),
    "a server with two gateways": Setup(
        (("serve", "--port", "0", "--keys", "keys", "--processes", "--workers", "2", "--host", NAMED),)
    ),
    "two gateways on the loopback address of IPv6": Setup(
        (("serve", "--port", "0", "--keys", "keys", "--processes", "--workers", "2", "--host", "::1"),)
    ),
    "each part in its own process": Setup(SPLIT),
}


@pytest.fixture(params=["local", pytest.param("rabbitmq", marks=pytest.mark.xdist_group("rabbitmq"))])
def broker(request: pytest.FixtureRequest) -> str:
    """Without a broker, and with one."""
    return "local" if request.param == "local" else request.getfixturevalue("rabbitmq")


@contextmanager
def running(folder: Path, setup: Setup, broker: str) -> Iterator[set[int]]:
    """The ids of all processes of a running installation, which are ended afterwards."""
    (folder / "keys").write_text(KEY)
    options = [] if broker == "local" else ["--broker", broker]
    started = list[subprocess.Popen[bytes]]()
    try:
        for number, command in enumerate(setup.commands):
            log = folder / f"{number}.log"
            with log.open("wb") as output:
                arguments = program_command(*command, "--data", folder / "data", *options)
                started.append(subprocess.Popen(arguments, cwd=folder, stdout=output, stderr=output))
            wait_until(has_written(log, setup.ready, started[-1]), START_SECONDS_MAX)
        yield set[int]().union(*(tree(process.pid) for process in started))
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(START_SECONDS_MAX)


def has_written(log: Path, text: str, process: "subprocess.Popen[bytes]") -> Callable[[], bool]:
    """A condition: this process, which must still run, has written this text to its log."""

    def is_written() -> bool:
        assert process.poll() is None, log.read_text()
        return re.search(text, log.read_text()) is not None

    return is_written


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())
def test_listeners_are_on_loopback_the_named_host_and_private_unix_sockets(
    setup: Setup, broker: str, tmp_path: Path
) -> None:
    with running(tmp_path, setup, broker) as pids:
        found = listeners(pids)
        unix = [Path(each.host) for each in found if each.kind == "unix"]
        modes = {path: (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) for path in unix}
    assert modes == dict.fromkeys(unix, (0o600, 0o700))
    hosts = {each.host for each in found if each.kind != "unix"}
    named = {host for host in (NAMED, "::1") if host in setup.commands[0]} or {"127.0.0.1"}
    assert hosts == named


FORBIDDEN = {"pickle", "cPickle", "shelve", "marshal", "dill", "multiprocessing"}


def test_no_module_imports_a_library_that_runs_code_from_data() -> None:
    product = [
        path
        for folder in ("actors", "protocol", "storage", "http", "delivery")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(product) > 50
    for path in (*product, ROOT / "run.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & FORBIDDEN, f"{path}:{node.lineno}"


def test_no_multiprocess_actor_system_is_used() -> None:
    for path in (*(ROOT / "actors").rglob("*.py"), ROOT / "run.py"):
        assert not re.search(r"multiproc(TCP|UDP|Queue)Base", path.read_text()), path
