"""Short ways to make commands, and a partition in this thread with a clock that tests advance."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.opening import HostPorts
from innkeeper.actors.reservations.router import hotel_type
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.reservations.booking import Booking, PriceLine
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.reservations.requests import BookingRequest, Contact, HotelRequest, RoomTypeRequest
from innkeeper.protocol.values.money import Money
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.actor_systems import open_actor_system

TODAY = date(2026, 6, 1)
NOON = 1_780_315_200_000_000  # 2026-06-01 12:00 UTC, in microseconds
HOTEL = "seaside"
LOCATOR_KEY = b"the key of the locators in tests"
HOTEL_TYPE = hotel_type(LOCATOR_KEY)


def night(number: int) -> date:
    """The date so many nights after today."""
    return TODAY + timedelta(days=number)


def hotel_request(rooms: dict[str, int] | None = None, max_guests: int = 2, **more: Any) -> HotelRequest:
    """A hotel with so many rooms of each type; each takes two guests and costs 100 a night."""
    rate = Money("100", more.get("currency", "EUR"))
    room_types = tuple(
        RoomTypeRequest(code, f"Type {code}", max_guests, rate, room_count=number)
        for code, number in (rooms or {"DBL": 3}).items()
    )
    fields = {
        "name": "Seaside", "timezone": "Europe/Lisbon", "currency": "EUR", "business_date": TODAY,
        "clock": HotelClock.SIMULATED, **more,
    }  # fmt: skip
    return HotelRequest(room_types=room_types, **fields)


def price_lines(arrival: date, nights: int, amount: int = 10_000) -> tuple[PriceLine, ...]:
    """The price of a stay without taxes, on the first terms of sale."""
    return tuple(PriceLine(arrival + timedelta(days=place), amount, amount, 1) for place in range(nights))


def request(
    arrival: int = 1, nights: int = 1, room_type: str = "DBL", guest: str = "Ann", **more: Any
) -> BookingRequest:
    """A stay that begins so many nights after today."""
    return BookingRequest(
        room_type=room_type,
        arrival=night(arrival),
        departure=night(arrival + nights),
        guest=Contact(guest),
        **more,
    )


class PartitionFixture:
    """A partition in this thread, over any journal. Its clock is advanced by the test, unless it gives another; its ids
    are counted."""

    def __init__(self, journal: Journal, at: int = NOON, clock: Callable[[], int] | None = None) -> None:
        self.at = at
        self._ids = (f"id-{number:06d}" for number in count(journal.position() * 1_000))
        self.host = Host(journal, clock or (lambda: self.at), lambda: next(self._ids), HOTEL_TYPE, open_actor_system)
        try:
            self.host.recover()
        except BaseException:
            self.host.close()
            raise

    def load_all(self) -> None:
        """Load the hotels that no command has named yet."""
        while self.host.must_drain:
            self.host.handle([])

    def advance_clock(self, seconds: float) -> None:
        """Advance the clock, and let everything happen that is due by then."""
        self.at += round(seconds * 1_000_000)
        self.host.handle([])

    def result(self, message: Command | Query, key: str | None = None, if_version: int | None = None) -> Result:
        """Execute a message; its result."""
        return self.host.handle([Envelope(message, key, "request", "tester", if_version)])[0]

    def execute(
        self, message: Command | Query, key: str | None = None, if_version: int | None = None
    ) -> Reply | Refusal:
        """Execute a message; the reply or refusal."""
        return self.result(message, key, if_version).response

    def preview(self, command: Command) -> Reply | Refusal:
        """Ask what a command would do; the reply or refusal."""
        return self.host.handle([Envelope(command, None, "request", "tester", dry_run=True)])[0].response

    def execute_batch(self, messages: Sequence[Command | Query]) -> list[Reply | Refusal]:
        """Execute several messages in one batch."""
        return [
            answer.response
            for answer in self.host.handle([Envelope(message, None, "request", "tester") for message in messages])
        ]

    def open_hotel(self, rooms: dict[str, int] | None = None, hotel: str = HOTEL, **more: Any) -> None:
        """Open a hotel."""
        reply = self.execute(OpenHotel(hotel, hotel_request(rooms, **more)))
        assert isinstance(reply, Reply), reply

    def book(self, arrival: int = 1, nights: int = 1, hotel: str = HOTEL, **more: Any) -> Booking:
        """Book, and expect success."""
        return self.booking_after(BookRoom(hotel, request(arrival, nights, **more)))

    def booking_after(self, command: Command, **more: Any) -> Booking:
        """Execute a command about a booking, and expect success; the booking after it."""
        reply = self.execute(command, **more)
        assert isinstance(reply, BookingReply), reply
        return reply.booking


def host_ports(path: Path, at: int = NOON) -> HostPorts:
    """The ports of a host on the journal in a file, whose clock stands still."""
    ids = (f"id-{number}" for number in count(10_000))
    return HostPorts(
        lambda: SqliteJournal(path),
        lambda: SqliteEventLog(path),  # type: ignore[arg-type, return-value]
        lambda: at,
        lambda: next(ids),
        lambda: nullcontext(lambda _: None),
        open_actor_system,
    )


@contextmanager
def partition_fixture(path: Path) -> Iterator[PartitionFixture]:
    """A partition over a journal in a file."""
    partition = PartitionFixture(SqliteJournal(path))
    try:
        yield partition
    finally:
        partition.host.close()
