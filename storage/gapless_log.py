"""A log of an inbox, up to the first missing event. A broker may deliver an event twice, late or never."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.inbox import Inbox, InboxConflict
from innkeeper.protocol.ports.journal import rolled_back
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values.guests import GuestDetails, GuestKey

_BATCH_EVENTS = 500

ReadEntries = Callable[[str, int, int, int, str | None, int], list[LogEntry]]
"""Reads stored entries: log, after, until, limit, hotel, after_hotel_seq."""


class GaplessLog:
    """Implements `protocol.ports.inbox.DeliveredLog` over the entries that an inbox stores, in the order in which they
    come."""

    def __init__(self, name: str, read: ReadEntries, origin: EventLog) -> None:
        """Entries up to the position `start` were removed; those are read from `origin`."""
        self.name = name
        self.position = self.start = 0
        self.is_checked = False  # against its origin
        self._read = read
        self._origin = origin
        self._early: dict[int, LogEntry | None] = {}
        self._listeners: list[CommitListener] = []

    @property
    def lag(self) -> int:
        """See `DeliveredLog`."""
        return max(self._origin.position - self.position, 0)

    def begin(self, start: int, position: int, early: Sequence[int]) -> None:
        """Sets the position up to which entries were removed, the one up to which no event is missing, and the
        positions of events after a gap."""
        self.start = start
        self.position = position
        self._early = dict.fromkeys(early)

    def handle(self, entries: Sequence[LogEntry]) -> None:
        """Adds entries, in any order, and announces those that no gap precedes any more."""
        self._early.update((entry[0], entry) for entry in entries if entry[0] > self.position)
        complete = []
        while self.position + 1 in self._early:
            self.position += 1
            complete.append(self._early.pop(self.position))
        records = [entry[1] for entry in complete if entry is not None]
        for listener in self._listeners if complete else ():
            listener(self.position, records if len(records) == len(complete) else ())

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`. Raises what the origin raises where entries were removed."""
        found = self._read(self.name, after, self.position, limit, hotel, after_hotel_seq)
        if after >= self.start:  # now, as entries may have been removed since the call
            return found
        if hotel is None:
            return self._origin.read(after, min(limit, self.start - after))
        if found and found[0][1].hotel_seq == after_hotel_seq + 1:
            return found
        found = self._origin.read(after, limit, hotel, after_hotel_seq)
        return [entry for entry in found if entry[0] <= self.position]

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """See `EventLog`. Raises what the origin raises: an inbox stores no details."""
        return self._origin.guests(keys)

    def hash_at(self, _: int) -> None:
        """See `EventLog`. What a broker delivers has no hashes; the inbox compares the events themselves."""

    def wake(self) -> None:
        """Makes the listeners look at the log again."""
        for listener in self._listeners:
            listener(self.position, ())

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`. The listener is called in the thread that handles the entries."""
        self._listeners.append(listener)


def _check_origin(inbox: Inbox, log: GaplessLog, origin: EventLog) -> None:
    """Checks that the origin still has the newest event that the inbox holds."""
    held = log.read(log.position - 1, 1) if log.position > log.start else []
    found = origin.read(log.position - 1, 1) if held else []
    if held and not found:
        reason = str(rolled_back(log.name, log.position, origin.position, "the inbox"))
        raise InboxConflict(reason, [(log.name, held[0])])
    if found:
        inbox.handle([(log.name, found[0])], {})
    log.is_checked = True


def conflict_text(log: str, held: LogEntry, other: LogEntry) -> str:
    """Describes two different entries of which only one can be in the log."""
    return (
        f"the inbox has event {held[1].id} at position {held[0]} of {log}, and got another event {other[1].id} at"
        f" position {other[0]}; restore this part and the journal of {log} from the same backup, or delete the inbox"
    )


def fetch_missing(inbox: Inbox, logs: Mapping[str, GaplessLog], origins: Mapping[str, EventLog]) -> None:
    """Handles in the inbox what the logs `origins` have beyond its own; see `Inbox.fetch_missing`. Each origin is first
    checked, once. Raises `InboxConflict` where it has not, or not the same, what the inbox has."""
    for name, log in logs.items():
        if not log.is_checked:
            with suppress(Refused):
                _check_origin(inbox, log, origins[name])
        while origins[name].position > log.position:
            try:
                entries = origins[name].read(log.position, _BATCH_EVENTS)
            except Refused:
                break
            if not entries:
                break
            inbox.handle([(name, entry) for entry in entries], {})
