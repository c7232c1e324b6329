"""The journal as the partition's host uses it.

The journal is the source of truth. Opening it to write begins a new epoch; a writer whose epoch is no longer the newest
is refused (`JournalFenced`), so that a second process, or one that resumes after a stall, does no harm.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.values.guests import GuestDetails, GuestKey, StoredGuest
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, EXIT_FAILED, EXIT_IN_USE, OperatorError


class JournalError(OperatorError):
    """An operation on the journal failed: it refuses what was written, or it cannot be opened."""

    exit_code = EXIT_DAMAGED


class JournalFenced(JournalError):
    """Another writer has opened this journal since then."""

    exit_code = EXIT_IN_USE


class JournalDamaged(JournalError):
    """The journal's contents are not what was written to it."""


class JournalRolledBack(JournalError):
    """The journal does not have what was seen of it before: it is an older copy, or another one."""


def what_is_missing(journal: object, position: int, end: int | None, who: str) -> str:
    """Describes that somebody has seen an event at this position which the journal does not have: it ends before it, at
    a position that may be unknown (None), or has another one there."""
    if end is None:
        how = "ends before it"
    else:
        how = f"ends at event {end}" if end < position else f"has another event {position}"
    return f"{who} has seen event {position} of {journal}, which {how} now"


def rolled_back(journal: object, position: int, end: int | None, who: str) -> JournalRolledBack:
    """Returns the error for `what_is_missing`, which also says what to do."""
    return JournalRolledBack(
        f"{what_is_missing(journal, position, end, who)}: restore the newer journal, or go on without it with"
        " `innkeeper accept-rollback`"
    )


class JournalUnavailable(JournalError):
    """A file cannot be read or written now, which may pass: its disk is full, read-only, or fails. `reason` says which,
    without the path."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class JournalLocked(JournalUnavailable):
    """Another process holds the lock of a file. Nothing was written; it is to be tried again soon."""


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


class SnapshotSet(msgspec.Struct, frozen=True):
    """The hotels that have a snapshot, each with the `hotel_seq` of it, and the position up to which the snapshots have
    the effects of all events."""

    hotels: Mapping[str, int] = {}
    until: int = 0


class Journal(Protocol):
    """One partition's journal, with one writer. None waits for a lock of another process once the journal is open:
    those that write raise JournalLocked. All methods are called in one thread at a time; `sync` waits for the
    disk and may run in another thread, while `replies` and `position` are called. After an error of `write` or `sync`
    it is not known what is on disk, until `reopen`.

    `write` or the `sync` after it raises JournalFenced where another writer has opened the journal since then, and
    JournalError where an event of the same hotel and `hotel_seq`, a reply with the same key, or the same version of a
    guest's details is there already."""

    def write(
        self,
        records: Sequence[RecordedEvent],
        replies: Sequence[StoredReply],
        guests: Sequence[StoredGuest] = (),
    ) -> int:
        """Begins a commit of these, all or none, and returns the position that the last event will have. Events are
        stored without details of guests. With a `ForgettingEvent`, the details of all versions of its guest are erased
        in the same commit. An empty commit shows whether the journal can be written; it fails where there is too little
        space for a usual one."""

    def sync(self) -> None:
        """Commits what was written. Returns when it is safe from a loss of power."""

    def check_lock(self) -> None:
        """Raises JournalLocked where another process holds the lock of the journal now, so that `write` would too."""

    def note_head(self) -> None:
        """Writes down outside of the journal how far it has come, where that is not done yet. Its opening, its closing
        and `sync` do so too, the last about once a second."""

    def position(self) -> int:
        """Returns the position of the last event, 0 for an empty journal."""

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """Returns the replies that were given under these keys, by key, without the keys that have none."""

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """Returns these versions of guests' details, without those that are erased. Raises JournalDamaged where one is
        missing, or is not what was written."""

    def newest_guests(self, ids: Collection[str]) -> dict[str, StoredGuest]:
        """Returns the newest version of each of these guests, by id; without details where they are erased, and without
        guests who are not known."""

    def guests_with_details(self, ids: Collection[str]) -> set[str]:
        """Returns those of these guests of whom there are details in any version."""

    def check_guests(self, limit: int, /) -> bool:
        """Checks the next versions of guests' details of those that were there when the journal was opened: each is
        what was written, and none is missing. Returns whether there are more. Raises JournalDamaged. May run in another
        thread."""

    @property
    def is_erasing(self) -> bool:
        """Whether something may be left of erased details outside of their table: `finish_erasing` is to be called."""

    def finish_erasing(self) -> None:
        """Removes what is left of erased details outside of their table. A reader may be in the way: then there is
        still something left, and it is to be called again. Not while a commit is written or synced."""

    @property
    def timeline(self) -> str:
        """The short id of the timeline on which events are written now; empty on the first one."""

    def hotels(self) -> set[str]:
        """Returns the ids of all hotels that have an event."""

    def remove_replies(self, before: int, after_key: str, limit: int) -> str | None:
        """Removes the replies of before this instant among the next `limit` keys after this one. Returns the last of
        these keys, None where there are no more. Raises JournalFenced."""

    def read(self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0) -> Iterator[LogEntry]:
        """Yields the events after this position, each with its own, in order; only those of `hotel` after its event
        `after_hotel_seq`, where a hotel is given. Each is checked against what was written: raises JournalDamaged, and
        JournalTooNew."""

    def places(self, after: int = 0) -> Iterator[tuple[int, str, int]]:
        """Yields the position, hotel and `hotel_seq` of each event after this position, in order, checked as by `read`
        but not decoded."""

    def check(self, after: int, until: int) -> None:
        """Checks the events after one position until another as `read` does, without decoding them, and that each is
        found by its hotel. May run in another thread."""

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """Yields the newest snapshot of each hotel, or of one, checked. Raises SnapshotsUnusable, after the last one if
        some are missing."""

    def snapshot_set(self) -> SnapshotSet:
        """Returns which snapshots there are, without their states. Raises SnapshotsUnusable where some are missing, or
        do not fit the events."""

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        """Stores these in place of older ones of the same hotels. With them, the snapshots have the effects of all
        events until this position. Raises JournalFenced."""

    def reopen(self) -> None:
        """Connects again after a failure: drops what was not committed, and reads the head anew."""

    def close(self) -> None:
        """Closes the journal."""
