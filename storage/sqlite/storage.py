"""Everything that an installation stores, as SQLite files of its data directory."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path

from innkeeper.protocol.ports.journal import JournalError, JournalRolledBack
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values.contexts import RESERVATIONS, context_of
from innkeeper.protocol.values.installation import Installation
from innkeeper.storage.data_directory import INBOX_ENDING, DataDirectory
from innkeeper.storage.key_file import create_key, read_key
from innkeeper.storage.sqlite.checked_tables import check_file
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.histories import differences, head_faults, older_copies, opened_logs
from innkeeper.storage.sqlite.inbox import SqliteInbox
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.journal_head import HeadFile, is_lost
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from innkeeper.storage.sqlite.service_store import SqliteDeliveryStore, SqliteNotificationStore, SqliteServiceStore
from innkeeper.storage.sqlite.stamps import MAKE_AGAIN, RESTORE, check_stamp, made_file, stamp


class SqliteStorage:
    """Implements `protocol.ports.storage.Storage` with the files of one data directory."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def installation(self, name: str | None = None, partitions: int | None = None) -> Installation:
        """See `Storage`."""
        return self._data.installation(name, partitions)

    def journals(self) -> set[str]:
        """See `Storage`."""
        return set(self._data.journals())

    def locator_key(self) -> bytes:
        """See `Storage`."""
        path = self._data.locator_key
        journals = [log for log in self.journals() if context_of(log) == RESERVATIONS]  # looked for before the key,
        if not path.exists():  # because another process may make the key and then a journal at this moment
            if journals:
                raise JournalError(f"{path}, the key of the locators, is missing; restore it from the backup")
            create_key(path, self.installation().id)
        return read_key(path, self.installation().id)

    def journal(self, log: str) -> SqliteJournal:
        """See `Storage`."""
        path = self._data.journal(log)
        if is_lost(path):
            raise JournalRolledBack(
                f"{path} is missing, but was there before; {RESTORE}, or go on without it with `innkeeper"
                " accept-rollback`"
            )
        return SqliteJournal(self._stamped(path), HeadFile(path))

    def journal_as_found(self, log: str) -> SqliteJournal:
        """See `Storage`."""
        return SqliteJournal(check_stamp(self._data.journal(log), self.installation().id))

    def differences(self) -> list[str]:
        """See `Storage`."""
        for path in self._data.databases():
            check_file(path, MAKE_AGAIN if path.name.endswith(INBOX_ENDING) else RESTORE)
        with opened_logs(self._data) as logs:
            faults = [*head_faults(self._data, logs), *older_copies(self._data).values()]
            return [*faults, *differences(self._data, logs)]

    def event_log(self, log: str) -> AbstractContextManager[SqliteEventLog]:
        """See `Storage`."""
        path = check_stamp(self._data.journal(log), self.installation().id)
        return closing(SqliteEventLog(path))

    def views(self, log: str, events: EventLog) -> AbstractContextManager[SqliteReadModels]:
        """See `Storage`."""
        make = partial(stamp, installation=self.installation().id, remedy=MAKE_AGAIN)
        return closing(SqliteReadModels(self._data.views(log), log, events, make))

    def service_store(self, name: str) -> AbstractContextManager[SqliteServiceStore]:
        """See `Storage`."""
        path = self._stamped(self._data.service(name))
        return closing(SqliteServiceStore(path, changes=made_file(path)))

    def notification_store(self, name: str, relay: str) -> AbstractContextManager[SqliteNotificationStore]:
        """See `Storage`."""
        path = self._stamped(self._data.service(name))
        return closing(SqliteNotificationStore(path, relay, made_file(path)))

    def delivery_store(self, name: str) -> AbstractContextManager[SqliteDeliveryStore]:
        """See `Storage`."""
        path = self._stamped(self._data.service(name))
        return closing(SqliteDeliveryStore(path, made_file(path)))

    def inbox(self, name: str, logs: Mapping[str, EventLog]) -> SqliteInbox:
        """See `Storage`."""
        return SqliteInbox(self._stamped(self._data.inbox(name), MAKE_AGAIN), logs)

    def _stamped(self, path: Path, remedy: str = RESTORE) -> Path:
        return stamp(path, self.installation().id, remedy)
