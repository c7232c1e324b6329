"""Keeps the inbox of a service bounded: removes the events that all its subscribers have handled, once they are old."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from innkeeper.actors.subscriptions.background_task import ListedTask
from innkeeper.protocol.ports.inbox import Inbox
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)


async def keep_trimmed(inbox: Inbox, tasks: Mapping[str, ListedTask], clock: Callable[[], int]) -> None:
    """Trims the inbox now and then, until cancelled. A failure is logged; the next attempt is the next trim."""
    while True:
        await asyncio.sleep(limits.inbox_trim_seconds)
        before = clock() - limits.inbox_kept_seconds * 1_000_000
        try:
            await asyncio.to_thread(inbox.trim, handled_positions(inbox, tasks), before)
        except Exception:
            logger.exception("an inbox could not be trimmed")


def handled_positions(inbox: Inbox, tasks: Mapping[str, ListedTask]) -> dict[str, int]:
    """Returns the position in each log of the inbox up to which all subscribers have handled it: none while a hotel is
    parked or waits, because its events are still needed."""
    states = [state for task in tasks.values() if (state := task.state()).positions]
    if not states or any(state.parked or state.waiting for state in states):
        return {}
    return {log: min(state.positions.get(log, 0) for state in states) for log in inbox.logs}
