"""Read models: tables of bookings and hotels for lists and searches, in a file of their own that follows the log.

The file can be deleted at any time; it is rebuilt from the log. Each step writes its effects and its position in
one transaction, so that a crash neither loses nor repeats effects.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path
from typing import Any, Self

import msgspec
import sqlite_utils
from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.journal import rolled_back
from innkeeper.protocol.ports.subscriptions import EventLog, Positions, with_guests
from innkeeper.protocol.ports.views import BookingPage, BookingSearch, InvalidCursor, KnownGuest, searched_text
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.projection import apply_event, apply_hotel_event
from innkeeper.protocol.reservations.transitions import HOLDS_NIGHTS
from innkeeper.protocol.values.guests import bare
from innkeeper.protocol.values.limits import guest_bookings_max, stay_nights_max
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.storage.read_model_events import read_model_events
from innkeeper.storage.sqlite.schema import close_writer, closed_on_failure

logger = logging.getLogger(__name__)

FORM = 1  # to be raised when the tables or their contents change: files of another form are rebuilt
_STEP_EVENTS = 2_000
_POLL_SECONDS = 0.25
_BEHIND_EVENTS_MAX = 18_000  # less than `recent_events_max`, so that no event is decoded for them

_pack_booking = msgspec.msgpack.Encoder().encode
_unpack_booking = msgspec.msgpack.Decoder(Booking).decode
_unpack_hotel = msgspec.msgpack.Decoder(Hotel).decode


class SqliteReadModels:
    """Implements `protocol.ports.views.Views` in SQLite. A thread of its own follows the log."""

    def __init__(self, path: Path, name: str, log: EventLog, make: Callable[[Path], object] = lambda _: None) -> None:
        """`name` is the name of the log. `make` makes an empty file where one of another form was removed."""
        self._name = name
        self._log = log
        self._lock = threading.Lock()
        with ExitStack() as opened:
            self._db = _open(path, make)
            opened.callback(close_writer, self._db.conn)
            self._position = self._checked_position(path)
            self._hotels = {
                hotel.id: hotel
                for (body,) in self._db.execute("SELECT body FROM hotels")
                for hotel in [_unpack_hotel(body)]
            }
            self._erase()
            self._close = opened.pop_all().close
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="read models", daemon=True)

    def __enter__(self) -> Self:
        """Starts to follow the log."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops following the log, and closes the file."""
        self._stopping.set()
        self._thread.join()
        with self._lock:
            self._close()

    def _checked_position(self, path: Path) -> int:
        """The position that is reached. Raises JournalRolledBack where the log does not have what is in the tables."""
        position, log_hash = self._db.execute("SELECT position, hash FROM follower").fetchone()
        if position and self._log.hash_at(position) != log_hash:
            raise rolled_back(self._name, position, self._log.position, path.name)
        return int(position)

    def catch_up(self, position: int) -> None:
        """Applies the log at least up to this position."""
        with self._lock:
            while self._position < position and self._step():
                pass

    def _follow(self) -> None:
        """Stays near the log's end without taking time from bookings: steps when the log does not grow, or when many
        events are left. A reader catches up first in any case."""
        seen, stalled = self._position, ""
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                end = self._log.position
                behind = end - self._position
                while (end == seen or behind > _BEHIND_EVENTS_MAX) and behind > 0 and not self._stopping.is_set():
                    with self._lock:
                        self._step()
                    behind = end - self._position
                seen = end
            except OperatorError as error:
                if str(error) != stalled:
                    logger.error("the read models cannot follow the log, and wait until they can: %s", error)
                stalled = str(error)
            except Exception:
                logger.exception("the read models could not follow the log; retrying")

    def _step(self) -> int:
        """Applies the next events; returns how many there were."""
        entries = with_guests(self._log.read(self._position, _STEP_EVENTS), self._log)
        if entries:
            step = _Step(self._db, self._hotels)
            reached = entries[-1][0], self._log.hash_at(entries[-1][0])
            with self._db.atomic():
                step.handle(entries)
                self._db.execute("UPDATE follower SET position = ?, hash = ?", reached)
            self._hotels |= step.changed_hotels
            self._position = entries[-1][0]
            if step.forgotten:
                self._erase()
        return len(entries)

    def _erase(self) -> None:
        """Removes what is left of forgotten guests in the search index, in free pages and in the write-ahead log."""
        if self._db.execute("SELECT 1 FROM forgotten WHERE NOT erased LIMIT 1").fetchone() is None:
            return
        with self._db.atomic():
            self._db.execute("INSERT INTO guests (guests) VALUES ('optimize')")  # drops the words of deleted rows
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with self._db.atomic():
            self._db.execute("UPDATE forgotten SET erased = 1")

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `Views`."""
        self.catch_up(positions[self._name])
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM hotels WHERE id > ? ORDER BY id LIMIT ?", (cursor or "", limit + 1)
            ).fetchall()
        found = [_unpack_hotel(body) for (body,) in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> BookingPage:
        """See `Views`."""
        where, values = _conditions(search, cursor)
        self.catch_up(positions[self._name])
        with self._lock:
            rows = self._db.execute(
                f"SELECT number, body FROM bookings WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT :limit",
                {**values, "limit": limit + 1},
            ).fetchall()
        more = str(rows[limit - 1][0]) if len(rows) > limit else None
        return BookingPage(tuple(_unpack_booking(body) for _, body in rows[:limit]), more)

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `Views`."""
        self.catch_up(positions[self._name])
        with self._lock:
            row = self._db.execute("SELECT body FROM bookings WHERE id = ? AND hotel = ?", (booking, hotel)).fetchone()
        return None if row is None else _unpack_booking(row[0])

    def guest(self, positions: Positions, hotel: str, guest: str) -> KnownGuest:
        """See `Views`."""
        self.catch_up(positions[self._name])
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM bookings WHERE guest = ? AND hotel = ? ORDER BY number DESC LIMIT ?",
                (guest, hotel, guest_bookings_max),
            ).fetchall()
            forgotten = self._db.execute("SELECT position FROM forgotten WHERE guest = ?", (guest,)).fetchone()
        return KnownGuest(tuple(_unpack_booking(body) for (body,) in rows), forgotten and forgotten[0])

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `Views`."""
        self.catch_up(positions[self._name])
        with self._lock:
            found = self._db.execute(
                "SELECT position FROM history JOIN bookings ON bookings.number = history.booking"
                " WHERE bookings.id = ? AND bookings.hotel = ? ORDER BY position",
                (booking, hotel),
            ).fetchall()
        return [entry for (position,) in found for entry in self._log.read(position - 1, 1)]

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `Views`."""
        self.catch_up(positions[self._name])
        with self._lock:
            known = self._db.execute("SELECT body FROM hotels WHERE id = ?", (hotel,)).fetchone()
            rows = self._db.execute(
                "SELECT body FROM bookings WHERE hotel = ? AND arrival < ? AND arrival > ? AND departure > ?"
                f" AND status IN {_HOLDS_NIGHTS_SQL} ORDER BY arrival, number",
                (hotel, end.toordinal(), start.toordinal() - stay_nights_max, start.toordinal()),
            ).fetchall()
        return None if known is None else (_unpack_hotel(known[0]), [_unpack_booking(body) for (body,) in rows])


def read_follower(path: Path) -> tuple[int, bytes]:
    """Returns the position that the read models of a file have reached, and the log's hash there. The file is used by
    nobody else."""
    with closing(sqlite3.connect(path)) as db:
        position, log_hash = db.execute("SELECT position, hash FROM follower").fetchone()
        return position, log_hash


_HOLDS_NIGHTS_SQL = "(" + ", ".join(f"'{status.value}'" for status in sorted(HOLDS_NIGHTS)) + ")"


def _open(path: Path, make: Callable[[Path], object]) -> sqlite_utils.Database:
    """Opens the file, and creates it anew where it is missing or of another form."""
    for _ in range(2):
        db = sqlite_utils.Database(sqlite3.connect(path, timeout=10, check_same_thread=False))
        with closed_on_failure(db):
            if db.execute("PRAGMA user_version").fetchone()[0] == FORM:
                db.execute("PRAGMA synchronous = NORMAL")
                return db
        db.close()
        for old in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            old.unlink(missing_ok=True)
        make(path)
        _create(path)
    raise sqlite3.DatabaseError(f"{path} cannot be created")


def _create(path: Path) -> None:
    with closing(sqlite_utils.Database(sqlite3.connect(path))) as db:
        _create_tables(db)


def _create_tables(db: sqlite_utils.Database) -> None:
    db.enable_wal()
    with db.atomic():
        db.table("follower").create({"position": int, "hash": bytes})
        db.table("follower").insert({"position": 0, "hash": b""})
        db.table("hotels").create({"id": str, "body": bytes}, pk="id")
        db.table("bookings").create(
            {
                "number": int, "id": str, "hotel": str, "guest": str, "status": str, "room_type": str, "room": str,
                "arrival": int, "departure": int, "body": bytes,
            },
            pk="number",
        )  # fmt: skip
        db.table("bookings").create_index(["id"], unique=True)
        db.table("bookings").create_index(["guest"])
        db.table("bookings").create_index(["hotel", "arrival"])
        db.execute(
            "CREATE TABLE history (booking INTEGER, position INTEGER, PRIMARY KEY (booking, position)) WITHOUT ROWID"
        )
        db.table("forgotten").create({"guest": str, "position": int, "erased": int}, pk="guest")
        db.execute("CREATE VIRTUAL TABLE guests USING fts5(words)")
        db.execute(f"PRAGMA user_version = {FORM}")


def _conditions(search: BookingSearch, cursor: str | None) -> tuple[list[str], dict[str, Any]]:
    where: list[str] = ["hotel = :hotel"]
    values: dict[str, Any] = {"hotel": search.hotel}
    for column in ("status", "room_type", "room"):
        value = getattr(search, column)
        if value is not None:
            where.append(f"{column} = :{column}")
            values[column] = str(value)
    for name, sign in (("arrival_from", ">="), ("arrival_to", "<=")):
        day = getattr(search, name)
        if day is not None:
            where.append(f"arrival {sign} :{name}")
            values[name] = day.toordinal()
    if search.text is not None:
        where.append("number IN (SELECT rowid FROM guests WHERE guests MATCH :text)")
        values["text"] = " ".join('"' + word.replace('"', '""') + '"*' for word in search.text.split()) or '""'
    if cursor is not None:
        if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
            raise InvalidCursor(cursor)
        where.append("number < :cursor")
        values["cursor"] = int(cursor)
    return where, values


class _Step:
    """Applies some events to the tables: reads the rows that they change, folds, and writes each row once."""

    def __init__(self, db: sqlite_utils.Database, hotels: Mapping[str, Hotel]) -> None:
        self._db = db
        self._known_hotels = hotels
        self.changed_hotels: dict[str, Hotel] = {}
        self._bookings: dict[str, tuple[int, Booking]] = {}
        self._history: list[tuple[int, int]] = []
        self._guests: dict[int, str] = {}
        self.forgotten: dict[str, int] = {}

    def handle(self, records: Sequence[tuple[int, RecordedEvent]]) -> None:
        """Applies these events to the tables."""
        handled = [(rule, *entry) for entry in records if (rule := READ_MODEL_EVENTS[type(entry[1].event)]) is not None]
        forgotten = {each.event.guest for _, _, each in handled if isinstance(each.event, ForgettingEvent)}
        self._read("guest", forgotten)
        self._read("id", {each.event.booking for _, _, each in handled if isinstance(each.event, events.BookingEvent)})
        for rule, seq, record in handled:
            rule(self, seq, record)
        self._write()

    def fold_booking(self, seq: int, record: RecordedEvent) -> None:
        """Applies an event about a booking."""
        event = record.event
        assert isinstance(event, events.BookingEvent)
        number, was = self._bookings.get(event.booking, (seq, None))
        now = apply_event(was, record, self._hotel(record.hotel).currency)
        self._bookings[now.id] = (number, now)
        self._history.append((number, seq))
        if was is None or was.guest != now.guest:
            self._guests[number] = searched_text(now)

    def fold_hotel(self, _: int, record: RecordedEvent) -> None:
        """Applies an event about the hotel itself."""
        known = self.changed_hotels.get(record.hotel) or self._known_hotels.get(record.hotel)
        self.changed_hotels[record.hotel] = apply_hotel_event(known, record)

    def forget_guest(self, seq: int, record: RecordedEvent) -> None:
        """Applies the event by which a guest is forgotten."""
        event = record.event
        assert isinstance(event, ForgettingEvent)
        self.forgotten[event.guest] = seq
        for number, booking in [*self._bookings.values()]:
            if booking.guest.id == event.guest:
                self._bookings[booking.id] = number, bare(booking)
                self._guests[number] = searched_text(bare(booking))

    def _read(self, column: str, values: set[str]) -> None:
        """Reads the bookings that have one of these values, in one query: those that the events change."""
        if not values:
            return
        found = self._db.execute(
            f"SELECT number, body FROM bookings WHERE {column} IN (SELECT value FROM json_each(?))",
            (json.dumps([*values]),),
        )
        for number, body in found.fetchall():
            booking = _unpack_booking(body)
            self._bookings[booking.id] = (number, booking)

    def _write(self) -> None:
        conn = self._db.conn
        conn.executemany(
            "INSERT OR REPLACE INTO bookings"
            " (number, id, hotel, guest, status, room_type, room, arrival, departure, body)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            self._rows(),
        )
        conn.executemany("INSERT INTO history (booking, position) VALUES (?,?)", self._history)
        conn.executemany("INSERT OR REPLACE INTO guests (rowid, words) VALUES (?,?)", list(self._guests.items()))
        conn.executemany("INSERT OR IGNORE INTO forgotten VALUES (?,?,0)", list(self.forgotten.items()))
        conn.executemany(
            "INSERT OR REPLACE INTO hotels (id, body) VALUES (?,?)",
            [(hotel.id, msgspec.msgpack.encode(hotel)) for hotel in self.changed_hotels.values()],
        )

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for number, b in self._bookings.values():
            yield (
                number, b.id, b.hotel, b.guest.id, b.status.value, b.room_type, b.room,
                b.arrival.toordinal(), b.departure.toordinal(), _pack_booking(b),
            )  # fmt: skip

    def _hotel(self, hotel: str) -> Hotel:
        return self.changed_hotels.get(hotel) or self._known_hotels[hotel]


READ_MODEL_EVENTS = read_model_events("the read models", _Step.fold_hotel, _Step.fold_booking, _Step.forget_guest)
