"""Read models in memory: they are folded from the log again whenever they are opened."""

import threading
from datetime import date
from itertools import islice

from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import EventLog, Positions, with_guests
from innkeeper.protocol.ports.views import BookingPage, BookingSearch, InvalidCursor, KnownGuest
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.projection import apply_event, apply_hotel_event
from innkeeper.protocol.reservations.transitions import HOLDS_NIGHTS
from innkeeper.protocol.values.guests import bare
from innkeeper.protocol.values.limits import guest_bookings_max
from innkeeper.storage.read_model_events import read_model_events
from innkeeper.storage.search_words import indexed_words, is_found, searched_words

_STEP_EVENTS = 2_000


class MemoryViews:
    """Implements `protocol.ports.views.FollowingViews` in memory."""

    def __init__(self, name: str, log: EventLog) -> None:
        """`name` is the name of the log."""
        self._name = name
        self._log = log
        self._lock = threading.Lock()
        self._position = 0
        self._hotels: dict[str, Hotel] = {}
        self._bookings: dict[str, Booking] = {}  # in the order in which they were made
        self._forgotten: dict[str, int] = {}
        self._history: dict[str, list[int]] = {}  # the positions of each booking's events

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `Views`."""
        self._catch_up(positions)
        with self._lock:
            found = [self._hotels[id_] for id_ in sorted(self._hotels) if id_ > (cursor or "")]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> BookingPage:
        """See `Views`."""
        if cursor is not None and (not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18):
            raise InvalidCursor(cursor)
        self._catch_up(positions)
        with self._lock:
            found = (
                (self._history[booking.id][0], booking)
                for booking in reversed(self._bookings.values())
                if cursor is None or self._history[booking.id][0] < int(cursor)
            )
            page = [*islice(((at, booking) for at, booking in found if _matches(booking, search)), limit + 1)]
        more = str(page[limit - 1][0]) if len(page) > limit else None
        return BookingPage(tuple(booking for _, booking in page[:limit]), more)

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `Views`."""
        self._catch_up(positions)
        found = self._bookings.get(booking)
        return found if found is not None and found.hotel == hotel else None

    def guest(self, positions: Positions, hotel: str, guest: str) -> KnownGuest:
        """See `Views`."""
        self._catch_up(positions)
        with self._lock:
            newest = reversed(self._bookings.values())
            found = islice((one for one in newest if one.hotel == hotel and one.guest.id == guest), guest_bookings_max)
            return KnownGuest(tuple(found), self._forgotten.get(guest))

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `Views`."""
        if self.booking(positions, hotel, booking) is None:
            return []
        return [entry for position in [*self._history[booking]] for entry in self._log.read(position - 1, 1)]

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `Views`."""
        self._catch_up(positions)
        with self._lock:
            found = [
                booking
                for booking in self._bookings.values()
                if booking.hotel == hotel and booking.status in HOLDS_NIGHTS
                if booking.arrival < end and booking.departure > start
            ]
        found.sort(key=lambda booking: booking.arrival)
        return (self._hotels[hotel], found) if hotel in self._hotels else None

    @property
    def is_erasing(self) -> bool:
        """See `FollowingViews`."""
        return False

    def follow(self) -> bool:
        """See `FollowingViews`."""
        with self._lock:
            return self._step()

    def _catch_up(self, positions: Positions) -> None:
        with self._lock:
            while self._position < positions[self._name] and self._step():
                pass

    def _step(self) -> bool:
        entries = self._log.read(self._position, _STEP_EVENTS)
        for entry in with_guests(entries, self._log):
            self._apply(entry)
            self._position = entry[0]
        return bool(entries)

    def _apply(self, entry: LogEntry) -> None:
        rule = MEMORY_VIEW_EVENTS[type(entry[1].event)]
        if rule is not None:
            rule(self, entry)

    def fold_hotel(self, entry: LogEntry) -> None:
        """Applies an event about the hotel itself."""
        record = entry[1]
        self._hotels[record.hotel] = apply_hotel_event(self._hotels.get(record.hotel), record)

    def fold_booking(self, entry: LogEntry) -> None:
        """Applies an event about a booking."""
        position, record = entry
        assert isinstance(record.event, BookingEvent)
        known = self._bookings.get(record.event.booking)
        booking = apply_event(known, record, self._hotels[record.hotel].currency)
        self._bookings[booking.id] = booking
        self._history.setdefault(booking.id, []).append(position)

    def forget_guest(self, entry: LogEntry) -> None:
        """Applies the event by which a guest is forgotten."""
        position, record = entry
        assert isinstance(record.event, ForgettingEvent)
        self._forgotten[record.event.guest] = position
        of_guest = [booking for booking in self._bookings.values() if booking.guest.id == record.event.guest]
        self._bookings |= {booking.id: bare(booking) for booking in of_guest}


MEMORY_VIEW_EVENTS = read_model_events(
    "the read models in memory", MemoryViews.fold_hotel, MemoryViews.fold_booking, MemoryViews.forget_guest
)


def _matches(booking: Booking, search: BookingSearch) -> bool:
    return (
        booking.hotel == search.hotel
        and search.status in (None, booking.status)
        and search.room_type in (None, booking.room_type)
        and search.room in (None, booking.room)
        and (search.arrival_from is None or search.arrival_from <= booking.arrival)
        and (search.arrival_to is None or booking.arrival <= search.arrival_to)
        and (search.departure_from is None or search.departure_from <= booking.departure)
        and (search.departure_to is None or booking.departure <= search.departure_to)
        and (not search.overstayed or booking.overstayed_nights > 0)
        and search.selects_rooms_of(booking)
        and (search.text is None or is_found(indexed_words(booking), searched_words(search.text)))
    )
