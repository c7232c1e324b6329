"""Wakes all who follow events in this process, once for the commits of a moment: one step for many events costs little
more than one for one event.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from innkeeper.protocol.messages.recorded_event import RecordedEvent

_GATHER_SECONDS = 0.02
_COMMITS_MANY = 4  # after so many in a moment, the next one lasts longer: then each wake-up is for more of them
_LONGER = 2.5


class CommitSignal:
    """Calls each waker a moment after a commit. To be made, and used but for `on_commit_elsewhere`, in one event
    loop."""

    def __init__(self, seconds: float = _GATHER_SECONDS) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = self._next_seconds = seconds
        self._wakers: list[Callable[[], None]] = []
        self._is_due = False
        self._commits = 0

    def call(self, waker: Callable[[], None]) -> None:
        """Calls this waker from now on."""
        self._wakers.append(waker)

    def on_commit(self, _position: int, _records: Sequence[RecordedEvent]) -> None:
        """See `CommitListener`."""
        self._commits += 1
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(self._next_seconds, self._wake)

    def on_commit_elsewhere(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """A `CommitListener` for a stream that calls it in another thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.on_commit, position, records)

    def _wake(self) -> None:
        self._is_due = False
        self._next_seconds = self._seconds * (_LONGER if self._commits >= _COMMITS_MANY else 1)
        self._commits = 0
        for waker in self._wakers:
            waker()
