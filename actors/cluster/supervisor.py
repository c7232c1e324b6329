"""Starts the parts of an installation as processes of their own, and restarts a part that ends unexpectedly.

A part and its supervisor are connected by two pipes, and no socket. Through the first the supervisor sends the part
what it needs to start, and closes it to stop the part; the system closes it when the supervisor dies in any way. On the
second the part reports each second whether it starts or is ready. The end of a part is detected by its process
descriptor, in milliseconds. A part that hangs, and so reports nothing, is killed, and started again once it has ended.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from time import monotonic
from types import TracebackType
from typing import Self

from innkeeper.protocol.values.contexts import context_of
from innkeeper.protocol.values.limits import (
    part_first_report_seconds_max,
    part_heartbeat_seconds,
    part_silence_seconds_max,
)
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, OperatorError

logger = logging.getLogger(__name__)

_STARTING = b"starting\n"
_READY = b"ready\n"
_READ_BYTES = 4_096
_STOP_SECONDS_MAX = 40.0  # a part may have many accepted commands to finish
_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 5.0
_STABLE_SECONDS = 3.0  # a part that ran for longer is restarted at once


class CannotStart(OperatorError):
    """A part ended before it was ready; `exit_code` is that of the part, which has logged the reason."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} could not start (exit code {code}); see its own message above")
        self.exit_code = code


class PartDamaged(OperatorError):
    """A part has found its journal damaged. It is not restarted, as it would serve what is damaged until it notices."""

    exit_code = EXIT_DAMAGED

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has stopped, as its journal is damaged; see its own message above")


class ChildProcess:
    """One part in a process of its own. Its standard input and output are the two pipes; standard error is shared."""

    def __init__(self, command: Sequence[str], greeting: bytes) -> None:
        """Starts the process. `greeting` is one line with what the part needs to start."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, process_group=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.hangs = False
        self._silent_checks = 0  # not seconds: while this machine is suspended, no part can report
        self._reported = b""
        self._ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        os.set_blocking(self._output.fileno(), False)
        asyncio.get_running_loop().add_reader(self._output.fileno(), self._read)
        with suppress(BrokenPipeError):  # the process has ended already, which `ready` detects
            self._input.write(greeting + b"\n")

    def _read(self) -> None:
        reports = self._output.read(_READ_BYTES)
        if reports is None:  # there is nothing after all
            return
        self._silent_checks = 0
        if not reports:
            asyncio.get_running_loop().remove_reader(self._output.fileno())
        self._reported = (self._reported + reports)[-len(_READY) :]
        if not self._ready.done() and (not reports or self._reported == _READY):
            self._ready.set_result(bool(reports))

    @property
    def _silence_seconds_max(self) -> int:
        """Before its first report a process loads the program, which takes long on a busy machine."""
        return part_silence_seconds_max if self._reported else part_first_report_seconds_max

    async def ready(self) -> bool:
        """Waits until the part is ready; False where it ended before that."""
        return await self._ready

    async def killed_where_it_hangs(self, name: str) -> None:
        """Kills the process once it has reported nothing for too long."""
        while (silent := self._silent_checks * part_heartbeat_seconds) <= self._silence_seconds_max:
            await asyncio.sleep(part_heartbeat_seconds)
            self._silent_checks += 1
        logger.error("%s has not responded for %.0f s; it is killed", name, silent)
        self.hangs = True
        self.kill()

    async def ended(self) -> int:
        """Waits for the end of the process; returns its exit code, negative where a signal ended it."""
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(self._process.pid)
            try:
                await _until_readable(descriptor)
            finally:
                os.close(descriptor)
        return await asyncio.to_thread(self._process.wait)

    def stop(self) -> None:
        """Asks the part to finish its accepted commands, and to end."""
        self._input.close()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Closes the pipes of a process that has ended."""
        asyncio.get_running_loop().remove_reader(self._output.fileno())
        self._input.close()
        self._output.close()


class Supervisor:
    """Starts parts and keeps them running, until it stops them. All methods are for the event loop's thread."""

    def __init__(self, command: Callable[[str], Sequence[str]], greeting: bytes) -> None:
        """`command` gives the command line of a part by its name; `greeting` is the first line that each part reads."""
        self._command = command
        self._greeting = greeting
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, ChildProcess] = {}
        self._stopping = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, names: Iterable[str]) -> None:
        """Starts these parts concurrently, and waits until all are ready. Raises CannotStart."""
        starting = []
        for name in names:
            starting.append(ready := asyncio.get_running_loop().create_future())
            self._tasks[name] = asyncio.create_task(self._supervise(name, ready), name=name)
        await asyncio.gather(*starting)

    async def failed(self) -> None:
        """Waits until the supervision of a part has failed; raises its error."""
        for task in (await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED))[0]:
            task.result()

    async def stop(self) -> None:
        """Stops all parts, in reverse order of their start; those of one context concurrently."""
        self._stopping = True
        for _, names in groupby(reversed(self._tasks), context_of):
            await self._stop(list(names))

    async def _stop(self, names: list[str]) -> None:
        for name in names:
            if name in self._children:
                self._children[name].stop()
            else:
                self._tasks[name].cancel()  # it is not running: it waits to be restarted
        tasks = [self._tasks[name] for name in names]
        for late in (await asyncio.wait(tasks, timeout=_STOP_SECONDS_MAX))[1]:
            logger.error("%s did not end within %.0f s; it is killed", late.get_name(), _STOP_SECONDS_MAX)
            self._children[late.get_name()].kill()
        await asyncio.wait(tasks)

    async def _supervise(self, name: str, first: "asyncio.Future[None]") -> None:
        """Runs a part, and restarts it. `first` is done when it is ready for the first time, or could not start."""
        pause = 0.0
        while True:
            since = monotonic()
            code, hung = await self._run(name, first)
            if self._stopping:
                first.cancel()
                return
            if not first.done() and not hung:
                first.set_exception(CannotStart(name, code))
                return
            if code == EXIT_DAMAGED:
                raise PartDamaged(name)
            pause = 0.0 if monotonic() - since > _STABLE_SECONDS else pause
            logger.error("%s has ended (%s); it is restarted in %.1f s", name, _cause(code), pause)
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, _PAUSE_SECONDS_MIN), _PAUSE_SECONDS_MAX)

    async def _run(self, name: str, first: "asyncio.Future[None]") -> tuple[int, bool]:
        """Runs a part once, until it ends; returns its exit code, and whether it was killed because it hung."""
        try:
            child = self._children[name] = ChildProcess(self._command(name), self._greeting)
        except OSError as error:
            logger.error("%s cannot be started: %s", name, error)
            return error.errno or 1, False
        watching = asyncio.create_task(child.killed_where_it_hangs(name))
        try:
            if await child.ready() and not first.done():
                first.set_result(None)
            return await child.ended(), child.hangs
        finally:
            watching.cancel()
            del self._children[name]
            child.close()


def _cause(code: int) -> str:
    """Why a process ended, for the log."""
    if code >= 0:
        return f"exit code {code}"
    return f"by {signal.strsignal(-code) or f'signal {-code}'}"


async def _until_readable(descriptor: int) -> None:
    """Waits until this descriptor can be read, or its other end is closed."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


class SupervisorPipes:
    """The part's side: the `greeting` of its supervisor, the reports that it starts or is ready, and the request to
    stop."""

    def __init__(self) -> None:
        """To be made first in a process. Ignores the signals that a terminal or a service manager sends to all
        processes: the supervisor handles them, and stops its parts in order."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self.greeting = sys.stdin.buffer.readline()
        if not self.greeting:
            sys.exit("the supervisor has ended before this part started")
        os.set_blocking(sys.stdout.fileno(), False)
        _report(_STARTING)
        self._is_ready = threading.Event()
        # A thread, as the event loop may have long steps while the part starts: it reads and checks its files.
        threading.Thread(target=self._report_start, name="start", daemon=True).start()

    def _report_start(self) -> None:
        while not self._is_ready.wait(part_heartbeat_seconds):
            _report(_STARTING)

    def ready(self) -> None:
        """Reports that the part takes requests now, and from now on each second that its event loop runs."""
        self._is_ready.set()
        _report(_READY)
        self._reporting = asyncio.create_task(self._keep_reporting())

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(part_heartbeat_seconds)
            _report(_READY)

    async def stopped(self) -> None:
        """Waits until the supervisor asks the part to stop, or has ended itself."""
        await _until_readable(sys.stdin.fileno())


def _report(report: bytes) -> None:
    """Sends the supervisor a report, which is lost where it has ended, or reads none."""
    with suppress(BrokenPipeError, BlockingIOError):
        os.write(sys.stdout.fileno(), report)
