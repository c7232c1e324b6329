"""The read models as a gateway uses them: lists and histories of everything that was ever acknowledged."""

from datetime import date
from typing import Protocol

import msgspec
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.hotel import Hotel


class BookingSearch(msgspec.Struct, frozen=True):
    """Selects bookings of a hotel. The dates are all included; `overstayed` are those who stay longer than agreed,
    `moves_on` those who have another room that night than the one in which they are. `text` finds a booking where each
    of its words begins a word of the guest's name, e-mail address or locator, or it is a part of the guest's phone
    number. Case, accents and spellings make no difference, nor do O and 0, or I, L and 1, in a locator."""

    hotel: str
    status: BookingStatus | None = None
    room_type: str | None = None
    room: str | None = None
    arrival_from: date | None = None
    arrival_to: date | None = None
    departure_from: date | None = None
    departure_to: date | None = None
    overstayed: bool = False
    moves_on: date | None = None
    text: str | None = None

    def selects_rooms_of(self, booking: Booking) -> bool:
        """Whether the rooms of the booking are as `moves_on` says."""
        return self.moves_on is None or booking.room_on(self.moves_on) not in (None, booking.room)


class BookingPage(msgspec.Struct, frozen=True):
    """A page of a list of bookings; `cursor` selects the next page, None after the last."""

    bookings: tuple[Booking, ...]
    cursor: str | None


class KnownGuest(msgspec.Struct, frozen=True):
    """The bookings of a guest, newest first, at most `guest_bookings_max`; the position of the event by which the guest
    was forgotten, None while the guest is not; and whether something is left of forgotten guests in the file of the
    read models."""

    bookings: tuple[Booking, ...]
    forgotten_at: int | None
    is_erasing: bool = False


class InvalidCursor(ValueError):
    """The cursor is not one that a list returned."""


class Views(Protocol):
    """Read models. Each method first catches up with the log to `positions`, and may block on the disk meanwhile."""

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """Returns a page of hotels in the order of their ids, and the cursor of the next page."""

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> BookingPage:
        """Returns a page of bookings in the order in which they were made, newest first. Raises `InvalidCursor`."""

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """Returns a booking, however old; None where there is none."""

    def guest(self, positions: Positions, hotel: str, guest: str) -> KnownGuest:
        """Returns what is known of a guest; no bookings where there is no such guest."""

    def history(self, positions: Positions, hotel: str, booking: str) -> list[tuple[int, RecordedEvent]]:
        """Returns all events about a booking, in order, with their positions in the journal."""

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """Returns the hotel and the bookings that hold a night in [start, end); None where there is no such hotel."""


class FollowingViews(Views, Protocol):
    """Read models beside their log."""

    @property
    def is_erasing(self) -> bool:
        """Whether something is left of forgotten guests: `follow` is to be called again soon."""

    def follow(self) -> bool:
        """Applies the next events of the log, and removes what is left of forgotten guests, where no reader is in the
        way; returns whether there were any events. May block on the disk. Raises what reading the log raises."""
