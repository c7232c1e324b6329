"""Asks something of the event loop of another thread."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from innkeeper.protocol.messages.refusals import Refused, Unavailable

T = TypeVar("T")


async def in_loop_of(loop: asyncio.AbstractEventLoop, answer: Coroutine[Any, Any, T], what: str) -> T:
    """Runs a coroutine in the loop of `what`, and returns its result. Raises Refused where that loop has ended."""
    try:
        answered = asyncio.run_coroutine_threadsafe(answer, loop)
    except RuntimeError:
        answer.close()
        raise Refused(Unavailable(f"{what} is not running")) from None
    return await asyncio.wrap_future(answered)
