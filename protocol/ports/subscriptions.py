"""How subscribers follow the logs: subscription requests, cursors, event handlers and dead letters.

A subscriber depends on the events alone, not on the part that makes them. Its cursor moves in the same transaction as
its effects, so that each event has its effects exactly once, however often it is delivered.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.values.guests import GuestDetails, GuestKey, with_details, without_details

Positions = dict[str, int]
"""Positions in several logs, by the name of the log."""


class EventLog(Protocol):
    """All events of a partition, in order. Thread-safe; its methods may block on the disk."""

    @property
    def position(self) -> int:
        """The position of the last event."""

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """Returns at most `limit` events after this position; only those of `hotel` after its event `after_hotel_seq`,
        where a hotel is given. Events of the log itself have no details of guests; see `with_guests`."""

    def guests(self, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
        """Returns these versions of guests' details, without those that are erased."""

    def hash_at(self, position: int) -> bytes | None:
        """Returns the hash of the chain up to this position, empty where the log ends before it; None where this log
        does not know hashes."""


class LogEnd(Protocol):
    """What is known of the end of a log that another process writes."""

    @property
    def position(self) -> int:
        """The position of the last event that is known of; -1 while none is."""

    @property
    def age_seconds(self) -> float:
        """How long ago that was last known to be the end."""

    @property
    def losses(self) -> int:
        """How often the connection to the process that writes the log was lost. Since then it may have another journal,
        as where an operator has put back an older one."""


class RecentLog(EventLog, Protocol):
    """A log whose newest events are in memory."""

    def recent(self, after: int, limit: int) -> list[LogEntry] | None:
        """Returns at most `limit` events after this position; None where they are to be read from the log."""


def with_guests(entries: list[LogEntry], log: EventLog) -> list[LogEntry]:
    """Returns entries of the log with the details of their guests, as far as they are not erased."""
    if not (keys := without_details(record.event for _, record in entries)):
        return entries
    found = log.guests(keys)
    return [
        (position, msgspec.structs.replace(record, event=with_details(record.event, found)))
        for position, record in entries
    ]


EVERY_EVENT = ("innkeeper.*",)
"""The types of a subscriber that passes every event on as it is: the archive, the publisher of a broker. It handles all
events, also those of later versions. A subscriber that handles some types differently has an `EventTable`, and
subscribes to the types that it handles."""


class SubscriptionRequest(msgspec.Struct, frozen=True):
    """Which events a subscriber gets: those of these types (`innkeeper.booking.*` for all that begin so), of one hotel
    or of all. Its cursors are stored under its name; a new subscriber begins after the positions `after`, and at the
    beginning of a log that they do not contain. Where its effects are `derivable`, a loss of power may take the newest
    ones together with its position, because the same effects follow again from the log."""

    name: str
    types: tuple[str, ...]
    hotel: str | None = None
    after: Positions = {}
    derivable: bool = False


class Retry(msgspec.Struct, frozen=True):
    """When an event that its destination did not accept is tried again: after so many `seconds`, or not automatically
    where None. `refusals` counts the attempts that failed although the destination accepts other events. An event
    without any is no dead letter, because the destination may accept nothing now."""

    refusals: int
    seconds: float | None


Effects = Callable[[], None]
"""Writes the effects of some events; called in the transaction that moves the cursor past them."""


def no_effects() -> None:
    """The effects where nothing is to be written with the cursor: there are none, or they are on disk elsewhere."""


class HandlingFailure(msgspec.Struct, frozen=True):
    """An event that the handler could not handle, and why. Where it does not say when to `retry`, the cursor decides
    that. `effects` is called in the transaction that parks the event's hotel."""

    entry: LogEntry
    reason: str
    trace: str
    retry: Retry | None = None
    effects: Effects = no_effects


EventHandler = Callable[[Sequence[LogEntry]], Awaitable[Effects]]
"""Handles events of one log. Raises `Stalled` where it can handle none now, `NotAccepted` where the destination did not
accept the only one, `EventRefused` or anything else where it cannot handle these."""


class Stalled(Exception):
    """No event can be handled now: the destination does not respond, or the disk is full. To be tried again, after
    `retry_seconds` where that is known. The first `handled` events of the batch are handled, without effects."""

    def __init__(self, reason: str, retry_seconds: float | None = None, handled: int = 0) -> None:
        super().__init__(reason)
        self.retry_seconds = retry_seconds
        self.handled = handled


def check_available(response: object) -> None:
    """Raises `Stalled` where this response to a command or query says that its part is unavailable. Not where the
    command made its hotel fail: that concerns the hotel alone, and others go on."""
    if isinstance(response, Unavailable) and not response.hotel_failed:
        raise Stalled(response.reason)


class EventRefused(Exception):
    """The destination refuses an event of the batch, and would take others: it is too large there, or not allowed. The
    first `handled` events of the batch are handled, without effects."""

    def __init__(self, reason: str, handled: int = 0) -> None:
        super().__init__(reason)
        self.handled = handled


class NotAccepted(Exception):
    """The destination did not accept the event; whether it accepts others is not certain. The event is tried again as
    `retry` says, and its hotel waits for that; `effects` is called in the same transaction. No event is handled for the
    next `pause_seconds`."""

    def __init__(self, reason: str, retry: Retry, pause_seconds: float = 0, effects: Effects = no_effects) -> None:
        super().__init__(reason)
        self.retry = retry
        self.pause_seconds = pause_seconds
        self.effects = effects


class ParkedEvent(msgspec.Struct, frozen=True):
    """The event behind which a hotel is parked: how often it was tried, and how many of these attempts were refusals,
    see `Retry`."""

    attempts: int
    refusals: int


class EventBatch(msgspec.Struct, frozen=True):
    """Events to handle at once; after them the log is read up to `until`. `parked_hotel` is set in a batch of a parked
    hotel, whose `until` is a `hotel_seq`. `log_hash` is the log's hash at the position that is saved with the batch,
    where it is known."""

    entries: tuple[LogEntry, ...]
    until: int
    parked_hotel: str | None = None
    log_hash: bytes | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a subscriber could not handle: its hotel is parked there, until the event is redriven or dropped.
    Instants are microseconds since 1970 UTC; `retry_at` is None where it is not retried automatically."""

    subscriber: str
    hotel: str
    event: str
    type: str
    reason: str
    trace: str
    attempts: int
    since: int
    retry_at: int | None


class SubscriberState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The progress of a subscriber: `lag` is the number of events that it has not handled, after its positions and of
    hotels that wait, up to the ends of the logs as they were known `lag_age_seconds` ago; `stalled` is the reason why
    it cannot handle any now. `parked` is the number of hotels that wait behind a dead letter or catch up, `waiting` of
    those that wait until their destination accepts events again. `is_erasing` says that something may be left of
    forgotten guests in the database of its service."""

    name: str
    types: tuple[str, ...]
    positions: Positions
    lag: int
    paused: bool
    parked: int
    stalled: str = ""
    lag_age_seconds: float = 0.0
    waiting: int = 0
    is_erasing: bool = False


class Cursor(Protocol):
    """A subscriber's position in one log, and its parked hotels. For one thread; only `batch` may run in another."""

    @property
    def log(self) -> str:
        """The name of the log."""

    @property
    def position(self) -> int:
        """The position up to which the log was handled."""

    @property
    def end(self) -> int:
        """The position of the log's last event."""

    @property
    def paused(self) -> bool:
        """Whether the subscriber is paused."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be read: `batch` returns None without looking into the log."""

    @property
    def changes(self) -> int:
        """How often it was changed by hand. A batch that was read while this changed is not to be handled."""

    def check(self) -> None:
        """Checks that the log still has what was handled. Raises JournalRolledBack."""

    def check_again(self) -> None:
        """The log may be another one: makes the next batch check it, even if it was checked before."""

    def batch(self, at: int, limit: int, end: int) -> EventBatch | None:
        """Returns the next batch, of at most `limit` events of the subscriber's types, up to the position `end`; None
        where there is nothing to do at the instant `at`. A log that could not be checked before is checked first; see
        `check`."""

    def move(self, batch: EventBatch, effects: Effects) -> None:
        """Writes the effects of a batch and moves past it, in one transaction: where the effects raise, nothing of them
        is on disk, and the cursor stays. Does not move where `seek` or a dropped dead letter has changed the position
        while the batch was handled."""

    def first_of(self, batch: EventBatch, count: int) -> EventBatch:
        """Returns the batch of the first `count` events, at least one, which takes the place of this batch."""

    def park(self, batch: EventBatch, failure: HandlingFailure, at: int) -> None:
        """Parks the hotel of the batch's only event, which could not be handled, and moves past it for the others,
        together with the effects of the failure. Does nothing where the position was changed meanwhile, see `move`."""

    def due_at(self) -> int | None:
        """Returns when a parked hotel is to be tried again; None where none is."""

    def pause(self, paused: bool) -> None:
        """Pauses or resumes the subscriber."""

    def seek(self, position: int) -> None:
        """Moves to this position, and unparks all hotels."""

    def parked(self, event: str) -> ParkedEvent | None:
        """Returns what is known of this event, if a hotel is parked at it."""

    def has_parked(self, hotel: str) -> bool:
        """Returns whether the hotel is parked, or catching up after it was."""

    def retry_parked(self) -> None:
        """Retries the events at which hotels are parked now, as if they had not been tried before; not those that are
        not retried automatically."""

    def delete(self) -> None:
        """Removes the cursor and its parked hotels."""

    def state(self) -> SubscriberState:
        """Returns the subscriber's progress in this log."""

    def dead_letters(self) -> list[DeadLetter]:
        """Returns the dead letters, oldest first."""

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """Retries this dead letter now, or drops it; None where no hotel is parked at this event."""


class Subscription(Protocol):
    """A subscriber's cursors in all its logs. For one thread."""

    def pause(self, paused: bool) -> None:
        """See `Cursor`."""

    def seek(self, positions: Positions) -> None:
        """See `Cursor`; in a log that `positions` does not contain, the cursor stays where it is."""

    def parked(self, event: str) -> ParkedEvent | None:
        """See `Cursor`."""

    def retry_parked(self) -> None:
        """See `Cursor`."""


class Subscribers(Protocol):
    """Runs subscribers. For one thread."""

    def subscribe(self, request: SubscriptionRequest, handle: EventHandler, batch_events: int = ...) -> Subscription:
        """Subscribes the handler to the events of the request, at most `batch_events` at once."""

    async def unsubscribe(self, name: str, delete: bool = True) -> None:
        """Ends the subscription after the current batch; `delete` also deletes its cursors."""

    def notify(self, name: str) -> None:
        """Makes this subscriber look for events again at once; nothing happens where it is not subscribed now."""


class SubscriberMessage(ServiceMessage, frozen=True):
    """The base of all messages about subscribers: about all of them, or about one by its name."""

    service: ClassVar[str] = ""


class ListSubscribers(SubscriberMessage, frozen=True):
    """List the subscribers and their progress."""

    name: ClassVar[str] = "subscribers.list"
    changes: ClassVar[bool] = False


class ListDeadLetters(SubscriberMessage, frozen=True):
    """List the dead letters of all subscribers."""

    name: ClassVar[str] = "dead_letters.list"
    changes: ClassVar[bool] = False


class AwaitSubscriber(SubscriberMessage, frozen=True):
    """Wait until the subscriber has handled all events of the hotel up to these positions of its logs. Refused with
    `Unavailable` where that lasts, and at once where the subscriber is paused or stalled."""

    name: ClassVar[str] = "subscriber.await"
    changes: ClassVar[bool] = False
    subscriber: str
    hotel: str
    positions: Positions


class PauseSubscriber(SubscriberMessage, frozen=True):
    """Pause a subscriber, or resume it where it was."""

    name: ClassVar[str] = "subscriber.pause"
    subscriber: str
    paused: bool


class RedriveDeadLetter(SubscriberMessage, frozen=True):
    """Retry a dead letter, or continue without it (`drop`)."""

    name: ClassVar[str] = "dead_letter.redrive"
    subscriber: str
    event: str
    drop: bool = False


class SubscribersReply(Reply, frozen=True):
    """Subscribers and their progress."""

    name: ClassVar[str] = "subscribers.reply"
    subscribers: tuple[SubscriberState, ...]


class DeadLettersReply(Reply, frozen=True):
    """Dead letters."""

    name: ClassVar[str] = "dead_letters.reply"
    dead_letters: tuple[DeadLetter, ...]
