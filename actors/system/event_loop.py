"""The event loop of a process: uvloop where it is installed, else the standard library's."""

import asyncio
import signal
from collections.abc import Callable, Coroutine


def run_async(work: Coroutine[object, object, None]) -> None:
    """Runs the coroutine in a new event loop."""
    try:
        import uvloop

        loops: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        loops = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loops) as runner:
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
