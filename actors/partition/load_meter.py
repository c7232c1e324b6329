"""Measures the load of a process: under load, background tasks leave the processor to commands."""

from collections.abc import Callable
from time import monotonic

load_commands_min = 24
"""A batch of so many commands, or a commit of so many events, is large."""

_LOAD_SECONDS = 0.1  # bursts last milliseconds with gaps between: load is assumed for this long after one


class LoadMeter:
    """Observes large batches: of commands here, or of events in a commit of another process."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._load_at = now() - _LOAD_SECONDS

    def observe(self) -> None:
        """Notes a large batch or commit."""
        self._load_at = self._now()

    def is_under_load(self) -> bool:
        """Whether there was a large batch or commit just now. May be called from any thread."""
        return self._now() - self._load_at < _LOAD_SECONDS
