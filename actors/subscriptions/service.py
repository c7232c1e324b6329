"""A service: tasks of the event loop, in which some subscribers run.

Each step of a subscriber is short, and waits for the disk or for others without holding up the loop. So services share
the loop with the gateway and the partitions, or run in a process of their own, by the same code. (A thread of its own
would give no parallelism, as the threads of one interpreter run one at a time; see docs/decisions.md.)
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, suppress
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from innkeeper.actors.subscriptions.background_task import LOCK_CHECK_SECONDS, ListedTask
from innkeeper.actors.subscriptions.commit_signal import CommitSignal
from innkeeper.actors.subscriptions.consumer_state import consumer_state
from innkeeper.actors.subscriptions.inbox_trimming import keep_trimmed
from innkeeper.actors.subscriptions.kept_replies import KeptReplies, without_key
from innkeeper.actors.subscriptions.load_meter import UNLOADED, LoadMeter
from innkeeper.actors.subscriptions.subscriber import Subscriber, nothing_to_sync
from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.refusals import NotFound, Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.inbox import BrokerConsumer, Inbox
from innkeeper.protocol.ports.journal import JournalError, JournalLocked, unavailable_reason
from innkeeper.protocol.ports.service_store import ServiceStore, Transaction
from innkeeper.protocol.ports.subscriptions import (
    AwaitSubscriber,
    DeadLettersReply,
    EventHandler,
    EventLog,
    ListDeadLetters,
    ListSubscribers,
    LogEnd,
    PauseSubscriber,
    RedriveDeadLetter,
    SubscribersReply,
    SubscriberState,
    Subscription,
    SubscriptionRequest,
)
from innkeeper.protocol.values.limits import (
    erasing_retry_seconds,
    lock_seconds_max,
    service_shutdown_seconds_max,
    subscriber_batch_events_max,
    subscriber_wait_seconds_max,
)
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.002
_ERASING_PAUSE_SECONDS_MAX = 60.0
_SYNC_SECONDS = 1.0  # so much of what is derived from the logs is derived again after a loss of power

S = TypeVar("S", bound=ServiceStore)
T = TypeVar("T")
Handlers = Mapping[type, Callable[[Any, Transaction], Awaitable[Reply]]]
"""The methods that handle messages to a service, by the class of the message. One that changes something writes it, and
keeps its reply, in the transaction."""


class ServicePorts(NamedTuple, Generic[S]):
    """What every service needs: the logs that it follows and the signal of their commits, its own store, which is
    opened when it starts, and a clock. The journals of the `local` logs are in this process: a service does not start
    beside one that was rolled back; `ends` has the ends of the others. Where a `consumer` fills some of the logs from a
    broker through an `inbox`, it runs as long as the service."""

    logs: Mapping[str, EventLog]
    commits: CommitSignal
    open_store: Callable[[], AbstractContextManager[S]]
    clock: Callable[[], int]
    load: LoadMeter = UNLOADED
    consumer: BrokerConsumer | None = None
    inbox: Inbox | None = None
    local: Collection[str] = ()
    ends: Mapping[str, LogEnd] = {}


class Service(Generic[S]):
    """A `Subscribers` in the running event loop. `open_handlers` opens what the service needs, subscribes its event
    handlers, and yields the handlers of its messages."""

    def __init__(
        self,
        name: str,
        ports: ServicePorts[S],
        open_handlers: Callable[["Service[S]", S], AbstractAsyncContextManager[Handlers]],
    ) -> None:
        self.name = name
        self.logs = ports.logs
        self.tasks: dict[str, ListedTask] = {}
        self.load = ports.load
        self._ports = ports
        self._open_handlers = open_handlers
        self._handlers: Handlers = {}
        self._store: S
        self._replies: KeptReplies
        self._running: dict[str, asyncio.Task[None]] = {}
        self._answers: set[asyncio.Task[Any]] = set()
        self._started = asyncio.Event()
        self._ended: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Starts its tasks, which commits wake. Raises what opening its store and handlers raises."""
        self._ended = asyncio.create_task(self._serve(), name=self.name)
        self._ended.add_done_callback(lambda done: done.cancelled() or done.exception())
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait({started, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if self._ended.done():
            self._ended.result()
        self._ports.commits.call(self._notify_tasks)
        self._notify_tasks()

    async def stop(self) -> None:
        """Finishes the steps that are running, and ends."""
        self._stopping.set()
        if self._ended is not None:
            await asyncio.wait({self._ended})

    async def ended(self) -> None:
        """Waits until the service has ended; raises the error of one that failed."""
        assert self._ended is not None
        await asyncio.shield(self._ended)

    def needs(self, task: "asyncio.Task[None]") -> None:
        """Ends the service when this task fails; `ended` then raises its error."""

        def end(done: "asyncio.Task[None]") -> None:
            if not done.cancelled() and done.exception() is not None:
                self._failure = done.exception()
                self._stopping.set()

        task.add_done_callback(end)

    async def ask(self, message: ServiceMessage) -> Reply:
        """Returns the service's reply to a message. Raises `Refused`."""
        return await self._running_answer(self._answer_synced(message))

    async def ask_once(self, message: ServiceMessage, key: str) -> Result:
        """Returns the result of a message with an idempotency key; see `Services`."""
        if not self._started.is_set():
            return Result(Unavailable(f"{self.name} is not running"))
        try:
            return await self._running_answer(self._answer_once(message, key))
        except Refused as refused:
            return Result(refused.refusal)

    async def _running_answer(self, answer: Coroutine[Any, Any, T]) -> T:
        """Returns the answer, for which a stop waits. Raises `Refused`. Where the caller is cancelled, the answer goes
        on: a change that has begun is carried out to its end."""
        if not self._started.is_set() or self._stopping.is_set():
            answer.close()
            raise Refused(Unavailable(f"{self.name} is not running"))
        task = asyncio.create_task(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._log_failure)
            raise

    def _log_failure(self, answer: asyncio.Task[Any]) -> None:
        """Logs the error of an answer that nothing waits for."""
        error = None if answer.cancelled() else answer.exception()
        if error is not None and not isinstance(error, Refused):
            logger.error("%s could not answer: %r", self.name, error, exc_info=error)

    def subscribe(
        self,
        request: SubscriptionRequest,
        handle: EventHandler,
        batch_events: int = subscriber_batch_events_max,
    ) -> Subscription:
        """See `Subscribers`. Effects that are not derivable are synced after each batch."""
        cursors = [self._store.open_cursor(request, name, log) for name, log in self.logs.items()]
        for cursor in cursors:
            if cursor.log in self._ports.local:
                cursor.check()
        sync = nothing_to_sync if request.derivable else self._store.sync
        subscriber = Subscriber(
            cursors, handle, self._ports.clock, self.load, sync, batch_events, self._ports.inbox,
            self._ports.ends,
        )  # fmt: skip
        self.add_task(subscriber)
        return subscriber

    def add_task(self, worker: ListedTask) -> None:
        """Runs this task in the service, and lists it among the subscribers."""
        self.tasks[worker.name] = worker
        self._running[worker.name] = asyncio.create_task(worker.run(), name=worker.name)

    async def unsubscribe(self, name: str, delete: bool = True) -> None:
        """See `Subscribers`."""
        subscriber = self.tasks.pop(name)
        assert isinstance(subscriber, Subscriber)
        await self._end({self._running.pop(name)}, [subscriber])
        if delete:
            subscriber.delete()

    def notify(self, name: str) -> None:
        """See `Subscribers`."""
        if name in self.tasks:
            self.tasks[name].wake()

    async def _serve(self) -> None:
        try:
            with self._ports.open_store() as self._store:
                self._replies = KeptReplies(self._store, self._ports.clock)
                beside = _beside(self._ports, self._store, self.tasks)
                async with self._open_handlers(self, self._store) as self._handlers, beside:
                    self._started.set()
                    await self._stopping.wait()
                    await self._end({*self._running.values(), *self._answers}, [*self.tasks.values()])
            if self._failure is not None:
                raise self._failure
        except BaseException as error:
            self._stopping.set()
            if self._started.is_set():
                exc_info = not isinstance(error, OperatorError) and error
                logger.critical("%s stops: %s", self.name, error, exc_info=exc_info)
            raise

    async def _end(self, tasks: set[asyncio.Task[Any]], workers: Sequence[ListedTask]) -> None:
        for worker in workers:
            worker.stop()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=service_shutdown_seconds_max)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _notify_tasks(self) -> None:
        for worker in self.tasks.values():
            worker.notify_of_events()

    async def _answer_synced(self, message: ServiceMessage) -> Reply:
        if not message.changes:
            return await self._answer(message, without_key(self._store))
        await self._unlocked()
        reply = await self._answer(message, without_key(self._store))
        await self._store.sync()
        return reply

    async def _answer_once(self, message: ServiceMessage, key: str) -> Result:
        await self._unlocked()
        return await self._replies.answer(message, key, self._answer)

    async def _unlocked(self) -> None:
        """Waits while another process holds the lock of the database, before anything is done that cannot be repeated.
        Refuses where it does so for long."""
        until = monotonic() + lock_seconds_max
        while True:
            try:
                return self._store.check_lock()
            except JournalLocked as error:
                if monotonic() > until:
                    raise Refused(Unavailable(unavailable_reason(error))) from error
            await asyncio.sleep(LOCK_CHECK_SECONDS)

    async def _answer(self, message: ServiceMessage, transaction: Transaction) -> Reply:
        match message:
            case ListSubscribers():
                states = (worker.state() for worker in self.tasks.values())
                if self._store.is_erasing:
                    states = (msgspec.structs.replace(state, is_erasing=True) for state in states)
                return SubscribersReply((*states, *self._consumers()))
            case ListDeadLetters():
                found = (worker.dead_letters() for worker in self.tasks.values())
                return DeadLettersReply(tuple(letter for letters in found for letter in letters))
            case AwaitSubscriber():
                return await self._await(message)
            case PauseSubscriber():
                return self._pause(message, transaction)
            case RedriveDeadLetter():
                return self._redrive(message, transaction)
            case _:
                return await self._handlers[type(message)](message, transaction)

    def _consumers(self) -> list[SubscriberState]:
        consumer, inbox = self._ports.consumer, self._ports.inbox
        return [] if consumer is None or inbox is None else [consumer_state(self.name, consumer, inbox)]

    def _named(self, name: str) -> ListedTask:
        if name not in self.tasks:
            raise Refused(NotFound("subscriber", name))
        return self.tasks[name]

    async def _await(self, message: AwaitSubscriber) -> Reply:
        worker, why = self._named(message.subscriber), ""
        with suppress(TimeoutError):
            async with asyncio.timeout(subscriber_wait_seconds_max):
                while True:
                    state = worker.state()
                    if all(state.positions[log] >= wanted for log, wanted in message.positions.items()):
                        if not worker.has_parked(message.hotel):
                            return SubscribersReply((state,))
                    elif state.paused or state.stalled:
                        why = f": {state.stalled}" if state.stalled else ": it is paused"
                        break
                    worker.wake()  # it does not step back now
                    await asyncio.sleep(_POLL_SECONDS)
        raise Refused(Unavailable(f"{message.subscriber} has not handled all events of the hotel yet{why}"))

    def _pause(self, message: PauseSubscriber, transaction: Transaction) -> Reply:
        worker = self._named(message.subscriber)
        with transaction() as keep:
            reply = SubscribersReply((msgspec.structs.replace(worker.state(), paused=message.paused),))
            keep(reply)
            worker.pause(message.paused)  # last, as it changes the memory too
        worker.wake()
        return reply

    def _redrive(self, message: RedriveDeadLetter, transaction: Transaction) -> Reply:
        worker = self._named(message.subscriber)
        with transaction() as keep:
            letters = [letter for letter in worker.dead_letters() if letter.event == message.event]
            if not letters:
                raise Refused(NotFound("dead letter", message.event))
            reply = DeadLettersReply((letters[0],))
            keep(reply)
            worker.redrive(message.event, message.drop)  # last, as it changes the memory too
        worker.wake()
        return reply


@asynccontextmanager
async def _beside(
    ports: ServicePorts[S], store: ServiceStore, workers: Mapping[str, ListedTask]
) -> AsyncIterator[None]:
    """Brings to disk what is written, removes what is left of forgotten guests, consumes from the broker and keeps the
    inbox bounded, where there are any."""
    tasks = [asyncio.create_task(_keep_synced(store)), asyncio.create_task(_keep_erased(store))]
    if ports.consumer is not None:
        tasks.append(asyncio.create_task(ports.consumer.run()))
    if ports.inbox is not None:
        tasks.append(asyncio.create_task(keep_trimmed(ports.inbox, workers, ports.clock)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _keep_erased(store: ServiceStore) -> None:
    """Removes what is left of forgotten guests in the store, until cancelled; again and again while a reader is in the
    way, and after growing pauses while the database cannot be rewritten."""
    logged, pause_seconds = RepeatedMessages(), erasing_retry_seconds
    while True:
        await asyncio.sleep(pause_seconds)
        try:
            if store.is_erasing:
                await store.finish_erasing()
            pause_seconds = erasing_retry_seconds
        except JournalError as error:
            pause_seconds = min(2 * pause_seconds, _ERASING_PAUSE_SECONDS_MAX)
            if logged.is_due(error):
                logger.warning("details of forgotten guests are not removed yet; this is retried: %s", error)


async def _keep_synced(store: ServiceStore) -> None:
    """Syncs the store now and then, until cancelled."""
    while True:
        await asyncio.sleep(_SYNC_SECONDS)
        with suppress(JournalError):  # a subscriber that needs the sync reports it
            await store.sync()
