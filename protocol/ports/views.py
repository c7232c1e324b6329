"""What a gateway reads beside the actors: lists and histories of everything that was ever acknowledged."""

from datetime import date
from typing import Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.reservations.booking import Booking, Status
from innkeeper.protocol.reservations.hotel import Hotel


class BookingSearch(msgspec.Struct, frozen=True):
    """Which bookings of a hotel; arrivals from `arrival_from` to `arrival_to`, both included; `text` is searched in
    the guest's name, e-mail and phone and in the locator."""

    hotel: str
    status: Status | None = None
    room_type: str | None = None
    room: str | None = None
    arrival_from: date | None = None
    arrival_to: date | None = None
    text: str | None = None


class Listed(msgspec.Struct, frozen=True):
    """A part of a list of bookings; `cursor` leads to the next one."""

    bookings: tuple[Booking, ...]
    cursor: str | None


class BadCursor(ValueError):
    """A cursor that no list gave out."""


class Views(Protocol):
    """Read models. Each method first catches up with its log to where `positions` says, and
    may block on the disk meanwhile."""

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """Hotels in the order of their ids."""

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> Listed:
        """Bookings in the order in which they were made, newest first."""

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """One booking, however old."""

    def history(self, positions: Positions, hotel: str, booking: str) -> list[tuple[int, RecordedEvent]]:
        """All events about a booking, in order, with their positions in the journal."""

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """The hotel and the bookings that hold a night in [start, end); None where there is no such hotel."""
