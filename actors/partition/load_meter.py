"""Measures the load of a process: under load, background tasks leave the processor to commands."""

from collections.abc import Callable
from time import monotonic

_LOAD_SIZE_MIN = 8
_LOAD_SECONDS = 0.1  # bursts last milliseconds with gaps between: load is assumed for this long after one


class LoadMeter:
    """Observes the sizes of batches: of commands here, or of events in a commit of another process."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._load_at = now() - _LOAD_SECONDS

    def observe(self, size: int) -> None:
        """Notes a batch or a commit of this size."""
        if size >= _LOAD_SIZE_MIN:
            self._load_at = self._now()

    def is_under_load(self) -> bool:
        """Whether there was a large batch or commit just now. May be called from any thread."""
        return self._now() - self._load_at < _LOAD_SECONDS
