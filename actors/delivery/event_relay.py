"""Publishes the events in the outbox of a service: each once, when the change that it reports is on disk."""

from collections.abc import Awaitable, Callable

from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.actors.subscriptions.background_task import BackgroundTask
from innkeeper.protocol.ports.event_outbox import EventOutbox, UnpublishedEvent

_BATCH_EVENTS = 100


class EventRelay(BackgroundTask):
    """The background task that publishes what is in the outbox. `sync` brings the outbox, and the changes beside it, to
    disk. An event that was published, but not removed, is known by its id."""

    follows_events = False

    def __init__(
        self, outbox: EventOutbox, sync: Callable[[], Awaitable[None]], writer: EventWriter, clock: Callable[[], int]
    ) -> None:
        super().__init__("event-relay", clock)
        self._outbox = outbox
        self._sync = sync
        self._writer = writer

    def publish(self, new: UnpublishedEvent) -> None:
        """Has this event published, once the transaction in which this is called is on disk."""
        self._outbox.add(new)
        self.notify()

    async def step(self) -> bool:
        """Publishes the oldest events; returns whether there were any."""
        oldest = self._outbox.oldest(_BATCH_EVENTS)
        if not oldest:
            return False
        await self._sync()
        for one in oldest:
            self._writer.publish(one)
            self._outbox.remove(one.id)
        return True

    def due_at(self) -> None:
        """See `BackgroundTask`: there is no work without a notification."""
