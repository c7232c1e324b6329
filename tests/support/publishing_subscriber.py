"""A subscriber that publishes the events of a log in memory to a broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.delivery.brokers.selection import publisher
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.service_store import MemoryServiceStore
from support.installations import INSTALLATION
from support.recording_subscriber import GrowingLog


class PublishingSubscriber:
    """Publishes to a broker what is appended to its log."""

    def __init__(self, url: str) -> None:
        self.at = 0
        self.log = GrowingLog()
        self.publisher = publisher(url, INSTALLATION)
        request = SubscriptionRequest("broker", EVERY_EVENT)
        cursor = MemoryServiceStore(MemoryDatabase()).open_cursor(request, RESERVATIONS, self.log)
        self.subscriber = Subscriber([cursor], self.publisher.handle, lambda: self.at)

    def append(self, hotel: str, size: int = 3) -> None:
        """Append an event of this hotel, with so many characters."""
        self.log.append(hotel, BookingPinned("b", "1" * size))

    async def publish(self) -> None:
        """Publish all that can be published now."""
        while await self.subscriber.step():
            pass


@asynccontextmanager
async def publishing_subscriber(url: str) -> AsyncIterator[PublishingSubscriber]:
    """A subscriber that publishes to the broker at this URL; disconnects at the end."""
    made = PublishingSubscriber(url)
    try:
        yield made
    finally:
        await made.publisher.close()
