"""A model of the hotels, built from the events alone: the holder of each room, and the status of each booking.

It shares no code with the rules. It runs the auditor of the storage, which checks P1 and P2; answers to clients are
checked against the facts of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.booking import PriceLine, RoomSegment
from innkeeper.protocol.values.guests import GuestKey
from innkeeper.storage.audit.hotel_record import HotelRecord
from innkeeper.storage.audit.reservations import ReservationsAuditor
from simulation.placement import fits

FIRST_DAY = date(2026, 3, 27)  # two days before most of Europe changes its clocks
LIVE = ("held", "confirmed", "in_house")
_ARRIVED = ("in_house", "checked_out")

STATUS = {
    events.BookingHeld: "held",
    events.BookingConfirmed: "confirmed",
    events.BookingReinstated: "confirmed",
    events.GuestCheckedIn: "in_house",
    events.CheckInUndone: "confirmed",
    events.GuestCheckedOut: "checked_out",
    events.CheckOutUndone: "in_house",
    events.GuestNoShow: "no_show",
    events.BookingCancelled: "cancelled",
    events.HoldReleased: "released",
    events.HoldExpired: "expired",
}


@dataclass(slots=True)
class BookingFacts:
    """A booking according to its events; `version` counts them."""

    hotel: str
    version: int = 0
    status: str = ""
    room_type: str = ""
    room: str = ""
    rooms: tuple[RoomSegment, ...] = ()
    pinned: bool = False
    arrival: date = date.min
    departure: date = date.min
    expires_at: int | None = None
    lines: tuple[PriceLine, ...] = ()


@dataclass(slots=True)
class Trace:
    """The effects of a request in the journal: the ids of its events, and the commands that caused them."""

    events: list[str] = field(default_factory=list)
    causes: set[str] = field(default_factory=set)


class EventModel:
    """Applies the events of each command. `guests_of_stays` has which version of a guest each booking and each entry of
    the waitlist is for."""

    def __init__(self) -> None:
        self.auditor = ReservationsAuditor()
        self.position = 0
        self.bookings: dict[str, BookingFacts] = {}
        self.traces: dict[str, Trace] = {}
        self._guests: dict[str, list[str]] = {}
        self.guests_of_stays: dict[str, GuestKey] = {}
        self.forgotten: set[str] = set()
        self.closed: dict[tuple[str, date], events.BusinessDateRolled] = {}
        self.conditions: dict[tuple[str, str], str] = {}

    def handle(self, records: Sequence[RecordedEvent]) -> None:
        """Apply the events of one command."""
        self.auditor.handle(records)
        self.position += len(records)
        for record in records:
            trace = self.traces.setdefault(record.correlation, Trace())
            trace.events.append(record.id)
            trace.causes.add(record.cause)
            self._note_guest(record)
            if isinstance(record.event, events.BusinessDateRolled):
                self.closed[record.hotel, record.event.closed] = record.event
            self._note_condition(record.hotel, record.event)
            if isinstance(record.event, events.BookingEvent):
                self._apply(record.hotel, record.event)

    def _note_condition(self, hotel: str, event: Event) -> None:
        """Who was in house leaves a dirty room, and so does each night."""
        match event:
            case room_events.RoomConditionChanged():
                self.conditions[hotel, event.room] = event.condition.value
            case events.GuestCheckedOut():
                self.conditions[hotel, self.bookings[event.booking].room] = "dirty"
            case events.RoomMoved() if event.moved_in and event.to_room != self.bookings[event.booking].room:
                self.conditions[hotel, self.bookings[event.booking].room] = "dirty"
            case events.BusinessDateRolled():
                in_house = [one for one in self.bookings.values() if (one.hotel, one.status) == (hotel, "in_house")]
                self.conditions |= {(hotel, one.room): "dirty" for one in in_house}

    def _note_guest(self, record: RecordedEvent) -> None:
        match record.event:
            case (
                events.StayEvent(guest=guest)
                | events.GuestChanged(guest=guest)
                | events.WaitlistJoined(guest=guest)
                | events.WaitlistChanged(guest=guest)
            ):
                stay = getattr(record.event, "booking", "") or getattr(record.event, "entry", "")
                self.guests_of_stays[stay] = guest.key
                known = self._guests.setdefault(record.hotel, [])
                known += [guest.id] if guest.id not in known else []
            case events.GuestForgotten(guest=forgotten):
                self.forgotten.add(forgotten)

    def guests(self, hotel: str) -> list[str]:
        """All guests of the hotel, forgotten ones too."""
        return self._guests.get(hotel, [])

    def _apply(self, hotel: str, event: events.BookingEvent) -> None:
        facts = self.bookings.setdefault(event.booking, BookingFacts(hotel))
        facts.version += 1
        facts.status = STATUS.get(type(event), facts.status)
        facts.rooms = getattr(event, "rooms", facts.rooms)
        match event:
            case events.StayEvent():
                facts.pinned, facts.room_type = event.pinned, event.room_type
                facts.arrival, facts.departure, facts.lines = event.arrival, event.departure, event.lines
            case events.BookingReinstated():
                facts.lines = event.lines
            case events.GuestCheckedOut() | events.CheckOutUndone() | events.GuestOverstayed():
                facts.departure, facts.lines = event.departure, event.lines
            case events.BookingPinned() | events.BookingUnpinned():
                facts.pinned = isinstance(event, events.BookingPinned)
        match event:
            case events.GuestCheckedIn() | events.CheckOutUndone():
                facts.room = event.room
            case events.RoomMoved() if event.moved_in:
                facts.room = event.to_room
            case _ if facts.status in ("held", "confirmed"):
                facts.room = facts.rooms[0].room or ""
        if facts.status != "held":
            facts.expires_at = None
        elif isinstance(event, events.BookingHeld | events.HoldExtended):
            facts.expires_at = event.expires_at

    def hotel_record(self, hotel: str) -> HotelRecord | None:
        """The record that the auditor keeps of this hotel; None if it is not open."""
        return self.auditor.hotels.get(hotel)

    def today(self, hotel: str) -> date:
        """The hotel's business date."""
        return date.fromordinal(self.auditor.hotels[hotel].today)

    def waiting(self, hotel: str) -> set[str]:
        """The entries of the waitlist of a hotel."""
        record = self.hotel_record(hotel)
        return record.waiting if record else set()

    def rooms(self, hotel: str, room_type: str) -> list[str]:
        """The rooms of a type."""
        return [room for room, kind in self.auditor.hotels[hotel].rooms.items() if kind == room_type]

    def holder_of(self, hotel: str, room: str, night: date) -> str | None:
        """The booking that holds the room in this night."""
        return self.auditor.hotels[hotel].holders.get((room, night.toordinal()))

    def rooms_left(self, hotel: str, room_type: str, night: date, except_for: str = "") -> int:
        """How many rooms of a type are free in this night, without counting one booking."""
        free = sum(self.holder_of(hotel, room, night) in (None, except_for) for room in self.rooms(hotel, room_type))
        waiting = sum(
            facts.status in LIVE
            and facts.room_type == room_type
            and any(part.room is None and part.first <= night < part.until for part in facts.rooms)
            for id_, facts in self.bookings.items()
            if facts.hotel == hotel and id_ != except_for
        )
        return max(free - waiting, 0)

    def day(self, hotel: str) -> date:
        """The hotel's business date, or the first one that it may have."""
        return FIRST_DAY if self.hotel_record(hotel) is None else self.today(hotel)

    def all_rooms(self, hotel: str) -> list[str]:
        """The rooms of the hotel."""
        record = self.hotel_record(hotel)
        return list(record.rooms) if record else []

    def closures(self, hotel: str) -> list[tuple[str, str]]:
        """The closures that are not over, each with its room."""
        record = self.hotel_record(hotel)
        return [(one.room, id_) for id_, one in record.closed.closures.items()] if record else []

    def has_fixed_stay(self, hotel: str, room_type: str) -> bool:
        """Whether a room of this type is pinned for a live booking, part of a divided stay, that of a guest who arrived
        before the date was open, or out of order."""
        rooms, today = {*self.rooms(hotel, room_type), None}, self.today(hotel)
        if any(one.room in rooms and one.out_of_order for one in self.auditor.hotels[hotel].closed.closures.values()):
            return True
        return any(
            facts.hotel == hotel
            and any(part.room in rooms for part in facts.rooms)
            and (
                ((facts.pinned or len(facts.rooms) > 1) and facts.status in LIVE)
                or (facts.status in _ARRIVED and facts.arrival > today)
            )
            for facts in self.bookings.values()
        )

    def can_be_placed(self, hotel: str, room_type: str, arrival: date, departure: date) -> bool:
        """Whether one more stay can have one room for all its nights."""
        rooms, today = self.rooms(hotel, room_type), self.today(hotel)
        fixed: list[tuple[str, tuple[date, date]]] = []
        movable: list[tuple[date, date]] = []
        for facts in self.bookings.values():
            if facts.hotel != hotel or facts.status not in (*LIVE, "checked_out"):
                continue
            may_move = facts.status in ("held", "confirmed") and not facts.pinned and len(facts.rooms) == 1
            for part in facts.rooms:
                first = max(part.first, today)
                if part.room in rooms and first < part.until:
                    if may_move:
                        movable.append((first, part.until))
                    else:
                        fixed.append((part.room or "", (first, part.until)))
        return fits(rooms, fixed, movable, (arrival, departure))

    def expired_holds(self, at: int) -> list[str]:
        """Holds that should have expired by this instant."""
        return [
            booking
            for booking, facts in self.bookings.items()
            if facts.expires_at is not None and facts.expires_at <= at
        ]
