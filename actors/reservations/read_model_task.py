"""Keeps the read models of a partition near the end of its log, in a thread of the pool.

Readers need none of it: they catch up with what they have to reflect. It spares them the wait.
"""

import asyncio
from collections.abc import Callable

from innkeeper.actors.subscriptions.background_task import BackgroundTask
from innkeeper.actors.subscriptions.load_meter import LoadMeter
from innkeeper.protocol.ports.views import FollowingViews
from innkeeper.protocol.values.limits import erasing_retry_seconds


class ReadModelTask(BackgroundTask):
    """The background task of the read models of one log."""

    gather_seconds = 1.0

    def __init__(self, log: str, views: FollowingViews, clock: Callable[[], int], load: LoadMeter) -> None:
        super().__init__(f"the read models of {log}", clock, load)
        self._views = views

    async def step(self) -> bool:
        """See `BackgroundTask`."""
        return await asyncio.to_thread(self._views.follow)

    def due_at(self) -> int | None:
        """See `BackgroundTask`."""
        return self.clock() + round(erasing_retry_seconds * 1e6) if self._views.is_erasing else None
