"""The databases of services in SQLite: cursors, and the tables of the service itself."""

from pathlib import Path

from innkeeper.protocol.ports.subscriptions import EventLog, SubscriptionRequest
from innkeeper.storage.sqlite.cursors import Migration, SqliteCursorRows, open_service
from innkeeper.storage.sqlite.outbox import SqliteOutbox, create_outbox
from innkeeper.storage.sqlite.webhook_store import SqliteWebhookStore, create_webhook_store
from innkeeper.storage.stored_cursor import StoredCursor


class SqliteServiceStore:
    """Implements `protocol.ports.service_store.ServiceStore`."""

    def __init__(self, path: Path, *migrations: Migration) -> None:
        """Opens the file, or creates it with the tables of these migrations."""
        self._db = open_service(path, *migrations)

    def open_cursor(self, request: SubscriptionRequest, log_name: str, log: EventLog) -> StoredCursor:
        """See `ServiceStore`."""
        return StoredCursor(SqliteCursorRows(self._db, request.name, log_name), request, log_name, log)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()


class SqliteNotificationStore(SqliteServiceStore):
    """Implements `protocol.ports.service_store.NotificationStore`. `relay` is the subscriber that dead letters name."""

    def __init__(self, path: Path, relay: str) -> None:
        super().__init__(path, create_outbox)
        self.outbox = SqliteOutbox(self._db, relay)


class SqliteDeliveryStore(SqliteServiceStore):
    """Implements `protocol.ports.service_store.DeliveryStore`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, create_webhook_store)
        self.webhooks = SqliteWebhookStore(self._db)
