"""The inbox of a service in memory: its copy of the logs that a broker delivers."""

import threading
from collections.abc import Mapping, Sequence
from itertools import islice

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.storage.gapless_log import GaplessLog, fetch_missing
from innkeeper.storage.memory.database import MemoryDatabase


class MemoryInbox:
    """Implements `protocol.ports.inbox.Inbox` in memory. Thread-safe."""

    def __init__(self, database: MemoryDatabase, origins: Mapping[str, EventLog]) -> None:
        """Stores events of the logs `origins`, from which it reads what the broker does not deliver."""
        self._lock = threading.Lock()  # so that listeners are called in the order of the log
        self._entries = {log: database.table(log) for log in origins}  # the bytes of each event, by position
        self._offsets = database.table("offsets")
        self._origins = origins
        self.logs: Mapping[str, GaplessLog] = {log: GaplessLog(log, self._read) for log in origins}
        for name, log in self.logs.items():
            log.begin(0, [])
            log.handle([(at, wire.decode_record(body)) for at, body in self._entries[name].items()])

    def offset(self, name: str) -> int | None:
        """See `Inbox`."""
        return self._offsets.get(name)

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """See `Inbox`."""
        with self._lock:
            for name, (position, record) in entries:
                if name in self._entries:
                    self._entries[name].setdefault(position, wire.encode_record(record))
            self._offsets.update(places)
            for name, log in self.logs.items():
                log.handle([entry for of, entry in entries if of == name])

    def fetch_missing(self) -> None:
        """See `Inbox`."""
        fetch_missing(self, self._origins)

    def close(self) -> None:
        """See `Inbox`."""

    def _read(self, log: str, after: int, until: int, limit: int, hotel: str | None, after_seq: int) -> list[LogEntry]:
        stored = self._entries[log]
        found = (
            (position, record)
            for position in range(after + 1, until + 1)
            for record in [wire.decode_record(stored[position])]
            if hotel is None or (record.hotel == hotel and record.hotel_seq > after_seq)
        )
        return [*islice(found, limit)]
