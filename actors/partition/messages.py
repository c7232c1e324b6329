"""The messages between the actors of a partition. Frozen, because the local actor system does not copy them."""

from typing import Any

import msgspec
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply


class AddressedCommand(msgspec.Struct, frozen=True, gc=False):
    """A command or query with the instant, id and origin that the host adds. `number` is its place in the batch."""

    number: int
    message: Command | Query
    at: int
    id: str
    correlation: str = ""
    by: str = ""
    if_version: int | None = None


class CommandOutcome(msgspec.Struct, frozen=True, gc=False):
    """The reply or refusal to the command or query of this number."""

    number: int
    response: Reply | Refusal


class CommandBatch(msgspec.Struct, frozen=True, gc=False):
    """Host to router: commands and queries to handle, after everything that is due by `at`."""

    at: int
    commands: tuple[AddressedCommand, ...]


class CommandBatchDone(msgspec.Struct, frozen=True, gc=False):
    """Router to host: the outcomes of a batch, and its events in each hotel's order. Hotels in `failed_hotels` must be
    rebuilt: none of their events counts. `due_at` is when something is due next."""

    outcomes: tuple[CommandOutcome, ...]
    records: tuple[RecordedEvent, ...]
    failed_hotels: dict[str, str]
    due_at: int | None


class HotelCommands(msgspec.Struct, frozen=True, gc=False):
    """Router to hotel: this hotel's share of a batch."""

    at: int
    commands: tuple[AddressedCommand, ...]


class HotelCommandsDone(msgspec.Struct, frozen=True, gc=False):
    """Hotel to router: the outcomes of its share, its events (also those without a command), and when something is due
    next. A hotel whose opening was refused is not open, and its actor can be closed."""

    hotel: str
    outcomes: tuple[CommandOutcome, ...]
    records: tuple[RecordedEvent, ...]
    due_at: int | None
    is_open: bool


class HotelFailed(msgspec.Struct, frozen=True, gc=False):
    """Hotel to router: the hotel's own code failed; its state is not reliable."""

    hotel: str
    reason: str


class LoadHotelState(msgspec.Struct, frozen=True, gc=False):
    """Host to router, router to hotel: the hotel's state from the journal. None closes its actor."""

    hotel: str
    state: Any


class HotelStateLoaded(msgspec.Struct, frozen=True, gc=False):
    """Router to host: the state is loaded."""
