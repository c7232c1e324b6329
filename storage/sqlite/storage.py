"""Everything that an installation stores, as SQLite files of its data directory."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path

from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.inbox import SqliteInbox
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from innkeeper.storage.sqlite.service_store import SqliteDeliveryStore, SqliteNotificationStore, SqliteServiceStore


class SqliteStorage:
    """Opens the files of one data directory; each caller closes what it has opened."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def journal(self, path: Path) -> SqliteJournal:
        """Opens this journal to write."""
        return SqliteJournal(path)

    def event_log(self, path: Path) -> AbstractContextManager[SqliteEventLog]:
        """Opens this journal to read."""
        return closing(SqliteEventLog(path))

    def read_models(self, partition: int, log: str) -> SqliteReadModels:
        """Opens the read models of a partition of reservations; `log` is the name of its log."""
        return SqliteReadModels(self._data.views(partition), self._data.journal(partition), log)

    def service_store(self, name: str) -> AbstractContextManager[SqliteServiceStore]:
        """Opens the database of this service."""
        return closing(SqliteServiceStore(self._data.service(name)))

    def notification_store(self, name: str, relay: str) -> AbstractContextManager[SqliteNotificationStore]:
        """Opens the database of notifications; `relay` is the subscriber that dead letters name."""
        return closing(SqliteNotificationStore(self._data.service(name), relay))

    def delivery_store(self, name: str) -> AbstractContextManager[SqliteDeliveryStore]:
        """Opens the database of delivery."""
        return closing(SqliteDeliveryStore(self._data.service(name)))

    def inbox(self, name: str, logs: Mapping[str, EventLog]) -> SqliteInbox:
        """Opens the inbox of this service for events of these logs, from which it reads what the broker misses."""
        return SqliteInbox(self._data.inbox(name), logs)
