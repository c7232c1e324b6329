"""The stores of services: each service has a database of its own, with the cursors of its subscribers."""

from typing import Protocol

from innkeeper.protocol.ports.outbox import Outbox
from innkeeper.protocol.ports.subscriptions import Cursor, EventLog, SubscriptionRequest
from innkeeper.protocol.ports.webhook_store import WebhookStore


class ServiceStore(Protocol):
    """The database of a service. For the thread that opened it.

    What an `Effects` writes through the store while a cursor of the same store moves (see `Cursor.move`) is on disk
    together with the new position, or not at all."""

    def open_cursor(self, request: SubscriptionRequest, log_name: str, log: EventLog) -> Cursor:
        """Opens the cursor of the request's subscriber in this log, or creates it."""


class NotificationStore(ServiceStore, Protocol):
    """The database of notifications."""

    @property
    def outbox(self) -> Outbox:
        """The notices, and what is known of their hotels and bookings."""


class DeliveryStore(ServiceStore, Protocol):
    """The database of delivery."""

    @property
    def webhooks(self) -> WebhookStore:
        """The endpoints with their secrets, state and latest attempts."""
