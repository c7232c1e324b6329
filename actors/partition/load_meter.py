"""Measures the load of a process: under load, background tasks leave the processor to commands."""

from collections.abc import Callable
from time import monotonic, thread_time

load_commands_min = 8
"""A batch of so many commands, or a commit of so many events, is large."""

_LOAD_SECONDS = 0.1  # bursts last milliseconds with gaps between: load is assumed for this long after one
_BUSY_SHARE_MIN = 0.85


class LoadMeter:
    """Observes large batches, of commands here or of events in a commit of another process, and how busy the event
    loop's thread is: while that has time left, nobody has to step back. For that thread only."""

    def __init__(self, now: Callable[[], float] = monotonic, worked: Callable[[], float] = thread_time) -> None:
        """`worked` is the thread's processor time, in seconds."""
        self._now, self._worked = now, worked
        self._load_at = now() - _LOAD_SECONDS
        self._measured_at, self._had_worked = now(), worked()
        self._is_busy = False

    def observe(self) -> None:
        """Notes a large batch or commit."""
        self._load_at = self._now()

    def is_under_load(self) -> bool:
        """Whether there was a large batch or commit just now, and the thread is busy."""
        now = self._now()
        if now - self._load_at >= _LOAD_SECONDS:
            return False
        if (seconds := now - self._measured_at) >= _LOAD_SECONDS:
            worked = self._worked()
            self._is_busy = worked - self._had_worked >= _BUSY_SHARE_MIN * seconds
            self._measured_at, self._had_worked = now, worked
        return self._is_busy
