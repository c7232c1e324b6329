"""The commands that wait while another process holds the lock of the journal. Queries do not wait."""

from collections.abc import Sequence
from time import monotonic

from innkeeper.actors.partition.messages import QueuedCommand
from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.values.limits import lock_seconds_max


class LockedJournal:
    """Holds commands back since a commit has met the lock; refuses them where it is held for long."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._since = monotonic()
        self._held: list[QueuedCommand] = []

    @property
    def lasts(self) -> bool:
        """Whether it has been locked for so long that commands are refused."""
        return monotonic() - self._since > lock_seconds_max

    @property
    def is_waited_for(self) -> bool:
        """Whether commands wait for the lock."""
        return bool(self._held)

    def hold(self, batch: Sequence[QueuedCommand]) -> list[QueuedCommand]:
        """Holds back the commands of a batch, or refuses all of them where the lock lasts. Returns the queries."""
        queries = []
        for command in batch:
            if isinstance(command[0].message, Query):
                queries.append(command)
            else:
                self._held.append(command)
        if self.lasts:
            for _, future in self.release():
                if not future.done():
                    future.set_result(Result(Unavailable(self.reason)))
        return queries

    def release(self) -> list[QueuedCommand]:
        """Returns the commands that wait, in their order, and holds them no more."""
        held, self._held = self._held, []
        return held
