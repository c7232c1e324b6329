"""Waiting for a condition, with a limit."""

import asyncio
from collections.abc import Callable
from time import monotonic, sleep


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition is true; fails if it takes longer than this."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"it did not happen in {seconds} s"
        sleep(0.02)


async def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait in the event loop until the condition is true; fails if it takes longer than this."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (it comes from another task)
            await asyncio.sleep(0.05)
