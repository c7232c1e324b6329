"""Whoever works in a service by itself: takes one step after another, rests when there is nothing to do, and gets over
what stalls it by trying again after longer and longer pauses.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState
from innkeeper.protocol.values.limits import subscriber_retry_seconds, subscriber_stall_seconds_max

logger = logging.getLogger(__name__)

_STEP_BACK = 20  # while others are busy, it rests so many times as long as it worked
_LOOK_SECONDS = 0.1  # and looks so often whether they still are


class BackgroundTask(ABC):
    """Lives in one event loop. While others in this process are `busy`, it takes long rests."""

    def __init__(self, name: str, clock: Callable[[], int], busy: Callable[[], bool] = lambda: False) -> None:
        self.name = name
        self.waits_for_events = False
        self.stalled = ""
        self.clock = clock
        self.busy = busy
        self._stalls = 0
        self._news = self._idle = False
        self._woken = asyncio.Event()
        self._stopping = False

    @abstractmethod
    async def step(self) -> bool:
        """Do the next piece of work; was there any? Raises where nothing goes on now."""

    @abstractmethod
    def due_at(self) -> int | None:
        """When there is something to do though there is no news (microseconds since 1970 UTC), None if never."""

    @abstractmethod
    def state(self) -> SubscriberState:
        """How far it has come."""

    @abstractmethod
    def pause(self, paused: bool) -> None:
        """Do nothing from now on, or go on; for longer than this process lives."""

    @abstractmethod
    def dead_letters(self) -> list[DeadLetter]:
        """What it could not do, oldest first."""

    @abstractmethod
    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """Try that again, or go on without it; None where there is no such dead letter."""

    def notify(self) -> None:
        """There is something to do: look again, once it has rested or got over what stalls it."""
        self._news = True
        if self._idle:
            self.wake()

    def wake(self) -> None:
        """There is something to do, or something has changed: look again."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is at hand, and end."""
        self._stopping = True
        self.wake()

    async def live(self) -> None:
        """Work on whatever comes, until stopped."""
        while not self._stopping:
            start = perf_counter()
            self._woken.clear()
            self._news, self.waits_for_events = False, True  # from now on: what comes while it looks counts, too
            try:
                worked = await self.step()
            except Exception as error:
                self.waits_for_events = False
                await self._stall(error)
                continue
            self._stalls, self.stalled = 0, ""
            if not worked:
                await self._wait_for_events()
            elif self.busy():
                self.waits_for_events = False
                await self._step_back(_STEP_BACK * (perf_counter() - start))
            else:
                await asyncio.sleep(0)  # whoever asks something here meanwhile is answered

    async def _wait_for_events(self) -> None:
        due_at = self.due_at()
        seconds = None if due_at is None else max((due_at - self.clock()) / 1e6, 0.001)
        self._idle = True
        await self._nap(0 if self._news else seconds and min(seconds, subscriber_stall_seconds_max))
        self._idle = self.waits_for_events = False

    async def _step_back(self, seconds: float) -> None:
        """Rest for so long, or until the others are busy no more."""
        until = perf_counter() + seconds
        while self.busy() and not self._woken.is_set() and (left := until - perf_counter()) > 0:
            await self._nap(min(left, _LOOK_SECONDS))

    async def _nap(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _stall(self, error: Exception) -> None:
        self._stalls += 1
        if not self.stalled:
            logger.warning("%s is stalled: %r", self.name, error, exc_info=not isinstance(error, Stalled))
        self.stalled = str(error) or type(error).__name__
        seconds = error.retry_seconds if isinstance(error, Stalled) else None
        if seconds is None:
            seconds = min(subscriber_retry_seconds * 2 ** min(self._stalls - 1, 16), subscriber_stall_seconds_max)
        await self._nap(seconds)
