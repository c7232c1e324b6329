"""The outbox of notifications, in its service's database beside its cursor."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import sqlite_utils
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import DueNotice, OutboxChanges
from innkeeper.protocol.ports.subscriptions import DeadLetter

_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.Decoder(Notice).decode
_IDS_PER_STATEMENT = 500  # below the limit of SQLite


def create_outbox(db: sqlite_utils.Database) -> None:
    """Creates the tables; a migration."""
    for statement in (
        "CREATE TABLE hotels (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT",
        "CREATE TABLE bookings (id TEXT PRIMARY KEY, guest TEXT NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE INDEX bookings_guest ON bookings (guest)",
        """
        CREATE TABLE notices (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hotel TEXT NOT NULL, booking TEXT NOT NULL,
            address TEXT NOT NULL, body BLOB NOT NULL, due_at INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '', since INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL",
        "CREATE INDEX notices_dead ON notices (since) WHERE due_at IS NULL",
        "CREATE INDEX notices_tried ON notices (address, number) WHERE attempts > 0 AND due_at IS NOT NULL",
        "CREATE INDEX notices_booking ON notices (booking)",
        "CREATE TABLE sending (paused INTEGER NOT NULL, erasing INTEGER NOT NULL) STRICT",
        "INSERT INTO sending VALUES (0, 0)",
    ):
        db.execute(statement)


def withdraw_notices(path: Path, bookings: Collection[str]) -> int:
    """Deletes the notices about these bookings that are not sent yet; returns how many. The file is used by nobody
    else."""
    with closing(sqlite3.connect(path)) as db, db:
        found = [(number, _unpack(body)) for number, body in db.execute("SELECT number, body FROM notices")]
        numbers = [(number,) for number, notice in found if notice.booking in bookings]
        db.executemany("DELETE FROM notices WHERE number = ?", numbers)
    return len(numbers)


class SqliteOutbox:
    """Implements `protocol.ports.outbox.Outbox` in SQLite. Sent notices are deleted; dead letters have no `due_at`."""

    def __init__(self, db: sqlite_utils.Database, name: str) -> None:
        """`name` is the subscriber that its dead letters name."""
        self._db = db
        self._name = name

    def hotels(self, ids: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return self._bodies("hotels", list(ids))

    def bookings(self, ids: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return self._bodies("bookings", list(ids))

    def bookings_of(self, guests: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return self._bodies("bookings", list(guests), "guest")

    def _bodies(self, table: str, ids: Sequence[str], column: str = "id") -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), _IDS_PER_STATEMENT):
            part = ids[start : start + _IDS_PER_STATEMENT]
            marks = ",".join("?" * len(part))
            found.update(self._db.execute(f"SELECT id, body FROM {table} WHERE {column} IN ({marks})", part).fetchall())
        return found

    def store(self, changes: OutboxChanges) -> None:
        """See `Outbox`."""
        conn = self._db.conn
        with self._db.atomic():
            conn.executemany("INSERT OR REPLACE INTO hotels VALUES (?,?)", list(changes.hotels.items()))
            kept = [(id_, *booking) for id_, booking in changes.bookings.items()]
            conn.executemany("INSERT OR REPLACE INTO bookings VALUES (?,?,?)", kept)
            conn.executemany("DELETE FROM notices WHERE id = ?", [(id_,) for id_ in changes.withdrawn])
            conn.executemany("DELETE FROM notices WHERE booking = ?", [(booking,) for booking in changes.erased])
            conn.executemany(
                "INSERT OR IGNORE INTO notices (id, hotel, booking, address, body, due_at) VALUES (?,?,?,?,?,?)",
                [
                    (one.id, one.hotel.id, one.booking, one.recipient.email, _pack(one), one.due_at)
                    for one in changes.notices
                ],
            )
            if changes.erased:
                conn.execute("UPDATE sending SET erasing = 1")

    def finish_erasing(self) -> None:
        """See `Outbox`. What was deleted is still in free pages, and in the write-ahead log."""
        if self._db.execute("SELECT erasing FROM sending").fetchone()[0]:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("UPDATE sending SET erasing = 0")

    def due(self, at: int, limit: int) -> list[DueNotice]:
        """See `Outbox`."""
        rows = self._db.execute(
            """
            SELECT body, attempts FROM notices AS one WHERE due_at <= ? AND NOT EXISTS (
                SELECT 1 FROM notices AS earlier WHERE earlier.address = one.address AND earlier.number < one.number
                AND earlier.attempts > 0 AND earlier.due_at > ?
            ) ORDER BY number LIMIT ?
            """,
            (at, at, limit),
        ).fetchall()
        return [DueNotice(_unpack(body), attempts) for body, attempts in rows]

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
        return bool(self._db.execute("SELECT paused FROM sending").fetchone()[0])

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
        rows = self._db.execute(
            "SELECT id, hotel, body, reason, attempts, since FROM notices WHERE due_at IS NULL ORDER BY since, number"
        ).fetchall()
        return [self._dead_letter(*row) for row in rows]

    def redrive(self, notice: str, drop: bool = False) -> DeadLetter | None:
        """See `Outbox`."""
        row = self._db.execute(
            "SELECT id, hotel, body, reason, attempts, since FROM notices WHERE id = ? AND due_at IS NULL", (notice,)
        ).fetchone()
        if row is None:
            return None
        if drop:
            self.mark_sent(notice)
        else:
            body = _pack(msgspec.structs.replace(_unpack(row[2]), useful_until=0))
            self._db.execute("UPDATE notices SET due_at = 0, attempts = 0, body = ? WHERE id = ?", (body, notice))
        return self._dead_letter(*row)

    def _dead_letter(self, notice: str, hotel: str, body: bytes, reason: str, attempts: int, since: int) -> DeadLetter:
        return DeadLetter(self._name, hotel, notice, _unpack(body).kind.value, reason, "", attempts, since, None)
