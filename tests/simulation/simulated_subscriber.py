"""A subscriber in the simulation: the real cursor on a real database, a delivery that loses, repeats and reorders
notifications, and a handler that fails on some events, is stalled, or crashes while it writes.

At the end it must have handled every event of the journal once, in the order of its hotel (P5).
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Effects, Stalled, SubscriptionRequest
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.sqlite.cursors import SqliteCursor, open_service
from simulation.faulty_journal import Crash, Disk, DiskReader

_FAILURE_RATE = 0.02
_FAILURES_MAX = 7


class DurableLog:
    """A `protocol.ports.subscriptions.EventLog`: what is synced, as a reader of the file sees it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._reader = DiskReader(disk)

    @property
    def position(self) -> int:
        """See `protocol.ports.subscriptions.EventLog`."""
        return sum(len(transaction.rows) for transaction in self._disk.transactions[: self._disk.durable])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `protocol.ports.subscriptions.EventLog`."""
        end = self.position
        found = []
        for entry in self._reader.read(after, hotel, after_hotel_seq):
            if entry[0] > end or len(found) == limit:
                break
            found.append(entry)
        return found


class FaultyDelivery:
    """Delivers notifications of commits; it may lose, repeat and reorder them."""

    def __init__(self, events: RecentEvents, random: Random, rate: float) -> None:
        self.log = events
        self._random = random
        self._rate = rate
        self._pending: list[tuple[int, Sequence[RecordedEvent]]] = []

    def deliver(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Deliver a notification, now, later or never."""
        self._pending.append((position, records))
        if not self._is_faulty():
            self._random.shuffle(self._pending) if self._is_faulty() else None
            while self._pending:
                notification = self._pending.pop(0)
                for _ in range(2 if self._is_faulty() else 1):
                    self.log.append(*notification)
        elif self._is_faulty():
            self._pending.clear()

    def _is_faulty(self) -> bool:
        return self._random.random() < self._rate


class SimulatedSubscriber:
    """The subscriber, its delivery and its handler; `rate` is the probability of each fault."""

    def __init__(
        self, disk: Disk, random: Random, rate: float, clock: Callable[[], int], folder: Path,
        cursor: type[SqliteCursor] = SqliteCursor,
    ) -> None:  # fmt: skip
        self._disk = disk
        self._random = random
        self._rate = rate
        self._clock = clock
        self._folder = folder
        self._cursor = cursor
        self._failures: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        self._db = open_service(
            self._folder / "subscriber.db", lambda db: db.execute("CREATE TABLE handled (event TEXT)")
        )
        self._delivery = FaultyDelivery(RecentEvents(DurableLog(self._disk)), self._random, self._rate)
        cursor = self._cursor(self._db, SubscriptionRequest("follower", EVERY_EVENT), RESERVATIONS, self._delivery.log)
        self._subscriber = Subscriber([cursor], self._handle, self._clock, batch_events=self._random.choice((1, 3, 64)))

    def deliver(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Deliver a commit of the host."""
        self._delivery.deliver(position, records)

    def work(self) -> None:
        """Handle some events, in spite of faults."""
        for _ in range(self._random.randrange(4)):
            try:
                finish(self._subscriber.step())
            except (Stalled, sqlite3.OperationalError):
                continue
            except Crash:
                self.restart()

    def restart(self) -> None:
        """End the process, which forgets all notifications, and start it again."""
        self._db.close()
        self._open()

    def close(self) -> None:
        """Close its database."""
        self._db.close()

    def settle(self) -> Iterator[str]:
        """Without faults, and with every dead letter redriven, handle all events; the violations."""
        self._rate = 0.0
        self._failures = dict.fromkeys(self._failures, 0)
        self.restart()
        for notification in self._subscriber.dead_letters():
            self._subscriber.redrive(notification.event)
        while finish(self._subscriber.step()):
            pass
        handled = [event for (event,) in self._db.execute("SELECT event FROM handled ORDER BY rowid")]
        events = [record.id for _, record in DiskReader(self._disk).read()]
        for hotel in sorted({event.rpartition(":")[0] for event in (*handled, *events)}):
            own, expected = ([event for event in one if event.rpartition(":")[0] == hotel] for one in (handled, events))
            if own != expected:
                at = next((at for at, pair in enumerate(zip(own, expected, strict=False)) if len(set(pair)) > 1), -1)
                yield f"{hotel}: the subscriber handled {len(own)} of {len(expected)} events, different at {at} (P5)"

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        if self._is_faulty():
            raise Stalled("the destination is away")
        for _, record in entries:
            failures = self._failures.get(record.id)
            if failures is None:
                fails = self._rate and self._random.random() < _FAILURE_RATE
                failures = self._failures[record.id] = self._random.randint(1, _FAILURES_MAX) if fails else 0
            if failures:
                self._failures[record.id] -= 1
                raise ValueError(record.id)
        faults = [Crash("while writing effects"), sqlite3.OperationalError("database or disk is full")]
        fault = self._random.choice(faults) if self._is_faulty() else None
        return lambda: self._store(entries, fault)

    def _store(self, entries: Sequence[LogEntry], fault: BaseException | None) -> None:
        for number, (_, record) in enumerate(entries):
            if fault is not None and number == len(entries) // 2:
                raise fault
            self._db.execute("INSERT INTO handled VALUES (?)", (record.id,))

    def _is_faulty(self) -> bool:
        return self._random.random() < self._rate


def finish(work: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the coroutine waits")
