"""The event loop of a process: uvloop where it is installed, else the standard library's."""

import asyncio
from collections.abc import Callable, Coroutine


def run_async(work: Coroutine[object, object, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop

        loops: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        loops = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(work)
