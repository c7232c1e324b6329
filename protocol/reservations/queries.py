"""What a hotel can be asked. A query changes nothing; its answer holds everything acknowledged before it."""

from datetime import date

from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.stay import check_stay


class DescribeHotel(Query, frozen=True):
    """What the hotel is, and its business date."""


class FindAvailability(Query, frozen=True):
    """How many rooms of each type are left, for the whole stay and night by night."""

    arrival: date
    departure: date
    guests: int = 1

    def __post_init__(self) -> None:
        check_stay(self.arrival, self.departure, limits.availability_nights_max)


class FindBooking(Query, frozen=True):
    """One booking that the hotel still has in mind."""

    booking: str


class ListWaitlist(Query, frozen=True):
    """Who waits, longest first."""


class DescribeState(Query, frozen=True):
    """All that the hotel knows, as its snapshot; for the journal's keeper and for auditors."""


QUERIES: tuple[type[Query], ...] = (DescribeHotel, FindAvailability, FindBooking, ListWaitlist, DescribeState)
