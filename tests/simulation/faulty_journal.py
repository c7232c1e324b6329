"""A journal in memory that fails as disks and processes do, at random from one seed.

The `Disk` survives the end of the process; what is not synced survives only without a power loss. Events are stored as
bytes of the wire format, so that everything that is read was decoded.
"""

import errno
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import JournalError, JournalFenced, Snapshot, StoredReply

Row = tuple[str, int, int, str, str, str, str, bytes]


class Crash(BaseException):
    """The end of the process. It is no Exception, so that no handler of the program catches it."""


class Fault(StrEnum):
    """The faults of an append."""

    CRASH_BEFORE = "crash before the commit"
    CRASH_DURING = "crash between write and sync"
    CRASH_AFTER = "crash after the commit, before any reply"
    DISK_FULL = "nothing written"
    UNKNOWN = "written, but an error is reported"


class Faults:
    """Draws faults. `rate` is the probability that an append or a reopening fails, or that a snapshot crashes."""

    def __init__(self, random: Random, rate: float) -> None:
        self.rate = rate
        self.count = 0
        self._random = random

    def draw(self) -> Fault | None:
        """The fault of this append, if any."""
        if self._random.random() >= self.rate:
            return None
        self.count += 1
        return self._random.choice(list(Fault))

    def is_faulty(self) -> bool:
        """Whether there is a fault, where only one kind is possible."""
        return self.draw() is not None


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is written atomically."""

    rows: tuple[Row, ...] = ()
    replies: tuple[StoredReply, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(slots=True)
class Disk:
    """What survives the end of the process: transactions, of which the first `durable` survive a power loss too. A disk
    that `acknowledges_early` reports a sync that has not happened."""

    acknowledges_early: bool = False
    epoch: int = 0
    durable: int = 0
    transactions: list[Transaction] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    replies: dict[str, StoredReply] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    def write(self, transaction: Transaction) -> None:
        """Write a transaction, which is not durable yet."""
        self.transactions.append(transaction)
        self.rows.extend(transaction.rows)
        self.replies.update((reply.key, reply) for reply in transaction.replies)
        self.snapshots.update((snapshot.hotel, snapshot) for snapshot in transaction.snapshots)

    def sync(self) -> None:
        """Make all that is written durable."""
        self.durable = len(self.transactions)

    def lose_power(self) -> None:
        """Drop what is not durable."""
        durable = self.transactions[: self.durable]
        self.transactions, self.rows, self.replies, self.snapshots = [], [], {}, {}
        for transaction in durable:
            self.write(transaction)


class DiskReader:
    """Reads a disk, as a `protocol.ports.journal.Journal`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def position(self) -> int:
        """See `protocol.ports.journal.Journal`."""
        return len(self._disk.rows)

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        """See `protocol.ports.journal.Journal`."""
        return {key: self._disk.replies[key] for key in keys if key in self._disk.replies}

    def hotels(self) -> set[str]:
        """See `protocol.ports.journal.Journal`."""
        return {row[0] for row in self._disk.rows}

    def read(
        self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0
    ) -> Iterator[tuple[int, RecordedEvent]]:
        """See `protocol.ports.journal.Journal`."""
        for seq, row in enumerate(self._disk.rows[after:], start=after + 1):
            if hotel is None or (row[0] == hotel and row[1] > after_hotel_seq):
                yield seq, _record(row)

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        """See `protocol.ports.journal.Journal`."""
        return (snapshot for snapshot in self._disk.snapshots.values() if hotel in (None, snapshot.hotel))


class FaultyJournal(DiskReader):
    """A `protocol.ports.journal.Journal` on a disk; opening it fences every writer that opened it before."""

    def __init__(self, disk: Disk, faults: Faults) -> None:
        super().__init__(disk)
        self._faults = faults
        self._fault: Fault | None = None
        self._written = Transaction()
        disk.epoch += 1
        disk.sync()
        self._epoch = disk.epoch

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> int:
        """See `protocol.ports.journal.Journal`; the disk may be full."""
        self._check_writer()
        self._fault = self._faults.draw()
        if self._fault is Fault.DISK_FULL:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._check_unique(records, replies)
        self._written = Transaction(tuple(map(_row, records)), tuple(replies))
        return self.position() + len(records)

    def sync(self) -> None:
        """See `protocol.ports.journal.Journal`; it may also fail with any `Fault`."""
        if self._fault is Fault.CRASH_BEFORE:
            raise Crash(self._fault)
        self._disk.write(self._written)
        if self._fault is Fault.CRASH_DURING:
            raise Crash(self._fault)
        if not self._disk.acknowledges_early:
            self._disk.sync()
        if self._fault is Fault.CRASH_AFTER:
            raise Crash(self._fault)
        if self._fault is Fault.UNKNOWN:
            raise OSError(errno.EIO, "Input/output error")

    def _check_writer(self) -> None:
        if self._epoch != self._disk.epoch:
            raise JournalFenced("another process writes to this disk now")

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
        """See `protocol.ports.journal.Journal`; the process may crash before."""
        saved = tuple(snapshots)
        if self._faults.is_faulty():
            raise Crash("while saving snapshots")
        self._check_writer()
        self._disk.write(Transaction(snapshots=saved))
        self._disk.sync()

    def reopen(self) -> None:
        """See `protocol.ports.journal.Journal`; the disk may still fail."""
        if self._faults.is_faulty():
            raise OSError(errno.EIO, "Input/output error")

    def close(self) -> None:
        """See `protocol.ports.journal.Journal`."""


def _row(record: RecordedEvent) -> Row:
    return (
        record.hotel, record.hotel_seq, record.at, record.by, record.correlation, record.cause,
        wire.event_type(record.event), wire.encode_fields(record.event),
    )  # fmt: skip


def _record(row: Row) -> RecordedEvent:
    *columns, type_name, fields = row
    return RecordedEvent(*columns, wire.decode_event(type_name, fields))
