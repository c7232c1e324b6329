"""A subscriber in the simulation: the real cursor on a database in memory, a delivery that loses, repeats and reorders
notifications, and a handler that fails on some events, is stalled, is refused some, or crashes while it writes.

At the end it must have handled every event of the journal once, in the order of its hotel (P5).
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Effects,
    NotAccepted,
    Retry,
    Stalled,
    SubscriptionRequest,
)
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.service_store import MemoryDeliveryStore
from simulation.faulty_journal import Crash, Disk, DiskReader, DurableLog
from support.handled_events import HandledEvents

_FAILURE_RATE = 0.02
_FAILURES_MAX = 7


class DatabaseFull(Exception):
    """A write to the database of a service failed; its transaction is undone."""


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
        self, disk: Disk, random: Random, rate: float, clock: Callable[[], int], database: MemoryDatabase
    ) -> None:
        self._disk = disk
        self._random = random
        self._rate = rate
        self._clock = clock
        self._database = database
        self._failures: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        store = MemoryDeliveryStore(self._database)
        self._handled = HandledEvents(store)
        self._delivery = FaultyDelivery(RecentEvents(DurableLog(self._disk)), self._random, self._rate)
        cursor = store.open_cursor(SubscriptionRequest("follower", EVERY_EVENT), RESERVATIONS, self._delivery.log)
        self._subscriber = Subscriber([cursor], self._handle, self._clock, batch_events=self._random.choice((1, 3, 64)))

    def deliver(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Deliver a commit of the host."""
        self._delivery.deliver(position, records)

    def work(self) -> None:
        """Handle some events, in spite of faults."""
        for _ in range(self._random.randrange(4)):
            try:
                finish(self._subscriber.step())
            except (Stalled, DatabaseFull):
                continue
            except Crash:
                self.restart()

    def restart(self) -> None:
        """End the process, which forgets all notifications, and start it again."""
        self._open()

    def close(self) -> None:
        """See the other services: nothing is open."""

    def settle(self) -> Iterator[str]:
        """Without faults, and with every dead letter redriven, handle all events; the violations."""
        self._rate = 0.0
        self._failures = dict.fromkeys(self._failures, 0)
        self.restart()
        for notification in self._subscriber.dead_letters():
            self._subscriber.redrive(notification.event)
        self._subscriber.retry_parked()
        while finish(self._subscriber.step()):
            pass
        records = [record for _, record in DiskReader(self._disk).read()]
        for hotel in sorted({record.hotel for record in records}):
            own, expected = self._handled.of(hotel), [record.id for record in records if record.hotel == hotel]
            if own != expected:
                at = next((at for at, pair in enumerate(zip(own, expected, strict=False)) if len(set(pair)) > 1), -1)
                yield f"{hotel}: the subscriber handled {len(own)} of {len(expected)} events, different at {at} (P5)"

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        if self._is_faulty():
            raise Stalled("the destination is away")
        if len(entries) == 1 and self._is_faulty():
            refusals = self._random.randrange(3)
            seconds = self._random.choice((0, 60, None)) if refusals else self._random.choice((0, 60))
            raise NotAccepted("refused", Retry(refusals, seconds), pause_seconds=self._random.choice((0, 60)))
        for _, record in entries:
            failures = self._failures.get(record.id)
            if failures is None:
                fails = self._rate and self._random.random() < _FAILURE_RATE
                failures = self._failures[record.id] = self._random.randint(1, _FAILURES_MAX) if fails else 0
            if failures:
                self._failures[record.id] -= 1
                raise ValueError(record.id)
        faults = [Crash("while writing effects"), DatabaseFull()]
        fault = self._random.choice(faults) if self._is_faulty() else None
        return lambda: self._store(entries, fault)

    def _store(self, entries: Sequence[LogEntry], fault: BaseException | None) -> None:
        for number, (_, record) in enumerate(entries):
            if fault is not None and number == len(entries) // 2:
                raise fault
            self._handled.add(record)

    def _is_faulty(self) -> bool:
        return self._random.random() < self._rate


def finish(work: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the coroutine waits")
