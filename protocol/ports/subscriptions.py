"""How subscribers follow the log: what each wishes to hear, how far it has come, and what it could not take in.

A subscriber knows events, not those who made them. Its cursor moves in the same transaction as its effects, so that
each event has its effects exactly once, however often it is told.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage

Positions = dict[str, int]
"""Positions in several logs, each of which is named after its context."""


class EventLog(Protocol):
    """All events of a partition, in order. May be asked from any thread, and may block on the disk."""

    @property
    def position(self) -> int:
        """The position of the last event."""

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """At most so many events behind a position; of one hotel behind one of its events, if said."""


class SubscriptionRequest(msgspec.Struct, frozen=True):
    """What a subscriber wishes to hear: events of these types (`innkeeper.booking.*` for all that begin so), of one
    hotel or of all. Under its name it finds its place again; one that is new begins behind the positions `after`, and
    at the beginning of a log of which they say nothing."""

    name: str
    types: tuple[str, ...] = ("innkeeper.*",)
    hotel: str | None = None
    after: Positions = {}


class Failure(msgspec.Struct, frozen=True):
    """An event that could not be taken in, and why."""

    entry: LogEntry
    reason: str
    trace: str


Effects = Callable[[], None]
"""Writes the effects of some events; called in the transaction that moves the cursor behind them."""

EventHandler = Callable[[Sequence[LogEntry]], Awaitable[Effects]]
"""Takes events in. Raises `Stalled` where none can be taken in now, anything else where it cannot cope with these."""


class Stalled(Exception):
    """Nothing goes on now, whichever event comes: the destination is away, the disk is full. To be tried again, in so
    many seconds if it is known."""

    def __init__(self, reason: str, retry_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_seconds = retry_seconds


class EventBatch(msgspec.Struct, frozen=True):
    """Some events to take in; after them the log is read up to `until`. Of a hotel that was parked: which."""

    entries: tuple[LogEntry, ...]
    until: int
    parked_hotel: str | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a subscriber could not take in: its hotel is parked there, until it is redriven or dropped.
    Instants are microseconds since 1970 UTC; `retry_at` is None when only a person can help."""

    subscriber: str
    hotel: str
    event: str
    type: str
    reason: str
    trace: str
    attempts: int
    since: int
    retry_at: int | None


class SubscriberState(msgspec.Struct, frozen=True):
    """How far a subscriber has come: `lag` is how many events of the logs it has not seen yet. `stalled` says why
    nothing goes on, if so; `parked` is how many hotels wait behind an event that it could not take in."""

    name: str
    types: tuple[str, ...]
    positions: Positions
    lag: int
    paused: bool
    parked: int
    stalled: str = ""


class Cursor(Protocol):
    """A subscriber's place in one log, and the hotels that are parked there. For one thread."""

    @property
    def log(self) -> str:
        """The name of the log."""

    @property
    def position(self) -> int:
        """Up to where it has come."""

    @property
    def end(self) -> int:
        """Up to where the log goes now."""

    def batch(self, at: int, limit: int, end: int) -> EventBatch | None:
        """What to take in next, up to this position; None if nothing is to be done at this instant."""

    def move(self, batch: EventBatch, keep: Effects) -> None:
        """Keep the effects of a portion and move behind it, both or neither."""

    def park(self, batch: EventBatch, failure: Failure, at: int) -> None:
        """The only event of this portion could not be taken in: park its hotel, and move on with the others."""

    def due_at(self) -> int | None:
        """When a parked hotel is to be tried again, None if none is."""

    def pause(self, paused: bool) -> None:
        """Take nothing in from now on, or go on."""

    def go_to(self, position: int) -> None:
        """Go on behind this position, wherever it was; no hotel is parked any more."""

    def forget(self) -> None:
        """There is no such subscriber any more."""

    def state(self) -> SubscriberState:
        """How far it has come."""

    def dead_letters(self) -> list[DeadLetter]:
        """What could not be taken in, oldest first."""

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """Try this event of a parked hotel again, or go on without it; None where no hotel waits for it."""


class Subscription(Protocol):
    """A subscriber's place in all its logs. For one thread."""

    def pause(self, paused: bool) -> None:
        """See `Cursor`."""

    def go_to(self, positions: Positions) -> None:
        """See `Cursor`; in logs of which nothing is said it stays where it is."""


class Subscribers(Protocol):
    """Where subscribers live. For one thread."""

    def follow(self, request: SubscriptionRequest, handle: EventHandler, batch_events: int = ...) -> Subscription:
        """From now on, what is wished for is handled, at most so many events at once."""

    async def unfollow(self, name: str, for_good: bool = True) -> None:
        """No more, once the portion at hand is done; `for_good` it also forgets how far it came."""

    def wake(self, name: str) -> None:
        """Something has changed for this subscriber: it shall look again."""


class SubscriberMessage(ServiceMessage, frozen=True):
    """The base of what subscribers can be asked and told, all or by name."""

    service: ClassVar[str] = ""


class ListSubscribers(SubscriberMessage, frozen=True):
    """Who listens, and how far each has come."""


class ListDeadLetters(SubscriberMessage, frozen=True):
    """What could not be taken in."""


class AwaitSubscriber(SubscriberMessage, frozen=True):
    """Answer when it has come so far; or after a while, or at once where it is paused or stalled, as it is."""

    subscriber: str
    positions: Positions


class PauseSubscriber(SubscriberMessage, frozen=True):
    """Take nothing in from now on, or go on where it was."""

    subscriber: str
    paused: bool


class Redrive(SubscriberMessage, frozen=True):
    """Try a dead letter again, or go on without it (`drop`)."""

    subscriber: str
    event: str
    drop: bool = False


class SubscribersReply(Reply, frozen=True):
    """Who listens."""

    subscribers: tuple[SubscriberState, ...]


class DeadLettersReply(Reply, frozen=True):
    """What could not be taken in."""

    dead_letters: tuple[DeadLetter, ...]
