"""An installation of several real processes, each of which can be killed."""

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
        self._log = data.with_name(f"{data.name}.log")
        self._options = options
        self._start(0)

    def _start(self, port: int) -> None:
        command = program_command("demo", "--processes", "--empty", "--webhooks-to-loopback", "--port", str(port))
        with self._log.open("w") as log:
            command += [*self._options, "--data", str(self.data)]
            self._process = subprocess.Popen(command, stderr=log, text=True, start_new_session=True)
        self.url = self._wait_for_url()

    def start_again(self) -> None:
        """Start on the same data and port, after the end."""
        self._start(self.port)

    def _wait_for_url(self) -> str:
        until = monotonic() + START_SECONDS_MAX
        while monotonic() < until and self._process.poll() is None:
            if match := re.search(r"http://[0-9.:]+", self._log.read_text()):
                return match[0]
            sleep(0.02)
        self.close()
        raise AssertionError(f"no start: {self._log.read_text()}")

    def log(self) -> str:
        """What its processes have logged so far."""
        return self._log.read_text()

    @property
    def port(self) -> int:
        """The port of the gateways."""
        return int(self.url.rpartition(":")[2])

    def pid(self, part: str) -> int:
        """The process id of a part."""
        return int((self.data / f"{part}.lock").read_text())

    def pid_or_none(self, part: str) -> int | None:
        """The process id of a part; None while it is restarted."""
        text = (self.data / f"{part}.lock").read_text()
        return int(text) if text else None

    def kill(self, part: str) -> None:
        """Kill the process of a part."""
        os.kill(self.pid(part), signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill all processes at once, as the end of their machine does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(START_SECONDS_MAX)

    def kill_supervisor(self) -> None:
        """Kill the process that started all others."""
        self._process.kill()
        self._process.wait(START_SECONDS_MAX)

    def interrupt(self) -> int:
        """Send SIGINT to all processes, as Ctrl-C in a terminal does; the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(START_SECONDS_MAX)

    def wait_until_ended(self) -> int:
        """Wait until the supervisor ends by itself; its exit code."""
        return self._process.wait(START_SECONDS_MAX)

    def stop(self) -> int:
        """Stop with SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(START_SECONDS_MAX)

    def close(self) -> None:
        """Stop it if it runs."""
        if self._process.poll() is None:
            self.stop()


def is_alive(pid: int) -> bool:
    """Whether this process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False
