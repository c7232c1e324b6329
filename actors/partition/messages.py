"""The messages between the host, the router and the hotels of a partition. The local actor system does not copy them:
they are frozen, except `PendingBatch`, which its sender does not use any more once it is sent."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.values.guests import GuestKey, StoredGuest
from innkeeper.protocol.values.server_time import ServerTime

COMMAND_FAILED = Unavailable("the command failed", hotel_failed=True)
"""The response to a command whose decision raised an error. It fails alone, as nothing was changed."""


HOTEL_FAILED = Unavailable("the hotel had a fault and was rebuilt", hotel_failed=True)
"""The response to the commands of a hotel whose own code failed."""


class CommandBatch(msgspec.Struct, frozen=True, gc=False):
    """Host to router, and router to hotel with that hotel's share: stamped envelopes to handle, after everything that
    is due by `at`; and what the host knows of the time."""

    at: int
    envelopes: tuple[Envelope, ...]
    server: ServerTime = ServerTime()


class PendingBatch(msgspec.Struct):
    """What a batch has led to, while it is not on disk. A hotel sends its share to the router, and the router all of it
    to the host, which adds what the journal is to keep and the results to release.

    - `responses`: by the ids of the envelopes. An id without one belongs to a hotel that failed.
    - `records`: the events, in each hotel's order.
    - `guests`: the versions of guests' details that came with the commands, and `forgotten` the guests of whom all
      versions are to be erased.
    - `due_at`: when something is due next.
    - `stale`: hotels to rebuild from the journal, none of whose events is in `records`.
    - `distrusted`: hotels to rebuild from their events alone, because a room and the calendar disagreed. Unless they
      are stale too, their events are in `records`, and must be on disk before.
    - `is_open`: false for a hotel whose opening was refused, so that its actor can end.
    """

    hotel: str = ""
    responses: dict[str, Reply | Refusal] = {}
    records: list[RecordedEvent] = []
    guests: dict[GuestKey, StoredGuest] = {}
    forgotten: set[str] = set()
    due_at: int | None = None
    stale: set[str] = set()
    distrusted: set[str] = set()
    is_open: bool = True
    results: list[Result] = []
    replies: list[StoredReply] = []
    position: int = 0
    failed: bool = False

    def fail(self, reason: str) -> None:
        """Discards the decisions: each command of the batch gets `Unavailable`."""
        self.failed = True
        self.results = [Result(Unavailable(reason))] * len(self.results)


class HotelFailed(msgspec.Struct, frozen=True, gc=False):
    """Hotel to router: the hotel's own code failed; its state is not reliable. `distrusted` where a room disagreed with
    its calendar."""

    hotel: str
    reason: str
    distrusted: bool = False


class StartRouter(msgspec.Struct, frozen=True, gc=False):
    """Host to a new router: `begin` makes the state of a hotel that has no events yet."""

    begin: Callable[[], Any]


class LoadHotelState(msgspec.Struct, frozen=True, gc=False):
    """Host to router, router to hotel: the hotel's state, from the journal or that of a new hotel. None closes its
    actor."""

    hotel: str
    state: Any


class HotelStateLoaded(msgspec.Struct, frozen=True, gc=False):
    """Router to host: the state is loaded."""


QueuedCommand = tuple[Envelope, "asyncio.Future[Result]"]
"""A command or query in the queue of a partition, and where its result is awaited."""
