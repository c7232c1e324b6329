"""An inn in several real processes, each of which can be killed on its own."""

import os
import re
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

from support.server_process import START_SECONDS_MAX, program_command


class Installation:
    """`run.py demo --processes` on a data directory, on a free port of this machine, with no hotels."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        command = program_command("demo", "--processes", "--empty", "--webhooks-to-loopback", "--port", "0", *options)
        with data.with_name(f"{data.name}.log").open("w") as log:
            command += ["--data", str(data)]
            self._process = subprocess.Popen(command, stderr=log, text=True, start_new_session=True)
        self._log = data.with_name(f"{data.name}.log")
        self.url = self._started()

    def _started(self) -> str:
        until = monotonic() + START_SECONDS_MAX
        while monotonic() < until and self._process.poll() is None:
            if match := re.search(r"http://[0-9.:]+", self._log.read_text()):
                return match[0]
            sleep(0.02)
        self.close()
        raise AssertionError(f"it did not start: {self._log.read_text()}")

    @property
    def port(self) -> int:
        """Where the gateways listen."""
        return int(self.url.rpartition(":")[2])

    def pid(self, part: str) -> int:
        """The process in which this part lives now."""
        return int((self.data / f"{part}.lock").read_text())

    def pid_or_none(self, part: str) -> int | None:
        """The same; None while it is between two."""
        text = (self.data / f"{part}.lock").read_text()
        return int(text) if text else None

    def kill(self, part: str) -> None:
        """As a fault would end it."""
        os.kill(self.pid(part), signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """End the process that started all others."""
        self._process.kill()
        self._process.wait(START_SECONDS_MAX)

    def interrupt(self) -> int:
        """As Ctrl-C does, which all processes of a terminal get; the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(START_SECONDS_MAX)

    def wait_until_ended(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._process.wait(START_SECONDS_MAX)

    def stop(self) -> int:
        """Ask it to finish; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(START_SECONDS_MAX)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self.stop()


def is_alive(pid: int) -> bool:
    """Is this process there, and no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False
