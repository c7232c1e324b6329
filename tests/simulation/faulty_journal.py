"""The journal in memory (`storage.memory.journal`), failing as disks and processes do, at random from one seed.

The `Disk` survives the end of the process; what is not synced survives only without a power loss.
"""

import errno
from collections.abc import Iterable, Sequence
from enum import StrEnum
from random import Random
from typing import Any

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.journal import Snapshot, StoredReply
from innkeeper.protocol.ports.subscriptions import with_guests
from innkeeper.protocol.values.guests import StoredGuest
from innkeeper.storage.memory.journal import JournalContents, MemoryEventLog, MemoryJournal, Transaction


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


class Disk(JournalContents):
    """A journal's contents on a disk: transactions, of which the first `durable` survive a power loss too. A disk that
    `acknowledges_early` reports a sync that has not happened."""

    def __init__(self, acknowledges_early: bool = False) -> None:
        super().__init__()
        self.acknowledges_early = acknowledges_early
        self.durable = 0

    def clear(self) -> None:
        """See `JournalContents`."""
        super().clear()
        self.transactions: list[Transaction] = []

    def commit(self, transaction: Transaction) -> None:
        """Write a transaction, which is not durable yet."""
        super().commit(transaction)
        self.transactions.append(transaction)

    def sync(self) -> None:
        """Make all that is written durable."""
        self.durable = len(self.transactions)

    def records(self) -> list[RecordedEvent]:
        """All events, with the details of guests that are not erased."""
        return [record for _, record in with_guests([*DiskReader(self).read()], MemoryEventLog(self))]

    def lose_power(self) -> None:
        """Drop what is not durable."""
        durable = self.transactions[: self.durable]
        self.clear()
        for transaction in durable:
            self.commit(transaction)


class DiskReader(MemoryJournal):
    """Reads the journal on a disk. It is not opened to write, so it fences no writer."""

    def __init__(self, disk: Disk) -> None:
        self._contents = disk


class DurableLog(MemoryEventLog):
    """What is durable on a disk."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self._disk = disk

    @property
    def position(self) -> int:
        """See `protocol.ports.subscriptions.EventLog`."""
        return sum(len(transaction.rows) for transaction in self._disk.transactions[: self._disk.durable])

    def read(self, *after: int, **of_hotel: Any) -> list[LogEntry]:
        """See `protocol.ports.subscriptions.EventLog`."""
        end = self.position
        return [entry for entry in super().read(*after, **of_hotel) if entry[0] <= end]


class FaultyJournal(MemoryJournal):
    """A journal on a disk, with faults."""

    def __init__(self, disk: Disk, faults: Faults) -> None:
        super().__init__(disk)
        self._disk = disk
        self._faults = faults
        self._fault: Fault | None = None
        disk.sync()

    def write(
        self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply], guests: Sequence[StoredGuest] = ()
    ) -> int:
        """See `protocol.ports.journal.Journal`; the disk may be full."""
        self._check_writer()
        self._fault = self._faults.draw()
        if self._fault is Fault.DISK_FULL:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(records, replies, guests)

    def sync(self) -> None:
        """See `protocol.ports.journal.Journal`; it may also fail with any `Fault`."""
        if self._fault is Fault.CRASH_BEFORE:
            raise Crash(self._fault)
        super().sync()
        if self._fault is Fault.CRASH_DURING:
            raise Crash(self._fault)
        if not self._disk.acknowledges_early:
            self._disk.sync()
        if self._fault is Fault.CRASH_AFTER:
            raise Crash(self._fault)
        if self._fault is Fault.UNKNOWN:
            raise OSError(errno.EIO, "Input/output error")

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        """See `protocol.ports.journal.Journal`; the process may crash before."""
        if self._faults.is_faulty():
            raise Crash("while saving snapshots")
        super().save_snapshots(snapshots, until)
        self._disk.sync()

    def reopen(self) -> None:
        """See `protocol.ports.journal.Journal`; the disk may still fail."""
        if self._faults.is_faulty():
            raise OSError(errno.EIO, "Input/output error")
        super().reopen()
