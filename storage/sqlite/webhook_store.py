"""Webhooks in the delivery service's database, beside their cursors: secrets, state, and the latest attempts."""

import msgspec
import sqlite_utils
from innkeeper.protocol.delivery.webhooks import (
    DeliveriesReply,
    DeliveryAttempt,
    ListDeliveries,
    SigningSecret,
    Webhook,
)
from innkeeper.protocol.values.limits import position_max, webhook_deliveries_kept_max
from innkeeper.storage.sqlite.checked_tables import CheckedDatabase, checked_rows, create_table
from innkeeper.storage.sqlite.sealing import Seal

_pack = msgspec.msgpack.encode
_unpack_webhook = msgspec.msgpack.Decoder(Webhook).decode
_unpack_secrets = msgspec.msgpack.Decoder(tuple[SigningSecret, ...]).decode
_unpack_delivery = msgspec.msgpack.Decoder(DeliveryAttempt).decode
_DELETE_EVERY = 100


def create_webhook_store(db: sqlite_utils.Database) -> None:
    """Creates the tables; a migration."""
    create_table(db, "webhooks", {"id": "TEXT PRIMARY KEY", "body": "BLOB NOT NULL", "secrets": "BLOB NOT NULL"})
    create_table(
        db,
        "deliveries",
        {
            "number": "INTEGER PRIMARY KEY AUTOINCREMENT", "webhook": "TEXT NOT NULL", "failed": "INTEGER NOT NULL",
            "body": "BLOB NOT NULL",
        },
    )  # fmt: skip
    db.execute("CREATE INDEX deliveries_of ON deliveries (webhook, number)")


class SqliteWebhookStore:
    """Implements `protocol.ports.webhook_store.WebhookStore` in SQLite. The secrets are sealed."""

    def __init__(self, db: CheckedDatabase, seal: Seal) -> None:
        self._db = db
        self._seal = seal

    def all(self) -> list[tuple[Webhook, tuple[SigningSecret, ...]]]:
        """See `WebhookStore`."""
        rows = checked_rows(self._db, "SELECT * FROM webhooks ORDER BY id")
        return [
            (_unpack_webhook(body), _unpack_secrets(self._seal.open(secrets, webhook.encode())))
            for webhook, body, secrets in rows
        ]

    def put(self, webhook: Webhook, secrets: tuple[SigningSecret, ...]) -> None:
        """See `WebhookStore`."""
        row = (webhook.id, _pack(webhook), self._seal.seal(_pack(secrets), webhook.id.encode()))
        self._db.execute("INSERT OR REPLACE INTO webhooks VALUES (?,?,?)", row)

    def remove(self, webhook: str) -> None:
        """See `WebhookStore`."""
        with self._db.atomic():
            self._db.execute("DELETE FROM webhooks WHERE id = ?", (webhook,))
            self._db.execute("DELETE FROM deliveries WHERE webhook = ?", (webhook,))

    def note(self, delivery: DeliveryAttempt) -> DeliveryAttempt:
        """See `WebhookStore`."""
        row = (delivery.webhook, bool(delivery.error), _pack(delivery))
        cursor = self._db.execute("INSERT INTO deliveries (webhook, failed, body) VALUES (?,?,?)", row)
        number = int(cursor.lastrowid or 0)
        if number % _DELETE_EVERY == 0:
            self._delete_old(delivery.webhook)
        return msgspec.structs.replace(delivery, number=number)

    def _delete_old(self, webhook: str) -> None:
        self._db.execute(
            "DELETE FROM deliveries WHERE webhook = :webhook AND number <="
            " (SELECT number FROM deliveries WHERE webhook = :webhook ORDER BY number DESC LIMIT 1 OFFSET :kept)",
            {"webhook": webhook, "kept": webhook_deliveries_kept_max},
        )

    def deliveries(self, request: ListDeliveries) -> DeliveriesReply:
        """See `WebhookStore`."""
        limit = request.limit
        query = "SELECT * FROM deliveries WHERE webhook = ? AND number < ? AND failed >= ? ORDER BY number DESC LIMIT ?"
        before = position_max if request.before is None else request.before
        rows = [*checked_rows(self._db, query, (request.webhook, before, request.failed, limit + 1))]
        found = (msgspec.structs.replace(_unpack_delivery(body), number=number) for number, _, _, body in rows[:limit])
        return DeliveriesReply(tuple(found), len(rows) > limit)
