"""The program on a data directory with a damaged file: it refuses to start with one line, or makes the file anew."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until
from support.whole_installation import SECONDS_MAX, has_caught_up, use, what_it_holds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that was used, and stopped."""
    with closing(ServerProcess(tmp_path_factory.mktemp("used") / "data")) as server:
        use(server.url)
        server.stop()
        yield server


def flip(file: Path) -> bytes:
    """Flip all bits in the middle of each page of the file; what it had before."""
    original = file.read_bytes()
    damaged = bytearray(original)
    for page in range(0, len(damaged), 4_096):
        damaged[page + 3_900] ^= 255
    file.write_bytes(damaged)
    return original


@pytest.mark.parametrize("name", ["billing.db", "delivery.db", "notifications.db"])
def test_a_damaged_database_of_a_service_is_refused(name: str, server: ServerProcess) -> None:
    file = server.data / name
    original = flip(file)
    ended = run_to_end("demo", "--empty", "--port", "0", "--data", server.data)
    file.write_bytes(original)
    assert (ended.returncode, ended.stderr.count("\n")) == (4, 1), ended.stderr
    assert ended.stderr.startswith(f"innkeeper: {file}: ")
    assert ended.stderr.endswith("; restore it from the backup of this installation\n")


def test_damaged_read_models_are_made_anew(server: ServerProcess) -> None:
    server.start_again()
    wait_until(lambda: has_caught_up(server.url), SECONDS_MAX)
    before = what_it_holds(server.url)
    assert server.stop()[0] == 0
    flip(server.data / "views-0.db")
    server.start_again()
    assert what_it_holds(server.url) == before
    code, output = server.stop()
    assert (code, output.count("views-0.db"), "Traceback" in output) == (0, 1, False), output
