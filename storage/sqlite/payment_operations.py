"""The operations for payment providers, in the database of delivery beside its cursors."""

from collections.abc import Sequence

import sqlite_utils
from innkeeper.protocol.ports.payment_operations import DueOperation, PaymentOperation
from innkeeper.protocol.ports.subscriptions import DeadLetter
from innkeeper.storage.sqlite.checked_tables import CheckedDatabase, checked_rows, create_table

_FIRST_OF_PAYMENT = """NOT EXISTS (
    SELECT 1 FROM payment_operations AS earlier
    WHERE earlier.payment = one.payment AND earlier.hotel = one.hotel AND earlier.number < one.number
)"""


def create_payment_operations(db: sqlite_utils.Database) -> None:
    """Creates the tables; a migration."""
    create_table(
        db,
        "payment_operations",
        {
            "number": "INTEGER PRIMARY KEY", "event": "TEXT NOT NULL UNIQUE", "hotel": "TEXT NOT NULL",
            "sequence": "INTEGER NOT NULL", "type": "TEXT NOT NULL", "payment": "TEXT NOT NULL", "due_at": "INTEGER",
            "attempts": "INTEGER NOT NULL DEFAULT 0", "reason": "TEXT NOT NULL DEFAULT ''",
            "since": "INTEGER NOT NULL DEFAULT 0",
        },
    )  # fmt: skip
    create_table(db, "providers", {"paused": "INTEGER NOT NULL"})
    for statement in (
        "CREATE INDEX payment_operations_payment ON payment_operations (payment, number)",
        "CREATE INDEX payment_operations_due ON payment_operations (due_at)",
        "INSERT INTO providers VALUES (0)",
    ):
        db.execute(statement)


class SqlitePaymentOperations:
    """Implements `protocol.ports.payment_operations.PaymentOperations` in SQLite. Dead letters have no `due_at`."""

    def __init__(self, db: CheckedDatabase, name: str) -> None:
        """`name` is the subscriber that its dead letters name."""
        self._db = db
        self._name = name

    def add(self, operations: Sequence[PaymentOperation]) -> None:
        """See `PaymentOperations`."""
        with self._db.atomic():
            self._db.conn.executemany(
                "INSERT OR IGNORE INTO payment_operations (event, hotel, sequence, type, payment, due_at)"
                " VALUES (?,?,?,?,?,0)",
                [(one.event, one.hotel, one.sequence, one.type, one.payment) for one in operations],
            )

    def due(self, at: int, limit: int) -> list[DueOperation]:
        """See `PaymentOperations`."""
        query = f"""
            SELECT * FROM payment_operations AS one WHERE due_at <= ? AND {_FIRST_OF_PAYMENT} ORDER BY number LIMIT ?
            """
        return [
            DueOperation(PaymentOperation(event, hotel, sequence, type_, payment), attempts, since)
            for _, event, hotel, sequence, type_, payment, _, attempts, _, since in checked_rows(
                self._db, query, (at, limit)
            )
        ]

    def next_due_at(self) -> int | None:
        """See `PaymentOperations`."""
        query = f"SELECT min(due_at) FROM payment_operations AS one WHERE due_at IS NOT NULL AND {_FIRST_OF_PAYMENT}"
        found: int | None = self._db.execute(query).fetchone()[0]
        return found

    def count(self) -> tuple[int, int]:
        """See `PaymentOperations`."""
        waiting, everything = self._db.execute("SELECT count(due_at), count(*) FROM payment_operations").fetchone()
        return waiting, everything - waiting

    def mark_done(self, event: str) -> None:
        """See `PaymentOperations`."""
        self._db.execute("DELETE FROM payment_operations WHERE event = ?", (event,))

    def mark_failed(self, event: str, reason: str, at: int, retry_at: int | None) -> None:
        """See `PaymentOperations`."""
        self._db.execute(
            "UPDATE payment_operations SET due_at = ?, reason = ?, attempts = attempts + 1,"
            " since = CASE since WHEN 0 THEN ? ELSE since END WHERE event = ?",
            (retry_at, reason, at, event),
        )

    @property
    def paused(self) -> bool:
        """See `PaymentOperations`."""
        ((paused,),) = checked_rows(self._db, "SELECT * FROM providers")
        return bool(paused)

    def pause(self, paused: bool) -> None:
        """See `PaymentOperations`."""
        self._db.execute("UPDATE providers SET paused = ?", (paused,))

    def dead_letters(self) -> list[DeadLetter]:
        """See `PaymentOperations`."""
        return self._dead("ORDER BY since, number")

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """See `PaymentOperations`."""
        found = self._dead("AND event = ?", event)
        if not found:
            return None
        if drop:
            self.mark_done(event)
        else:
            change = "UPDATE payment_operations SET due_at = 0, attempts = 0, since = 0 WHERE event = ?"
            self._db.execute(change, (event,))
        return found[0]

    def _dead(self, which: str, *values: str) -> list[DeadLetter]:
        rows = checked_rows(self._db, f"SELECT * FROM payment_operations WHERE due_at IS NULL {which}", values)
        return [
            DeadLetter(self._name, hotel, event, type_, reason, "", attempts, since, None)
            for _, event, hotel, _, type_, _, _, attempts, reason, since in rows
        ]
