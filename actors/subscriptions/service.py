"""A service at work: a thread with an event loop of its own, in which some subscribers live.

Nothing of it runs in the gateway's loop: what it is asked and told comes over, and a slow or broken service keeps
nobody else waiting. As a process of its own it would look the same from both sides.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any

from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.actors.subscriptions.task import BackgroundTask
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound, Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import CommitStream
from innkeeper.protocol.ports.subscriptions import (
    AwaitSubscriber,
    Cursor,
    DeadLettersReply,
    EventHandler,
    EventLog,
    ListDeadLetters,
    ListSubscribers,
    PauseSubscriber,
    Redrive,
    SubscribersReply,
    Subscription,
    SubscriptionRequest,
)
from innkeeper.protocol.values.limits import (
    service_shutdown_seconds_max,
    subscriber_batch_events_max,
    subscriber_wait_seconds_max,
)

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.002


class Service:
    """Start, ask and stop it from one event loop; it lives in another, as a `protocol.subscribing.Subscribers`. There
    `open_resources` opens what it needs: first of all `open_cursor`, for its subscribers."""

    open_cursor: Callable[[SubscriptionRequest, str], Cursor]

    def __init__(
        self,
        name: str,
        open_resources: Callable[["Service"], AbstractAsyncContextManager[None]],
        logs: Mapping[str, EventLog],
        clock: Callable[[], int],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.logs = {log: RecentEvents(told) for log, told in logs.items()}
        self.answering: dict[type, Callable[[Any], Awaitable[Reply]]] = {}
        self.workers: dict[str, BackgroundTask] = {}
        self._open_resources = open_resources
        self._clock = clock
        self.busy = busy
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._started: Future[None] = Future()
        self.ended: Future[None] = Future()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._woken = False
        self._thread = threading.Thread(target=self._run, name=name)

    async def start(self, sources: Mapping[str, CommitStream]) -> None:
        """Open it, and let it hear of all that the sources of the logs that it follows commit; raises what that
        raises."""
        self._thread.start()
        await asyncio.wrap_future(self._started)
        for log in self.logs:
            sources[log].subscribe(partial(self.subscribe, log))
            self.subscribe(log, sources[log].position, ())

    async def stop(self) -> None:
        """Finish what is at hand, and end."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            await asyncio.to_thread(self._thread.join)

    def needs(self, life: "asyncio.Task[None]") -> None:
        """It cannot live without this: when that fails it ends, too, and `ended` says why. From its own loop."""

        def end(done: "asyncio.Task[None]") -> None:
            if not done.cancelled() and done.exception() is not None:
                self._failure = done.exception()
                self._stopping.set()

        life.add_done_callback(end)

    async def ask(self, message: object) -> Reply:
        """Its answer; raises `Refused`."""
        if self._loop is None or not self._thread.is_alive():
            raise Refused(Unavailable(f"{self.name} is not running"))
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._answer(message), self._loop))

    def subscribe(self, log: str, position: int, records: Sequence[RecordedEvent]) -> None:
        """This was committed in a log. From any thread; see `protocol.asking.Hearer`."""
        self.logs[log].subscribe(position, records)
        waiting = any(worker.waits_for_events for worker in [*self.workers.values()])
        if waiting and not self._woken and self._loop is not None:
            self._woken = True
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._wake)

    def follow(
        self, request: SubscriptionRequest, handle: EventHandler, batch_events: int = subscriber_batch_events_max
    ) -> Subscription:
        """See `protocol.subscribing.Subscribers`."""
        cursors = [self.open_cursor(request, log) for log in self.logs]
        subscriber = Subscriber(cursors, handle, self._clock, self.busy, batch_events)
        self.add_task(subscriber)
        return subscriber

    def add_task(self, worker: BackgroundTask) -> None:
        """It works here from now on, and is shown among the subscribers."""
        self.workers[worker.name] = worker
        self._lives[worker.name] = asyncio.create_task(worker.live(), name=worker.name)

    async def unfollow(self, name: str, for_good: bool = True) -> None:
        """See `protocol.subscribing.Subscribers`."""
        subscriber = self.workers.pop(name)
        assert isinstance(subscriber, Subscriber)
        await self._end({self._lives.pop(name)}, [subscriber])
        if for_good:
            subscriber.forget()

    def wake(self, name: str) -> None:
        """See `protocol.subscribing.Subscribers`."""
        self.workers[name].wake()

    def _wake(self) -> None:
        self._woken = False
        for worker in self.workers.values():
            worker.notify()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            if self._started.done():
                logger.critical("%s stops", self.name, exc_info=error)
                self.ended.set_exception(error)
            else:
                self._started.set_exception(error)
        else:
            self.ended.set_result(None)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._open_resources(self):
            self._started.set_result(None)
            await self._stopping.wait()
            await self._end({*self._lives.values()}, [*self.workers.values()])
        if self._failure is not None:
            raise self._failure

    async def _end(self, lives: set[asyncio.Task[None]], workers: Sequence[BackgroundTask]) -> None:
        for worker in workers:
            worker.stop()
        if lives:
            _, unfinished = await asyncio.wait(lives, timeout=service_shutdown_seconds_max)
            for life in unfinished:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)

    async def _answer(self, message: object) -> Reply:
        match message:
            case ListSubscribers():
                return SubscribersReply(tuple(worker.state() for worker in self.workers.values()))
            case ListDeadLetters():
                found = (worker.dead_letters() for worker in self.workers.values())
                return DeadLettersReply(tuple(letter for letters in found for letter in letters))
            case AwaitSubscriber():
                return await self._await(message)
            case PauseSubscriber():
                return self._pause(message)
            case Redrive():
                return self._redrive(message)
            case _:
                return await self.answering[type(message)](message)

    def _named(self, name: str) -> BackgroundTask:
        if name not in self.workers:
            raise Refused(NotFound("subscriber", name))
        return self.workers[name]

    async def _await(self, message: AwaitSubscriber) -> Reply:
        worker = self._named(message.subscriber)
        with suppress(TimeoutError):
            async with asyncio.timeout(subscriber_wait_seconds_max):
                while (state := worker.state()) and not (state.paused or state.stalled):
                    if all(state.positions[log] >= wanted for log, wanted in message.positions.items()):
                        break
                    await asyncio.sleep(_LOOK_SECONDS)
        return SubscribersReply((worker.state(),))

    def _pause(self, message: PauseSubscriber) -> Reply:
        worker = self._named(message.subscriber)
        worker.pause(message.paused)
        worker.wake()
        return SubscribersReply((worker.state(),))

    def _redrive(self, message: Redrive) -> Reply:
        worker = self._named(message.subscriber)
        letter = worker.redrive(message.event, message.drop)
        if letter is None:
            raise Refused(NotFound("dead letter", message.event))
        worker.wake()
        return DeadLettersReply((letter,))
