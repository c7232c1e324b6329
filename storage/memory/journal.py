"""The journal of a partition in memory, and the event log of its readers.

Events are kept as bytes of the wire format, so that what is read was encoded and decoded, as with every other engine.
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent, bare_record
from innkeeper.protocol.ports.journal import JournalError, JournalFenced, Snapshot, SnapshotSet, StoredReply
from innkeeper.protocol.values.guests import GuestDetails, GuestKey, StoredGuest, bare

_HASH_BYTES: Final = 16


class Row(msgspec.Struct, frozen=True):
    """An event as it is stored."""

    hotel: str
    hotel_seq: int
    record: bytes


class Transaction(msgspec.Struct, frozen=True):
    """What is committed together."""

    rows: tuple[Row, ...] = ()
    replies: tuple[StoredReply, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    snapshots_until: int | None = None
    removed_replies: tuple[str, ...] = ()
    guests: tuple[StoredGuest, ...] = ()
    forgotten: frozenset[str] = frozenset()


class JournalContents:
    """What is committed in a journal, and the epoch of its newest writer. It outlives the journal's closing. Any number
    of threads may read while one commits."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.epoch = 0
        self.clear()

    def clear(self) -> None:
        """Removes everything but the epoch."""
        self.rows: list[Row] = []
        self.hashes = [bytes(_HASH_BYTES)]  # of the chain up to each position, from 0
        self.positions: dict[str, dict[int, int]] = {}  # of each hotel's events, by their hotel_seq
        self.replies: dict[str, StoredReply] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.snapshots_until = 0
        self.guests: dict[GuestKey, StoredGuest] = {}

    def commit(self, transaction: Transaction) -> None:
        """Adds a transaction."""
        for row in transaction.rows:
            self.rows.append(row)
            self.hashes.append(blake2b(self.hashes[-1] + row.record, digest_size=_HASH_BYTES).digest())
            self.positions.setdefault(row.hotel, {})[row.hotel_seq] = len(self.rows)
        self.replies.update((reply.key, reply) for reply in transaction.replies)
        self.snapshots.update((snapshot.hotel, snapshot) for snapshot in transaction.snapshots)
        if transaction.snapshots_until is not None:
            self.snapshots_until = transaction.snapshots_until
        for key in transaction.removed_replies:
            del self.replies[key]
        self.guests.update((stored.guest.key, stored) for stored in transaction.guests)
        for guest in [key for key in self.guests if key[0] in transaction.forgotten]:
            self.guests[guest] = StoredGuest(self.guests[guest].hotel, bare(self.guests[guest].guest), b"")

    def find_guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """Returns the details that are not erased; see `Journal`."""
        found = {key: self.guests[key].guest.details for key in keys}
        return {key: details for key, details in found.items() if details is not None}

    def read(self, after: int, hotel: str | None, after_hotel_seq: int) -> Iterator[LogEntry]:
        """Yields events in order; see `Journal`."""
        if hotel is None:
            positions: Iterable[int] = range(after + 1, len(self.rows) + 1)
        else:
            of_hotel = [*self.positions.get(hotel, {}).items()]
            positions = (position for seq, position in of_hotel if seq > after_hotel_seq and position > after)
        return ((position, wire.decode_record(self.rows[position - 1].record)) for position in positions)


class MemoryJournal:
    """Implements `protocol.ports.journal.Journal` in memory. Opening it fences all earlier writers."""

    def __init__(self, contents: JournalContents) -> None:
        self._contents = contents
        self._written = Transaction()
        with contents.lock:
            contents.epoch += 1
            self._epoch = contents.epoch

    def write(
        self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply], guests: Sequence[StoredGuest] = ()
    ) -> int:
        """See `Journal`."""
        self._check_writer()
        places = {(record.hotel, record.hotel_seq) for record in records}
        taken = any(seq in self._contents.positions.get(hotel, {}) for hotel, seq in places)
        if taken or len(places) < len(records):
            raise JournalError("the journal has one of these events already")
        if any(reply.key in self._contents.replies for reply in replies):
            raise JournalError("the journal has one of these replies already")
        if any(stored.guest.key in self._contents.guests for stored in guests):
            raise JournalError("the journal has one of these versions of a guest already")
        rows = (Row(record.hotel, record.hotel_seq, wire.encode_record(bare_record(record))) for record in records)
        forgotten = frozenset(record.event.guest for record in records if isinstance(record.event, ForgettingEvent))
        self._written = Transaction(tuple(rows), tuple(replies), guests=tuple(guests), forgotten=forgotten)
        return self.position() + len(records)

    def sync(self) -> None:
        """See `Journal`."""
        with self._contents.lock:
            self._check_writer()
            self._contents.commit(self._written)
        self._written = Transaction()

    def check_lock(self) -> None:
        """See `Journal`."""

    def note_head(self) -> None:
        """See `Journal`."""

    def position(self) -> int:
        """See `Journal`."""
        return len(self._contents.rows)

    timeline = ""  # what is in memory is never restored

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """See `Journal`."""
        known = self._contents.replies
        return {key: known[key] for key in keys if key in known}

    def remove_replies(self, before: int, after_key: str, limit: int) -> str | None:
        """See `Journal`."""
        with self._contents.lock:
            self._check_writer()
            keys = sorted(key for key in self._contents.replies if key > after_key)[:limit]
            old = tuple(key for key in keys if self._contents.replies[key].at < before)
            self._contents.commit(Transaction(removed_replies=old))
        return keys[-1] if len(keys) == limit else None

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `Journal`."""
        return self._contents.find_guests(keys)

    def newest_guests(self, ids: Collection[str]) -> dict[str, StoredGuest]:
        """See `Journal`."""
        found = sorted(key for key in self._contents.guests if key[0] in ids)
        return {key[0]: self._contents.guests[key] for key in found}

    def guests_with_details(self, ids: Collection[str]) -> set[str]:
        """See `Journal`."""
        stored = self._contents.guests.items()
        return {id_ for (id_, _), one in stored if id_ in ids and one.guest.details is not None}

    def check_guests(self, _: int) -> bool:
        """See `Journal`."""
        return False

    @property
    def is_erasing(self) -> bool:
        """See `Journal`."""
        return False

    def finish_erasing(self) -> None:
        """See `Journal`."""

    def hotels(self) -> set[str]:
        """See `Journal`."""
        return set(self._contents.positions)

    def read(self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0) -> Iterator[LogEntry]:
        """See `Journal`. Nothing but this program can change what is in memory."""
        return self._contents.read(after, hotel, after_hotel_seq)

    def places(self, after: int = 0) -> Iterator[tuple[int, str, int]]:
        """See `Journal`."""
        rows = [*self._contents.rows][after:]
        return ((position, row.hotel, row.hotel_seq) for position, row in enumerate(rows, after + 1))

    def check(self, after: int, until: int) -> None:
        """See `Journal`."""

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """See `Journal`."""
        return (snapshot for snapshot in [*self._contents.snapshots.values()] if hotel in (None, snapshot.hotel))

    def snapshot_set(self) -> SnapshotSet:
        """See `Journal`."""
        return SnapshotSet(
            {hotel: snapshot.hotel_seq for hotel, snapshot in self._contents.snapshots.items()},
            self._contents.snapshots_until,
        )

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        """See `Journal`."""
        with self._contents.lock:
            self._check_writer()
            self._contents.commit(Transaction(snapshots=tuple(snapshots), snapshots_until=until))

    def reopen(self) -> None:
        """See `Journal`."""
        self._written = Transaction()

    def close(self) -> None:
        """See `Journal`."""

    def _check_writer(self) -> None:
        if self._epoch != self._contents.epoch:
            raise JournalFenced("another writer has opened this journal; this one must stop")


class MemoryEventLog:
    """Implements `protocol.ports.subscriptions.EventLog` over what is committed in a journal."""

    def __init__(self, contents: JournalContents) -> None:
        self._contents = contents

    @property
    def position(self) -> int:
        """See `EventLog`."""
        return len(self._contents.rows)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        with self._contents.lock:
            return [*islice(self._contents.read(after, hotel, after_hotel_seq), limit)]

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `EventLog`."""
        with self._contents.lock:
            return self._contents.find_guests(keys)

    def hash_at(self, position: int) -> bytes:
        """See `EventLog`."""
        hashes = self._contents.hashes
        return hashes[position] if position < len(hashes) else b""
