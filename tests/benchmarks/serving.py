"""Serves a contestant other than Innkeeper: on uvloop, on a free loopback port, until SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web


async def _serve(make: Callable[[], Awaitable[web.Application]], ready: Callable[[], str]) -> None:
    runner = web.AppRunner(await make(), access_log=None)
    await runner.setup()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]} {ready()}", file=sys.stderr, flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


def serve(make: Callable[[], Awaitable[web.Application]], ready: Callable[[], str] = str) -> None:
    """Serve the application of `make`; the first line on stderr is the URL and the text of `ready`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(make, ready))
