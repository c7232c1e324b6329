"""The databases of services in memory: cursors, kept replies, and the tables of the service itself."""

from contextlib import AbstractContextManager

from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.ports.payment_operations import PROVIDERS
from innkeeper.protocol.ports.subscriptions import EventLog, SubscriptionRequest
from innkeeper.storage.memory.cursors import MemoryCursorRows
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.event_outbox import MemoryEventOutbox
from innkeeper.storage.memory.outbox import MemoryOutbox
from innkeeper.storage.memory.payment_operations import MemoryPaymentOperations
from innkeeper.storage.memory.webhook_store import MemoryWebhookStore
from innkeeper.storage.stored_cursor import StoredCursor


class MemoryServiceStore:
    """Implements `protocol.ports.service_store.ServiceStore`."""

    is_erasing = False

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._replies = database.table("replies")

    def open_cursor(self, request: SubscriptionRequest, log_name: str, log: EventLog) -> StoredCursor:
        """See `ServiceStore`."""
        return StoredCursor(MemoryCursorRows(self._database, request.name, log_name), request, log_name, log)

    def transaction(self) -> AbstractContextManager[object]:
        """See `ServiceStore`."""
        return self._database.transaction()

    def check_lock(self) -> None:
        """See `ServiceStore`."""

    async def sync(self) -> None:
        """See `ServiceStore`; nothing here outlives the process."""

    async def finish_erasing(self) -> None:
        """See `ServiceStore`."""

    def kept_reply(self, key: str) -> StoredReply | None:
        """See `ServiceStore`."""
        kept: StoredReply | None = self._replies.get(key)
        return kept

    def keep_reply(self, reply: StoredReply) -> None:
        """See `ServiceStore`."""
        self._replies[reply.key] = reply

    def remove_replies(self, before: int, limit: int) -> None:
        """See `ServiceStore`."""
        old = sorted((reply.at, key) for key, reply in self._replies.items() if reply.at < before)
        for _, key in old[:limit]:
            del self._replies[key]


class MemoryNotificationStore(MemoryServiceStore):
    """Implements `protocol.ports.service_store.NotificationStore`. `relay` is the subscriber that dead letters name."""

    def __init__(self, database: MemoryDatabase, relay: str) -> None:
        super().__init__(database)
        self.outbox = MemoryOutbox(database, relay)


class MemoryDeliveryStore(MemoryServiceStore):
    """Implements `protocol.ports.service_store.DeliveryStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.webhooks = MemoryWebhookStore(database)
        self.event_outbox = MemoryEventOutbox(database)
        self.payment_operations = MemoryPaymentOperations(database, PROVIDERS)
