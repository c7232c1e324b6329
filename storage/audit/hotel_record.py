"""What the auditor of reservations keeps of a hotel and of its bookings: plain facts."""

from dataclasses import dataclass, field

from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.storage.audit.business_dates import BusinessDates
from innkeeper.storage.audit.closed_rooms import ClosedRooms


@dataclass(slots=True)
class HeldRoom:
    """A booking in the auditor: its rooms, the nights that it holds, each in a room, and the `phase` of its life.
    `made` is the number of its first event in the hotel; `inside` is the room that the guest is in."""

    rooms: tuple[RoomSegment, ...]
    arrival: int
    departure: int
    nights: dict[int, str]
    made: int
    inside: str | None = None
    phase: str = "new"
    pinned: bool = False
    open: bool = True
    kept_until: int = 0


@dataclass(slots=True)
class HotelRecord:
    """The state of one hotel after its events so far."""

    seq: int = 0
    today: int = 0
    dates: BusinessDates | None = None
    rooms: dict[str, str] = field(default_factory=dict)
    holders: dict[tuple[str, int], str] = field(default_factory=dict)
    bookings: dict[str, HeldRoom] = field(default_factory=dict)
    closed: ClosedRooms = field(default_factory=ClosedRooms)
    inside: dict[str, set[str]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
