"""The outbox of notifications, in its service's database beside its cursor."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import sqlite_utils
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.notifications.unsent import UnsentLetter
from innkeeper.protocol.ports.outbox import AddressReport, DueNotice, OutboxChanges
from innkeeper.protocol.ports.subscriptions import DeadLetter
from innkeeper.storage.sqlite.checked_tables import (
    NO_ROWID,
    CheckedDatabase,
    checked_rows,
    connect_checked,
    create_table,
)
from innkeeper.storage.sqlite.stamps import RESTORE
from innkeeper.storage.sqlite.wal_emptying import ANYWHERE

_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.Decoder(Notice).decode
_unpack_report = msgspec.msgpack.Decoder(AddressReport).decode
_IDS_PER_STATEMENT = 500  # below the limit of SQLite
_BOOKING, _BODY, _ATTEMPTS, _SINCE, _REDRIVEN = 3, 5, 7, 9, 10  # columns of a notice
_NOT_BLOCKED = """NOT EXISTS (
    SELECT 1 FROM notices AS earlier WHERE earlier.address = one.address AND earlier.number < one.number
    AND earlier.attempts > 0 AND earlier.due_at IS NOT NULL
)"""


def create_outbox(db: sqlite_utils.Database) -> None:
    """Creates the tables; a migration."""
    create_table(db, "hotels", {"id": "TEXT PRIMARY KEY", "body": "BLOB NOT NULL"})
    bookings = {
        "id": "TEXT PRIMARY KEY", "guest": "TEXT NOT NULL", "refused": "TEXT NOT NULL", "body": "BLOB NOT NULL",
    }  # fmt: skip
    create_table(db, "bookings", bookings, options=NO_ROWID)
    create_table(
        db,
        "notices",
        {
            "number": "INTEGER PRIMARY KEY", "id": "TEXT NOT NULL UNIQUE", "hotel": "TEXT NOT NULL",
            "booking": "TEXT NOT NULL", "address": "TEXT NOT NULL", "body": "BLOB NOT NULL", "due_at": "INTEGER",
            "attempts": "INTEGER NOT NULL DEFAULT 0", "reason": "TEXT NOT NULL DEFAULT ''",
            "since": "INTEGER NOT NULL DEFAULT 0", "redriven": "INTEGER NOT NULL DEFAULT 0",
        },
    )  # fmt: skip
    reports = {"number": "INTEGER PRIMARY KEY", "booking": "TEXT NOT NULL", "body": "BLOB NOT NULL"}
    create_table(db, "address_reports", reports)
    create_table(db, "sending", {"paused": "INTEGER NOT NULL", "unerased": "INTEGER NOT NULL"})
    for statement in (
        "CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL",
        "CREATE INDEX notices_dead ON notices (since) WHERE due_at IS NULL",
        "CREATE INDEX notices_tried ON notices (address, number) WHERE attempts > 0 AND due_at IS NOT NULL",
        "CREATE INDEX notices_booking ON notices (booking)",
        "CREATE INDEX bookings_guest ON bookings (guest)",
        "CREATE INDEX bookings_refused ON bookings (id) WHERE refused != ''",
        "INSERT INTO sending VALUES (0, 0)",
    ):
        db.execute(statement)


def withdraw_notices(path: Path, bookings: Collection[str]) -> int:
    """Deletes the notices about these bookings that are not sent yet; returns how many. The file is used by nobody
    else."""
    db = connect_checked(path, RESTORE)
    with closing(db.conn), db.atomic():
        found = db.execute("SELECT booking, count(*) FROM notices GROUP BY booking").fetchall()
        withdrawn = [(booking, count) for booking, count in found if booking in bookings]
        db.conn.executemany("DELETE FROM notices WHERE booking = ?", [(booking,) for booking, _ in withdrawn])
    return sum(count for _, count in withdrawn)


class SqliteOutbox:
    """Implements `protocol.ports.outbox.Outbox` in SQLite. Sent notices are deleted; dead letters have no `due_at`."""

    def __init__(self, db: CheckedDatabase, name: str) -> None:
        """`name` is the subscriber that its dead letters name."""
        self.withdrawals = self.erasures = 0
        self._db = db
        self._name = name
        ((_, unerased),) = checked_rows(db, "SELECT * FROM sending")
        self.unerased = int(unerased)

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
            rows = checked_rows(self._db, f"SELECT * FROM {table} WHERE {column} IN ({marks})", part)
            found.update((row[0], row[-1]) for row in rows)
        return found

    def store(self, changes: OutboxChanges) -> None:
        """See `Outbox`."""
        self.withdrawals += bool(changes.withdrawn or changes.erased)
        self.erasures += bool(changes.erased)
        conn = self._db.conn
        with self._db.atomic():
            conn.executemany("INSERT OR REPLACE INTO hotels VALUES (?,?)", list(changes.hotels.items()))
            kept = [(id_, one.guest, one.refused, one.body) for id_, one in changes.bookings.items()]
            conn.executemany("INSERT OR REPLACE INTO bookings VALUES (?,?,?,?)", kept)
            conn.executemany("DELETE FROM notices WHERE id = ?", [(id_,) for id_ in changes.withdrawn])
            for table in ("notices", "address_reports"):
                erased = [(booking,) for booking in changes.erased]
                conn.executemany(f"DELETE FROM {table} WHERE booking = ?", erased)
            conn.executemany(
                "INSERT OR IGNORE INTO notices (id, hotel, booking, address, body, due_at) VALUES (?,?,?,?,?,?)",
                [
                    (one.id, one.hotel.id, one.booking, one.recipient.email, _pack(one), one.due_at)
                    for one in changes.notices
                ],
            )
            if changes.erased:
                self.note_unerased(ANYWHERE)

    def note_unerased(self, where: int) -> None:
        """Notes where in the file something is left of what was erased; see `wal_emptying`."""
        self._db.execute("UPDATE sending SET unerased = ?", (where,))
        self.unerased = where

    def due(self, at: int, limit: int) -> list[DueNotice]:
        """See `Outbox`."""
        rows = checked_rows(
            self._db,
            f"""
            WITH wanted AS (
                SELECT * FROM (SELECT number FROM notices AS one WHERE due_at = 0 AND {_NOT_BLOCKED}
                    ORDER BY number LIMIT :limit)
                UNION ALL
                SELECT * FROM (SELECT number FROM notices AS one WHERE due_at > 0 AND due_at <= :at AND {_NOT_BLOCKED}
                    ORDER BY due_at, number LIMIT :limit)
            )
            SELECT * FROM notices WHERE number IN wanted ORDER BY number LIMIT :limit
            """,
            {"at": at, "limit": limit},
        )
        found = list(rows)
        refused = self._refused({row[_BOOKING] for row in found}) if found else {}
        return [
            DueNotice(
                _unpack(row[_BODY]),
                row[_ATTEMPTS],
                row[_SINCE],
                refused.get(row[_BOOKING], ""),
                bool(row[_REDRIVEN]),
            )
            for row in found
        ]

    def _refused(self, bookings: Collection[str]) -> dict[str, str]:
        """The replies by which the addresses of these bookings' guests were refused."""
        marks = ",".join("?" * len(bookings))
        query = f"SELECT * FROM bookings WHERE refused != '' AND id IN ({marks})"
        return {row[0]: row[2] for row in checked_rows(self._db, query, list(bookings))}

    def count(self, at: int) -> tuple[int, int]:
        """See `Outbox`."""
        waiting, dead = self._db.execute(
            """
            SELECT (SELECT count(*) FROM notices WHERE due_at <= ?) + (SELECT count(*) FROM address_reports),
                (SELECT count(*) FROM notices WHERE due_at IS NULL)
            """,
            (at,),
        ).fetchone()
        return waiting, dead

    @property
    def paused(self) -> bool:
        """See `Outbox`."""
        ((paused, _),) = checked_rows(self._db, "SELECT * FROM sending")
        return bool(paused)

    def pause(self, paused: bool) -> None:
        """See `Outbox`."""
        self._db.execute("UPDATE sending SET paused = ?", (paused,))

    def next_due_at(self) -> int | None:
        """See `Outbox`."""
        query = f"SELECT due_at FROM notices AS one WHERE due_at IS NOT NULL AND {_NOT_BLOCKED} ORDER BY due_at LIMIT 1"
        found = self._db.execute(query).fetchone()
        return None if found is None else int(found[0])

    def unsent(self, booking: str) -> list[UnsentLetter]:
        """See `Outbox`."""
        query = "SELECT * FROM notices WHERE booking = ? ORDER BY number"
        return [
            UnsentLetter(id_, _unpack(body).kind.value, due_at, attempts, reason, since)
            for _, id_, _, _, _, body, due_at, attempts, reason, since, _ in checked_rows(self._db, query, (booking,))
        ]

    def is_waiting(self, notice: str) -> bool:
        """See `Outbox`."""
        return self._db.conn.execute("SELECT 1 FROM notices WHERE id = ?", (notice,)).fetchone() is not None

    def mark_sent(self, notices: Sequence[str], reports: Sequence[AddressReport] = ()) -> None:
        """See `Outbox`."""
        with self._db.atomic():
            for report in reports:
                self._add_report(report)
            self._db.conn.executemany("DELETE FROM notices WHERE id = ?", [(notice,) for notice in notices])

    def mark_failed(
        self, notice: str, reason: str, at: int, retry_at: int | None, report: AddressReport | None = None
    ) -> None:
        """See `Outbox`."""
        with self._db.atomic():
            self._mark(notice, reason, at, retry_at, attempts=1)
            if report is not None:
                self._add_report(report)

    def mark_unsent(self, notice: str, reason: str, at: int) -> None:
        """See `Outbox`."""
        self._mark(notice, reason, at, None, attempts=0)

    def _mark(self, notice: str, reason: str, at: int, retry_at: int | None, attempts: int) -> None:
        self._db.execute(
            "UPDATE notices SET due_at = ?, reason = ?, attempts = attempts + ?, redriven = redriven AND ? IS NOT NULL,"
            " since = CASE since WHEN 0 THEN ? ELSE since END WHERE id = ?",
            (retry_at, reason, attempts, retry_at, at, notice),
        )

    def _add_report(self, report: AddressReport) -> None:
        """Keeps a report, unless its notice was erased meanwhile: then nothing is known of the guest any more."""
        if self.is_waiting(report.notice):
            query = "INSERT INTO address_reports (booking, body) VALUES (?,?)"
            self._db.execute(query, (report.booking, _pack(report)))

    def reports(self, limit: int, after: int = 0) -> list[tuple[int, AddressReport]]:
        """See `Outbox`."""
        query = "SELECT * FROM address_reports WHERE number > ? ORDER BY number LIMIT ?"
        rows = checked_rows(self._db, query, (after, limit))
        return [(number, _unpack_report(body)) for number, _, body in rows]

    def remove_report(self, number: int) -> None:
        """See `Outbox`."""
        self._db.execute("DELETE FROM address_reports WHERE number = ?", (number,))

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
            self.mark_sent([notice])
        else:
            body = _pack(msgspec.structs.replace(_unpack(row[_BODY]), useful_until=0))
            change = "UPDATE notices SET due_at = 0, attempts = 0, since = 0, redriven = 1, body = ? WHERE id = ?"
            self._db.execute(change, (body, notice))
        return self._dead_letter(*row)

    def _dead_letter(self, _: int, notice: str, hotel: str, __: str, ___: str, body: bytes, *more: Any) -> DeadLetter:
        _, attempts, reason, since, _ = more
        return DeadLetter(self._name, hotel, notice, _unpack(body).kind.value, reason, "", attempts, since, None)
