"""What is asked of the event loop of another thread is refused once that loop has ended."""

import asyncio
import threading

import pytest
from innkeeper.actors.subscriptions.other_loops import in_loop_of
from innkeeper.protocol.messages.refusals import Refused, Unavailable


async def answer() -> int:
    """The answer."""
    return 42


def test_a_running_loop_answers_and_one_that_has_ended_refuses() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert asyncio.run(in_loop_of(loop, answer(), "billing")) == 42
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    with pytest.raises(Refused) as refused:
        asyncio.run(in_loop_of(loop, answer(), "billing"))
    assert refused.value.refusal == Unavailable("billing is not running")
