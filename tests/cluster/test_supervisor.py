"""The supervisor starts processes, restarts those that end and stops all in order. The parts here are scripts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

import pytest
from innkeeper.actors.cluster import supervisor as supervisor_module
from innkeeper.actors.cluster.supervisor import CannotStart, PartDamaged, Supervisor

PART = """
import asyncio, os, signal, sys, time
from pathlib import Path
from innkeeper.actors.cluster.supervisor import SupervisorPipes

name, folder = sys.argv[1], Path(sys.argv[2])
supervised = SupervisorPipes()
(folder / f"{name}.starts").open("a").write(f"{os.getpid()} {supervised.greeting.decode()}")
if (folder / f"{name}.fails").exists():
    sys.exit(int((folder / f"{name}.fails").read_text()))
def once(behaviour):
    try:
        (folder / f"{name}.{behaviour}").unlink()
    except FileNotFoundError:
        return False
    return True

if once("hangs"):
    os.kill(os.getpid(), signal.SIGSTOP)
if once("slow"):
    time.sleep(4)

async def run():
    supervised.ready()
    if once("stuck"):
        time.sleep(600)
    await supervised.stopped()

asyncio.run(run())
with (folder / "stopped").open("a") as stopped:
    stopped.write(f"{name}\\n")
"""
SECONDS_MAX = 60


def starts(folder: Path, name: str) -> list[int]:
    """The process ids under which a part has been started."""
    path = folder / f"{name}.starts"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


def supervise(folder: Path, scenario: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Run a scenario with a supervisor of small programs, which is stopped at the end."""

    async def run() -> None:
        command = lambda name: [sys.executable, "-c", PART, name, str(folder)]  # noqa: E731
        async with asyncio.timeout(SECONDS_MAX), Supervisor(command, b"hello") as supervisor:
            await scenario(supervisor)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until this condition holds."""
    while not condition():  # noqa: ASYNC110 (other processes fulfil it)
        await asyncio.sleep(0.01)


def test_parts_get_the_greeting_and_stop_with_gateways_first_and_partitions_last(tmp_path: Path) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["reservations-0", "reservations-1", "billing", "delivery"])
        await supervisor.start(["gateway-0", "gateway-1"])

    supervise(tmp_path, scenario)
    assert (tmp_path / "billing.starts").read_text().split()[1] == "hello"
    stopped = [line.partition("-")[0] for line in (tmp_path / "stopped").read_text().splitlines()]
    assert stopped == ["gateway", "gateway", "delivery", "billing", "reservations", "reservations"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN + 1])
def test_a_part_that_is_killed_is_started_again_and_the_others_go_on(tmp_path: Path, number: int) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing", "delivery"])
        os.kill(starts(tmp_path, "billing")[0], number)
        await until(lambda: len(starts(tmp_path, "billing")) == 2)
        assert len(starts(tmp_path, "delivery")) == 1

    supervise(tmp_path, scenario)


def test_a_part_that_cannot_start_is_reported_and_the_others_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "delivery.fails").write_text("4")

    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing", "delivery"])

    with pytest.raises(CannotStart, match=r"delivery could not start \(exit code 4\)") as raised:
        supervise(tmp_path, scenario)
    assert raised.value.exit_code == 4
    for pid in starts(tmp_path, "billing"):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that has reported nothing for two seconds hangs."""
    monkeypatch.setattr(supervisor_module, "part_silence_seconds_max", 2)


@pytest.mark.usefixtures("short_silence")
@pytest.mark.parametrize("behaviour", ["hangs", "stuck"])
def test_a_part_that_hangs_is_killed_and_started_again(tmp_path: Path, behaviour: str) -> None:
    (tmp_path / f"billing.{behaviour}").touch()

    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing", "delivery"])
        await until(lambda: len(starts(tmp_path, "billing")) == 2)
        with pytest.raises(ProcessLookupError):
            os.kill(starts(tmp_path, "billing")[0], 0)
        assert len(starts(tmp_path, "delivery")) == 1

    supervise(tmp_path, scenario)


@pytest.mark.usefixtures("short_silence")
def test_a_part_that_takes_long_to_start_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "billing.slow").touch()

    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing"])
        assert len(starts(tmp_path, "billing")) == 1

    supervise(tmp_path, scenario)


@pytest.mark.usefixtures("short_silence")
def test_a_stop_does_not_wait_for_a_part_that_hangs(tmp_path: Path) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing", "delivery"])
        os.kill(starts(tmp_path, "delivery")[0], signal.SIGSTOP)

    start = monotonic()
    supervise(tmp_path, scenario)
    assert monotonic() - start < supervisor_module._STOP_SECONDS_MAX
    assert (tmp_path / "stopped").read_text() == "billing\n"


def test_a_part_that_keeps_ending_is_started_again_after_growing_pauses(tmp_path: Path) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing"])
        (tmp_path / "billing.fails").write_text("1")
        os.kill(starts(tmp_path, "billing")[0], signal.SIGKILL)
        start = monotonic()
        await until(lambda: len(starts(tmp_path, "billing")) == 6)
        assert monotonic() - start > 0.1 + 0.2 + 0.4 + 0.8

    supervise(tmp_path, scenario)


def test_a_part_whose_journal_is_damaged_is_not_started_again(tmp_path: Path) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing", "delivery"])
        (tmp_path / "billing.fails").write_text("4")
        os.kill(starts(tmp_path, "billing")[0], signal.SIGKILL)
        await supervisor.failed()

    with pytest.raises(PartDamaged, match="billing has stopped, as its journal is damaged") as raised:
        supervise(tmp_path, scenario)
    assert raised.value.exit_code == 4
    assert len(starts(tmp_path, "billing")) == 2


def test_stopping_does_not_wait_for_a_part_that_is_to_be_started_again(tmp_path: Path) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing"])
        (tmp_path / "billing.fails").write_text("1")
        os.kill(starts(tmp_path, "billing")[0], signal.SIGKILL)
        await until(lambda: len(starts(tmp_path, "billing")) == 5)

    supervise(tmp_path, scenario)
    assert not (tmp_path / "stopped").exists()


def test_a_part_ignores_the_signals_of_a_terminal_and_obeys_its_supervisor(tmp_path: Path) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(["billing"])
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(starts(tmp_path, "billing")[0], number)
        await asyncio.sleep(0.2)

    supervise(tmp_path, scenario)
    assert (len(starts(tmp_path, "billing")), (tmp_path / "stopped").read_text()) == (1, "billing\n")


def test_a_part_whose_supervisor_has_ended_ends_with_a_message(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PART, "billing", str(tmp_path)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "the supervisor has ended before this part started\n")
