"""Where a service tells what it has done by itself: a log of its own, which everybody can follow like any other."""

import asyncio
from collections.abc import Callable

from innkeeper.actors.next_door import told_in
from innkeeper.protocol.asking import Hearer
from innkeeper.protocol.events import Event
from innkeeper.protocol.journal import Journal
from innkeeper.protocol.record import Recorded


class Bulletin:
    """A `protocol.asking.Source` that takes no commands: what is published happened already. Published in one thread;
    whoever hears of it is told in the event loop from which it asked for that."""

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        self.position = journal.position()
        self._journal = journal
        self._clock = clock
        self._seqs: dict[str, int] = {}
        self._hearers: list[Hearer] = []
        for _, record in journal.read():
            self._seqs[record.hotel] = record.hotel_seq

    def hear(self, hearer: Hearer) -> None:
        """See `protocol.asking.Source`."""
        self._hearers.append(told_in(asyncio.get_running_loop(), hearer))

    def publish(self, hotel: str, event: Event) -> None:
        """When this returns, it is on disk."""
        seq = self._seqs.get(hotel, 0) + 1
        record = Recorded(hotel, seq, self._clock(), "", "", "", event)
        self._journal.write([record], ())
        self._journal.sync()
        self._seqs[hotel] = seq
        self.position = self._journal.position()
        for hearer in self._hearers:
            hearer(self.position, [record])

    def close(self) -> None:
        """Nothing more is published."""
        self._journal.close()
