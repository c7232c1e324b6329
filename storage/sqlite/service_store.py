"""The databases of services in SQLite: cursors, kept replies, and the tables of the service itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import sqlite_utils
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.ports.payment_operations import PROVIDERS
from innkeeper.protocol.ports.subscriptions import EventLog, SubscriptionRequest
from innkeeper.storage.sqlite.changes_file import ChangesFile
from innkeeper.storage.sqlite.checked_tables import NO_ROWID, checked_rows, create_table
from innkeeper.storage.sqlite.cursors import SqliteCursorRows, open_service
from innkeeper.storage.sqlite.event_outbox import SqliteEventOutbox, create_event_outbox
from innkeeper.storage.sqlite.outbox import SqliteOutbox, create_outbox
from innkeeper.storage.sqlite.payment_operations import SqlitePaymentOperations, create_payment_operations
from innkeeper.storage.sqlite.schema import Migration, check_lock, close_writer, closed_on_failure, never_wait
from innkeeper.storage.sqlite.sealing import Seal
from innkeeper.storage.sqlite.store_connection import StoreConnection
from innkeeper.storage.sqlite.wal_emptying import ANYWHERE, IN_WAL, NOWHERE, WalEmptying
from innkeeper.storage.sqlite.wal_sync import WalSync
from innkeeper.storage.sqlite.webhook_store import SqliteWebhookStore, create_webhook_store
from innkeeper.storage.stored_cursor import StoredCursor

_WRITER_MILLISECONDS_MAX = 1_000  # how long a rewrite of the file waits for the transaction of the event loop


def create_replies(db: sqlite_utils.Database) -> None:
    """Creates the table of kept replies; a migration."""
    create_table(
        db,
        "replies",
        {
            "key": "TEXT PRIMARY KEY", "fingerprint": "BLOB NOT NULL", "reply": "BLOB NOT NULL",
            "at": "INTEGER NOT NULL",
        },
        options=NO_ROWID,
    )  # fmt: skip
    db.execute("CREATE INDEX replies_at ON replies (at)")


class SqliteServiceStore:
    """Implements `protocol.ports.service_store.ServiceStore`. Nothing of guests is in the tables that all services
    have."""

    is_erasing = False

    def __init__(
        self, path: Path, migrations: tuple[Migration, ...] = (create_replies,), changes: Path | None = None
    ) -> None:
        """Opens the file, or creates it with the tables of these migrations. The key of what is sealed in it stands in
        a file beside it, and so does how many changes it has had, where `changes` names that."""
        self._path = path
        self._seal = _seal(path)
        file = None if changes is None else ChangesFile(changes)
        self._db = open_service(path, *migrations, changes=file)
        with closed_on_failure(self._db):
            if self._db.execute("SELECT EXISTS (SELECT 1 FROM replies)").fetchone()[0]:
                self._seal.check()
            self._syncing = WalSync(path, self._db, file)

    def open_cursor(self, request: SubscriptionRequest, log_name: str, log: EventLog) -> StoredCursor:
        """See `ServiceStore`."""
        return StoredCursor(SqliteCursorRows(self._db, request.name, log_name), request, log_name, log)

    def transaction(self) -> AbstractContextManager[object]:
        """See `ServiceStore`."""
        return self._db.atomic()

    def check_lock(self) -> None:
        """See `ServiceStore`."""
        check_lock(self._path, self._db.conn)

    async def sync(self) -> None:
        """See `ServiceStore`."""
        await self._syncing.sync()

    async def finish_erasing(self) -> None:
        """See `ServiceStore`."""

    def kept_reply(self, key: str) -> StoredReply | None:
        """See `ServiceStore`."""
        for _, fingerprint, sealed, at in checked_rows(self._db, "SELECT * FROM replies WHERE key = ?", (key,)):
            return StoredReply(key, fingerprint, self._seal.open(sealed, key.encode()), at)
        return None

    def keep_reply(self, reply: StoredReply) -> None:
        """See `ServiceStore`."""
        sealed = self._seal.seal(reply.reply, reply.key.encode())
        self._db.execute("INSERT INTO replies VALUES (?,?,?,?)", (reply.key, reply.fingerprint, sealed, reply.at))

    def remove_replies(self, before: int, limit: int) -> None:
        """See `ServiceStore`."""
        oldest = "SELECT key FROM replies WHERE at < ? ORDER BY at LIMIT ?"
        self._db.execute(f"DELETE FROM replies WHERE key IN ({oldest})", (before, limit))

    def close(self) -> None:
        """Closes the file."""
        try:
            self._syncing.close()
        finally:
            close_writer(self._db.conn)


class SqliteNotificationStore(SqliteServiceStore):
    """Implements `protocol.ports.service_store.NotificationStore`. `relay` is the subscriber that dead letters name."""

    def __init__(self, path: Path, relay: str, changes: Path | None = None) -> None:
        super().__init__(path, (create_outbox, create_replies), changes)
        self.outbox = SqliteOutbox(self._db, relay)
        self._wal_emptying = WalEmptying(path)

    @property
    def is_erasing(self) -> bool:  # type: ignore[override]
        """See `ServiceStore`."""
        return self.outbox.unerased != NOWHERE

    async def finish_erasing(self) -> None:
        """See `ServiceStore`."""
        if await self._syncing.in_thread(self._wal_emptying.is_in_vain):
            return
        if self.outbox.unerased == ANYWHERE:
            await self._has_erased(self._rewrite, IN_WAL)
        if self.outbox.unerased == IN_WAL:
            await self._has_erased(self._wal_emptying.empty, NOWHERE)

    async def _has_erased(self, erase: Callable[[StoreConnection], bool], unerased: int) -> None:
        """Erases, in a thread, and notes where something is left; unless more was to be erased meanwhile."""
        erasures = self.outbox.erasures
        if await self._syncing.in_thread(erase) and self.outbox.erasures == erasures:
            self.outbox.note_unerased(unerased)

    def _rewrite(self, db: StoreConnection) -> bool:
        db.execute(f"PRAGMA busy_timeout = {_WRITER_MILLISECONDS_MAX}")
        try:
            db.execute("VACUUM")
        finally:
            never_wait(db)
        return True


class SqliteDeliveryStore(SqliteServiceStore):
    """Implements `protocol.ports.service_store.DeliveryStore`."""

    def __init__(self, path: Path, changes: Path | None = None) -> None:
        steps = create_webhook_store, create_event_outbox, create_payment_operations, create_replies
        super().__init__(path, steps, changes)
        self.webhooks = SqliteWebhookStore(self._db, self._seal)
        self.event_outbox = SqliteEventOutbox(self._db)
        self.payment_operations = SqlitePaymentOperations(self._db, PROVIDERS)


def _seal(path: Path) -> Seal:
    return Seal(path.with_suffix(".key"))
