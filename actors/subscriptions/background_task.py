"""A background task: runs one step after another, waits when there is nothing to do, and retries with growing pauses
when a step fails.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

from innkeeper.actors.subscriptions.load_meter import UNLOADED, LoadMeter
from innkeeper.protocol.ports.journal import JournalLocked
from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState
from innkeeper.protocol.values.limits import subscriber_retry_seconds, subscriber_stall_seconds_max
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

logger = logging.getLogger(__name__)

_PAUSE_FACTOR = 20  # tasks that step back leave so many times as long to commands as they have worked, all together
_STEPS_BACK_SECONDS_MAX = 8.0  # one that has not caught up for so long no longer steps back
_BEHIND_SECONDS_MAX = 20.0  # commands pause for one that has not caught up for so long
_LOAD_CHECK_SECONDS = 0.1  # how often a pause checks the load
LOCK_CHECK_SECONDS = 0.05  # how often a lock of another process is tried


class BackgroundTask(ABC):
    """Runs in one event loop, in short steps. While this process is under load, it makes long pauses between them; when
    that has left it behind for long, commands are to make pauses. A task that `follows_events` is notified of commits
    while it `waits_for_events`. A step that has done all that there was before it may say that it `has_caught_up`: what
    has come meanwhile is announced, and is then done together with more."""

    follows_events = True
    gather_seconds = 0.0
    """The pause between a notification and the next step."""

    def __init__(self, name: str, clock: Callable[[], int], load: LoadMeter = UNLOADED) -> None:
        self.name = name
        self.waits_for_events = False
        self.has_caught_up = False
        self.stalled = ""
        self.clock = clock
        self._load = load
        self._stalls = 0
        self._logged = RepeatedMessages()
        self._notified = self._idle = False
        self._busy_since = perf_counter()
        self._woken = asyncio.Event()
        self._stopping = False

    @abstractmethod
    async def step(self) -> bool:
        """Does the next piece of work; returns whether there was any. Raises where no work can be done now."""

    @abstractmethod
    def due_at(self) -> int | None:
        """When there is work without a notification (microseconds since 1970 UTC), None if never."""

    def notify(self) -> None:
        """There is work: runs the next step once the current pause after a step or failure is over."""
        self._notified = True
        if self._idle:
            self.wake()

    def notify_of_events(self) -> None:
        """There are new events."""
        if self.waits_for_events:
            self.notify()

    def wake(self) -> None:
        """Something has changed: ends a pause and runs the next step."""
        self._woken.set()

    def stop(self) -> None:
        """Finishes the current step, and ends."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Runs steps until the task is stopped."""
        while not self._stopping:
            start = perf_counter()
            self._woken.clear()
            # Set before the step, so that a notification during the step counts too.
            self._notified, self.waits_for_events = False, self.follows_events
            self.has_caught_up = False
            try:
                has_more = await self.step() and not self.has_caught_up
                due_at = None if has_more else self.due_at()
            except Exception as error:
                self.waits_for_events = False
                await self._stall(error)
                continue
            self._stalls, self.stalled = 0, ""
            if not has_more:
                await self._wait_for_work(due_at)
            elif self.steps_back:
                self.waits_for_events = False
                await self._step_back(_PAUSE_FACTOR * (perf_counter() - start))
            else:
                if perf_counter() - self._busy_since >= _BEHIND_SECONDS_MAX:
                    self._load.report_behind()
                await asyncio.sleep(0)  # lets the loop handle messages meanwhile

    async def _wait_for_work(self, due_at: int | None) -> None:
        seconds = None if due_at is None else max((due_at - self.clock()) / 1e6, 0.001)
        self._idle = True
        await self._sleep(0 if self._notified else seconds and min(seconds, subscriber_stall_seconds_max))
        self._idle = self.waits_for_events = False
        if self._notified and self.gather_seconds and not self._stopping:
            self._woken.clear()
            await self._sleep(self.gather_seconds)  # a stop ends it
        self._busy_since = perf_counter()

    @property
    def steps_back(self) -> bool:
        """Whether it leaves the processor to commands for now: it takes small steps, and long pauses."""
        return self._load.is_under_load() and perf_counter() - self._busy_since < _STEPS_BACK_SECONDS_MAX

    async def _step_back(self, seconds: float) -> None:
        """Pauses for so long, and as long again for each other task that pauses now; or until that is no longer
        necessary."""
        self._load.stepping_back += 1
        try:
            until = perf_counter() + seconds * self._load.stepping_back
            while self.steps_back and not self._woken.is_set() and (left := until - perf_counter()) > 0:
                await self._sleep(min(left, _LOAD_CHECK_SECONDS))
        finally:
            self._load.stepping_back -= 1

    async def _sleep(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _write(self, write: Callable[[], object]) -> None:
        """Calls this, which writes the effects of a step to a database; again as long as another process holds its
        lock, so that the rest of the step is not done twice."""
        while True:
            try:
                write()
            except JournalLocked as error:
                if self._stopping:
                    raise
                self.stalled = str(error)
                await asyncio.sleep(LOCK_CHECK_SECONDS)
            else:
                return

    async def _stall(self, error: Exception) -> None:
        self._stalls += 1
        if not self.stalled and self._logged.is_due(repr(error)):
            is_clear = isinstance(error, Stalled | OperatorError)
            logger.warning("%s is stalled: %r", self.name, error, exc_info=not is_clear)
        self.stalled = str(error) or type(error).__name__
        seconds = error.retry_seconds if isinstance(error, Stalled) else None
        if isinstance(error, JournalLocked):
            seconds = subscriber_retry_seconds
        if seconds is None:
            seconds = min(subscriber_retry_seconds * 2 ** min(self._stalls - 1, 16), subscriber_stall_seconds_max)
        await self._sleep(seconds)


class ListedTask(BackgroundTask):
    """A background task of a service, which is listed among the subscribers."""

    @abstractmethod
    def state(self) -> SubscriberState:
        """Its positions, lag and faults."""

    def has_parked(self, _hotel: str) -> bool:
        """Whether events of this hotel wait, although the positions are past them."""
        return False

    @abstractmethod
    def pause(self, paused: bool) -> None:
        """Pauses or resumes the task; a restart of the process keeps this."""

    @abstractmethod
    def dead_letters(self) -> list[DeadLetter]:
        """The events or notices that it could not handle, oldest first."""

    @abstractmethod
    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """Retries a dead letter, or drops it; None where there is no such dead letter."""
