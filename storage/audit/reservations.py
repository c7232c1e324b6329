"""Reads a whole journal and proves what was promised, with nothing of the rules that wrote it.

It knows only what the events mean, in plain dictionaries: who holds which room on which night (P1), how many rooms a
type has (P2), and that each hotel's history has no gap. It is slow and simple on purpose.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events


@dataclass(slots=True)
class Held:
    """A booking as the auditor sees it: the nights it holds, each in a room."""

    room: str
    arrival: int
    departure: int
    nights: dict[int, str]
    open: bool = True


@dataclass(slots=True)
class HotelRecord:
    """One hotel's events so far."""

    seq: int = 0
    today: int = 0
    rooms: dict[str, str] = field(default_factory=dict)
    holders: dict[tuple[str, int], str] = field(default_factory=dict)
    bookings: dict[str, Held] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


class Auditor:
    """Takes events one by one; `violations` says what is wrong, in words."""

    def __init__(self) -> None:
        self.hotels: dict[str, HotelRecord] = {}
        self.events = 0
        self.violations: list[str] = []
        self._command: tuple[str, str] | None = None
        self._touched: set[tuple[str, str, int]] = set()

    def handle(self, records: Iterable[RecordedEvent]) -> None:
        """The next events, in the journal's order."""
        for record in records:
            command = (record.hotel, record.cause or record.id)
            if command != self._command:  # within one command guests may pass each other in the corridor
                self._check_rooms()
                self._command = command
            self._take_in(record)
        self._check_rooms()

    def _take_in(self, record: RecordedEvent) -> None:
        self.events += 1
        ledger = self.hotels.setdefault(record.hotel, HotelRecord())
        if record.hotel_seq != ledger.seq + 1:
            self.violations.append(f"{record.hotel}: event {record.hotel_seq} follows event {ledger.seq}")
        ledger.seq = record.hotel_seq
        event = record.event
        match event:
            case events.HotelOpened():
                ledger.today = event.business_date.toordinal()
            case events.RoomAdded():
                ledger.rooms[event.room] = event.room_type
            case events.BusinessDateRolled():
                self._roll(ledger, event.opened)
            case events.WaitlistJoined():
                ledger.waiting.add(event.entry)
            case events.WaitlistLeft():
                self._take_off(record.hotel, ledger, event.entry)
            case events.BookingEvent():
                if isinstance(event, events.BookingHeld) and event.from_waitlist:
                    self._take_off(record.hotel, ledger, event.booking)
                self._take_in_booking(record.hotel, ledger, event)
            case _:
                pass

    def _roll(self, ledger: HotelRecord, opened: date) -> None:
        ledger.today = opened.toordinal()

    def _take_off(self, hotel: str, ledger: HotelRecord, entry: str) -> None:
        if entry not in ledger.waiting:
            self.violations.append(f"{hotel}: {entry} is taken off the waitlist, and does not stand on it")
        ledger.waiting.discard(entry)

    def _take_in_booking(self, hotel: str, ledger: HotelRecord, event: events.BookingEvent) -> None:
        held = ledger.bookings.get(event.booking)
        match event:
            case events.BookingHeld() | events.BookingConfirmed() | events.BookingModified():
                if held is None:
                    held = ledger.bookings[event.booking] = Held(event.room, 0, 0, {})
                held.room, held.arrival, held.departure = (
                    event.room, event.arrival.toordinal(), event.departure.toordinal(),
                )  # fmt: skip
                held.open = True
            case _ if held is None:
                self.violations.append(f"{hotel}: {type(event).__name__} of a booking that was never made")
                return
            case events.RoomMoved():
                held.room = event.to_room
            case events.BookingReinstated():
                held.room, held.open = event.room, True
            case events.GuestCheckedOut():
                held.departure = event.departure.toordinal()
            case events.BookingCancelled() | events.GuestNoShow() | events.HoldExpired() | events.HoldReleased():
                held.open = False
            case _:
                return
        self._hold(hotel, ledger, event.booking, held)

    def _hold(self, hotel: str, ledger: HotelRecord, booking: str, held: Held) -> None:
        """Enter the nights from the business date on; those gone by stay as they were slept."""
        for night in [night for night in held.nights if night >= ledger.today]:
            room = held.nights.pop(night)
            if ledger.holders.get((room, night)) == booking:
                del ledger.holders[room, night]
        if held.open:
            for night in range(max(held.arrival, ledger.today), held.departure):
                held.nights[night] = held.room
                self._touched.add((hotel, booking, night))

    def _check_rooms(self) -> None:
        """After a command: each touched night has one holder, in a room that the hotel has."""
        for hotel, booking, night in sorted(self._touched):
            ledger = self.hotels[hotel]
            room = ledger.bookings[booking].nights.get(night)
            if room is None:
                continue
            if room not in ledger.rooms:
                self.violations.append(f"{hotel}: booking {booking} has room {room}, which the hotel has not (P2)")
            holder = ledger.holders.setdefault((room, night), booking)
            if holder != booking:
                self.violations.append(
                    f"{hotel}: {holder} and {booking} both hold room {room} on {date.fromordinal(night)} (P1)"
                )
        self._touched.clear()
