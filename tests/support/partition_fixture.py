"""What tests say to a hotel: short ways to make commands, and a partition in this thread with a clock to turn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from innkeeper.actors.partition.host import Host
from innkeeper.actors.reservations.router import HOTEL as HOTEL_TYPE
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.message_bus import Envelope, Result
from innkeeper.protocol.reservations.booking import Booking, Contact
from innkeeper.protocol.reservations.commands import Book, BookingRequest, HotelPlan, OpenHotel, RoomTypeOffer
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.values.money import Money
from innkeeper.storage.sqlite.journal import SqliteJournal

TODAY = date(2026, 6, 1)
NOON = 1_780_315_200_000_000  # 2026-06-01 12:00 UTC, in microseconds
HOTEL = "seaside"


def night(number: int) -> date:
    """The date so many nights after today."""
    return TODAY + timedelta(days=number)


def plan(rooms: dict[str, int] | None = None, **more: Any) -> HotelPlan:
    """A hotel with so many rooms of each type; each takes two guests and costs 100.00 EUR a night."""
    kinds = tuple(
        RoomTypeOffer(code, f"Type {code}", 2, Money("100.00", "EUR"), room_count=number)
        for code, number in (rooms or {"DBL": 3}).items()
    )
    fields = {"name": "Seaside", "timezone": "Europe/Lisbon", "currency": "EUR", "business_date": TODAY} | more
    return HotelPlan(room_types=kinds, **fields)


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
    """A partition in this thread, over any journal. Time stands still until it is told to pass; ids are counted."""

    def __init__(self, journal: Journal, at: int = NOON) -> None:
        self.at = at
        self._ids = (f"id-{number:06d}" for number in count(journal.position() * 1_000))
        self.host = Host(journal, lambda: self.at, lambda: next(self._ids), HOTEL_TYPE)
        self.host.recover()

    def advance_clock(self, seconds: float) -> None:
        """Let time pass, and what falls due by then happen."""
        self.at += round(seconds * 1_000_000)
        self.host.handle([])

    def result(self, message: Command | Query, key: str | None = None, if_version: int | None = None) -> Result:
        """Say one thing."""
        return self.host.handle([Envelope(message, key, "request", "tester", if_version)])[0]

    def execute(
        self, message: Command | Query, key: str | None = None, if_version: int | None = None
    ) -> Reply | Refusal:
        """Say one thing; the reply or refusal."""
        return self.result(message, key, if_version).response

    def execute_batch(self, messages: Sequence[Command | Query]) -> list[Reply | Refusal]:
        """Say several things at once, in one batch."""
        return [
            answer.response
            for answer in self.host.handle([Envelope(message, None, "request", "tester") for message in messages])
        ]

    def open_hotel(self, rooms: dict[str, int] | None = None, hotel: str = HOTEL, **more: Any) -> None:
        """Open a hotel."""
        reply = self.execute(OpenHotel(hotel, plan(rooms, **more)))
        assert isinstance(reply, Reply), reply

    def book(self, arrival: int = 1, nights: int = 1, hotel: str = HOTEL, **more: Any) -> Booking:
        """Book, and expect it to work."""
        return self.booking_after(Book(hotel, request(arrival, nights, **more)))

    def booking_after(self, command: Command, **more: Any) -> Booking:
        """Say a command about a booking, and expect it to work; the booking after it."""
        reply = self.execute(command, **more)
        assert isinstance(reply, BookingReply), reply
        return reply.booking


@contextmanager
def partition_fixture(path: Path) -> Iterator[PartitionFixture]:
    """A reception over a journal in a file."""
    desk = PartitionFixture(SqliteJournal(path))
    try:
        yield desk
    finally:
        desk.host.close()
