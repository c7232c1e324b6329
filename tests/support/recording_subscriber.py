"""An event log in memory, and a subscriber that records the events it handles and fails on chosen ones."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Effects, Stalled, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.sqlite.cursors import SqliteCursor, open_service

SECOND = 1_000_000


class InMemoryEventLog:
    """An event log that is a list."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.refusals_left = 0  # so many reads are refused first

    def append(self, hotel: str, event: Event) -> LogEntry:
        """Append an event; its entry."""
        seq = sum(record.hotel == hotel for _, record in self.entries) + 1
        self.entries.append((len(self.entries) + 1, RecordedEvent(hotel, seq, 0, "", "", "", event)))
        return self.entries[-1]

    @property
    def position(self) -> int:
        """See `protocol.subscribing.Log`."""
        return len(self.entries)

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `protocol.subscribing.Log`."""
        if self.refusals_left:
            self.refusals_left -= 1
            raise Refused(Unavailable("away"))
        found = (
            entry
            for entry in self.entries[after:]
            if hotel is None or (entry[1].hotel == hotel and entry[1].hotel_seq > after_hotel_seq)
        )
        return [entry for entry, _ in zip(found, range(limit), strict=False)]


class RecordingSubscriber:
    """A subscriber that records the events it handles; `failures` says how often each event fails."""

    def __init__(self, path: Path, event_log: InMemoryEventLog, types: tuple[str, ...] = EVERY_EVENT) -> None:
        self.at = 0
        self.event_log = event_log
        self.failures: dict[str, int] = {}
        self.unavailable = False
        self.disk_full = False
        self.meanwhile: Callable[[], object] = lambda: None  # what happens while it handles a batch
        self._path = path
        self._types = types
        self._open()

    def _open(self) -> None:
        self._db = open_service(self._path, lambda db: db.execute("CREATE TABLE handled (event TEXT, hotel TEXT)"))
        self.subscriber = self._subscriber()
        self.notify(())

    def _subscriber(self) -> Subscriber:
        self.log = RecentEvents(self.event_log)
        cursor = SqliteCursor(self._db, SubscriptionRequest("clerk", self._types), RESERVATIONS, self.log)
        return Subscriber([cursor], self._handle, lambda: self.at)

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        if self.unavailable:
            raise Stalled("the destination is away")
        self.meanwhile()
        for _, record in entries:
            if self.failures.get(record.id, 0):
                self.failures[record.id] -= 1
                raise ValueError(f"cannot read {record.id}")
        return lambda: self._store(entries)

    def _store(self, entries: Sequence[LogEntry]) -> None:
        for _, record in entries:
            self._db.execute("INSERT INTO handled VALUES (?, ?)", (record.id, record.hotel))
        if self.disk_full:
            raise sqlite3.OperationalError("database or disk is full")

    def notify(self, records: Sequence[RecordedEvent]) -> None:
        """Notify it of the newest events."""
        self.log.append(len(self.event_log.entries), records)
        self.subscriber.wake()

    def restart(self) -> None:
        """End the process, and start it again."""
        self._db.close()
        self._open()

    async def run_until_idle(self) -> None:
        """Handle all events that can be handled now."""
        while await self.subscriber.step():
            pass

    def handled(self, hotel: str) -> list[str]:
        """The events of a hotel that it has handled."""
        return [event for (event,) in self._db.execute("SELECT event FROM handled WHERE hotel = ?", (hotel,))]

    def close(self) -> None:
        """Close its database."""
        self._db.close()


def event_ids(event_log: InMemoryEventLog, hotel: str) -> list[str]:
    """The ids of the events of a hotel."""
    return [record.id for _, record in event_log.entries if record.hotel == hotel]


def append_events(subscriber: RecordingSubscriber, *hotels: str) -> None:
    """Append an event in each of these hotels, and notify the subscriber."""
    for hotel in hotels:
        subscriber.notify((subscriber.event_log.append(hotel, BookingPinned("b", "101"))[1],))
