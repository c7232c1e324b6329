"""Writes the events of a service to a log of its own, which subscribers follow like any other."""

from collections.abc import Callable

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.message_bus import CommitListener


class EventWriter:
    """A `CommitStream` without commands: it publishes what has happened already."""

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        self.position = journal.position()
        self._journal = journal
        self._clock = clock
        self._listeners: list[CommitListener] = []
        self._read_sequences()

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`."""
        self._listeners.append(listener)

    def publish(self, hotel: str, event: Event, cause: str) -> None:
        """Writes the event and calls the listeners. When this returns, the event is on disk. `cause` is the id of the
        event that made the service do this by itself, "" where a client asked for it."""
        seq = self._seqs.get(hotel, 0) + 1
        by, timeline = "system" if cause else "", self._journal.timeline
        record = RecordedEvent(hotel, seq, self._clock(), by, "", cause, event, timeline)
        try:
            self._journal.write([record], ())
            self._journal.sync()
        except Exception:
            self._journal.reopen()  # what is on disk is unknown now: read it again
            self._read_sequences()
            raise
        self._seqs[hotel] = seq
        self.position = self._journal.position()
        for listener in self._listeners:
            listener(self.position, [record])

    def _read_sequences(self) -> None:
        self._seqs = {record.hotel: record.hotel_seq for _, record in self._journal.read()}

    def close(self) -> None:
        """Closes the journal; nothing can be published any more."""
        self._journal.close()
