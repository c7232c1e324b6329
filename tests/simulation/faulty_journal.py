"""A journal in memory that fails as disks and processes do, by the dice of one seed.

The `Disk` outlives the process; what was written but not synced outlives it only while the power stays on. Events stand
on it as the bytes of the wire format, so that all that is read back was decoded.
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import Fenced, JournalError, Snapshot, StoredReply

Row = tuple[str, int, int, str, str, str, str, bytes]


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing in the house may catch it and go on."""


class Fault(StrEnum):
    """What can go wrong at an append."""

    CRASH_BEFORE = "crash before the commit"
    CRASH_DURING = "crash between write and sync"
    CRASH_AFTER = "crash after the commit, before any reply"
    DISK_FULL = "nothing written"
    UNKNOWN = "written, but an error is reported"


class Faults:
    """The dice. `rate` is the chance that an append fails; a reopening fails, and a snapshot crashes, as often."""

    def __init__(self, random: Random, rate: float) -> None:
        self.rate = rate
        self.struck = 0
        self._random = random

    def strike(self) -> Fault | None:
        """What goes wrong this time, if anything."""
        if self._random.random() >= self.rate:
            return None
        self.struck += 1
        return self._random.choice(list(Fault))

    def strikes(self) -> bool:
        """Does something go wrong where only one thing can?"""
        return self.strike() is not None


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is written all or none."""

    rows: tuple[Row, ...] = ()
    replies: tuple[StoredReply, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(slots=True)
class Disk:
    """What outlives the process: transactions, of which the first `durable` outlive a power loss too. A disk that
    `lies` says at once that it has synced an append."""

    lies: bool = False
    epoch: int = 0
    durable: int = 0
    transactions: list[Transaction] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    replies: dict[str, StoredReply] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    def write(self, transaction: Transaction) -> None:
        """Not yet durable."""
        self.transactions.append(transaction)
        self.rows.extend(transaction.rows)
        self.replies.update((reply.key, reply) for reply in transaction.replies)
        self.snapshots.update((snapshot.hotel, snapshot) for snapshot in transaction.snapshots)

    def sync(self) -> None:
        """All that is written is durable."""
        self.durable = len(self.transactions)

    def lose_power(self) -> None:
        """Back to what is durable."""
        kept = self.transactions[: self.durable]
        self.transactions, self.rows, self.replies, self.snapshots = [], [], {}, {}
        for transaction in kept:
            self.write(transaction)


class DiskReader:
    """What anyone can read on a disk, as a `protocol.journal.Journal` says it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def position(self) -> int:
        """See `protocol.journal.Journal`."""
        return len(self._disk.rows)

    def reply(self, key: str) -> StoredReply | None:
        """See `protocol.journal.Journal`."""
        return self._disk.replies.get(key)

    def hotels(self) -> set[str]:
        """See `protocol.journal.Journal`."""
        return {row[0] for row in self._disk.rows}

    def read(
        self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0
    ) -> Iterator[tuple[int, RecordedEvent]]:
        """See `protocol.journal.Journal`."""
        for seq, row in enumerate(self._disk.rows[after:], start=after + 1):
            if hotel is None or (row[0] == hotel and row[1] > after_hotel_seq):
                yield seq, _record(row)

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """See `protocol.journal.Journal`."""
        return (snapshot for snapshot in self._disk.snapshots.values() if hotel in (None, snapshot.hotel))


class FaultyJournal(DiskReader):
    """A `protocol.journal.Journal` on a disk; opening it fences every writer that opened it before."""

    def __init__(self, disk: Disk, faults: Faults) -> None:
        super().__init__(disk)
        self._faults = faults
        self._fault: Fault | None = None
        self._written = Transaction()
        disk.epoch += 1
        disk.sync()
        self._epoch = disk.epoch

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> int:
        """See `protocol.journal.Journal`; the disk may be full."""
        self._check_writer()
        self._fault = self._faults.strike()
        if self._fault is Fault.DISK_FULL:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._check_unique(records, replies)
        self._written = Transaction(tuple(map(_row, records)), tuple(replies))
        return self.position() + len(records)

    def sync(self) -> None:
        """See `protocol.journal.Journal`; it may also end in any of the ways of `Fault`."""
        if self._fault is Fault.CRASH_BEFORE:
            raise Crash(self._fault)
        self._disk.write(self._written)
        if self._fault is Fault.CRASH_DURING:
            raise Crash(self._fault)
        if not self._disk.lies:
            self._disk.sync()
        if self._fault is Fault.CRASH_AFTER:
            raise Crash(self._fault)
        if self._fault is Fault.UNKNOWN:
            raise OSError(errno.EIO, "Input/output error")

    def _check_writer(self) -> None:
        if self._epoch != self._disk.epoch:
            raise Fenced("another process writes to this disk now")

    def _check_unique(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> None:
        """What the constraints of the tables refuse."""
        last = {hotel: hotel_seq for hotel, hotel_seq, *_ in self._disk.rows}
        for record in records:
            if record.hotel_seq <= last.get(record.hotel, 0):
                raise JournalError(f"event {record.id} is there already")
            last[record.hotel] = record.hotel_seq
        if any(reply.key in self._disk.replies for reply in replies):
            raise JournalError("a key has its reply already")

    def save_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        """See `protocol.journal.Journal`; the process may crash on the way."""
        saved = tuple(snapshots)
        if self._faults.strikes():
            raise Crash("while saving snapshots")
        self._check_writer()
        self._disk.write(Transaction(snapshots=saved))
        self._disk.sync()

    def reopen(self) -> None:
        """See `protocol.journal.Journal`; the disk may still be ill."""
        if self._faults.strikes():
            raise OSError(errno.EIO, "Input/output error")

    def close(self) -> None:
        """See `protocol.journal.Journal`."""


def _row(record: RecordedEvent) -> Row:
    return (
        record.hotel, record.hotel_seq, record.at, record.by, record.correlation, record.cause,
        wire.event_type(record.event), wire.encode_fields(record.event),
    )  # fmt: skip


def _record(row: Row) -> RecordedEvent:
    *columns, type_name, fields = row
    return RecordedEvent(*columns, wire.decode_event(type_name, fields))
