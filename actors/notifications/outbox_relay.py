"""Sends the notices in the outbox when they are due.

Notices to one address are sent in the order in which they were decided. One that cannot be sent is retried with growing
pauses, and becomes a dead letter when no attempt succeeds. Notices are marked as sent only after they were sent, those
of a batch in one transaction: a crash in between sends the same ones again, and no others, because that is on disk
before the next batch is sent.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

from innkeeper.actors.subscriptions.background_task import ListedTask
from innkeeper.actors.subscriptions.load_meter import UNLOADED, LoadMeter
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import DueNotice, Outbox, SendFailed, SendNotices
from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState
from innkeeper.protocol.values.limits import letter_attempts_max, letters_at_once_max, letters_per_batch_max

logger = logging.getLogger(__name__)


class OutboxRelay(ListedTask):
    """The background task that sends what is in the outbox. `sync` brings to disk what was marked; `pause_seconds` is
    the pause after so many attempts."""

    follows_events = False

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        send: SendNotices,
        sync: Callable[[], Awaitable[None]],
        pause_seconds: Callable[[int], float],
        clock: Callable[[], int],
        load: LoadMeter = UNLOADED,
    ) -> None:
        super().__init__(name, clock, load)
        self._outbox = outbox
        self._send = send
        self._sync = sync
        self._pause_seconds = pause_seconds
        self._sent: list[str] = []  # sent, or of no use any more, but not marked so yet

    async def step(self) -> bool:
        """Sends a batch of due notices; returns whether there were any. Raises `Stalled` where nothing can be sent
        now."""
        self._outbox.finish_erasing()
        self._mark_sent()  # what could not be marked in the step before, as while the disk is full
        if self._outbox.paused:
            return False
        at_most = letters_at_once_max if self.steps_back else letters_per_batch_max
        batch = self._outbox.due(self.clock(), at_most)
        failures: dict[str, Exception] = {}
        try:
            await self._send_in_order(batch, failures)
        finally:
            self._mark_sent()
        await self._sync()
        await self._mark_failed(batch, failures)
        return bool(batch)

    async def _send_in_order(self, batch: Sequence[DueNotice], failures: dict[str, Exception]) -> None:
        """Sends the first notice to each address, then the second to each whose first does not have to be retried, and
        so on."""
        settled = set[str]()

        def settle(notice: Notice, error: Exception | None) -> None:
            if error is None:
                self._sent.append(notice.id)
            else:
                failures[notice.id] = error
            if error is None or (isinstance(error, SendFailed) and error.permanent):
                settled.add(notice.id)

        waiting = [one.notice for one in batch]
        while waiting and not any(map(_is_unreachable, failures.values())):
            first: dict[str, Notice] = {}
            for notice in waiting:
                first.setdefault(notice.recipient.email, notice)
            await self._send(self._still_wanted(first.values(), settled), settle)
            done = {address for address, notice in first.items() if notice.id in settled}
            waiting = [
                notice
                for notice in waiting
                if notice.recipient.email in done and notice.id != first[notice.recipient.email].id
            ]

    def _still_wanted(self, notices: Iterable[Notice], settled: set[str]) -> Iterator[Notice]:
        """The notices that were not withdrawn while others were sent, and are still useful."""
        for notice in notices:
            if 0 < notice.useful_until < self.clock():
                logger.info("%s of %s is not sent: it is no longer useful", notice.kind.value, notice.booking)
                self._sent.append(notice.id)
                settled.add(notice.id)
            elif self._outbox.is_waiting(notice.id):
                yield notice
            else:
                settled.add(notice.id)

    def _mark_sent(self) -> None:
        if self._sent:
            self._outbox.mark_sent(self._sent)
            self._sent.clear()

    async def _mark_failed(self, batch: Sequence[DueNotice], failures: dict[str, Exception]) -> None:
        """Records the failed attempts. Raises `Stalled` where one of them says that nothing can be sent now."""
        for due in batch:
            error = failures.get(due.notice.id)
            if error is not None and not _is_unreachable(error):
                if not isinstance(error, SendFailed):
                    logger.error("the notice %s cannot be sent", due.notice.id, exc_info=error)
                await self._write(partial(self._record_attempt, due, error))
        for error in filter(_is_unreachable, failures.values()):
            raise Stalled(str(error)) from error

    def _record_attempt(self, due: DueNotice, error: Exception) -> None:
        attempts, at = due.attempts + 1, self.clock()
        reason, is_dead = repr(error), attempts >= letter_attempts_max
        if isinstance(error, SendFailed):
            reason, is_dead = str(error), is_dead or error.permanent
        retry_at = None if is_dead else at + round(self._pause_seconds(attempts) * 1e6)
        self._outbox.mark_failed(due.notice.id, reason, at, retry_at)
        logger.warning("the notice %s was not sent (attempt %d): %s", due.notice.id, attempts, reason)

    def due_at(self) -> int | None:
        """See `ListedTask`."""
        return None if self._outbox.paused else self._outbox.next_due_at()

    def state(self) -> SubscriberState:
        """See `ListedTask`. `lag` is how many notices are overdue."""
        late, dead = self._outbox.count(self.clock())
        return SubscriberState(self.name, (), {}, late, self._outbox.paused, dead, self.stalled)

    def pause(self, paused: bool) -> None:
        """See `ListedTask`."""
        self._outbox.pause(paused)

    def dead_letters(self) -> list[DeadLetter]:
        """See `ListedTask`."""
        return self._outbox.dead_letters()

    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """See `ListedTask`. A notice that is no longer useful is retried too."""
        return self._outbox.redrive(event, drop)


def _is_unreachable(error: Exception) -> bool:
    return isinstance(error, SendFailed) and error.unreachable
