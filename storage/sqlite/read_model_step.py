"""One step of the read models: some events of the log, applied to their file."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.projection import apply_event, apply_hotel_event
from innkeeper.protocol.values.guests import bare
from innkeeper.storage.read_model_events import read_model_events
from innkeeper.storage.search_words import indexed_words
from innkeeper.storage.sqlite.read_model_file import (
    BOOKING_COLUMNS,
    FORGOTTEN_COLUMNS,
    HISTORY_COLUMNS,
    HOTEL_COLUMNS,
    ReadModelFile,
    Totals,
    with_checksum,
)
from innkeeper.storage.sqlite.wal_emptying import ANYWHERE

_NUMBER, _BODY, _CHECKSUM = 0, -2, -1  # columns of a booking; a hotel has the last two

_pack = msgspec.msgpack.Encoder().encode
_unpack_booking = msgspec.msgpack.Decoder(Booking).decode


class ReadModelStep:
    """Applies some events to the tables: reads the rows that they change, folds, and writes each row once."""

    def __init__(self, file: ReadModelFile, hotels: Mapping[str, Hotel]) -> None:
        self._file = file
        self._known_hotels = hotels
        self._totals = msgspec.structs.replace(file.totals)
        self.changed_hotels: dict[str, Hotel] = {}
        self._bookings: dict[str, tuple[int, Booking]] = {}
        self._history: list[tuple[int, int]] = []
        self._guests: dict[int, str] = {}
        self._forgotten: dict[str, int] = {}

    def handle(self, records: Sequence[tuple[int, RecordedEvent]], log_hash: bytes) -> Totals:
        """Applies these events to the tables, in the open transaction; returns what they have then. `log_hash` is the
        log's hash after them."""
        handled = [(rule, *entry) for entry in records if (rule := READ_MODEL_EVENTS[type(entry[1].event)]) is not None]
        self._read("guest", {each.event.guest for _, _, each in handled if isinstance(each.event, ForgettingEvent)})
        self._read("id", {each.event.booking for _, _, each in handled if isinstance(each.event, events.BookingEvent)})
        for rule, seq, record in handled:
            rule(self, seq, record)
        self._totals.position, self._totals.hash = records[-1][0], log_hash
        self._write()
        return self._totals

    def fold_booking(self, seq: int, record: RecordedEvent) -> None:
        """Applies an event about a booking."""
        event = record.event
        assert isinstance(event, events.BookingEvent)
        number, was = self._bookings.get(event.booking, (seq, None))
        now = apply_event(was, record, self._hotel(record.hotel).currency)
        self._bookings[now.id] = (number, now)
        self._history.append((number, seq))
        if was is None or was.guest != now.guest:
            self._guests[number] = " ".join(indexed_words(now))

    def fold_hotel(self, _: int, record: RecordedEvent) -> None:
        """Applies an event about the hotel itself."""
        known = self.changed_hotels.get(record.hotel) or self._known_hotels.get(record.hotel)
        self.changed_hotels[record.hotel] = apply_hotel_event(known, record)

    def forget_guest(self, seq: int, record: RecordedEvent) -> None:
        """Applies the event by which a guest is forgotten."""
        event = record.event
        assert isinstance(event, ForgettingEvent)
        self._forgotten[event.guest] = seq
        for number, booking in [*self._bookings.values()]:
            if booking.guest.id == event.guest:
                self._bookings[booking.id] = number, bare(booking)
                self._guests[number] = " ".join(indexed_words(bare(booking)))

    def _read(self, column: str, values: set[str]) -> None:
        """Reads the bookings that have one of these values, in one query: those that the events change."""
        query = f"SELECT {BOOKING_COLUMNS} FROM bookings WHERE {column} IN (SELECT value FROM json_each(?))"
        for row in self._file.rows(query, (json.dumps([*values]),)) if values else ():
            booking = _unpack_booking(row[_BODY])
            if booking.id in self._bookings:
                continue
            self._bookings[booking.id] = (row[_NUMBER], booking)
            self._totals.bookings -= 1
            self._totals.bookings_sum -= row[_CHECKSUM]

    def _write(self) -> None:
        totals = self._totals
        bookings, total = _with_checksums(self._rows())
        totals.bookings += len(bookings)
        totals.bookings_sum += total
        history, total = _with_checksums(self._history)
        totals.history += len(history)
        totals.history_sum += total
        hotels, total = _with_checksums((hotel.id, _pack(hotel)) for hotel in self.changed_hotels.values())
        totals.hotels += len(hotels)
        totals.hotels_sum += total
        forgotten, total = _with_checksums(self._forgotten.items())
        totals.forgotten += len(forgotten)
        totals.forgotten_sum += total
        if forgotten:
            totals.unerased = ANYWHERE
        query = f"SELECT {HOTEL_COLUMNS} FROM hotels WHERE id IN (SELECT value FROM json_each(?))"
        for row in self._file.rows(query, (json.dumps([*self.changed_hotels]),)):
            totals.hotels -= 1
            totals.hotels_sum -= row[_CHECKSUM]
        conn = self._file.db.conn
        conn.executemany(
            f"INSERT OR REPLACE INTO bookings ({BOOKING_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", bookings
        )
        conn.executemany(f"INSERT INTO forgotten ({FORGOTTEN_COLUMNS}) VALUES (?,?,?)", forgotten)
        conn.executemany(f"INSERT INTO history ({HISTORY_COLUMNS}) VALUES (?,?,?)", history)
        conn.executemany("INSERT OR REPLACE INTO guests (rowid, words) VALUES (?,?)", list(self._guests.items()))
        conn.executemany(f"INSERT OR REPLACE INTO hotels ({HOTEL_COLUMNS}) VALUES (?,?,?)", hotels)
        self._file.save(totals)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for number, b in self._bookings.values():
            yield (
                number, b.id, b.hotel, b.guest.id, b.status.value, b.room_type, b.room,
                b.arrival.toordinal(), b.departure.toordinal(), b.overstayed_nights, _pack(b),
            )  # fmt: skip

    def _hotel(self, hotel: str) -> Hotel:
        return self.changed_hotels.get(hotel) or self._known_hotels[hotel]


def _with_checksums(rows: Iterable[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], int]:
    """Returns the rows with their checksums, and the sum of these."""
    checked = [*map(with_checksum, rows)]
    return checked, sum(row[_CHECKSUM] for row in checked)


READ_MODEL_EVENTS = read_model_events(
    "the read models",
    ReadModelStep.fold_hotel,
    ReadModelStep.fold_booking,
    ReadModelStep.forget_guest,
)
