"""The mailroom: it sends what notifications has decided to say, when its time has come.

Letters to one address go out in the order in which they were decided, letters to several at once. One that cannot be
sent is tried again after longer and longer pauses, and what nobody would take ends among the dead letters. A letter is
crossed out only after it was sent: who dies in between sends the same letter again.
"""

import asyncio
import logging
from collections.abc import Callable

from innkeeper.actors.subscriptions.task import BackgroundTask
from innkeeper.protocol.ports.outbox import CannotSend, DueNotice, Outbox, SendNotice
from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState
from innkeeper.protocol.values.limits import letter_attempts_max, letters_at_once_max

logger = logging.getLogger(__name__)

_BATCH = 16 * letters_at_once_max


class OutboxRelay(BackgroundTask):
    """The worker that empties the outbox. `pause_seconds` says how long to wait after so many attempts."""

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        send: SendNotice,
        pause_seconds: Callable[[int], float],
        clock: Callable[[], int],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(name, clock, busy)
        self._outbox = outbox
        self._send = send
        self._pause_seconds = pause_seconds
        self._tried = 0

    async def step(self) -> bool:
        """Send what is due; was anything? Raises `Stalled` where the way out is closed."""
        if self._outbox.paused:
            return False
        by_address: dict[str, list[DueNotice]] = {}
        for waiting in self._outbox.due(self.clock(), _BATCH):
            by_address.setdefault(waiting.notice.recipient.email, []).append(waiting)
        slots, self._tried = asyncio.Semaphore(letters_at_once_max), 0
        done = await asyncio.gather(
            *(self._send_in_order(slots, letters) for letters in by_address.values()), return_exceptions=True
        )
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return bool(by_address)

    async def _send_in_order(self, slots: asyncio.Semaphore, letters: list[DueNotice]) -> None:
        for waiting in letters:
            async with slots:
                if self._tried >= letters_at_once_max and self.busy():
                    return
                self._tried += 1
                if not await self._settle(waiting):
                    return

    async def _settle(self, waiting: DueNotice) -> bool:
        """Send one, and cross it out; may those behind it go, too?"""
        notice, at = waiting.notice, self.clock()
        if 0 < notice.useful_until < at:
            logger.info("%s of %s is not sent any more: its time is over", notice.kind.value, notice.booking)
            self._outbox.sent(notice.id)
            return True
        try:
            await self._send(notice)
        except CannotSend as error:
            if error.away:
                raise Stalled(str(error)) from error
            return self._failed(waiting, str(error), error.for_good)
        except Exception as error:
            logger.exception("the letter %s cannot be written", notice.id)
            return self._failed(waiting, repr(error), for_good=False)
        self._outbox.sent(notice.id)
        return True

    def _failed(self, waiting: DueNotice, reason: str, for_good: bool) -> bool:
        attempts, at = waiting.attempts + 1, self.clock()
        for_good = for_good or attempts >= letter_attempts_max
        retry_at = None if for_good else at + round(self._pause_seconds(attempts) * 1e6)
        self._outbox.failed(waiting.notice.id, reason, at, retry_at)
        logger.warning("the letter %s was not sent (attempt %d): %s", waiting.notice.id, attempts, reason)
        return for_good

    def due_at(self) -> int | None:
        """See `BackgroundTask`."""
        return None if self._outbox.paused else self._outbox.next_due_at()

    def state(self) -> SubscriberState:
        """See `BackgroundTask`. What should have been sent by now is how far it lags behind."""
        late, dead = self._outbox.count(self.clock())
        return SubscriberState(self.name, (), {}, late, self._outbox.paused, dead, self.stalled)

    def pause(self, paused: bool) -> None:
        """See `BackgroundTask`."""
        self._outbox.pause(paused)

    def dead_letters(self) -> list[DeadLetter]:
        """See `BackgroundTask`."""
        return self._outbox.dead_letters()

    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """See `BackgroundTask`. It is tried again even where its time is over."""
        return self._outbox.redrive(event, drop)
