"""The event loop of a process: uvloop where it is installed, else the standard library's."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

from innkeeper.actors.system.garbage_collector import freeze_startup_objects

_WAITING_THREADS_MAX = 32  # they only wait, for disks, locks and other processes, and are made as they are needed


def run_async(work: Coroutine[object, object, None]) -> None:
    """Runs the coroutine in a new event loop."""
    try:
        import uvloop

        loops: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        loops = asyncio.new_event_loop

    def make_loop() -> asyncio.AbstractEventLoop:
        loop = loops()
        loop.set_default_executor(ThreadPoolExecutor(_WAITING_THREADS_MAX, "waiting"))
        return loop

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(work)


def stop_requested() -> asyncio.Event:
    """Returns an event that is set by SIGTERM and SIGINT, which do not end the process any more."""
    requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, requested.set)
    return requested


async def first_of(*waits: Coroutine[object, object, object]) -> None:
    """Waits until one of these is done, and cancels the others; raises what it raises."""
    waiting = {asyncio.create_task(wait) for wait in waits}
    done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.result()


async def wait_for_stop(ready: str, failed: Coroutine[object, object, object]) -> None:
    """Prints that all is ready, and waits for SIGTERM or Ctrl-C; raises what `failed` raises before that."""
    freeze_startup_objects()
    stop = stop_requested()  # before a reader of the message can send a signal
    print(ready, file=sys.stderr)
    await first_of(stop.wait(), failed)
    print("Finishing what was accepted …", file=sys.stderr)
