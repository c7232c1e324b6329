"""A subscriber: handles events batch by batch from each log, and moves its cursor after each batch.

When a batch fails, its events are handled one by one to find the one that fails; that event parks its hotel and is
retried later, while the other hotels continue. A failure that does not depend on the event (a full disk, an unreachable
destination) stalls the whole subscriber, which retries until it succeeds, with one event at first: a destination that
takes some events and not others does not get those again at each attempt.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from innkeeper.actors.subscriptions.background_task import ListedTask
from innkeeper.actors.subscriptions.load_meter import UNLOADED, LoadMeter
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.inbox import Inbox
from innkeeper.protocol.ports.subscriptions import (
    Cursor,
    DeadLetter,
    EventBatch,
    EventHandler,
    EventRefused,
    HandlingFailure,
    LogEnd,
    NotAccepted,
    ParkedEvent,
    Positions,
    Stalled,
    SubscriberState,
    no_effects,
)
from innkeeper.protocol.values.contexts import rank_of
from innkeeper.protocol.values.limits import subscriber_batch_events_max, subscriber_retry_seconds
from innkeeper.protocol.values.operator_error import OperatorError

logger = logging.getLogger(__name__)

_BATCH_UNDER_LOAD = 16


async def nothing_to_sync() -> None:
    """Where the effects of a batch may be lost with the power, since they then follow again from the log."""


class Subscriber(ListedTask):
    """One subscriber with its cursors, one for each log; they take turns. Events of a log may follow from events of
    logs of lower rank, and are handled after those. A batch has at most `batch_events`, and fewer under load. `sync`
    is called after each batch. Nothing is handled while the `inbox` of the logs has a fault. `ends` has the ends of the
    logs that other processes write, by their names; reading one of them can wait, which is done in the waiting pool."""

    def __init__(
        self,
        cursors: Sequence[Cursor],
        handle: EventHandler,
        clock: Callable[[], int],
        load: LoadMeter = UNLOADED,
        sync: Callable[[], Awaitable[None]] = nothing_to_sync,
        batch_events: int = subscriber_batch_events_max,
        inbox: Inbox | None = None,
        ends: Mapping[str, LogEnd] | None = None,
    ) -> None:
        super().__init__(cursors[0].state().name, clock, load)
        self._cursors = cursors
        ranks = [rank_of(cursor.log) for cursor in cursors]
        self._before = [[index for index, other in enumerate(ranks) if other < rank] for rank in ranks]
        self._turn = 0
        self._seen = self._followed = [0] * len(cursors)
        self._handle = handle
        self._sync = sync
        self._batch_events = batch_events
        self._inbox = inbox
        self._ends = ends or {}
        self._losses = {log: end.losses for log, end in self._ends.items()}
        self._one_by_one = 0
        self._unreadable = False

    async def step(self) -> bool:
        """Handles the next batch; returns whether there was one. Raises where no event can be handled now."""
        self._unreadable = False
        if self._inbox is not None and self._inbox.fault:
            raise Stalled(self._inbox.fault)
        self._check_again_what_was_away()
        limit, at = self._limit(), self.clock()
        ends = [] if self._ends else [cursor.end for cursor in self._cursors]
        for _ in self._cursors:
            cursor = self._cursors[self._turn]
            changes, end = cursor.changes, self._end(self._turn)
            try:
                if cursor.log not in self._ends or cursor.is_idle:
                    batch = cursor.batch(at, limit, end)
                else:  # the log is another part's, or an inbox
                    batch = await asyncio.to_thread(cursor.batch, at, limit, end)
            except Refused:  # the log cannot be read now; this is retried
                self._unreadable = True
                batch = None
            if changes != cursor.changes or self._check_again_what_was_away():
                return True
            if batch is not None:
                await self._process(cursor, batch)
                self.has_caught_up = bool(ends) and self._has_reached(ends)
                self.waits_for_events = self.has_caught_up
                return True
            self._turn = (self._turn + 1) % len(self._cursors)
        return False

    def _check_again_what_was_away(self) -> bool:
        """Makes the cursors check the logs whose processes were lost since the last call; returns whether there are
        any. What was read meanwhile may be of another journal."""
        lost = [log for log, end in self._ends.items() if end.losses != self._losses[log]]
        for log in lost:
            self._losses[log] = self._ends[log].losses
            if self._inbox is not None and log in self._inbox.logs:
                self._inbox.check_again(log)
        for cursor in self._cursors:
            if cursor.log in lost:
                cursor.check_again()
        return bool(lost)

    def _has_reached(self, ends: Sequence[int]) -> bool:
        """Whether everything is handled up to these ends of the logs, and no parked hotel is to be tried now."""
        if any(cursor.position < end for cursor, end in zip(self._cursors, ends, strict=True)):
            return False
        due_at = self.due_at()
        return due_at is None or due_at > self.clock()

    def due_at(self) -> int | None:
        """See `ListedTask`."""
        due = [at for cursor in self._cursors if (at := cursor.due_at()) is not None]
        if self._unreadable:
            due.append(self.clock() + round(subscriber_retry_seconds * 1e6))
        return min(due, default=None)

    def state(self) -> SubscriberState:
        """See `ListedTask`."""
        states = [cursor.state() for cursor in self._cursors]
        return msgspec.structs.replace(
            states[0],
            positions={log: position for state in states for log, position in state.positions.items()},
            lag=sum(state.lag for state in states) + sum(map(self._not_received, self._cursors)),
            parked=sum(state.parked for state in states),
            waiting=sum(state.waiting for state in states),
            stalled=self.stalled,
            lag_age_seconds=max((end.age_seconds for end in self._ends.values()), default=0.0),
        )

    def _not_received(self, cursor: Cursor) -> int:
        """The events between the end of what was received of the cursor's log, as in an inbox, and that of the log."""
        known = self._ends.get(cursor.log)
        return 0 if known is None else max(known.position - max(cursor.end, cursor.position), 0)

    def has_parked(self, hotel: str) -> bool:
        """See `ListedTask`."""
        return any(cursor.has_parked(hotel) for cursor in self._cursors)

    def pause(self, paused: bool) -> None:
        """See `ListedTask`."""
        for cursor in self._cursors:
            cursor.pause(paused)

    def seek(self, positions: Positions) -> None:
        """See `Subscription`."""
        for cursor in self._cursors:
            if cursor.log in positions:
                cursor.seek(positions[cursor.log])

    def parked(self, event: str) -> ParkedEvent | None:
        """See `Subscription`."""
        found = (cursor.parked(event) for cursor in self._cursors)
        return next((parked for parked in found if parked is not None), None)

    def retry_parked(self) -> None:
        """See `Subscription`."""
        for cursor in self._cursors:
            cursor.retry_parked()

    def delete(self) -> None:
        """Removes the cursors of this subscriber for good."""
        for cursor in self._cursors:
            cursor.delete()

    def dead_letters(self) -> list[DeadLetter]:
        """See `ListedTask`."""
        return [letter for cursor in self._cursors for letter in cursor.dead_letters()]

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """See `ListedTask`."""
        found = (cursor.redrive(event, drop) for cursor in self._cursors)
        return next((letter for letter in found if letter is not None), None)

    def _end(self, turn: int) -> int:
        """The position up to which this log may be handled. Its events may follow from logs of lower rank: they wait
        until the cursors of those have reached the ends that these logs had when the events were seen."""
        before = self._before[turn]
        if not before:
            return self._cursors[turn].end
        ends = [cursor.end for cursor in reversed(self._cursors)][::-1]  # the end of the first log is read last
        for seen in (self._seen, ends):
            for index in before:
                if self._cursors[index].position < seen[index]:
                    break
            else:
                self._followed, self._seen = seen, ends
        return self._followed[turn]

    def _limit(self) -> int:
        if self._one_by_one:
            return 1
        return min(self._batch_events, _BATCH_UNDER_LOAD) if self.steps_back else self._batch_events

    async def _process(self, cursor: Cursor, batch: EventBatch) -> None:
        pause = None
        try:
            effects = await self._handle(batch.entries) if batch.entries else no_effects
        except OperatorError:  # as where a file is damaged
            raise
        except Stalled as stalled:
            await self._move_past_handled(cursor, batch, stalled.handled)
            self._one_by_one = max(self._one_by_one, 1)
            raise
        except Exception as error:
            if len(batch.entries) > 1:
                handled = error.handled if isinstance(error, EventRefused) else 0
                await self._move_past_handled(cursor, batch, handled)
                self._one_by_one = len(batch.entries) - handled
                return
            pause = await self._park(cursor, batch, error)
        else:
            await self._write(lambda: cursor.move(batch, effects))
            if batch.entries:
                await self._sync()
        self._one_by_one = max(self._one_by_one - len(batch.entries), 0)
        if not self._one_by_one:
            self._turn = (self._turn + 1) % len(self._cursors)
        if pause is not None:
            raise pause

    async def _park(self, cursor: Cursor, batch: EventBatch, error: Exception) -> Stalled | None:
        """Parks the hotel of the batch's only event; returns the pause that its destination needs, if it needs one."""
        failure, at = _failure(batch.entries[0], error), self.clock()
        await self._write(lambda: cursor.park(batch, failure, at))
        if not isinstance(error, NotAccepted):
            logger.warning("%s cannot handle %s: %s", self.name, failure.entry[1].id, failure.reason)
            return None
        if error.retry.refusals:
            logger.warning("%s does not accept %s: %s", self.name, failure.entry[1].id, error)
        return Stalled(str(error), error.pause_seconds) if error.pause_seconds else None

    async def _move_past_handled(self, cursor: Cursor, batch: EventBatch, handled: int) -> None:
        """Moves past the first events of the batch, which are handled."""
        if handled:
            first = cursor.first_of(batch, handled)
            await self._write(lambda: cursor.move(first, no_effects))
            await self._sync()


def _failure(entry: LogEntry, error: Exception) -> HandlingFailure:
    if isinstance(error, NotAccepted):
        return HandlingFailure(entry, str(error), "", error.retry, error.effects)
    if isinstance(error, EventRefused):
        return HandlingFailure(entry, str(error), "")
    return HandlingFailure(entry, repr(error), traceback.format_exc())
