"""What a client sees: the form of every answer. `rendering` fills them in; the OpenAPI document describes them."""

from datetime import date, datetime
from typing import Generic, TypeVar

import msgspec
from innkeeper.protocol.messages.refusals import FieldError
from innkeeper.protocol.reservations.booking import Status
from innkeeper.protocol.reservations.hotel import CancellationPolicy

Night = date  # a field that is called `date` hides the type of this name
T = TypeVar("T")


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Money: a decimal string with the currency's own number of digits."""

    amount: str
    currency: str


class NightPrice(msgspec.Struct, frozen=True, gc=False):
    """What one night costs."""

    date: Night
    amount: str


class Price(msgspec.Struct, frozen=True, gc=False):
    """What the stay costs, night by night."""

    total: str
    currency: str
    nights: list[NightPrice]


class GuestResource(msgspec.Struct, frozen=True, gc=False):
    """The guest."""

    id: str
    name: str
    email: str | None
    phone: str | None


class BookingResource(msgspec.Struct, frozen=True, gc=False):
    """A booking."""

    id: str
    locator: str
    hotel: str
    status: Status
    room_type: str
    room: str
    pinned: bool
    arrival: date
    departure: date
    nights: int
    adults: int
    children: tuple[int, ...]
    guest: GuestResource
    price: Price
    fee: Amount | None
    notes: str
    source: str
    group: str | None
    expires_at: datetime | None
    reminder_on: date | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    version: int


class RoomTypeResource(msgspec.Struct, frozen=True):
    """A room type, with its rooms in their order."""

    code: str
    name: str
    max_guests: int
    rate: Amount
    rooms: tuple[str, ...]


class HotelResource(msgspec.Struct, frozen=True):
    """A hotel. `business_date` is the day that it lives in."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    night_audit: str
    cancellation: CancellationPolicy
    business_date: date
    room_types: list[RoomTypeResource]


class NightLeft(msgspec.Struct, frozen=True, gc=False):
    """Rooms left on one night."""

    date: Night
    rooms: int


class TypeLeft(msgspec.Struct, frozen=True, gc=False):
    """Rooms left of a type: for the whole stay, and night by night."""

    code: str
    name: str
    max_guests: int
    rate: Amount
    rooms: int
    nights: list[NightLeft]


class AvailabilityResource(msgspec.Struct, frozen=True, gc=False):
    """What is left to sell."""

    hotel: str
    arrival: date
    departure: date
    room_types: list[TypeLeft]


class AuditResource(msgspec.Struct, frozen=True, gc=False):
    """The business date after a night audit, and what the audit settled."""

    hotel: str
    business_date: date
    no_shows: int
    checked_out: int
    holds_expired: int


class ChartRoom(msgspec.Struct, frozen=True, gc=False):
    """A row of the tape chart."""

    number: str
    room_type: str


class ChartGuest(msgspec.Struct, frozen=True, gc=False):
    """Who a bar of the tape chart is for."""

    name: str


class ChartBooking(msgspec.Struct, frozen=True, gc=False):
    """A bar of the tape chart."""

    id: str
    locator: str
    status: Status
    room: str
    room_type: str
    arrival: date
    departure: date
    pinned: bool
    adults: int
    children: tuple[int, ...]
    guest: ChartGuest


class TapeChart(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """The grid of rooms and nights: the rooms in their order, and the bookings that hold a night in [from, to)."""

    hotel: str
    business_date: date
    from_: date
    to: date
    rooms: list[ChartRoom]
    bookings: list[ChartBooking]


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; `next_cursor` asks for the next one, None where this is the last."""

    data: list[T]
    next_cursor: str | None


class SubscriberResource(msgspec.Struct, frozen=True):
    """Who listens, and how far it has come: `positions` are where it stands in each log, `lag` counts the events that
    it has not seen. `stalled` says why nothing goes on, if so; `parked` counts the hotels that wait behind an event
    that could not be taken in."""

    name: str
    types: tuple[str, ...]
    positions: dict[str, int]
    lag: int
    paused: bool
    parked: int
    stalled: str | None


class DeadLetterResource(msgspec.Struct, frozen=True):
    """An event that a subscriber could not take in. Later events of its hotel wait there until it is redriven or
    dropped; `retry_at` is when that is tried again by itself, None where it needs a person."""

    subscriber: str
    event: str
    type: str
    hotel: str
    reason: str
    trace: str
    attempts: int
    since: datetime
    retry_at: datetime | None


class Health(msgspec.Struct, frozen=True):
    """How the server feels."""

    status: str


class Problem(msgspec.Struct, frozen=True):
    """An error (RFC 9457). `code` is stable; what a code knows more (nights, allowed actions) stands beside these."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...]
    request_id: str
