"""A journal's file with one flipped bit is refused, or gives what was written: nothing else, no traceback."""

import logging
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.codec import wire
from innkeeper.protocol.ports.subscriptions import with_guests
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.queries import FindBooking
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.bit_flips import check_flips
from support.partition_fixture import PartitionFixture, hotel_request, request

HOTELS = ("lakeside", "seaside", "hillside")
KEYS = tuple(f"front desk:{number}" for number in range(240))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with some hundred events and kept replies, snapshots of two of its hotels, and events after them."""
    path = tmp_path_factory.mktemp("written") / "journal.db"
    partition = PartitionFixture(SqliteJournal(path))
    for hotel in HOTELS:
        partition.execute(OpenHotel(hotel, hotel_request({"DBL": 9})), f"opening of {hotel}")
    for number, key in enumerate(KEYS):
        hotel = HOTELS[number % (2 if number < 200 else 3)]
        partition.execute(BookRoom(hotel, request(1 + number // 12, guest=f"Guest {number}")), key)
        if number in (90, 150, 199):
            while partition.host.save_snapshots(after_events=50):
                pass
    partition.host.close()
    return path


def contents(path: Path) -> list[object]:
    """All that the journal's readers get: the hotels' states, the kept replies, and the events."""
    partition = PartitionFixture(SqliteJournal(path))
    with closing(partition.host):
        partition.host.journal.check(0, partition.host.journal.position())
        while partition.host.journal.check_guests(1_000):
            pass
        states = [wire.encode(partition.host.describe(hotel)) for hotel in HOTELS]
        replies = partition.host.journal.replies([*KEYS, *(f"opening of {hotel}" for hotel in HOTELS)])
        with closing(SqliteEventLog(path)) as log:
            by_hotel = [log.read(0, 10_000, hotel) for hotel in HOTELS]
            events = with_guests(log.read(0, 10_000), log)
            bookings = [partition.execute(FindBooking(record.hotel, record.event.booking)) for _, record in events
                        if isinstance(record.event, BookingEvent)]  # fmt: skip
            return [states, replies, events, by_hotel, bookings]


def test_a_flipped_bit_is_never_served(written: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "innkeeper")
    check_flips(written, lambda: contents(written), caplog)
