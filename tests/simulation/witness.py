"""What really happened, told from the events alone: who holds which room, and where each booking stands.

It shares no code with the rules. The auditor of the storage proves P1 and P2 on the way; here stand the facts that an
answer to a client can be held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events
from innkeeper.storage.audit.reservations import HotelRecord, ReservationsAuditor

LIVE = ("held", "confirmed", "in_house")

_STATUS = {
    events.BookingHeld: "held",
    events.BookingConfirmed: "confirmed",
    events.BookingReinstated: "confirmed",
    events.GuestCheckedIn: "in_house",
    events.GuestCheckedOut: "checked_out",
    events.GuestNoShow: "no_show",
    events.BookingCancelled: "cancelled",
    events.HoldReleased: "released",
    events.HoldExpired: "expired",
}


@dataclass(slots=True)
class Facts:
    """One booking as its events tell it; `version` counts them."""

    hotel: str
    version: int = 0
    status: str = ""
    room: str = ""
    pinned: bool = False
    arrival: date = date.min
    departure: date = date.min
    expires_at: int | None = None


@dataclass(slots=True)
class Trace:
    """What one request left in the journal: the ids of its events, and the commands that caused them."""

    events: list[str] = field(default_factory=list)
    causes: set[str] = field(default_factory=set)


class Witness:
    """Takes in the events of one command after the other."""

    def __init__(self) -> None:
        self.auditor = ReservationsAuditor()
        self.position = 0
        self.bookings: dict[str, Facts] = {}
        self.traces: dict[str, Trace] = {}

    def handle(self, records: Sequence[RecordedEvent]) -> None:
        """The events of one command."""
        self.auditor.handle(records)
        self.position += len(records)
        for record in records:
            trace = self.traces.setdefault(record.correlation, Trace())
            trace.events.append(record.id)
            trace.causes.add(record.cause)
            if isinstance(record.event, events.BookingEvent):
                self._note(record.hotel, record.event)

    def _note(self, hotel: str, event: events.BookingEvent) -> None:
        facts = self.bookings.setdefault(event.booking, Facts(hotel))
        facts.version += 1
        facts.status = _STATUS.get(type(event), facts.status)
        match event:
            case events.StayEvent():
                facts.room, facts.pinned = event.room, event.pinned
                facts.arrival, facts.departure = event.arrival, event.departure
            case events.RoomMoved():
                facts.room = event.to_room
            case events.BookingReinstated() | events.GuestCheckedIn():
                facts.room = event.room
            case events.GuestCheckedOut():
                facts.departure = event.departure
            case events.BookingPinned() | events.BookingUnpinned():
                facts.pinned = isinstance(event, events.BookingPinned)
        if facts.status != "held":
            facts.expires_at = None
        elif isinstance(event, events.BookingHeld | events.HoldExtended):
            facts.expires_at = event.expires_at

    def house(self, hotel: str) -> HotelRecord | None:
        """The auditor's book of this hotel, if it is open."""
        return self.auditor.hotels.get(hotel)

    def today(self, hotel: str) -> date:
        """The hotel's business date."""
        return date.fromordinal(self.auditor.hotels[hotel].today)

    def waiting(self, hotel: str) -> set[str]:
        """Who is on the hotel's waitlist."""
        house = self.house(hotel)
        return house.waiting if house else set()

    def rooms(self, hotel: str, room_type: str) -> list[str]:
        """The rooms of a type."""
        return [room for room, kind in self.auditor.hotels[hotel].rooms.items() if kind == room_type]

    def taken_by(self, hotel: str, room: str, night: date) -> str | None:
        """Whose room it is in this night."""
        return self.auditor.hotels[hotel].holders.get((room, night.toordinal()))

    def left(self, hotel: str, room_type: str, night: date, but_for: str = "") -> int:
        """How many rooms of a type are free in this night, if one booking were not there."""
        return sum(self.taken_by(hotel, room, night) in (None, but_for) for room in self.rooms(hotel, room_type))

    def promised(self, hotel: str, room_type: str) -> bool:
        """Does someone who is still to come have the hotel's word for a room of this type?"""
        rooms = self.rooms(hotel, room_type)
        return any(
            facts.pinned and facts.hotel == hotel and facts.room in rooms and facts.status in LIVE
            for facts in self.bookings.values()
        )

    def overdue(self, at: int) -> list[str]:
        """Holds that should have run out by this instant."""
        return [
            booking
            for booking, facts in self.bookings.items()
            if facts.expires_at is not None and facts.expires_at <= at
        ]
