"""Where a service tells what it has done by itself: a log of its own, which everybody can follow like any other."""

import asyncio
from collections.abc import Callable

from innkeeper.actors.cluster.thread_bridge import in_loop
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.message_bus import CommitListener


class EventWriter:
    """A `protocol.asking.Source` that takes no commands: what is published happened already. Published in one thread;
    whoever hears of it is told in the event loop from which it asked for that."""

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        self.position = journal.position()
        self._journal = journal
        self._clock = clock
        self._listeners: list[CommitListener] = []
        self._count()

    def subscribe(self, listener: CommitListener) -> None:
        """See `protocol.asking.Source`."""
        self._listeners.append(in_loop(asyncio.get_running_loop(), listener))

    def publish(self, hotel: str, event: Event) -> None:
        """When this returns, it is on disk."""
        seq = self._seqs.get(hotel, 0) + 1
        record = RecordedEvent(hotel, seq, self._clock(), "", "", "", event)
        try:
            self._journal.write([record], ())
            self._journal.sync()
        except Exception:
            self._journal.reopen()  # nobody knows what is on the disk now: look
            self._count()
            raise
        self._seqs[hotel] = seq
        self.position = self._journal.position()
        for listener in self._listeners:
            listener(self.position, [record])

    def _count(self) -> None:
        self._seqs = {record.hotel: record.hotel_seq for _, record in self._journal.read()}

    def close(self) -> None:
        """Nothing more is published."""
        self._journal.close()
