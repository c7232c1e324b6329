"""Carries out the operations of payments at their providers, each by itself.

A provider that is away, slow or broken is asked again with growing pauses, under the id of the operation, so that one
whose answer was lost is not done twice. An operation that waits holds up later ones of its own payment only. One that
does not succeed for days becomes a dead letter; so does one that cannot be carried out after a few attempts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from innkeeper.actors.subscriptions.background_task import ListedTask
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.payment_operations import (
    DueOperation,
    PaymentOperation,
    PaymentOperations,
    ProviderUnreachable,
)
from innkeeper.protocol.ports.subscriptions import DeadLetter, EventLog, Stalled, SubscriberState
from innkeeper.protocol.values.limits import (
    payment_failing_seconds_max,
    provider_seconds_max,
    providers_asked_at_once_max,
    subscriber_attempts_max,
)

logger = logging.getLogger(__name__)

CarryOut = Callable[[RecordedEvent], Awaitable[None]]
"""Carries out the operation that follows from an event of billing. The same one may come twice. Raises
`ProviderUnreachable`, and `Stalled` where billing cannot be asked."""


class PaymentRelay(ListedTask):
    """The background task that carries out what is in `operations`, whose events are in the log of billing.
    `pause_seconds` is the pause after so many attempts. An attempt takes at most `seconds_max`."""

    follows_events = False

    def __init__(
        self,
        name: str,
        operations: PaymentOperations,
        log: EventLog,
        carry_out: CarryOut,
        pause_seconds: Callable[[int], float],
        clock: Callable[[], int],
        seconds_max: float = provider_seconds_max,
    ) -> None:
        super().__init__(name, clock)
        self._operations = operations
        self._log = log
        self._carry_out = carry_out
        self._pause_seconds = pause_seconds
        self._seconds_max = seconds_max
        self._running: dict[str, tuple[DueOperation, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Runs steps until the task is stopped. An operation that is under way then is repeated later."""
        try:
            await super().run()
        finally:
            tasks = [task for _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for due, task in self._running.values():
                if not task.cancelled() and task.exception() is None:
                    self._operations.mark_done(due.operation.event)
            self._running.clear()

    async def step(self) -> bool:
        """Records what has ended, and starts what is due; returns whether there was any. Raises `Stalled`."""
        ended = [one for one in self._running.values() if one[1].done()]
        stalled: Stalled | None = None
        for due, task in ended:
            del self._running[due.operation.event]
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Stalled):
                stalled = error
            elif not task.cancelled():  # else it is unknown what the provider has done, and it is asked again
                self._record(due, error)
        if stalled is not None:
            raise stalled
        if self._operations.paused:
            return bool(ended)
        new = [
            due
            for due in self._operations.due(self.clock(), 2 * providers_asked_at_once_max)
            if due.operation.event not in self._running
        ][: providers_asked_at_once_max - len(self._running)]
        for due in new:
            task = asyncio.create_task(self._attempt(due), name=f"{self.name} {due.operation.event}")
            self._running[due.operation.event] = due, task
            task.add_done_callback(lambda _: self.wake())
        return bool(ended or new)

    async def _attempt(self, due: DueOperation) -> None:
        asked = due.operation
        record = await self._event(asked)
        try:
            async with asyncio.timeout(self._seconds_max):
                await self._carry_out(record)
        except TimeoutError:
            raise ProviderUnreachable(f"no answer within {self._seconds_max:g} s") from None

    async def _event(self, asked: PaymentOperation) -> RecordedEvent:
        """The event of an operation. Raises `LookupError` where the log of billing has lost it."""
        try:
            found = await asyncio.to_thread(self._log.read, 0, 1, asked.hotel, asked.sequence - 1)
        except Refused as refused:
            raise Stalled(f"the log of billing cannot be read: {refused}") from refused
        if not found or found[0][1].id != asked.event:
            raise LookupError(f"billing has lost the event {asked.event}")
        return found[0][1]

    def _record(self, due: DueOperation, error: BaseException | None) -> None:
        event, at, attempts = due.operation.event, self.clock(), due.attempts + 1
        if error is None:
            self._operations.mark_done(event)
            return
        if isinstance(error, ProviderUnreachable):
            reason, is_dead = str(error), at - (due.since or at) >= payment_failing_seconds_max * 1_000_000
        else:
            reason, is_dead = repr(error), attempts >= subscriber_attempts_max
            logger.error("the operation %s cannot be carried out", event, exc_info=error)
        retry_at = None if is_dead else at + round(self._pause_seconds(attempts) * 1e6)
        self._operations.mark_failed(event, reason, at, retry_at)
        logger.warning("the operation %s was not carried out (attempt %d): %s", event, attempts, reason)

    def due_at(self) -> int | None:
        """See `ListedTask`. While operations are under way, their end wakes it."""
        if self._operations.paused or len(self._running) == providers_asked_at_once_max:
            return None
        due_at = self._operations.next_due_at()
        return None if due_at is None or (due_at <= self.clock() and self._running) else due_at

    def state(self) -> SubscriberState:
        """See `ListedTask`. `lag` is how many operations are not carried out yet."""
        waiting, dead = self._operations.count()
        return SubscriberState(self.name, (), {}, waiting, self._operations.paused, dead, self.stalled)

    def pause(self, paused: bool) -> None:
        """See `ListedTask`."""
        self._operations.pause(paused)

    def dead_letters(self) -> list[DeadLetter]:
        """See `ListedTask`."""
        return self._operations.dead_letters()

    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """See `ListedTask`."""
        return self._operations.redrive(event, drop)
