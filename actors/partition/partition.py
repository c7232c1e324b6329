"""A partition: the bounded queue before a host, and the two tasks that drive the host.

One task runs the actors' decisions in the thread of the gateway's event loop; the other writes all decided batches in
one transaction, and has a thread wait for the disk. So the next group is decided while one is being written, and no
result is released before it is on disk. Commands are refused at once while too many are waiting.
(Actors in a second thread would compete with the gateway for the interpreter's lock; see docs/decisions.md.)
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from time import monotonic
from typing import TypeVar

from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.locked_journal import LockedJournal
from innkeeper.actors.partition.messages import PendingBatch, QueuedCommand
from innkeeper.actors.subscriptions.load_meter import LoadMeter, load_commands_min
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.journal import Journal, JournalDamaged, JournalError, JournalLocked, JournalUnavailable
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.limits import (
    commands_per_batch_max,
    commands_waiting_max,
    erasing_retry_seconds,
    tidying_seconds_max,
)
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

T = TypeVar("T")

logger = logging.getLogger(__name__)

_COMMANDS_WHILE_SYNCING_MIN = 16  # so many are decided while others are synced; fewer gather until that is done
_IDLE_SECONDS = 2.0
_TIDYING_AGAIN_SECONDS = 1.0  # the time to the next step of tidying, where there is more of it
_LOCK_CHECK_SECONDS = 0.05
_CHECK_ROWS = 1_000
_CHECK_PAUSE_FACTOR = 1.5  # the pause after each step of the check of old rows, as a multiple of the step's time


class Partition:
    """A host with its queue. All methods are for the event loop's thread."""

    def __init__(
        self,
        open_host: Callable[[], Host],
        clock: Callable[[], int],
        log: str = RESERVATIONS,
        load: LoadMeter | None = None,
    ) -> None:
        """`log` is the name of the log that holds its events; `load` observes its batches."""
        self.log = log
        self._load = load or LoadMeter()
        self.position = 0
        self.ready = False
        self._open_host = open_host
        self._clock = clock
        self.waiting = 0
        self._queue: list[QueuedCommand] = []
        self._decided: deque[tuple[list[QueuedCommand], PendingBatch]] = deque()
        self._erasing_at = 0.0  # when it is tried again to remove what is left of erased details
        self._tidying_at = monotonic() + tidying_seconds_max  # when it is done although commands arrive
        self._wake = asyncio.Event()
        self._to_commit = asyncio.Event()
        self._drained = asyncio.Event()
        self._stopping = False
        self._locked: LockedJournal | None = None
        self._host: Host | None = None
        self._writer = ThreadPoolExecutor(1, "journal")
        self._logged = RepeatedMessages()
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[CommitListener] = []

    async def start(self) -> None:
        """Opens the journal and rebuilds the hotels; raises what that raises."""
        # Kept, because Python 3.11 asks the system for the process's id each time that it is looked up.
        self._loop = asyncio.get_running_loop()
        self._host = host = await self._loop.run_in_executor(self._writer, self._open_host)
        self.position = host.journal.position()
        host.on_commit = self._publish
        self.ready = True
        self._drained.set()
        self._task = asyncio.create_task(self._run(host))

    async def ask(self, envelope: Envelope) -> Result:
        """The result, once its effects are on disk; `Unavailable` at once where too many commands are waiting."""
        if self.waiting >= commands_waiting_max:
            return Result(Unavailable("too many commands are waiting"))
        if not self.ready:
            return Result(Unavailable("the partition is not running"))
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.append((envelope, future))
        self._wake.set()
        self.waiting += 1
        try:
            return await future
        finally:
            self.waiting -= 1

    async def fault(self) -> str:
        """See `MessageBus`."""
        return self._host.fault if self.ready and self._host is not None else "the partition is not running"

    async def clock_doubt(self) -> str:
        """See `MessageBus`."""
        return self._host.watch.doubt if self.ready and self._host is not None else ""

    async def is_erasing(self, _: str) -> bool:
        """See `MessageBus`."""
        return not self.ready or self._host is None or self._host.journal.is_erasing

    async def positions(self, _: str | None = None) -> Positions:
        """See `MessageBus`."""
        return {self.log: self.position}

    def subscribe(self, listener: CommitListener) -> None:
        """See `CommitStream`."""
        self._listeners.append(listener)

    def _publish(self, position: int, records: Sequence[RecordedEvent]) -> None:
        self.position = position
        for listener in self._listeners:
            listener(position, records)

    async def ended(self) -> None:
        """Waits until the partition has stopped; raises the error if one stopped it before `stop` did."""
        assert self._task is not None
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Finishes the accepted commands, saves snapshots, and stops."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        self._writer.shutdown()

    async def _run(self, host: Host) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                committing = tasks.create_task(self._commit_all(host))
                deciding = tasks.create_task(self._decide_all(host))
                checking = tasks.create_task(self._check(host.journal))
                deciding.add_done_callback(lambda _: (committing.cancel(), checking.cancel()))
            self.ready = False
            while host.save_snapshots(after_events=1):
                pass
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
            logger.critical("the partition stops: %s", error, exc_info=not isinstance(error, JournalError) and error)
            raise error from None
        except JournalError as error:
            logger.critical("the partition stops: %s", error)
            raise
        finally:
            self.ready = False
            try:
                await self._loop.run_in_executor(self._writer, host.close)  # after its pending writes
            except Exception as error:  # what has stopped the partition is what is raised
                traceback = not isinstance(error, JournalError) and error
                logger.error("the journal could not be closed in order: %s", error, exc_info=traceback)
            finally:
                self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """Refuses all commands that wait. Those that are decided already may be on disk."""
        held = self._locked.release() if self._locked is not None else []
        decided = [command for batch, _ in self._decided for command in batch]
        for commands, unknown in ((self._queue + held, False), (decided, True)):
            _set_results(commands, [Result(Unavailable("the partition is not running", unknown))] * len(commands))

    async def _decide_all(self, host: Host) -> None:
        idle_since = monotonic()
        while self._queue or not self._stopping or (self._locked and self._locked.is_waited_for):
            if host.must_drain:
                await self._drained.wait()
                if host.is_loading:
                    await self._load_hotels(host)
            if host.journal.is_erasing and not host.must_drain and monotonic() >= self._erasing_at:
                await self._finish_erasing(host.journal)
            if self._locked is None and monotonic() >= self._tidying_at:
                await self._drained.wait()
                await self._tidy(host)
            if self._decided and len(self._queue) < _COMMANDS_WHILE_SYNCING_MIN:
                self._wake.clear()
                await self._wake.wait()  # for more commands, or the end of the sync, before which no result is released
                continue
            batch = await self._gather()
            if self._locked is not None:
                await self._decide_locked(host, self._locked, batch)
            elif batch or (host.due_at is not None and host.due_at <= self._clock()):
                self._decide(host, batch)
                if len(batch) >= load_commands_min:
                    self._load.observe()
                    await self._share_processor()
                idle_since = monotonic()
            elif monotonic() - idle_since < _IDLE_SECONDS or not await self._tidy(host):
                await self._wait(host.due_at, host.journal.is_erasing)
        await self._drained.wait()

    async def _decide_locked(self, host: Host, locked: LockedJournal, batch: list[QueuedCommand]) -> None:
        """Decides on the queries of a batch, and looks whether the lock is free again."""
        if queries := locked.hold(batch):
            self._decide(host, queries)
        try:
            host.check_lock()
        except JournalLocked:
            host.fault = locked.reason if locked.lasts else ""
            await asyncio.sleep(0 if self._queue else _LOCK_CHECK_SECONDS)
        else:
            self._queue[:0] = locked.release()
            self._locked = None
            logger.info("the journal is no longer locked")

    async def _finish_erasing(self, journal: Journal) -> None:
        """Removes what is left of erased details in the thread of the journal, while nothing is written or synced."""
        await self._drained.wait()
        try:
            await self._loop.run_in_executor(self._writer, journal.finish_erasing)
        except JournalUnavailable as error:
            if self._logged.is_due(error):
                logger.warning("details of forgotten guests are not removed yet; this is retried: %s", error)
        self._erasing_at = monotonic() + erasing_retry_seconds

    async def _share_processor(self) -> None:
        """Leaves time to subscribers that have been behind for long. Meanwhile commands wait, and those beyond the
        limit are refused."""
        if (seconds := self._load.pause_after_batch()) and not self._stopping:
            await asyncio.sleep(seconds)

    async def _load_hotels(self, host: Host) -> None:
        """Loads hotels in the thread of the journal, so that everything else goes on meanwhile."""
        envelopes = [*map(itemgetter(0), self._queue)]
        if not await self._loop.run_in_executor(self._writer, host.load, envelopes) and not self._queue:
            self._wake.clear()
            await self._wait(None)

    async def _tidy(self, host: Host) -> bool:
        """Does some of what can wait until there are no commands, in the thread of the journal; returns whether there
        is more of it. At most one snapshot is saved, as commands wait meanwhile."""
        saved = await self._loop.run_in_executor(self._writer, host.save_snapshots)
        has_more = await self._loop.run_in_executor(self._writer, host.tidy_journal)
        self._tidying_at = monotonic() + (_TIDYING_AGAIN_SECONDS if has_more else tidying_seconds_max)
        return bool(saved) or has_more

    async def _check(self, journal: Journal) -> None:
        """Checks all events and guests that were there at the start, most of which the snapshots have spared the
        recovery: in short steps, in a thread that waits. Raises JournalDamaged, which stops the partition."""
        last = self.position
        for after in range(0, last, _CHECK_ROWS):
            await self._check_step(journal.check, after, min(after + _CHECK_ROWS, last))
        while await self._check_step(journal.check_guests, _CHECK_ROWS):
            pass

    async def _check_step(self, step: Callable[..., T], *arguments: int) -> T:
        while True:
            start = monotonic()
            try:
                return await self._loop.run_in_executor(None, step, *arguments)
            except JournalDamaged:
                raise
            except JournalError as error:
                if self._logged.is_due(error):
                    logger.warning("the journal cannot be checked now; this is retried: %s", error)
                await asyncio.sleep(_IDLE_SECONDS)
            finally:
                await asyncio.sleep(_CHECK_PAUSE_FACTOR * (monotonic() - start))

    def _decide(self, host: Host, batch: list[QueuedCommand]) -> None:
        try:
            self._decided.append((batch, host.decide([*map(itemgetter(0), batch)])))
        except BaseException:
            self._queue[:0] = batch  # they are refused with the rest of the queue
            raise
        self._drained.clear()
        self._to_commit.set()

    async def _commit_all(self, host: Host) -> None:
        while True:
            await self._to_commit.wait()
            self._to_commit.clear()
            while self._decided:
                await self._commit(host, list(self._decided))
                self._wake.set()
            self._drained.set()

    async def _commit(self, host: Host, group: list[tuple[list[QueuedCommand], PendingBatch]]) -> None:
        decided = [*map(itemgetter(1), group)]
        try:
            is_written = host.write(decided)
        except JournalLocked as error:
            self._take_back(host, error)
            return
        if is_written:
            await self._loop.run_in_executor(self._writer, host.sync, decided)
        results = host.release(decided)
        for batch_results in results:
            batch, _ = self._decided.popleft()
            _set_results(batch, batch_results)

    def _take_back(self, host: Host, error: JournalLocked) -> None:
        """Puts all decided commands back into the queue: nothing of them was written."""
        host.take_back()
        self._queue[:0] = [command for batch, _ in self._decided for command in batch]
        self._decided.clear()
        if self._locked is None:
            self._locked = LockedJournal(f"the journal cannot be written ({error.reason})")
            logger.warning("%s; commands wait", error)

    async def _gather(self) -> list[QueuedCommand]:
        """The waiting commands, and those arriving just now: the larger a batch, the less each command in it costs."""
        self._wake.clear()
        queue, arrived = self._queue, -1
        while arrived < len(queue) < commands_per_batch_max:
            arrived = len(queue)
            await asyncio.sleep(0)
        batch = queue[:commands_per_batch_max]
        del queue[:commands_per_batch_max]
        return batch

    async def _wait(self, due_at: int | None, erases: bool = False) -> None:
        now = self._clock()  # looked at while nothing is due too: so a jump of the clock is noticed soon
        seconds_max = min(_IDLE_SECONDS, erasing_retry_seconds) if erases else _IDLE_SECONDS
        seconds = seconds_max if due_at is None else min(max((due_at - now) / 1e6, 0.001), seconds_max)
        if not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)


def _set_results(batch: list[QueuedCommand], results: list[Result]) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        if not future.done():
            future.set_result(result)
