"""The queries of a hotel. A query changes nothing; its reply includes everything acknowledged before it."""

from datetime import date
from typing import ClassVar

from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.reservations.requests import check_stay
from innkeeper.protocol.values import limits


class DescribeHotel(Query, frozen=True):
    """Describe the hotel and its business date."""

    name: ClassVar[str] = "hotel.describe"


class ListRooms(Query, frozen=True):
    """List the rooms with their condition, their closures and, with `guests`, their guests of today: all that the hotel
    has, or this one."""

    name: ClassVar[str] = "rooms.list"
    room: str | None = None
    guests: bool = True


class FindAvailability(Query, frozen=True):
    """Count the rooms left of each type that takes the guests, for the whole stay and for each night."""

    name: ClassVar[str] = "availability.find"
    arrival: date
    departure: date
    adults: int = 1
    children: tuple[int, ...] = ()
    allow_split: bool = False

    def __post_init__(self) -> None:
        check_stay(self.arrival, self.departure, limits.availability_nights_max)


class FindBooking(Query, frozen=True):
    """Return one booking that can still change; the read models have the others."""

    name: ClassVar[str] = "booking.find"
    booking: str


class FindGuest(Query, frozen=True):
    """Return the newest details of a guest."""

    name: ClassVar[str] = "guest.find"
    guest: str


class ListWaitlist(Query, frozen=True):
    """List the entries of the waitlist, longest waiting first."""

    name: ClassVar[str] = "waitlist.list"


class PreviewNightAudit(Query, frozen=True):
    """Return what the night audit would do that closes `day`, `early` or not: the open business date, where it is
    None."""

    name: ClassVar[str] = "business_date.preview"
    day: date | None = None
    early: bool = False


class DescribeHotelState(Query, frozen=True):
    """Return the hotel's whole state, as its snapshot has it; for the partition's host and for auditors."""

    name: ClassVar[str] = "hotel_state.describe"


QUERIES: tuple[type[Query], ...] = (
    DescribeHotel, ListRooms, FindAvailability, FindBooking, FindGuest, ListWaitlist, PreviewNightAudit,
    DescribeHotelState,
)  # fmt: skip
