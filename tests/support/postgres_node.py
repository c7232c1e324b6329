"""A PostgreSQL for tests and benchmarks: a separate server in a folder, on a free loopback port."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"
SECONDS_MAX = 120
STARTS_MAX = 5
_BOTH = ("initdb", "pg_ctl")


def programs() -> Path | None:
    """The folder with the server's programs of the newest version here; None where there is none."""
    if all(map(shutil.which, _BOTH)):
        return Path(str(shutil.which("pg_ctl"))).parent
    found = [folder for folder in DEBIAN.glob("*/bin") if all((folder / name).exists() for name in _BOTH)]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def postgres_node(parent: Path | None = None) -> Iterator[str]:
    """The URL of a PostgreSQL with its default settings, which ends with the block. Its data is kept meanwhile in a new
    folder within `parent`, or within the system's folder for temporary files.

    A server refuses to run as root: it runs as the user `postgres` then, who must be able to reach that folder."""
    found = programs()
    if found is None:
        raise RuntimeError("no PostgreSQL server on this machine; on Debian: apt install postgresql")
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=parent) as folder, _running(found, Path(folder)) as url:
        yield url


@contextmanager
def _running(found: Path, folder: Path) -> Iterator[str]:
    user = USER if os.getuid() == 0 else None
    if user is not None:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data, log = folder / "data", folder / "server.log"
    _run(user, [found / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"])
    start = [found / "pg_ctl", "-D", data, "-l", log, "-w", "-t", str(SECONDS_MAX)]
    port = _start_on_free_port(user, start, log)
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    finally:
        _run(user, [found / "pg_ctl", "-D", data, "-w", "-t", str(SECONDS_MAX), "-m", "immediate", "stop"])


def _start_on_free_port(user: str | None, start: Sequence[str | Path], log: Path) -> int:
    """Starts the server; on another port where somebody has taken that meanwhile. Returns the port."""
    for attempt in range(1, STARTS_MAX + 1):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        try:
            _run(user, [*start, "-o", options, "start"])
        except RuntimeError:
            if attempt == STARTS_MAX or "Address already in use" not in log.read_text():
                raise
        else:
            return port
    raise AssertionError


def _run(user: str | None, command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        command, user=user, group=user, extra_groups=[] if user else None, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2 * SECONDS_MAX,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-2_000:]}")
