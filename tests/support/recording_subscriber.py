"""An event log in memory, and a subscriber that records the events it handles and fails on chosen ones."""

import errno
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.journal import JournalUnavailable
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Effects, Stalled, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.memory.journal import JournalContents, MemoryEventLog, MemoryJournal
from support.handled_events import HandledEvents

SECOND = 1_000_000
_EVENTS_MAX = 1_000_000


class GrowingLog(MemoryEventLog):
    """An event log in memory, to which a test appends events."""

    def __init__(self) -> None:
        super().__init__(contents := JournalContents())
        self._journal = MemoryJournal(contents)
        self.refusals_left = 0  # so many requests are refused first
        self.refuses_hashes = False

    def append(self, hotel: str, event: Event) -> LogEntry:
        """Append an event; its entry."""
        seq = len(super().read(0, _EVENTS_MAX, hotel)) + 1
        record = RecordedEvent(hotel, seq, 0, "", "", "", event)
        position = self._journal.write([record], ())
        self._journal.sync()
        return position, record

    def read(self, *after: int, **of_hotel: Any) -> list[LogEntry]:
        """See `protocol.ports.subscriptions.EventLog`."""
        self._refuse()
        return super().read(*after, **of_hotel)

    def hash_at(self, position: int) -> bytes:
        """See `protocol.ports.subscriptions.EventLog`."""
        self._refuse()
        if self.refuses_hashes:
            raise Refused(Unavailable("away"))
        return super().hash_at(position)

    def _refuse(self) -> None:
        if self.refusals_left:
            self.refusals_left -= 1
            raise Refused(Unavailable("away"))

    @property
    def entries(self) -> list[LogEntry]:
        """All entries."""
        return super().read(0, _EVENTS_MAX)


class RecordingSubscriber:
    """A subscriber that records the events it handles; `failures` says how often each event fails."""

    def __init__(self, storage: Storage, event_log: GrowingLog, types: tuple[str, ...] = EVERY_EVENT) -> None:
        self.at = 0
        self.event_log = event_log
        self.failures: dict[str, int] = {}
        self.unavailable = False
        self.disk_full = False
        self.store_unreadable = False
        self.meanwhile: Callable[[], object] = lambda: None  # what happens while it handles a batch
        self._storage = storage
        self._types = types
        self._open()

    def _open(self) -> None:
        self._opened = ExitStack()
        self._delivery = self._opened.enter_context(self._storage.delivery_store("delivery"))
        self._handled = HandledEvents(self._delivery)
        self.subscriber = self._subscriber()
        self.notify(())

    def _subscriber(self) -> Subscriber:
        self.log = RecentEvents(self.event_log)
        cursor = self._delivery.open_cursor(SubscriptionRequest("clerk", self._types), RESERVATIONS, self.log)
        return Subscriber([cursor], self._handle, lambda: self.at)

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        if self.unavailable:
            raise Stalled("the destination is away")
        if self.store_unreadable:
            raise JournalUnavailable("delivery.db cannot be read or written now (disk I/O error)", "disk I/O error")
        self.meanwhile()
        for _, record in entries:
            if self.failures.get(record.id, 0):
                self.failures[record.id] -= 1
                raise ValueError(f"cannot read {record.id}")
        return lambda: self._store(entries)

    def _store(self, entries: Sequence[LogEntry]) -> None:
        for _, record in entries:
            self._handled.add(record)
        if self.disk_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def notify(self, records: Sequence[RecordedEvent]) -> None:
        """Notify it of the newest events."""
        self.log.append(self.event_log.position, records)
        self.subscriber.wake()

    def restart(self) -> None:
        """End the process, and start it again."""
        self._opened.close()
        self._open()

    async def run_until_idle(self) -> None:
        """Handle all events that can be handled now."""
        while await self.subscriber.step():
            pass

    def handled(self, hotel: str) -> list[str]:
        """The events of a hotel that it has handled."""
        return self._handled.of(hotel)

    def close(self) -> None:
        """Close its database."""
        self._opened.close()


def event_ids(event_log: GrowingLog, hotel: str) -> list[str]:
    """The ids of the events of a hotel."""
    return [record.id for _, record in event_log.entries if record.hotel == hotel]


def append_events(subscriber: RecordingSubscriber, *hotels: str) -> None:
    """Append an event in each of these hotels, and notify the subscriber."""
    for hotel in hotels:
        subscriber.notify((subscriber.event_log.append(hotel, BookingPinned("b", "101"))[1],))
