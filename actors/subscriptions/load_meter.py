"""Measures the load of a process, and shares its processor: under load, background tasks leave it to commands at first,
and commands leave more and more of it to background tasks that have been behind for long.
"""

from collections.abc import Callable
from time import monotonic, process_time
from typing import Final

load_commands_min = 24
"""A batch of so many commands, or a commit of so many events, is large."""

_LOAD_SECONDS = 0.1  # bursts last milliseconds with gaps between: load is assumed for this long after one
_BEHIND_SECONDS = 1.0  # a report that a task is behind counts for this long
_BUSY_SHARE_MIN = 0.6  # of the time, a processor works for a process that could do more with another one
_PAUSE_SECONDS_MIN, _PAUSE_SECONDS_MAX = 0.001, 0.25
_PAUSE_FACTOR = 1.1  # how much longer each pause is than the one before it, and how much shorter in the end


class LoadMeter:
    """Observes large batches: of commands here, or of events in a commit of another process."""

    def __init__(self, now: Callable[[], float] = monotonic, used: Callable[[], float] = process_time) -> None:
        """`used` is the processor time that this process has used so far, in seconds."""
        self.stepping_back = 0
        """How many tasks pause now, and share what commands leave them."""
        self._now = now
        self._used = used
        self._measured = now(), used()
        self._load_at = now() - _LOAD_SECONDS
        self._behind_at = now() - _BEHIND_SECONDS
        self._pause_seconds = 0.0

    def observe(self) -> None:
        """Notes a large batch or commit."""
        self._load_at = self._now()

    def is_under_load(self) -> bool:
        """Whether there was a large batch or commit just now. May be called from any thread."""
        return self._now() - self._load_at < _LOAD_SECONDS

    def report_behind(self) -> None:
        """Notes that a task has been behind for long, although it no longer steps back."""
        self._behind_at = self._now()

    def pause_after_batch(self) -> float:
        """Returns for how many seconds commands are to wait after a large batch, so that subscribers can catch up.
        The pauses grow while somebody is behind although the processor was busy since the last batch, and else shrink:
        who waits for others, such as a slow mail server, is not behind because of commands."""
        if self._now() - self._behind_at < _BEHIND_SECONDS and self._is_busy():
            grown = max(self._pause_seconds * _PAUSE_FACTOR, _PAUSE_SECONDS_MIN)
            self._pause_seconds = min(grown, _PAUSE_SECONDS_MAX)
        elif self._pause_seconds:
            shrunk = self._pause_seconds / _PAUSE_FACTOR
            self._pause_seconds = shrunk if shrunk > _PAUSE_SECONDS_MIN else 0.0
        return self._pause_seconds

    def _is_busy(self) -> bool:
        """Whether the processor has worked for this process for most of the time since the last call. The question
        costs a system call, so it is only asked while somebody is behind."""
        (at, used), self._measured = self._measured, (self._now(), self._used())
        return self._measured[1] - used >= _BUSY_SHARE_MIN * (self._measured[0] - at)


UNLOADED: Final = LoadMeter()
"""That of a process without commands."""
