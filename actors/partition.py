"""A partition: one thread that drives a host, and the bounded queue before it.

The gateway's event loop puts commands into the queue and is told of the answers a batch at a time; what waits while a
batch is on its way to the disk makes the next batch. A full queue refuses at once.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from innkeeper.actors.host import Host
from innkeeper.protocol.asking import Answer, Asked
from innkeeper.protocol.limits import commands_per_batch_max, commands_waiting_max
from innkeeper.protocol.refusals import Unavailable

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 2.0

Waiting = tuple[Asked, "asyncio.Future[Answer]"]


class Partition:
    """A host in its own thread. Everything but the thread's own work is called from the event loop."""

    def __init__(self, open_host: Callable[[], Host], clock: Callable[[], int]) -> None:
        self._open_host = open_host
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[Waiting] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="partition", daemon=True)
        self._opened: asyncio.Future[None] | None = None
        self.position = 0

    @property
    def ready(self) -> bool:
        """Does it take commands?"""
        return self._thread.is_alive() and self._failed is None and not self._stopping

    async def start(self) -> None:
        """Open the journal and rebuild the hotels; raises what that raises."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def ask(self, asked: Asked) -> Answer:
        """The answer, once its effects are on disk. At once `Unavailable` where too many are waiting."""
        if len(self._queue) >= commands_waiting_max:
            return Answer(Unavailable("too many commands are waiting"))
        if not self.ready or self._loop is None:
            return Answer(Unavailable("the partition is not running"))
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._queue.append((asked, future))
        if not self._wake.is_set():
            self._wake.set()
        return await future

    async def stop(self) -> None:
        """Finish what was accepted, keep snapshots, and end."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        assert self._loop is not None
        assert self._opened is not None
        try:
            host = self._open_host()
        except BaseException as error:
            self._failed = error
            self._loop.call_soon_threadsafe(self._opened.set_exception, error)
            return
        self.position = host.journal.position()
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        try:
            self._serve(host)
            while host.save_snapshots(after_events=1):
                pass
        except BaseException as error:
            logger.critical("the partition stops: %s", error, exc_info=True)
            self._failed = error
        finally:
            host.close()
            self._refuse_the_rest()

    def _serve(self, host: Host) -> None:
        idle_since = monotonic()
        while self._queue or not self._stopping:
            batch = self._take()
            if batch:
                answers = host.handle([asked for asked, _ in batch])
                self.position = host.journal.position()
                self._release(batch, answers)
                idle_since = monotonic()
            elif host.due_at is not None and host.due_at <= self._clock():
                host.handle([])
                self.position = host.journal.position()
            elif monotonic() - idle_since < _IDLE_SECONDS or not host.save_snapshots():
                self._wait(host.due_at)

    def _take(self) -> list[Waiting]:
        self._wake.clear()
        queue = self._queue
        return [queue.popleft() for _ in range(min(len(queue), commands_per_batch_max))]

    def _wait(self, due_at: int | None) -> None:
        seconds = _IDLE_SECONDS if due_at is None else min(max((due_at - self._clock()) / 1e6, 0.001), _IDLE_SECONDS)
        if not self._queue and not self._stopping:
            self._wake.wait(seconds)

    def _release(self, batch: list[Waiting], answers: list[Answer]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_tell, batch, answers)

    def _refuse_the_rest(self) -> None:
        rest = list(self._queue)
        self._queue.clear()
        if rest:
            self._release(rest, [Answer(Unavailable("the partition is not running"))] * len(rest))


def _tell(batch: list[Waiting], answers: list[Answer]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if not future.done():
            future.set_result(answer)
