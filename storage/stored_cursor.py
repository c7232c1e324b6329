"""A subscriber's cursor and its parked hotels, over the few rows that an engine stores of it.

An event that the subscriber cannot handle parks its hotel: the other hotels continue, and the later events of the
parked hotel wait in the log until the event is handled at last, or dropped.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.journal import rolled_back
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    DeadLetter,
    Effects,
    EventBatch,
    EventLog,
    HandlingFailure,
    SubscriberState,
    SubscriptionRequest,
    with_guests,
)
from innkeeper.protocol.values.limits import (
    subscriber_attempts_max,
    subscriber_batch_events_max,
    subscriber_retry_seconds,
)

_SAVE_AFTER_EVENTS = 1_000  # events of other types may be read again after a crash


class ParkedHotel(msgspec.Struct, frozen=True):
    """A hotel that waits behind an event; `after` is the `hotel_seq` of its last event that was handled. Where `event`
    is empty, the hotel is catching up."""

    hotel: str
    after: int
    event: str
    type: str
    reason: str
    trace: str
    attempts: int
    since: int
    retry_at: int | None


class CursorRows(Protocol):
    """The stored rows of one cursor: its position, whether it is paused, and its parked hotels."""

    def transaction(self) -> AbstractContextManager[object]:
        """Opens a transaction of the service's database: what is written in it is stored together, or not at all where
        its body raises."""

    def open(self, position: int) -> tuple[int, bytes | None, bool]:
        """Returns the position, the log's hash there where it is known, and whether it is paused; creates the cursor at
        this position where there is none."""

    def save_position(self, position: int, log_hash: bytes | None) -> None:
        """Stores the position, and the log's hash there where it is known."""

    def save_paused(self, paused: bool) -> None:
        """Stores whether it is paused."""

    def parked(self) -> list[ParkedHotel]:
        """Returns the parked hotels."""

    def park(self, hotel: ParkedHotel) -> None:
        """Stores a parked hotel in place of what was stored of it."""

    def unpark(self, hotel: str | None = None) -> None:
        """Removes a parked hotel; all of them, where none is named."""

    def delete(self) -> None:
        """Removes the cursor and its parked hotels."""


class StoredCursor:
    """Implements `protocol.ports.subscriptions.Cursor` over the rows of any engine."""

    def __init__(self, rows: CursorRows, request: SubscriptionRequest, name: str, log: EventLog) -> None:
        """Loads the cursor of the request's subscriber in this log, called `name`, or creates it."""
        self._rows = rows
        self._request = request
        self.log = name
        self._log = log
        self._kinds = wire.kinds_of(request.types)
        self._wants_all = EVERY_EVENT[0] in request.types and request.hotel is None
        self.position, log_hash, self.paused = rows.open(request.after.get(name, 0))
        self._unchecked = None if log_hash is None else (self.position, log_hash)
        self._saved = self.position
        self._parked_last = False
        self._current: EventBatch | None = None  # the batch that is being handled; None after a change by hand
        self._load_parked()

    @property
    def end(self) -> int:
        """See `Cursor`."""
        return self._log.position

    def check(self) -> None:
        """See `Cursor`."""
        if self._unchecked is not None:
            position, log_hash = self._unchecked
            if self._log.hash_at(position) not in (log_hash, None):
                raise rolled_back(self.log, position, self._log.position, self._request.name)
            self._unchecked = None

    def batch(self, at: int, limit: int, end: int) -> EventBatch | None:
        """See `Cursor`."""
        if self._unchecked is not None:
            with suppress(Refused):  # it is away, and is checked later
                self.check()
        self._current = self._next_batch(at, limit, end)
        return self._current

    def _next_batch(self, at: int, limit: int, end: int) -> EventBatch | None:
        """The next batch; those of new events and of parked hotels alternate."""
        if self.paused or (self.position >= end and not self._parked):
            return None
        due = [hotel for hotel in self._parked.values() if _is_due(hotel, at)] if self._parked else []
        if due and not (self._parked_last and self.position < end):
            self._parked_last = True
            return self._parked_batch(due[0], limit)
        self._parked_last = False
        at_once = limit if self._wants_all else max(limit, subscriber_batch_events_max)
        entries = self._log.read(self.position, min(at_once, end - self.position)) if self.position < end else ()
        if not entries:
            return None
        requested = [*filter(self._is_requested, entries)]
        until = entries[-1][0]
        if len(requested) > limit:
            until = requested[limit][0] - 1
            del requested[limit:]
        return EventBatch(tuple(with_guests(requested, self._log)), until)

    def move(self, batch: EventBatch, effects: Effects) -> None:
        """See `Cursor`."""
        if batch is not self._current:
            with self._changing():
                effects()
            return
        if not batch.entries and batch.parked_hotel is None and batch.until - self._saved < _SAVE_AFTER_EVENTS:
            self.position = batch.until
            return
        position = batch.until if batch.parked_hotel is None else self.position
        log_hash = self._hash_at(position)
        with self._changing():
            effects()
            # Of a parked hotel too: it may catch up with a position that is not saved yet.
            self._rows.save_position(position, log_hash)
            if batch.parked_hotel is not None:
                self._move_parked(self._parked[batch.parked_hotel], batch.until)
        self.position = self._saved = position

    def first_of(self, batch: EventBatch, count: int) -> EventBatch:
        """See `Cursor`."""
        position, record = batch.entries[count - 1]
        until = position if batch.parked_hotel is None else record.hotel_seq
        first = EventBatch(batch.entries[:count], until, batch.parked_hotel)
        if batch is self._current:
            self._current = first
        return first

    def park(self, batch: EventBatch, failure: HandlingFailure, at: int) -> None:
        """See `Cursor`."""
        if batch is not self._current:
            return
        was = self._parked.get(failure.entry[1].hotel)
        again = was is not None and was.event == failure.entry[1].id
        attempts, since = (was.attempts + 1, was.since) if was is not None and again else (1, at)
        position = batch.until if batch.parked_hotel is None else self.position
        log_hash = self._hash_at(position)
        with self._changing():
            self._save(_parked(failure, attempts, since, at))
            self._rows.save_position(position, log_hash)
        self.position = self._saved = position

    def due_at(self) -> int | None:
        """See `Cursor`."""
        if self.paused or not self._parked:
            return None
        return min((hotel.retry_at for hotel in self._parked.values() if hotel.retry_at is not None), default=None)

    def pause(self, paused: bool) -> None:
        """See `Cursor`."""
        self._rows.save_paused(paused)
        self.paused = paused

    def seek(self, position: int) -> None:
        """See `Cursor`."""
        log_hash = self._hash_at(position)
        with self._changing():
            self._rows.save_position(position, log_hash)
            self._rows.unpark()
            self._parked.clear()
        self.position = self._saved = position
        self._current = None

    def delete(self) -> None:
        """See `Cursor`."""
        self._rows.delete()

    def state(self) -> SubscriberState:
        """See `Cursor`."""
        lag = max(self.end - self.position, 0)
        positions = {self.log: self.position}
        return SubscriberState(self._request.name, self._request.types, positions, lag, self.paused, len(self._parked))

    def dead_letters(self) -> list[DeadLetter]:
        """See `Cursor`."""
        waiting = sorted(
            (hotel for hotel in self._parked.values() if hotel.event), key=lambda hotel: (hotel.since, hotel.hotel)
        )
        return [self._dead_letter(hotel) for hotel in waiting]

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """See `Cursor`."""
        hotel = next((hotel for hotel in self._parked.values() if hotel.event == event), None)
        if hotel is None:
            return None
        was = self._dead_letter(hotel)
        after = hotel.after + 1 if drop else hotel.after  # a dead letter is the event after the last that was handled
        with self._changing():
            self._save(msgspec.structs.replace(hotel, after=after, event="" if drop else event, retry_at=0))
        if drop and self._current is not None and self._current.parked_hotel == hotel.hotel:
            self._current = None
        return was

    def _hash_at(self, position: int) -> bytes | None:
        """The log's hash to store with a position; None where it is not known, as while the log is away."""
        try:
            return self._log.hash_at(position) or None
        except Refused:
            return None

    def _is_requested(self, entry: LogEntry) -> bool:
        record = entry[1]
        if type(record.event) not in self._kinds or record.hotel in self._parked:
            return False
        return self._request.hotel is None or record.hotel == self._request.hotel

    def _parked_batch(self, hotel: ParkedHotel, limit: int) -> EventBatch:
        """Returns a parked hotel's next events up to the cursor's position; only its dead letter, if it has one."""
        entries = self._log.read(0, 1 if hotel.event else limit, hotel.hotel, hotel.after)
        entries = [entry for entry in entries if entry[0] <= self.position]
        until = entries[-1][1].hotel_seq if entries else hotel.after
        requested = with_guests([entry for entry in entries if type(entry[1].event) in self._kinds], self._log)
        return EventBatch(tuple(requested), until, hotel.hotel)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Opens a transaction; a failure undoes all changes, in memory and on disk."""
        try:
            with self._rows.transaction():
                yield
        except BaseException:
            self._load_parked()
            raise

    def _move_parked(self, hotel: ParkedHotel, until: int) -> None:
        if until > hotel.after:
            self._save(msgspec.structs.replace(hotel, after=until, event="", attempts=0, retry_at=0))
        else:  # it has caught up
            self._rows.unpark(hotel.hotel)
            del self._parked[hotel.hotel]

    def _save(self, hotel: ParkedHotel) -> None:
        self._rows.park(hotel)
        self._parked[hotel.hotel] = hotel

    def _load_parked(self) -> None:
        self._parked = {hotel.hotel: hotel for hotel in self._rows.parked()}

    def _dead_letter(self, hotel: ParkedHotel) -> DeadLetter:
        return DeadLetter(
            self._request.name, hotel.hotel, hotel.event, hotel.type, hotel.reason, hotel.trace, hotel.attempts,
            hotel.since, hotel.retry_at,
        )  # fmt: skip


def _is_due(hotel: ParkedHotel, at: int) -> bool:
    """Returns whether to try again now. Also true where the clock was set back since, which would delay it by hours."""
    return hotel.retry_at is not None and not at < hotel.retry_at <= at + _pause(subscriber_attempts_max)


def _pause(attempts: int) -> int:
    """Returns the microseconds before the next attempt."""
    return round(subscriber_retry_seconds * 1e6) << (attempts - 1)


def _parked(failure: HandlingFailure, attempts: int, since: int, at: int) -> ParkedHotel:
    record = failure.entry[1]
    after = record.hotel_seq - 1
    retry_at = at + _pause(attempts) if attempts < subscriber_attempts_max else None
    type_name = wire.event_type(record.event)
    return ParkedHotel(
        record.hotel, after, record.id, type_name, failure.reason, failure.trace, attempts, since, retry_at
    )
