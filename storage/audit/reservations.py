"""The auditor of reservations, which reads a whole journal and checks the promises, without the rules of reservations.

It applies the events to plain dictionaries, and checks who holds which room on which night (P1), which rooms a hotel
has (P2), and that each hotel's history has no gap. It is slow and simple on purpose.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events


@dataclass(slots=True)
class HeldRoom:
    """A booking in the auditor: the nights that it holds, each in a room."""

    room: str
    arrival: int
    departure: int
    nights: dict[int, str]
    open: bool = True


@dataclass(slots=True)
class HotelRecord:
    """The state of one hotel after its events so far."""

    seq: int = 0
    today: int = 0
    rooms: dict[str, str] = field(default_factory=dict)
    holders: dict[tuple[str, int], str] = field(default_factory=dict)
    bookings: dict[str, HeldRoom] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


class ReservationsAuditor:
    """Checks events in order; `violations` describes what is wrong."""

    def __init__(self) -> None:
        self.hotels: dict[str, HotelRecord] = {}
        self.events = 0
        self.violations: list[str] = []
        self._command: tuple[str, str] | None = None
        self._touched: set[tuple[str, str, int]] = set()

    def handle(self, records: Iterable[RecordedEvent]) -> None:
        """Checks the next events, in the journal's order."""
        for record in records:
            command = (record.hotel, record.cause or record.id)
            if command != self._command:  # bookings may exchange rooms within a command
                self._check_rooms()
                self._command = command
            self._check(record)
        self._check_rooms()

    def _check(self, record: RecordedEvent) -> None:
        self.events += 1
        state = self.hotels.setdefault(record.hotel, HotelRecord())
        if record.hotel_seq != state.seq + 1:
            self.violations.append(f"{record.hotel}: event {record.hotel_seq} follows event {state.seq}")
        state.seq = record.hotel_seq
        event = record.event
        match event:
            case events.HotelOpened():
                state.today = event.business_date.toordinal()
            case events.RoomAdded():
                state.rooms[event.room] = event.room_type
            case events.BusinessDateRolled():
                self._roll(state, event.opened)
            case events.WaitlistJoined():
                state.waiting.add(event.entry)
            case events.WaitlistLeft():
                self._leave_waitlist(record.hotel, state, event.entry)
            case events.BookingEvent():
                if isinstance(event, events.BookingHeld) and event.from_waitlist:
                    self._leave_waitlist(record.hotel, state, event.booking)
                self._apply_booking(record.hotel, state, event)
            case _:
                pass

    def _roll(self, state: HotelRecord, opened: date) -> None:
        state.today = opened.toordinal()

    def _leave_waitlist(self, hotel: str, state: HotelRecord, entry: str) -> None:
        if entry not in state.waiting:
            self.violations.append(f"{hotel}: {entry} is taken off the waitlist, but is not on it")
        state.waiting.discard(entry)

    def _apply_booking(self, hotel: str, state: HotelRecord, event: events.BookingEvent) -> None:
        held = state.bookings.get(event.booking)
        match event:
            case events.BookingHeld() | events.BookingConfirmed() | events.BookingModified():
                if held is None:
                    held = state.bookings[event.booking] = HeldRoom(event.room, 0, 0, {})
                held.room, held.arrival, held.departure = (
                    event.room, event.arrival.toordinal(), event.departure.toordinal(),
                )  # fmt: skip
                held.open = True
            case _ if held is None:
                self.violations.append(f"{hotel}: {type(event).__name__} of a booking that does not exist")
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
        self._hold(hotel, state, event.booking, held)

    def _hold(self, hotel: str, state: HotelRecord, booking: str, held: HeldRoom) -> None:
        """Replaces the booking's nights from the business date on; earlier nights stay as they were slept."""
        for night in [night for night in held.nights if night >= state.today]:
            room = held.nights.pop(night)
            if state.holders.get((room, night)) == booking:
                del state.holders[room, night]
        if held.open:
            for night in range(max(held.arrival, state.today), held.departure):
                held.nights[night] = held.room
                self._touched.add((hotel, booking, night))

    def _check_rooms(self) -> None:
        """Checks after a command that each changed night has one holder, in a room that the hotel has."""
        for hotel, booking, night in sorted(self._touched):
            state = self.hotels[hotel]
            room = state.bookings[booking].nights.get(night)
            if room is None:
                continue
            if room not in state.rooms:
                self.violations.append(f"{hotel}: booking {booking} has room {room}, which does not exist (P2)")
            holder = state.holders.setdefault((room, night), booking)
            if holder != booking:
                self.violations.append(
                    f"{hotel}: {holder} and {booking} both hold room {room} on {date.fromordinal(night)} (P1)"
                )
        self._touched.clear()
