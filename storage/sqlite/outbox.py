"""The outbox of notifications, in its service's database beside its cursor."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlite_utils
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import DueNotice
from innkeeper.protocol.ports.subscriptions import DeadLetter
from innkeeper.storage.sqlite.checked_tables import NO_ROWID, CheckedDatabase, checked_rows, create_table

_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.Decoder(Notice).decode
_IDS_PER_STATEMENT = 500  # below the limit of SQLite
_BODY, _ATTEMPTS = 4, 6  # columns of a notice


def create_outbox(db: sqlite_utils.Database) -> None:
    """Creates the tables; a migration."""
    create_table(db, "hotels", {"id": "TEXT PRIMARY KEY", "body": "BLOB NOT NULL"})
    create_table(db, "bookings", {"id": "TEXT PRIMARY KEY", "body": "BLOB NOT NULL"}, options=NO_ROWID)
    create_table(
        db,
        "notices",
        {
            "number": "INTEGER PRIMARY KEY", "id": "TEXT NOT NULL UNIQUE", "hotel": "TEXT NOT NULL",
            "address": "TEXT NOT NULL", "body": "BLOB NOT NULL", "due_at": "INTEGER",
            "attempts": "INTEGER NOT NULL DEFAULT 0", "reason": "TEXT NOT NULL DEFAULT ''",
            "since": "INTEGER NOT NULL DEFAULT 0",
        },
    )  # fmt: skip
    create_table(db, "sending", {"paused": "INTEGER NOT NULL"})
    for statement in (
        "CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL",
        "CREATE INDEX notices_dead ON notices (since) WHERE due_at IS NULL",
        "CREATE INDEX notices_tried ON notices (address, number) WHERE attempts > 0 AND due_at IS NOT NULL",
        "INSERT INTO sending VALUES (0)",
    ):
        db.execute(statement)


class SqliteOutbox:
    """Implements `protocol.ports.outbox.Outbox` in SQLite. Sent notices are deleted; dead letters have no `due_at`."""

    def __init__(self, db: CheckedDatabase, name: str) -> None:
        """`name` is the subscriber that its dead letters name."""
        self._db = db
        self._name = name

    def hotels(self, ids: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return self._bodies("hotels", list(ids))

    def bookings(self, ids: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return self._bodies("bookings", list(ids))

    def _bodies(self, table: str, ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), _IDS_PER_STATEMENT):
            part = ids[start : start + _IDS_PER_STATEMENT]
            marks = ",".join("?" * len(part))
            found.update(checked_rows(self._db, f"SELECT * FROM {table} WHERE id IN ({marks})", part))
        return found

    def store(
        self,
        hotels: Mapping[str, bytes],
        bookings: Mapping[str, bytes],
        notices: Sequence[Notice],
        withdrawn: Sequence[str],
    ) -> None:
        """See `Outbox`."""
        conn = self._db.conn
        with self._db.atomic():
            conn.executemany("INSERT OR REPLACE INTO hotels VALUES (?,?)", list(hotels.items()))
            conn.executemany("INSERT OR REPLACE INTO bookings VALUES (?,?)", list(bookings.items()))
            conn.executemany("DELETE FROM notices WHERE id = ?", [(id_,) for id_ in withdrawn])
            conn.executemany(
                "INSERT OR IGNORE INTO notices (id, hotel, address, body, due_at) VALUES (?,?,?,?,?)",
                [(one.id, one.hotel.id, one.recipient.email, _pack(one), one.due_at) for one in notices],
            )

    def due(self, at: int, limit: int) -> list[DueNotice]:
        """See `Outbox`."""
        rows = checked_rows(
            self._db,
            """
            SELECT one.* FROM notices AS one WHERE due_at <= ? AND NOT EXISTS (
                SELECT 1 FROM notices AS earlier WHERE earlier.address = one.address AND earlier.number < one.number
                AND earlier.attempts > 0 AND earlier.due_at > ?
            ) ORDER BY number LIMIT ?
            """,
            (at, at, limit),
        )
        return [DueNotice(_unpack(row[_BODY]), row[_ATTEMPTS]) for row in rows]

    def count(self, at: int) -> tuple[int, int]:
        """See `Outbox`."""
        late, dead = self._db.execute(
            """
            SELECT (SELECT count(*) FROM notices WHERE due_at <= ?), (SELECT count(*) FROM notices WHERE due_at IS NULL)
            """,
            (at,),
        ).fetchone()
        return late, dead

    @property
    def paused(self) -> bool:
        """See `Outbox`."""
        ((paused,),) = checked_rows(self._db, "SELECT * FROM sending")
        return bool(paused)

    def pause(self, paused: bool) -> None:
        """See `Outbox`."""
        self._db.execute("UPDATE sending SET paused = ?", (paused,))

    def next_due_at(self) -> int | None:
        """See `Outbox`."""
        found: int | None = self._db.execute("SELECT min(due_at) FROM notices WHERE due_at IS NOT NULL").fetchone()[0]
        return found

    def mark_sent(self, notice: str) -> None:
        """See `Outbox`."""
        self._db.execute("DELETE FROM notices WHERE id = ?", (notice,))

    def mark_failed(self, notice: str, reason: str, at: int, retry_at: int | None) -> None:
        """See `Outbox`."""
        self._db.execute(
            "UPDATE notices SET due_at = ?, reason = ?, attempts = attempts + 1,"
            " since = CASE since WHEN 0 THEN ? ELSE since END WHERE id = ?",
            (retry_at, reason, at, notice),
        )

    def dead_letters(self) -> list[DeadLetter]:
        """See `Outbox`."""
        rows = checked_rows(self._db, "SELECT * FROM notices WHERE due_at IS NULL ORDER BY since, number")
        return [self._dead_letter(*row) for row in rows]

    def redrive(self, notice: str, drop: bool = False) -> DeadLetter | None:
        """See `Outbox`."""
        query = "SELECT * FROM notices WHERE id = ? AND due_at IS NULL"
        row = next(checked_rows(self._db, query, (notice,)), None)
        if row is None:
            return None
        if drop:
            self.mark_sent(notice)
        else:
            body = _pack(msgspec.structs.replace(_unpack(row[_BODY]), useful_until=0))
            self._db.execute("UPDATE notices SET due_at = 0, attempts = 0, body = ? WHERE id = ?", (body, notice))
        return self._dead_letter(*row)

    def _dead_letter(
        self, _: int, notice: str, hotel: str, __: str, body: bytes, ___: None, attempts: int, reason: str, since: int
    ) -> DeadLetter:
        return DeadLetter(self._name, hotel, notice, _unpack(body).kind.value, reason, "", attempts, since, None)
