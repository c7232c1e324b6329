"""Writes the events of a service to a log of its own, which subscribers follow like any other."""

from collections.abc import Callable

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.journal import Journal, StoredReply
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.values.limits import idempotency_hours

_HOUR_MICROSECONDS = 3_600_000_000
_REMOVED_WITH_EACH = 10


class EventWriter:
    """A `CommitStream` without commands: it publishes what has happened already."""

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        self.position = journal.position()
        self._journal = journal
        self._clock = clock
        self._listeners: list[CommitListener] = []
        self._last_key = ""  # until there, old ids are removed
        self._read_sequences()

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`."""
        self._listeners.append(listener)

    def publish(self, new: UnpublishedEvent) -> None:
        """Writes the event and calls the listeners, unless an event of this id was written in the last
        `idempotency_hours`. When this returns, the event is on disk."""
        if self._journal.replies([new.id]):
            return
        seq = self._seqs.get(new.hotel, 0) + 1
        by, timeline = "system" if new.cause else "", self._journal.timeline
        record = RecordedEvent(new.hotel, seq, new.at, by, "", new.cause, new.event, timeline)
        try:
            at = self._clock()
            before = at - idempotency_hours * _HOUR_MICROSECONDS
            self._last_key = self._journal.remove_replies(before, self._last_key, _REMOVED_WITH_EACH) or ""
            self._journal.write([record], [StoredReply(new.id, b"", b"", at)])
            self._journal.sync()
        except Exception:
            self._journal.reopen()  # what is on disk is unknown now: read it again
            self._read_sequences()
            raise
        self._seqs[new.hotel] = seq
        self.position = self._journal.position()
        for listener in self._listeners:
            listener(self.position, [record])

    def _read_sequences(self) -> None:
        self._seqs = {record.hotel: record.hotel_seq for _, record in self._journal.read()}

    def close(self) -> None:
        """Closes the journal; nothing can be published any more."""
        self._journal.close()
