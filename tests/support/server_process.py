"""The real program in its own process, which tests stop, kill and start again."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.paths import ROOT

RUN = ROOT / "run.py"
START_SECONDS_MAX = 120


def program_command(*arguments: str | Path) -> list[str]:
    """The command line of `run.py`."""
    return [sys.executable, str(RUN), *map(str, arguments)]


def run_to_end(*arguments: str | Path, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `run.py`, and wait until it ends."""
    return subprocess.run(program_command(*arguments), capture_output=True, text=True, timeout=seconds, check=False)


class ServerProcess:
    """`run.py demo` on a data directory and a free port, with webhooks to this machine allowed, and with these further
    options. `prefix` is a command that runs it; `process` are arguments of `Popen`."""

    def __init__(
        self,
        data: Path,
        with_example_hotels: bool = False,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        **process: Any,
    ) -> None:
        self.data = data
        self._prefix = prefix
        self._arguments = process
        self._options = ["--webhooks-to-loopback", *([] if with_example_hotels else ["--empty"]), *options]
        self.log = data.with_name(f"{data.name}.log")
        self._open()

    def _open(self) -> None:
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *program_command("demo", *self._options, "--port", "0", "--data", self.data)],
                stderr=subprocess.PIPE,
                text=True,
                **self._arguments,
            )
            assert self._process.stderr is not None
            self._said, match = "", None
            while match is None and (line := self._process.stderr.readline()):
                self._said += line
                match = re.search(r"http://[0-9.:]+", line)
            log.write(self._said)
        if match is None:
            self.close()
        assert match is not None, f"it did not start: {self._said}"
        self.url = match[0]

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def kill(self) -> None:
        """Kill the process."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=START_SECONDS_MAX)

    def stop(self) -> tuple[int, str]:
        """Stop with SIGTERM; the exit code and the output."""
        self._process.send_signal(signal.SIGTERM)
        _, output = self._process.communicate(timeout=START_SECONDS_MAX)
        return self._process.returncode, self._said + output

    def start_again(self) -> None:
        """Start a new process with the same data, on another port."""
        self._open()

    def close(self) -> None:
        """Kill the process if it runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.communicate(timeout=START_SECONDS_MAX)
