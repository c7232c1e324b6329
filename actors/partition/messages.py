"""What the actors of a partition say to each other. Frozen: on the simple actor base messages are not copied."""

from collections.abc import Mapping
from typing import Any

import msgspec
from innkeeper.actors.notifications.rules.notices import KnownBooking, KnownHotel
from innkeeper.actors.reservations.rules.calendar import Claimed
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.notifications.notices import Notice


class AddressedCommand(msgspec.Struct, frozen=True, gc=False):
    """A command or query, stamped by the host. `number` is its place in the batch."""

    number: int
    message: Command | Query
    at: int
    id: str
    correlation: str = ""
    by: str = ""
    if_version: int | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of an order."""

    number: int
    answer: Reply | Refusal


class CommandBatch(msgspec.Struct, frozen=True, gc=False):
    """Host to desk: orders to carry out, after everything that has fallen due by `at`."""

    at: int
    orders: tuple[AddressedCommand, ...]


class CommandBatchDone(msgspec.Struct, frozen=True, gc=False):
    """Desk to host: what came of a batch, and all that happened, in each hotel's order. Hotels in `broken` must be
    rebuilt: nothing of theirs counts. `due_at` is when something falls due next."""

    outcomes: tuple[Outcome, ...]
    records: tuple[RecordedEvent, ...]
    broken: dict[str, str]
    due_at: int | None


class HotelCommands(msgspec.Struct, frozen=True, gc=False):
    """Desk to hotel: this hotel's share of a batch."""

    at: int
    orders: tuple[AddressedCommand, ...]


class HotelCommandsDone(msgspec.Struct, frozen=True, gc=False):
    """Hotel to desk: what came of its share, all that happened (also by itself), and when something falls due next. A
    hotel whose opening was refused is not open, and can go."""

    hotel: str
    outcomes: tuple[Outcome, ...]
    records: tuple[RecordedEvent, ...]
    due_at: int | None
    is_open: bool


class HotelFailed(msgspec.Struct, frozen=True, gc=False):
    """Hotel to desk: a fault in this hotel's own code; its state is not to be trusted."""

    hotel: str
    reason: str


class LoadState(msgspec.Struct, frozen=True, gc=False):
    """Host to desk: this is the hotel, as the journal tells it; None closes its actor. Desk to hotel: this is you."""

    hotel: str
    state: Any


class StateLoaded(msgspec.Struct, frozen=True, gc=False):
    """Desk to host: done."""


class DecideNotices(msgspec.Struct, frozen=True, gc=False):
    """Host to notifier: events to take in now, and what it knows of the hotels and bookings that they are about."""

    at: int
    entries: tuple[LogEntry, ...]
    hotels: Mapping[str, KnownHotel]
    bookings: Mapping[str, KnownBooking]


class NoticesDecided(msgspec.Struct, frozen=True, gc=False):
    """Notifier to host: what it knows now, where that is new, what is to be said, and what is not to be said any
    more."""

    hotels: Mapping[str, KnownHotel]
    bookings: Mapping[str, KnownBooking]
    notices: tuple[Notice, ...]
    withdrawn: tuple[str, ...]


class OpenRoom(msgspec.Struct, frozen=True, gc=False):
    """Hotel to a new room: who you are and who holds you."""

    number: str
    today: int
    holders: tuple[Claimed, ...]


class Claim(msgspec.Struct, frozen=True, gc=False):
    """Hotel to room: give back the nights of some bookings and take some stays, all or none. Nights before `today` are
    over."""

    today: int
    gives: tuple[str, ...]
    takes: tuple[Claimed, ...]


class ClaimDone(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: done."""

    room: str


class ClaimRefused(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: someone else holds one of these nights; nothing was done."""

    room: str
