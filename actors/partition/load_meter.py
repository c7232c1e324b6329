"""The measure of load: background work gives way to commands while this says so."""

from collections.abc import Callable
from time import monotonic

_LOAD_SIZE_MIN = 8
_LOAD_SECONDS = 0.1  # bursts last milliseconds with gaps between: load is assumed for this long after one


class LoadMeter:
    """Is told how much comes at once: the commands of a batch, or in another process the events of a commit."""

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
