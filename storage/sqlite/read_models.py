"""Read models: tables of bookings and hotels for lists and searches, in a file of their own that follows the log.

The file can be deleted at any time; it is made again from the log, and so it is where it turns out to be damaged. Each
step writes its effects and its position in one transaction, so that a crash neither loses nor repeats effects.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import msgspec
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import JournalDamaged, JournalLocked, rolled_back
from innkeeper.protocol.ports.subscriptions import EventLog, Positions, with_guests
from innkeeper.protocol.ports.views import BookingPage, BookingSearch, InvalidCursor, KnownGuest
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.transitions import HOLDS_NIGHTS
from innkeeper.protocol.values.limits import guest_bookings_max, lock_seconds_max, stay_nights_max
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.protocol.values.repeated_messages import RepeatedMessages
from innkeeper.storage.search_words import searched_words
from innkeeper.storage.sqlite.event_rows import damaged, unavailable
from innkeeper.storage.sqlite.read_model_file import (
    BOOKING_COLUMNS,
    FORGOTTEN_COLUMNS,
    HISTORY_COLUMNS,
    HOTEL_COLUMNS,
    REMEDY,
    ReadModelFile,
    remove,
)
from innkeeper.storage.sqlite.read_model_step import ReadModelStep
from innkeeper.storage.sqlite.schema import closed_on_failure
from innkeeper.storage.sqlite.wal_emptying import NOWHERE

logger = logging.getLogger(__name__)

_STEP_EVENTS = 2_000
_LOCK_CHECK_SECONDS = 0.05
_NUMBER, _BODY, _CHECKSUM = 0, -2, -1  # columns of a booking; a hotel has the last two

T = TypeVar("T")

_pack = msgspec.msgpack.Encoder().encode
_unpack_booking = msgspec.msgpack.Decoder(Booking).decode
_unpack_hotel = msgspec.msgpack.Decoder(Hotel).decode


class SqliteReadModels:
    """Implements `protocol.ports.views.FollowingViews` in SQLite. Thread-safe."""

    def __init__(self, path: Path, name: str, log: EventLog, make: Callable[[Path], object] = lambda _: None) -> None:
        """`name` is the name of the log. `make` makes an empty file where there is none."""
        self._path = path
        self._name = name
        self._log = log
        self._make = make
        self._lock = threading.Lock()
        self._file: ReadModelFile | None = None
        self._hotels: dict[str, Hotel] = {}
        self._is_checked = self._is_mended = False
        self._logged = RepeatedMessages()
        with closed_on_failure(self), self._mending():
            self._open()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _open(self) -> ReadModelFile:
        """Opens the file where it is not open."""
        if self._file is None:
            self._hotels = {}
            self._file = file = ReadModelFile(self._path, self._make)
            self._is_checked = file.totals.position == 0
            self._check_log(file)
            rows = file.rows(f"SELECT {HOTEL_COLUMNS} FROM hotels")
            self._hotels = {hotel.id: hotel for row in rows for hotel in [_unpack_hotel(row[_BODY])]}
        return self._file

    def _check_log(self, file: ReadModelFile) -> None:
        """Raises JournalRolledBack where the log does not have what is in the tables."""
        position = file.totals.position
        if position and self._log.hash_at(position) != file.totals.hash:
            raise rolled_back(self._name, position, self._log.position, self._path.name)

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """Makes the file anew where what is done with it shows that it is damaged."""
        try:
            yield
        except Exception as error:
            is_damage = isinstance(error, JournalDamaged)
            if not is_damage and isinstance(error, (OperatorError, sqlite3.ProgrammingError)):
                raise
            self._mend(error)

    def _mend(self, error: Exception) -> None:
        """Makes the file anew. Raises the error where the file was of no use since this was done before: then the
        reason is not the file."""
        if self._is_mended:
            raise error
        what = error if isinstance(error, JournalDamaged) else damaged(self._path, repr(error), REMEDY)
        if self._logged.is_due(what):
            logger.error("%s", what)
        if self._file is not None:
            self._file.db.close()
            self._file = None
        try:
            remove(self._path)
        except OSError as no_write:
            raise unavailable(self._path, no_write.strerror or str(no_write)) from no_write
        self._open()
        self._is_mended = True

    @property
    def _position(self) -> int:
        return 0 if self._file is None else self._file.totals.position

    def _catch_up(self, position: int) -> None:
        while self._step(position):
            pass

    @property
    def is_erasing(self) -> bool:
        """See `FollowingViews`."""
        return self._file is not None and self._file.totals.unerased != NOWHERE

    def follow(self) -> bool:
        """See `FollowingViews`."""
        with self._lock:
            worked = self._step(self._log.position)
            if self._is_checked and self.is_erasing:
                with self._mending():
                    self._open().finish_erasing()
            self._is_mended = self._is_mended and worked
            return worked

    def _step(self, until: int) -> bool:
        """Checks the file where that was not done, and applies the next events of the log; returns whether this has
        changed the position. Raises what reading the log raises."""
        file = self._open()
        if not self._is_checked:
            with self._mending():
                file.check()
                self._is_checked = True
            return True
        entries = self._log.read(self._position, _STEP_EVENTS) if self._position < until else []
        if entries:
            entries, log_hash = with_guests(entries, self._log), self._log.hash_at(entries[-1][0]) or b""
            with self._mending():
                step = ReadModelStep(file, self._hotels)
                with file.db.atomic():
                    totals = step.handle(entries, log_hash)
                self._hotels |= step.changed_hotels
                file.totals = totals
        return bool(entries)

    def _read(self, positions: Positions, read: Callable[[ReadModelFile], T]) -> T:
        """Reads from the file when it has caught up with the log. Waits for a lock of another process where it has not,
        without holding up those who need not write. Raises JournalLocked."""
        until = monotonic() + lock_seconds_max
        while True:
            try:
                return self._read_now(positions, read)
            except JournalLocked:
                if monotonic() > until:
                    raise
            sleep(_LOCK_CHECK_SECONDS)

    def _read_now(self, positions: Positions, read: Callable[[ReadModelFile], T]) -> T:
        with self._lock:
            while True:
                self._catch_up(positions[self._name])
                with self._mending():
                    found = read(self._open())
                    self._is_mended = False
                    return found

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `Views`."""
        query = f"SELECT {HOTEL_COLUMNS} FROM hotels WHERE id > ? ORDER BY id LIMIT ?"

        def read(file: ReadModelFile) -> list[Hotel]:
            return [_unpack_hotel(row[_BODY]) for row in file.rows(query, (cursor or "", limit + 1))]

        found = self._read(positions, read)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> BookingPage:
        """See `Views`."""
        where, values = _conditions(search, cursor)
        query = f"SELECT {BOOKING_COLUMNS} FROM bookings WHERE {' AND '.join(where)} ORDER BY number DESC"
        if search.moves_on is None:
            query += f" LIMIT {limit + 1}"

        def read(file: ReadModelFile) -> list[tuple[int, Booking]]:
            rows = ((row[_NUMBER], _unpack_booking(row[_BODY])) for row in file.rows(query, values))
            return [(number, booking) for number, booking in rows if search.selects_rooms_of(booking)][: limit + 1]

        found = self._read(positions, read)
        more = str(found[limit - 1][0]) if len(found) > limit else None
        return BookingPage(tuple(booking for _, booking in found[:limit]), more)

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `Views`."""
        found = self._read(positions, lambda file: _booking(file, hotel, booking))
        return None if found is None else found[1]

    def guest(self, positions: Positions, hotel: str, guest: str) -> KnownGuest:
        """See `Views`."""
        of_guest = f"SELECT {BOOKING_COLUMNS} FROM bookings WHERE guest = ? AND hotel = ? ORDER BY number DESC LIMIT ?"

        def read(file: ReadModelFile) -> KnownGuest:
            rows = file.rows(of_guest, (guest, hotel, guest_bookings_max))
            bookings = tuple(_unpack_booking(row[_BODY]) for row in rows)
            forgotten = file.rows(f"SELECT {FORGOTTEN_COLUMNS} FROM forgotten WHERE guest = ?", (guest,))
            return KnownGuest(bookings, next((position for _, position, _ in forgotten), None), self.is_erasing)

        return self._read(positions, read)

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `Views`."""

        def read(file: ReadModelFile) -> list[int]:
            found = _booking(file, hotel, booking)
            query = f"SELECT {HISTORY_COLUMNS} FROM history WHERE booking = ? ORDER BY position"
            return [] if found is None else [position for _, position, _ in file.rows(query, found[:1])]

        return [entry for position in self._read(positions, read) for entry in self._log.read(position - 1, 1)]

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `Views`."""
        of_hotel = f"SELECT {HOTEL_COLUMNS} FROM hotels WHERE id = ?"
        of_bookings = (
            f"SELECT {BOOKING_COLUMNS} FROM bookings WHERE hotel = ? AND arrival < ? AND arrival > ? AND departure > ?"
            f" AND status IN {_HOLDS_NIGHTS_SQL} ORDER BY arrival, number"
        )
        values = (hotel, end.toordinal(), start.toordinal() - stay_nights_max, start.toordinal())

        def read(file: ReadModelFile) -> tuple[Hotel, list[Booking]] | None:
            for known in file.rows(of_hotel, (hotel,)):
                return _unpack_hotel(known[_BODY]), [
                    _unpack_booking(row[_BODY]) for row in file.rows(of_bookings, values)
                ]
            return None

        return self._read(positions, read)


def read_follower(path: Path) -> tuple[int, bytes]:
    """Returns the position that the read models of a file have reached, and the log's hash there. The file is used by
    nobody else."""
    with closing(sqlite3.connect(path)) as db:
        position, log_hash = db.execute("SELECT position, hash FROM follower").fetchone()
        return position, log_hash


_HOLDS_NIGHTS_SQL = "(" + ", ".join(f"'{status.value}'" for status in sorted(HOLDS_NIGHTS)) + ")"


def _booking(file: ReadModelFile, hotel: str, booking: str) -> tuple[int, Booking] | None:
    """Returns a booking with its number."""
    for row in file.rows(f"SELECT {BOOKING_COLUMNS} FROM bookings WHERE id = ? AND hotel = ?", (booking, hotel)):
        return row[_NUMBER], _unpack_booking(row[_BODY])
    return None


def _conditions(search: BookingSearch, cursor: str | None) -> tuple[list[str], dict[str, Any]]:
    where: list[str] = ["hotel = :hotel"]
    values: dict[str, Any] = {"hotel": search.hotel}
    for column in ("status", "room_type", "room"):
        value = getattr(search, column)
        if value is not None:
            where.append(f"{column} = :{column}")
            values[column] = str(value)
    # guests in house are few: the index by status finds them faster than that by departure, which `+` rules out
    departure = "+departure" if search.status is BookingStatus.IN_HOUSE else "departure"
    for name, condition in (
        ("arrival_from", "arrival >="),
        ("arrival_to", "arrival <="),
        ("departure_from", f"{departure} >="),
        ("departure_to", f"{departure} <="),
    ):
        day = getattr(search, name)
        if day is not None:
            where.append(f"{condition} :{name}")
            values[name] = day.toordinal()
    if search.overstayed:
        where.append("overstayed > 0")
    if search.text is not None:
        where.append("number IN (SELECT rowid FROM guests WHERE guests MATCH :text)")
        readings = (" ".join(f'"{word}"*' for word in reading) for reading in searched_words(search.text))
        values["text"] = " OR ".join(f"({reading})" for reading in readings) or '""'
    if cursor is not None:
        if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
            raise InvalidCursor(cursor)
        where.append("number < :cursor")
        values["cursor"] = int(cursor)
    return where, values
