"""The inbox of a service in memory: its copy of the logs that a broker delivers."""

import threading
from collections.abc import Mapping, Sequence
from itertools import islice

from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.public_events import public_record
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.inbox import InboxConflict
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.storage.gapless_log import GaplessLog, conflict_text, fetch_missing
from innkeeper.storage.memory.database import MemoryDatabase


class MemoryInbox:
    """Implements `protocol.ports.inbox.Inbox` in memory. Thread-safe."""

    def __init__(self, database: MemoryDatabase, origins: Mapping[str, EventLog]) -> None:
        """Stores events of the logs `origins`, from which it reads what the broker does not deliver."""
        self._lock = threading.Lock()  # so that listeners are called in the order of the log
        self._entries = {log: database.table(log) for log in origins}  # the bytes of each event, by position
        self._offsets = database.table("offsets")
        self._removed = database.table("removed")  # the position up to which events were removed, by log
        self._conflicts = database.table("conflicts")  # the reasons, by log
        self._numbers = database.table("numbers")  # positions, by log, hotel and the hotel's number
        self._origins = origins
        self.logs: dict[str, GaplessLog] = {log: GaplessLog(log, self._read, origin) for log, origin in origins.items()}
        for name, log in self.logs.items():
            log.begin(start := self._removed.get(name, 0), start, [])
            log.handle([(at, wire.decode_record(body)) for at, body in self._entries[name].items()])

    def offset(self, name: str) -> int | None:
        """See `Inbox`."""
        return self._offsets.get(name)

    def handle(self, entries: Sequence[tuple[str, LogEntry]], places: Mapping[str, int]) -> None:
        """See `Inbox`."""
        with self._lock:
            known = [(log, (at, public_record(record))) for log, (at, record) in entries if log in self._entries]
            fresh = self._fresh(known)
            for (name, position), (_, record) in fresh.items():
                self._entries[name][position] = wire.encode_record(record)
                self._numbers[name, record.hotel, record.hotel_seq] = position
            self._offsets.update(places)
            for name, log in self.logs.items():
                log.handle([entry for (of, _), entry in fresh.items() if of == name])

    def _fresh(self, entries: Sequence[tuple[str, LogEntry]]) -> dict[tuple[str, int], LogEntry]:
        """Returns those entries that are not stored, by log and position. Raises InboxConflict."""
        fresh: dict[tuple[str, int], LogEntry] = {}
        numbers: dict[tuple[str, str, int], int] = {}
        wrong, reason = [], ""
        for log, entry in entries:
            position, record = entry
            number = (log, record.hotel, record.hotel_seq)
            places = {position, self._numbers.get(number, position), numbers.get(number, position)}
            held = [one for place in places if (one := fresh.get((log, place)) or self._held(log, place)) is not None]
            if not held and position > self.logs[log].start:
                fresh[log, position], numbers[number] = entry, position
            elif held and held != [entry]:
                wrong.append((log, entry))
                reason = reason or conflict_text(log, next(one for one in held if one != entry), entry)
        if wrong:
            self._stop_following(conflict := InboxConflict(reason, wrong))
            raise conflict
        return fresh

    def _stop_following(self, conflict: InboxConflict) -> None:
        for log, _ in conflict.entries:
            self._conflicts.setdefault(log, str(conflict))
            self.logs[log].wake()

    def _held(self, log: str, position: int) -> LogEntry | None:
        body = self._entries[log].get(position)
        return None if body is None else (position, wire.decode_record(body))

    @property
    def fault(self) -> str:
        """See `Inbox`."""
        return next(iter(self._conflicts.values()), "")

    def trim(self, positions: Mapping[str, int], before: int) -> int:
        """See `Inbox`."""
        count = 0
        with self._lock:
            for name, until in positions.items():
                log, stored = self.logs[name], self._entries[name]
                while log.start < min(until, log.position) and wire.decode_record(stored[log.start + 1]).at < before:
                    log.start += 1
                    del stored[log.start]
                    count += 1
                self._removed[name] = log.start
        return count

    def fetch_missing(self) -> None:
        """See `Inbox`."""
        try:
            fetch_missing(self, self.logs, self._origins)
        except InboxConflict as conflict:
            self._stop_following(conflict)
            raise

    def check_again(self, log: str) -> None:
        """See `Inbox`."""
        self.logs[log].is_checked = False

    def close(self) -> None:
        """See `Inbox`."""

    def _read(self, log: str, after: int, until: int, limit: int, hotel: str | None, after_seq: int) -> list[LogEntry]:
        stored = self._entries[log]
        found = (
            (position, record)
            for position in range(max(after, self.logs[log].start) + 1, until + 1)
            for record in [wire.decode_record(stored[position])]
            if hotel is None or (record.hotel == hotel and record.hotel_seq > after_seq)
        )
        return [*islice(found, limit)]
