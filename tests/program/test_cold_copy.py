"""A server that was stopped in order has everything in its files themselves: a copy without `-wal` and `-shm` files is
a whole copy."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from support.installation import Installation
from support.server_process import ServerProcess
from support.waiting import wait_until
from support.whole_installation import SECONDS_MAX, has_caught_up, letters, use, what_it_holds

Start = Callable[[Path], ServerProcess | Installation]


READER = """
import sqlite3, sys
opened = [sqlite3.connect(f"file:{path}?mode=ro", uri=True) for path in sys.argv[1:]]
for db in opened:
    db.execute("SELECT count(*) FROM sqlite_master").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""


def left_in_logs(data: Path, *endings: str) -> dict[str, int]:
    """The files with these endings that have content, and their sizes."""
    sizes = {file.name: file.stat().st_size for file in data.iterdir() if file.name.endswith(endings)}
    return {name: size for name, size in sizes.items() if size}


def assert_copy_is_whole(start: Start, data: Path, before: object) -> None:
    """Start from a copy without the write-ahead logs, and compare what it holds."""
    copy = data.with_name("copy")
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*-wal", "*-shm", "*lock", "sockets"))
    with closing(start(copy)) as server:
        wait_until(lambda: has_caught_up(server.url), SECONDS_MAX)
        assert what_it_holds(server.url) == before
        assert letters(copy) == letters(data), "no letter is lost, and none is sent again"


@pytest.mark.parametrize("start", [ServerProcess, Installation])
def test_a_copy_of_the_files_alone_loses_nothing(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with closing(start(data)) as server:
        use(server.url)
        before = what_it_holds(server.url)
        stopped = server.stop()
        assert (stopped if isinstance(stopped, int) else stopped[0]) == 0
    assert left_in_logs(data, "-wal", "-shm") == {}
    assert_copy_is_whole(start, data, before)


def test_a_reader_of_another_process_keeps_nothing_in_the_logs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with closing(ServerProcess(data)) as server, ExitStack() as exits:
        use(server.url)
        command = [sys.executable, "-c", READER, *map(str, sorted(data.glob("*.db")))]
        reader = exits.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        before = what_it_holds(server.url)
        assert left_in_logs(data, "-wal") != {}
        assert server.stop()[0] == 0
        assert left_in_logs(data, "-wal") == {}
        assert_copy_is_whole(ServerProcess, data, before)
