"""The outbox of events, in the database of their service."""

import sqlite_utils
from innkeeper.protocol.codec import wire
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.storage.sqlite.checked_tables import CheckedDatabase, checked_rows, create_table


def create_event_outbox(db: sqlite_utils.Database) -> None:
    """Creates the table; a migration."""
    create_table(
        db,
        "unpublished_events",
        {
            "number": "INTEGER PRIMARY KEY AUTOINCREMENT", "id": "TEXT NOT NULL UNIQUE", "at": "INTEGER NOT NULL",
            "hotel": "TEXT NOT NULL", "type": "TEXT NOT NULL", "body": "BLOB NOT NULL", "cause": "TEXT NOT NULL",
        },
    )  # fmt: skip


class SqliteEventOutbox:
    """Implements `protocol.ports.event_outbox.EventOutbox` in SQLite."""

    def __init__(self, db: CheckedDatabase) -> None:
        self._db = db

    def add(self, new: UnpublishedEvent) -> None:
        """See `EventOutbox`."""
        self._db.execute(
            "INSERT INTO unpublished_events (id, at, hotel, type, body, cause) VALUES (?,?,?,?,?,?)",
            (new.id, new.at, new.hotel, *wire.encode_event(new.event), new.cause),
        )

    def oldest(self, limit: int) -> list[UnpublishedEvent]:
        """See `EventOutbox`."""
        rows = checked_rows(self._db, "SELECT * FROM unpublished_events ORDER BY number LIMIT ?", (limit,))
        return [
            UnpublishedEvent(id_, at, hotel, wire.decode_event(type_, body), cause)
            for _, id_, at, hotel, type_, body, cause in rows
        ]

    def remove(self, id_: str) -> None:
        """See `EventOutbox`."""
        self._db.execute("DELETE FROM unpublished_events WHERE id = ?", (id_,))
