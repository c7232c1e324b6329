"""The journal as the partition's host uses it.

The journal is the source of truth. Opening it to write begins a new epoch; a writer whose epoch is no longer the newest
is refused (`JournalFenced`), so that a second process, or one that resumes after a stall, does no harm.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, EXIT_FAILED, EXIT_IN_USE, OperatorError


class JournalError(OperatorError):
    """An operation on the journal failed: it refuses what was written, or it cannot be opened."""

    exit_code = EXIT_DAMAGED


class JournalFenced(JournalError):
    """Another writer has opened this journal since then."""

    exit_code = EXIT_IN_USE


class JournalDamaged(JournalError):
    """The journal's contents are not what was written to it."""


class JournalUnavailable(JournalError):
    """A file cannot be read or written now, which may pass: its disk is full, read-only, or fails. `reason` says which,
    without the path."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def unavailable_reason(error: JournalError) -> str:
    """Returns the reason why something is unavailable, as clients may see it."""
    if isinstance(error, JournalUnavailable):
        return f"what is stored cannot be read or written now ({error.reason})"
    return "what is stored cannot be read; the server's log says why"


class JournalTooNew(JournalError):
    """The journal has an event of a type that only a newer version knows."""


class SnapshotsUnusable(JournalError):
    """The snapshots are not those that were saved, or do not fit the events. The events have all that they had."""


class StoredReply(msgspec.Struct, frozen=True):
    """The reply that was given under an idempotency key, the fingerprint of the request, and the instant of the
    decision (microseconds since 1970 UTC)."""

    key: str
    fingerprint: bytes
    reply: bytes
    at: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """A hotel's state (a HotelStateReply or LedgerStateReply on the wire) after its event `hotel_seq`."""

    hotel: str
    hotel_seq: int
    state: bytes


class Journal(Protocol):
    """One partition's journal, with one writer. All methods are called in one thread, except `sync`: it waits for the
    disk and may run in another thread, while `replies` and `position` are called. After an error of `write` or `sync`
    it is not known what is on disk, until `reopen`.

    `write` or the `sync` after it raises JournalFenced where another writer has opened the journal since then, and
    JournalError where an event of the same hotel and `hotel_seq`, or a reply with the same key, is there already."""

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> int:
        """Begins a commit of these, all or none, and returns the position that the last event will have. An empty one
        shows whether the journal can be written; it fails where there is too little space for a usual one."""

    def sync(self) -> None:
        """Commits what was written. Returns when it is safe from a loss of power."""

    def position(self) -> int:
        """Returns the position of the last event, 0 for an empty journal."""

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """Returns the replies that were given under these keys, by key, without the keys that have none."""

    def hotels(self) -> set[str]:
        """Returns the ids of all hotels that have an event."""

    def remove_replies(self, before: int, after_key: str, limit: int) -> str | None:
        """Removes the replies of before this instant among the next `limit` keys after this one. Returns the last of
        these keys, None where there are no more. Raises JournalFenced."""

    def read(self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0) -> Iterator[LogEntry]:
        """Yields the events after this position, each with its own, in order; only those of `hotel` after its event
        `after_hotel_seq`, where a hotel is given. Each is checked against what was written: raises JournalDamaged, and
        JournalTooNew."""

    def check(self, after: int, until: int) -> None:
        """Checks the events after one position until another as `read` does, without decoding them, and that each is
        found by its hotel. May run in another thread."""

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """Yields the newest snapshot of each hotel, or of one, checked. Raises SnapshotsUnusable, after the last one if
        some are missing."""

    def snapshots_until(self) -> int:
        """Returns the position up to which the snapshots have the effects of all events. Raises SnapshotsUnusable."""

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        """Stores these in place of older ones of the same hotels. With them, the snapshots have the effects of all
        events until this position. Raises JournalFenced."""

    def reopen(self) -> None:
        """Connects again after a failure: drops what was not committed, and reads the head anew."""

    def close(self) -> None:
        """Closes the journal."""
