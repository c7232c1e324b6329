"""What the actors of a partition say to each other. Frozen: on the simple actor base messages are not copied."""

from typing import Any

import msgspec
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply


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
