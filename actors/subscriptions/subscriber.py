"""A subscriber at work: it takes in what happened, portion by portion from each log, and moves its cursor behind it.

An event that it cannot cope with is found by taking a portion's events one by one; it parks its hotel and is tried
again later, while the other hotels go on. What has nothing to do with the event (a full disk, a destination that is
away) stalls everything, and is tried again until it works.
"""

import logging
import traceback
from collections.abc import Callable, Sequence

import msgspec
from innkeeper.actors.subscriptions.task import BackgroundTask
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.subscriptions import (
    Cursor,
    DeadLetter,
    EventBatch,
    EventHandler,
    Failure,
    Positions,
    Stalled,
    SubscriberState,
)
from innkeeper.protocol.values.contexts import rank_of
from innkeeper.protocol.values.limits import subscriber_batch_events_max, subscriber_retry_seconds

logger = logging.getLogger(__name__)

_BATCH_UNDER_LOAD = 16


class Subscriber(BackgroundTask):
    """One subscriber with its cursors, one for each log; they take turns. What happened in one log may have followed
    from what stands in a log before it: it is taken in after that. At most `batch_events` are taken in at once, and
    few while others are busy."""

    def __init__(
        self,
        cursors: Sequence[Cursor],
        handle: EventHandler,
        clock: Callable[[], int],
        busy: Callable[[], bool] = lambda: False,
        batch_events: int = subscriber_batch_events_max,
    ) -> None:
        super().__init__(cursors[0].state().name, clock, busy)
        self._cursors = cursors
        ranks = [rank_of(cursor.log) for cursor in cursors]
        self._before = [[one for one, other in enumerate(ranks) if other < rank] for rank in ranks]
        self._turn = 0
        self._seen = self._followed = [0] * len(cursors)
        self._handle = handle
        self._portion_events = batch_events
        self._one_by_one = 0
        self._refused = False

    async def step(self) -> bool:
        """Take in the next portion; was there any? Raises where nothing can be taken in now."""
        self._refused = False
        for _ in self._cursors:
            cursor = self._cursors[self._turn]
            batch = self._portion(cursor)
            if batch is not None:
                self.waits_for_events = False
                await self._take_in(cursor, batch)
                return True
            self._next_turn()
        return False

    def _portion(self, cursor: Cursor) -> EventBatch | None:
        """What to take in next; nothing from a log that cannot be read now, and is looked at again soon."""
        try:
            return cursor.batch(self.clock(), self._limit(), self._end(self._turn))
        except Refused:
            self._refused = True
            return None

    def due_at(self) -> int | None:
        """See `BackgroundTask`."""
        due = [at for cursor in self._cursors if (at := cursor.due_at()) is not None]
        if self._refused:
            due.append(self.clock() + round(subscriber_retry_seconds * 1e6))
        return min(due, default=None)

    def state(self) -> SubscriberState:
        """See `BackgroundTask`."""
        states = [cursor.state() for cursor in self._cursors]
        return msgspec.structs.replace(
            states[0],
            positions={log: position for state in states for log, position in state.positions.items()},
            lag=sum(state.lag for state in states),
            parked=sum(state.parked for state in states),
            stalled=self.stalled,
        )

    def pause(self, paused: bool) -> None:
        """See `BackgroundTask`."""
        for cursor in self._cursors:
            cursor.pause(paused)

    def go_to(self, positions: Positions) -> None:
        """See `protocol.subscribing.Place`."""
        for cursor in self._cursors:
            if cursor.log in positions:
                cursor.go_to(positions[cursor.log])

    def forget(self) -> None:
        """There is no such subscriber any more."""
        for cursor in self._cursors:
            cursor.forget()

    def dead_letters(self) -> list[DeadLetter]:
        """See `BackgroundTask`."""
        return [letter for cursor in self._cursors for letter in cursor.dead_letters()]

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """See `BackgroundTask`."""
        found = (cursor.redrive(event, drop) for cursor in self._cursors)
        return next((letter for letter in found if letter is not None), None)

    def _end(self, turn: int) -> int:
        """Up to where this log may be taken in: what followed from the logs of lower rank waits until they have come to
        where they were when it was seen."""
        before = self._before[turn]
        if not before:
            return self._cursors[turn].end
        ends = [cursor.end for cursor in reversed(self._cursors)][::-1]  # the first log is looked at last
        for seen in (self._seen, ends):
            if all(self._cursors[one].position >= seen[one] for one in before):
                self._followed, self._seen = seen, ends
        return self._followed[turn]

    def _next_turn(self) -> None:
        self._turn = (self._turn + 1) % len(self._cursors)

    def _limit(self) -> int:
        if self._one_by_one:
            return 1
        return min(self._portion_events, _BATCH_UNDER_LOAD) if self.busy() else self._portion_events

    async def _take_in(self, cursor: Cursor, batch: EventBatch) -> None:
        try:
            keep = await self._handle(batch.entries) if batch.entries else _nothing
        except Stalled:
            raise
        except Exception as error:
            if len(batch.entries) > 1:
                self._one_by_one = len(batch.entries)
                return
            failure = Failure(batch.entries[0], repr(error), traceback.format_exc())
            cursor.park(batch, failure, self.clock())
            logger.warning("%s cannot take in %s: %r", self.name, failure.entry[1].id, error)
        else:
            cursor.move(batch, keep)
        self._one_by_one = max(self._one_by_one - len(batch.entries), 0)
        if not self._one_by_one:
            self._next_turn()


def _nothing() -> None:
    return
