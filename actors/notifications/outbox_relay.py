"""Sends the notices in the outbox when they are due.

Notices to one address are sent in the order in which they were decided, those to different addresses concurrently. One
that cannot be sent is retried with growing pauses, and becomes a dead letter when no attempt succeeds. A notice is
marked as sent only after it was sent: a crash in between sends the same notice again.
"""

import asyncio
import logging
from collections.abc import Callable

from innkeeper.actors.subscriptions.background_task import BackgroundTask
from innkeeper.protocol.ports.outbox import DueNotice, Outbox, SendFailed, SendNotice
from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState
from innkeeper.protocol.values.limits import letter_attempts_max, letters_at_once_max

logger = logging.getLogger(__name__)

_BATCH = 16 * letters_at_once_max


class OutboxRelay(BackgroundTask):
    """The background task that sends what is in the outbox. `pause_seconds` is the pause after so many attempts."""

    follows_events = False

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        send: SendNotice,
        pause_seconds: Callable[[int], float],
        clock: Callable[[], int],
        is_under_load: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(name, clock, is_under_load)
        self._outbox = outbox
        self._send = send
        self._pause_seconds = pause_seconds
        self._tried = 0
        self._sent: set[str] = set()  # sent, but not marked so yet

    async def step(self) -> bool:
        """Sends the due notices; returns whether there were any. Raises `Stalled` where nothing can be sent now."""
        self._outbox.finish_erasing()
        if self._outbox.paused:
            return False
        by_address: dict[str, list[DueNotice]] = {}
        for due in self._outbox.due(self.clock(), _BATCH):
            by_address.setdefault(due.notice.recipient.email, []).append(due)
        slots, self._tried = asyncio.Semaphore(letters_at_once_max), 0
        done = await asyncio.gather(
            *(self._send_in_order(slots, notices) for notices in by_address.values()), return_exceptions=True
        )
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return bool(by_address)

    async def _send_in_order(self, slots: asyncio.Semaphore, notices: list[DueNotice]) -> None:
        for due in notices:
            async with slots:
                if self._tried >= letters_at_once_max and self.is_under_load():
                    return
                self._tried += 1
                if not await self._settle(due):
                    return

    async def _settle(self, due: DueNotice) -> bool:
        """Sends one notice and marks it as sent; returns whether the later ones to this address may be sent now."""
        notice, at = due.notice, self.clock()
        if 0 < notice.useful_until < at:
            logger.info("%s of %s is not sent: it is no longer useful", notice.kind.value, notice.booking)
            self._outbox.mark_sent(notice.id)
            return True
        try:
            if notice.id not in self._sent:  # else only the mark failed, as while the disk is full
                await self._send(notice)
        except SendFailed as error:
            if error.unreachable:
                raise Stalled(str(error)) from error
            return self._failed(due, str(error), error.permanent)
        except Exception as error:
            logger.exception("the notice %s cannot be sent", notice.id)
            return self._failed(due, repr(error), permanent=False)
        self._sent.add(notice.id)
        self._outbox.mark_sent(notice.id)
        self._sent.remove(notice.id)
        return True

    def _failed(self, due: DueNotice, reason: str, permanent: bool) -> bool:
        attempts, at = due.attempts + 1, self.clock()
        permanent = permanent or attempts >= letter_attempts_max
        retry_at = None if permanent else at + round(self._pause_seconds(attempts) * 1e6)
        self._outbox.mark_failed(due.notice.id, reason, at, retry_at)
        logger.warning("the notice %s was not sent (attempt %d): %s", due.notice.id, attempts, reason)
        return permanent

    def due_at(self) -> int | None:
        """See `BackgroundTask`."""
        return None if self._outbox.paused else self._outbox.next_due_at()

    def state(self) -> SubscriberState:
        """See `BackgroundTask`. `lag` is how many notices are overdue."""
        late, dead = self._outbox.count(self.clock())
        return SubscriberState(self.name, (), {}, late, self._outbox.paused, dead, self.stalled)

    def pause(self, paused: bool) -> None:
        """See `BackgroundTask`."""
        self._outbox.pause(paused)

    def dead_letters(self) -> list[DeadLetter]:
        """See `BackgroundTask`."""
        return self._outbox.dead_letters()

    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """See `BackgroundTask`. A notice that is no longer useful is retried too."""
        return self._outbox.redrive(event, drop)
