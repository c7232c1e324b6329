"""The journal, as the partition's host needs it: a small door behind which SQLite stands today.

The journal is the only truth. Whoever opens it to write gets a new epoch; a writer whose epoch is no longer the newest
is refused (`Fenced`), so that a second process, or a stalled one that wakes up, does no harm.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import RecordedEvent


class JournalError(Exception):
    """The journal could not do what was asked; its message tells the operator what to do next."""


class Fenced(JournalError):
    """Another writer has opened this journal since."""


class Damaged(JournalError):
    """The journal does not say any more what was once written to it."""


class KeptReply(msgspec.Struct, frozen=True):
    """What was answered under an idempotency key, and the fingerprint of what it was the answer to."""

    key: str
    fingerprint: bytes
    reply: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """A hotel's state (a StateReply on the wire) after its event `hotel_seq`."""

    hotel: str
    hotel_seq: int
    state: bytes


class Journal(Protocol):
    """One partition's journal, with one writer. All methods belong to one thread, but for `sync`: it waits for the disk
    and may do so in another thread, while `reply` and `position` are asked. After an error of `write` or `sync` nobody
    knows what is on disk, until `reopen`."""

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[KeptReply]) -> int:
        """Get these ready for the disk, all or none, and return the position that the last will have."""

    def sync(self) -> None:
        """Put on disk what was written. Returns only when power may fail."""

    def position(self) -> int:
        """The position of the last event, 0 for an empty journal."""

    def reply(self, key: str) -> KeptReply | None:
        """What was answered under this key."""

    def hotels(self) -> set[str]:
        """Every hotel that has an event."""

    def read(
        self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0
    ) -> Iterator[tuple[int, RecordedEvent]]:
        """Events behind a position in order, with theirs; of one hotel behind one of its events, if said."""

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """The newest snapshot of each hotel, or of one."""

    def save_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        """Keep these; older ones of the same hotels go."""

    def reopen(self) -> None:
        """Begin anew after a failure: forget what was not committed, and see what was."""

    def close(self) -> None:
        """No more writing."""
