"""Effects of a subscriber under test: the events that it has handled, stored as deliveries of a webhook per hotel.

They go through the ports of a service's store alone, so that they are effects in any storage engine.
"""

from innkeeper.protocol.delivery.webhooks import DeliveryAttempt, ListDeliveries
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.service_store import DeliveryStore

_EVENTS_MAX = 1_000_000


class HandledEvents:
    """The events that were handled, in order."""

    def __init__(self, store: DeliveryStore) -> None:
        self._store = store

    def add(self, record: RecordedEvent) -> None:
        """Record that this event was handled. To be called by an `Effects`."""
        self._store.webhooks.note(
            DeliveryAttempt(
                webhook=record.hotel, event=record.id, type="", at=0, attempt=1, status=200, error="", milliseconds=0,
                excerpt="",
            )
        )  # fmt: skip

    def of(self, hotel: str) -> list[str]:
        """The ids of a hotel's events that were handled."""
        found = self._store.webhooks.deliveries(ListDeliveries(hotel, _EVENTS_MAX))
        return [delivery.event for delivery in reversed(found.deliveries)]
