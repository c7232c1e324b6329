"""A partition at work: the bounded queue before a host, and the loop that drives it.

The actors decide in the thread of the gateway's event loop; only the commit, which waits for the disk, has a thread of
its own. What arrives while a batch is on its way to the disk makes the next batch. A full queue refuses at once.
(Actors in a second thread would fight the gateway for the interpreter's lock; see docs/decisions.md.)
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

from innkeeper.actors.host import Host
from innkeeper.protocol.asking import Answer, Asked
from innkeeper.protocol.limits import commands_per_batch_max, commands_waiting_max
from innkeeper.protocol.refusals import Unavailable

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 2.0

Waiting = tuple[Asked, "asyncio.Future[Answer]"]


class Partition:
    """A host with its queue. All methods are for the event loop's thread."""

    def __init__(self, open_host: Callable[[], Host], clock: Callable[[], int]) -> None:
        self.position = 0
        self.ready = False
        self._open_host = open_host
        self._clock = clock
        self._queue: deque[Waiting] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._writer = ThreadPoolExecutor(1, "journal")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the journal and rebuild the hotels; raises what that raises."""
        host = await asyncio.get_running_loop().run_in_executor(self._writer, self._open_host)
        self.position = host.journal.position()
        self.ready = True
        self._task = asyncio.create_task(self._run(host))

    async def ask(self, asked: Asked) -> Answer:
        """The answer, once its effects are on disk. At once `Unavailable` where too many are waiting."""
        if len(self._queue) >= commands_waiting_max:
            return Answer(Unavailable("too many commands are waiting"))
        if not self.ready:
            return Answer(Unavailable("the partition is not running"))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((asked, future))
        self._wake.set()
        return await future

    async def stop(self) -> None:
        """Finish what was accepted, keep snapshots, and end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._writer.shutdown()

    async def _run(self, host: Host) -> None:
        try:
            await self._serve(host)
            self.ready = False
            while host.save_snapshots(after_events=1):
                pass
        except Exception as error:
            logger.critical("the partition stops: %s", error, exc_info=True)
        finally:
            self.ready = False
            host.close()
            _tell(list(self._queue), [Answer(Unavailable("the partition is not running"))] * len(self._queue))
            self._queue.clear()

    async def _serve(self, host: Host) -> None:
        idle_since = monotonic()
        while self._queue or not self._stopping:
            batch = self._take()
            if batch or (host.due_at is not None and host.due_at <= self._clock()):
                await self._handle(host, batch)
                idle_since = monotonic()
            elif monotonic() - idle_since < _IDLE_SECONDS or not host.save_snapshots():
                await self._wait(host.due_at)

    async def _handle(self, host: Host, batch: list[Waiting]) -> None:
        try:
            prepared = host.decide([asked for asked, _ in batch])
            if prepared.records or prepared.replies:
                await asyncio.get_running_loop().run_in_executor(self._writer, host.commit, prepared)
            answers = host.release(prepared)
        except BaseException:
            self._queue.extendleft(reversed(batch))  # to be refused with the others
            raise
        self.position = host.journal.position()
        _tell(batch, answers)
        await asyncio.sleep(0)  # what has arrived meanwhile joins the next batch

    def _take(self) -> list[Waiting]:
        self._wake.clear()
        queue = self._queue
        return [queue.popleft() for _ in range(min(len(queue), commands_per_batch_max))]

    async def _wait(self, due_at: int | None) -> None:
        seconds = _IDLE_SECONDS if due_at is None else min(max((due_at - self._clock()) / 1e6, 0.001), _IDLE_SECONDS)
        if not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)


def _tell(batch: list[Waiting], answers: list[Answer]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if not future.done():
            future.set_result(answer)
