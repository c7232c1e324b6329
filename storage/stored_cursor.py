"""A subscriber's cursor and its parked hotels, over the few rows that an engine stores of it.

An event that the subscriber cannot handle parks its hotel: the other hotels continue, and the later events of the
parked hotel wait in the log until the event is handled at last, or dropped.
"""

from collections.abc import Iterator, Sequence
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
    ParkedEvent,
    Retry,
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
    """A hotel that waits behind an event; `after` is the `hotel_seq` of its last event that was handled, `passed` that
    of its last event that the cursor has passed. Where `event` is empty, the hotel is catching up. `refusals`: see
    `Retry`."""

    hotel: str
    after: int
    passed: int
    event: str
    type: str
    reason: str
    trace: str
    attempts: int
    refusals: int
    since: int
    tried_at: int
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
        self._checkable = self._unchecked = None if log_hash is None else (self.position, log_hash)
        self._saved = self.position
        self.changes = 0
        self._parked_last = False
        self._current: EventBatch | None = None  # the batch that is being handled; None after a change by hand
        self._read: Sequence[LogEntry] = ()  # what was read for it, where it is not of a parked hotel
        self._parked: dict[str, ParkedHotel] = {}
        self._passed: set[str] = set()  # the parked hotels whose rows do not say yet that more events were passed
        self._load_parked()

    @property
    def end(self) -> int:
        """See `Cursor`."""
        return self._log.position

    @property
    def is_idle(self) -> bool:
        """See `Cursor`."""
        return self.paused or (self._unchecked is None and not self._parked and self.position >= self.end)

    def check(self) -> None:
        """See `Cursor`."""
        if self._unchecked is not None:
            position, log_hash = self._unchecked
            found, end = self._log.hash_at(position), self._log.position
            if found not in (log_hash, None):
                known_end = end if found or end < position else None  # its process may not have sent it yet
                raise rolled_back(self.log, position, known_end, self._request.name)
            self._unchecked = None

    def check_again(self) -> None:
        """See `Cursor`. Events of other types that were passed since the last saved position may be others now."""
        self._unchecked = self._unchecked or self._checkable
        self.position = self._saved

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
        due = [hotel for hotel in [*self._parked.values()] if _is_due(hotel, at)] if self._parked else []
        self._read = ()
        if due and not (self._parked_last and self.position < end):
            self._parked_last = True
            return self._parked_batch(min(due, key=lambda hotel: hotel.tried_at), limit)
        self._parked_last = False
        at_once = limit if self._wants_all else max(limit, subscriber_batch_events_max)
        entries = self._log.read(self.position, min(at_once, end - self.position)) if self.position < end else ()
        if not entries:
            return None
        self._read = entries
        requested = [*filter(self._is_requested, entries)]
        until = entries[-1][0]
        if len(requested) > limit:
            until = requested[limit][0] - 1
            del requested[limit:]
        is_saved = requested or until - self._saved >= _SAVE_AFTER_EVENTS
        log_hash = self._hash_at(until) if is_saved else None
        return EventBatch(tuple(with_guests(requested, self._log)), until, None, log_hash)

    def move(self, batch: EventBatch, effects: Effects) -> None:
        """See `Cursor`."""
        if batch is not self._current:
            with self._changing():
                effects()
            return
        if not batch.entries and batch.parked_hotel is None and batch.until - self._saved < _SAVE_AFTER_EVENTS:
            self._pass(batch.until)
            self.position = batch.until
            return
        position = batch.until if batch.parked_hotel is None else self.position
        with self._changing():
            effects()
            # Of a parked hotel too: it may catch up with a position that is not saved yet.
            self._save_position(position, batch.log_hash)
            if batch.parked_hotel is not None:
                self._move_parked(self._parked[batch.parked_hotel], batch.until)
        self._moved_to(position, batch.log_hash)

    def first_of(self, batch: EventBatch, count: int) -> EventBatch:
        """See `Cursor`. Its position is saved without the log's hash: the next one has it."""
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
        position = batch.until if batch.parked_hotel is None else self.position
        with self._changing():
            failure.effects()
            self._save(_parked(failure, was, at))
            self._save_position(position, batch.log_hash)
        self._moved_to(position, batch.log_hash)

    def due_at(self) -> int | None:
        """See `Cursor`."""
        if self.paused or not self._parked:
            return None
        return min((hotel.retry_at for hotel in self._parked.values() if hotel.retry_at is not None), default=None)

    def pause(self, paused: bool) -> None:
        """See `Cursor`."""
        self._rows.save_paused(paused)
        self.paused = paused
        self.changes += 1

    def seek(self, position: int) -> None:
        """See `Cursor`. The log's hash is stored with the next batch: to ask for it now could take long."""
        with self._changing():
            self._rows.save_position(position, None)
            self._rows.unpark()
            self._parked.clear()
            self._passed.clear()
        self.position = self._saved = position
        self._checkable = self._current = None
        self.changes += 1

    def delete(self) -> None:
        """See `Cursor`."""
        self._rows.delete()

    def state(self) -> SubscriberState:
        """See `Cursor`."""
        lag = max(self.end - self.position, 0) + sum(hotel.passed - hotel.after for hotel in self._parked.values())
        waiting = sum(1 for hotel in self._parked.values() if hotel.event and not hotel.refusals)
        positions = {self.log: self.position}
        return SubscriberState(
            self._request.name, self._request.types, positions, lag, self.paused, len(self._parked) - waiting,
            waiting=waiting,
        )  # fmt: skip

    def parked(self, event: str) -> ParkedEvent | None:
        """See `Cursor`."""
        hotel = next((hotel for hotel in self._parked.values() if hotel.event == event), None)
        return None if hotel is None else ParkedEvent(hotel.attempts, hotel.refusals)

    def has_parked(self, hotel: str) -> bool:
        """See `Cursor`."""
        return hotel in self._parked

    def retry_parked(self) -> None:
        """See `Cursor`."""
        retried = [hotel for hotel in self._parked.values() if hotel.event and hotel.retry_at is not None]
        with self._changing():
            for hotel in retried:
                self._save(msgspec.structs.replace(hotel, attempts=0, refusals=0, retry_at=0))
        self.changes += 1

    def dead_letters(self) -> list[DeadLetter]:
        """See `Cursor`."""
        waiting = sorted(
            (hotel for hotel in self._parked.values() if hotel.refusals), key=lambda hotel: (hotel.since, hotel.hotel)
        )
        return [self._dead_letter(hotel) for hotel in waiting]

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """See `Cursor`."""
        hotel = next((hotel for hotel in self._parked.values() if hotel.event == event), None)
        if hotel is None or not hotel.refusals:
            return None
        was = self._dead_letter(hotel)
        after = hotel.after + 1 if drop else hotel.after  # a dead letter is the event after the last that was handled
        with self._changing():
            redriven = msgspec.structs.replace(hotel, retry_at=0)
            self._save(_caught_up_to(hotel, after) if drop else redriven)
        if drop and self._current is not None and self._current.parked_hotel == hotel.hotel:
            self._current = None
        self.changes += 1
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
        return EventBatch(tuple(requested), until, hotel.hotel, self._hash_at(self.position))

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
            self._save(_caught_up_to(hotel, until))
        else:  # it has caught up
            self._rows.unpark(hotel.hotel)
            del self._parked[hotel.hotel]
            self._passed.discard(hotel.hotel)

    def _save(self, hotel: ParkedHotel) -> None:
        self._rows.park(hotel)
        self._parked[hotel.hotel] = hotel

    def _load_parked(self) -> None:
        passed = {hotel.hotel: hotel.passed for hotel in self._parked.values()}
        self._parked = {
            hotel.hotel: msgspec.structs.replace(hotel, passed=max(hotel.passed, passed.get(hotel.hotel, 0)))
            for hotel in self._rows.parked()
        }
        self._passed &= self._parked.keys()

    def _pass(self, until: int) -> None:
        """Notes in the parked hotels how far the cursor passes them when it moves to the position `until`."""
        if not self._parked:
            return
        last = {record.hotel: record.hotel_seq for position, record in self._read if position <= until}
        for name in last.keys() & self._parked.keys():
            if last[name] > self._parked[name].passed:
                self._parked[name] = msgspec.structs.replace(self._parked[name], passed=last[name])
                self._passed.add(name)

    def _save_position(self, position: int, log_hash: bytes | None) -> None:
        self._pass(position)
        self._rows.save_position(position, log_hash)
        for name in self._passed:
            self._rows.park(self._parked[name])
        self._passed.clear()

    def _moved_to(self, position: int, log_hash: bytes | None) -> None:
        """Notes that this position is saved, and the newest one whose hash is known."""
        self.position = self._saved = position
        if log_hash is not None:
            self._checkable = position, log_hash

    def _dead_letter(self, hotel: ParkedHotel) -> DeadLetter:
        return DeadLetter(
            self._request.name, hotel.hotel, hotel.event, hotel.type, hotel.reason, hotel.trace, hotel.attempts,
            hotel.since, hotel.retry_at,
        )  # fmt: skip


def _is_due(hotel: ParkedHotel, at: int) -> bool:
    """Returns whether to try again now. Also true where the clock was set back since, which would delay it by hours."""
    return hotel.retry_at is not None and not hotel.tried_at <= at < hotel.retry_at


def _pause(attempts: int) -> int:
    """Returns the microseconds before the next attempt."""
    return round(subscriber_retry_seconds * 1e6) << (attempts - 1)


def _next_retry(attempts: int) -> Retry:
    """When an event is tried again after so many attempts, where its handler does not say it."""
    return Retry(attempts, _pause(attempts) / 1e6 if attempts < subscriber_attempts_max else None)


def _caught_up_to(hotel: ParkedHotel, after: int) -> ParkedHotel:
    """The hotel, which waits for its events after this one, and no longer behind a certain event."""
    return msgspec.structs.replace(hotel, after=after, event="", attempts=0, refusals=0, retry_at=0)


def _parked(failure: HandlingFailure, was: ParkedHotel | None, at: int) -> ParkedHotel:
    """The hotel of an event that could not be handled, and was parked as it `was`."""
    record = failure.entry[1]
    again = was is not None and was.event == record.id
    attempts, since = (was.attempts + 1, was.since) if was is not None and again else (1, at)
    retry = failure.retry or _next_retry(attempts)
    return ParkedHotel(
        hotel=record.hotel, after=record.hotel_seq - 1,
        passed=record.hotel_seq if was is None else max(was.passed, record.hotel_seq),
        event=record.id, type=wire.event_type(record.event), reason=failure.reason, trace=failure.trace,
        attempts=attempts, refusals=retry.refusals, since=since, tried_at=at,
        retry_at=None if retry.seconds is None else at + round(retry.seconds * 1e6),
    )  # fmt: skip
