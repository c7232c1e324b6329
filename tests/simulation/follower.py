"""A subscriber in the simulated town: the real cursor on a real database, a postman who loses, repeats and mixes up
what is broadcast, and a clerk who chokes on some events, is away, or dies in the middle of writing.

Whatever they do, at the end the book must say what the journal says: every event once, in its hotel's order (P5).
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Effects, Stalled, SubscriptionRequest
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.sqlite.cursors import SqliteCursor, open_service
from simulation.faulty_journal import Crash, Disk, DiskReader

_CHOKES_ON = 0.02
_TIMES_MAX = 7


class DurableLog:
    """A `protocol.subscribing.Log`: what a reader of the file sees, which is what was synced."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._reader = DiskReader(disk)

    @property
    def position(self) -> int:
        """See `protocol.subscribing.Log`."""
        return sum(len(transaction.rows) for transaction in self._disk.transactions[: self._disk.durable])

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `protocol.subscribing.Log`."""
        end = self.position
        found = []
        for entry in self._reader.read(after, hotel, after_hotel_seq):
            if entry[0] > end or len(found) == limit:
                break
            found.append(entry)
        return found


class Postman:
    """Brings what is broadcast, in his own way: he loses it, brings it twice, or mixes it up."""

    def __init__(self, log: RecentEvents, random: Random, rate: float) -> None:
        self.log = log
        self._random = random
        self._rate = rate
        self._bag: list[tuple[int, Sequence[RecordedEvent]]] = []

    def bring(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """He does with it as he likes."""
        self._bag.append((position, records))
        if not self._unlucky():
            self._random.shuffle(self._bag) if self._unlucky() else None
            while self._bag:
                letter = self._bag.pop(0)
                for _ in range(2 if self._unlucky() else 1):
                    self.log.append(*letter)
        elif self._unlucky():
            self._bag.clear()

    def _unlucky(self) -> bool:
        return self._random.random() < self._rate


class Follower:
    """The subscriber, its postman, and its clerk; `rate` is how often something goes wrong."""

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
        self._chokes: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        self._db = open_service(self._folder / "follower.db", lambda db: db.execute("CREATE TABLE book (event TEXT)"))
        self._postman = Postman(RecentEvents(DurableLog(self._disk)), self._random, self._rate)
        cursor = self._cursor(self._db, SubscriptionRequest("follower"), RESERVATIONS, self._postman.log)
        self._subscriber = Subscriber(
            [cursor], self._take_in, self._clock, batch_events=self._random.choice((1, 3, 64))
        )

    def subscribe(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """What the host broadcasts."""
        self._postman.bring(position, records)

    def work(self) -> None:
        """Take in some of what there is, and live through whatever goes wrong."""
        for _ in range(self._random.randrange(4)):
            try:
                finish(self._subscriber.step())
            except (Stalled, sqlite3.OperationalError):
                continue
            except Crash:
                self.restart()

    def restart(self) -> None:
        """The process is gone, and with it all that was only heard."""
        self._db.close()
        self._open()

    def close(self) -> None:
        """No more."""
        self._db.close()

    def settle(self) -> Iterator[str]:
        """No more faults, and a person who redrives every dead letter; then what is wrong in the book."""
        self._rate = 0.0
        self._chokes = dict.fromkeys(self._chokes, 0)
        self.restart()
        for letter in self._subscriber.dead_letters():
            self._subscriber.redrive(letter.event)
        while finish(self._subscriber.step()):
            pass
        book = [event for (event,) in self._db.execute("SELECT event FROM book ORDER BY rowid")]
        log = [record.id for _, record in DiskReader(self._disk).read()]
        for hotel in sorted({event.rpartition(":")[0] for event in (*book, *log)}):
            written, told = ([event for event in one if event.rpartition(":")[0] == hotel] for one in (book, log))
            if written != told:
                at = next((at for at, pair in enumerate(zip(written, told, strict=False)) if len(set(pair)) > 1), -1)
                yield f"{hotel}: the follower wrote {len(written)} of {len(told)} events, wrong from {at} on (P5)"

    async def _take_in(self, entries: Sequence[LogEntry]) -> Effects:
        if self._unlucky():
            raise Stalled("the destination is away")
        for _, record in entries:
            times = self._chokes.get(record.id)
            if times is None:
                bad = self._rate and self._random.random() < _CHOKES_ON
                times = self._chokes[record.id] = self._random.randint(1, _TIMES_MAX) if bad else 0
            if times:
                self._chokes[record.id] -= 1
                raise ValueError(record.id)
        faults = [Crash("while writing effects"), sqlite3.OperationalError("database or disk is full")]
        fault = self._random.choice(faults) if self._unlucky() else None
        return lambda: self._keep(entries, fault)

    def _keep(self, entries: Sequence[LogEntry], fault: BaseException | None) -> None:
        for number, (_, record) in enumerate(entries):
            if fault is not None and number == len(entries) // 2:
                raise fault
            self._db.execute("INSERT INTO book VALUES (?)", (record.id,))

    def _unlucky(self) -> bool:
        return self._random.random() < self._rate


def finish(work: Any) -> Any:
    """The result of a coroutine that waits for nobody."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for somebody")
