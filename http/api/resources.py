"""The resources in responses. `rendering` makes them; the OpenAPI document describes them."""

from datetime import date, datetime
from typing import Generic, TypeVar

import msgspec
from innkeeper.protocol.messages.refusals import FieldError
from innkeeper.protocol.reservations.booking import BookingStatus, RoomSegment
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition
from innkeeper.protocol.reservations.terms import CancellationPolicy, Deposit
from innkeeper.protocol.values.taxes import ChargeKind, TaxBase, TaxCategory, TaxExemption, TaxPeriod
from msgspec import UNSET, UnsetType

Night = date  # a field that is called `date` hides the type of this name
T = TypeVar("T")


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Money: a decimal string with the currency's own number of digits."""

    amount: str
    currency: str


class TaxOfNight(msgspec.Struct, frozen=True, gc=False):
    """A tax or fee of one night: part of its amount where it is `included`, else on top of it."""

    code: str
    amount: str
    included: bool


class NightPrice(msgspec.Struct, frozen=True, gc=False):
    """The price of one night as it was sold, and its taxes and fees. `total` is what the guest pays for it."""

    date: Night
    amount: str
    taxes: list[TaxOfNight]
    total: str


class Price(msgspec.Struct, frozen=True, gc=False):
    """The price of the stay, with all taxes and fees, night by night."""

    total: str
    currency: str
    nights: list[NightPrice]


class GuestResource(msgspec.Struct, frozen=True, gc=False):
    """A guest. One who is forgotten has an id only."""

    id: str
    name: str | None
    email: str | None
    phone: str | None
    address: tuple[str, ...]
    language: str | None
    forgotten: bool


class MoveResource(msgspec.Struct, frozen=True, gc=False):
    """Another booking that would be given another room; None where it would have none."""

    booking: str
    locator: str
    from_room: str
    to_room: str | None


class WarningResource(msgspec.Struct, frozen=True, gc=False):
    """What somebody should know of a request that was carried out; `code` is stable."""

    code: str
    message: str


class BookingResource(msgspec.Struct, frozen=True, gc=False):
    """A booking. `room` is the one in which the guest is or was, and before the arrival the first of its rooms; null
    where none is assigned. `rooms` are all in the order of their nights. `checked_in_on` and `checked_out_on` are
    business dates. Cancelling is free up to `free_until` and costs `late_fee` afterwards, and a no-show `no_show_fee`;
    `fee` is what it did cost. Only a preview (`dry_run`) has `moves`, those of others; one of a new booking has an
    empty id and locator. Only a check-out has a `balance`: what is owed then, None where that is not known (see
    `warnings`)."""

    id: str
    locator: str
    hotel: str
    status: BookingStatus
    room_type: str
    room: str | None
    rooms: tuple[RoomSegment, ...]
    pinned: bool
    arrival: date
    departure: date
    nights: int
    adults: int
    children: tuple[int, ...]
    exemptions: tuple[TaxExemption, ...]
    guest: GuestResource
    price: Price
    free_until: datetime
    late_fee: Amount
    no_show_fee: Amount
    fee: Amount | None
    notes: str
    source: str
    group: str | None
    expires_at: datetime | None
    reminder_on: date | None
    checked_in_on: date | None
    checked_out_on: date | None
    overstayed_nights: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    version: int
    moves: list[MoveResource] | UnsetType = UNSET
    balance: Amount | UnsetType | None = UNSET
    warnings: list[WarningResource] | UnsetType = UNSET


class RoomTypeResource(msgspec.Struct, frozen=True):
    """A room type, with its rooms in their order. Of the `max_guests`, as many as `max_adults` may be adults, or all of
    them where it is null; each infant needs one of the `cots`, or none where it is null."""

    code: str
    name: str
    max_guests: int
    max_adults: int | None
    cots: int | None
    rate: Amount
    rooms: tuple[str, ...]


class KnownRoomTypeResource(RoomTypeResource, frozen=True):
    """A room type of the hotel, also one that is `retired`: not sold any more."""

    retired: bool


class TaxTermsResource(msgspec.Struct, frozen=True):
    """A tax or fee of the hotel: a `rate` in percent, or an `amount`; see `TaxRequest`."""

    code: str
    name: str
    applies_to: tuple[ChargeKind, ...]
    rate: str | None
    amount: Amount | None
    base: TaxBase
    period: TaxPeriod
    included: bool
    nights_max: int | None
    exempt_below: int
    valid_from: date | None
    valid_to: date | None
    category: TaxCategory
    exemption: str


class HotelResource(msgspec.Struct, frozen=True):
    """A hotel. `business_date` is its current day, by the `clock` on the wall or a simulated one. Where it keeps
    `housekeeping`, guests are checked in to clean rooms. Children below the age `infants_below` are not counted as
    guests. With `overstays_block_audit` no date is closed while somebody who was due out is in house."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    night_audit: str
    housekeeping: bool
    infants_below: int
    overstays_block_audit: bool
    cancellation: CancellationPolicy
    taxes: list[TaxTermsResource]
    deposits: tuple[Deposit, ...]
    business_date: date
    clock: HotelClock
    room_types: list[RoomTypeResource]
    version: int


class NightAvailability(msgspec.Struct, frozen=True, gc=False):
    """Rooms left on one night."""

    date: Night
    rooms: int


class RoomTypeAvailability(msgspec.Struct, frozen=True, gc=False):
    """Rooms left of a type, for the whole stay and night by night. `needs_move`: more stays fit where the guest changes
    rooms, as a booking with `allow_split` does; with `?allow_split=true` they are counted."""

    code: str
    name: str
    max_guests: int
    rate: Amount
    rooms: int
    nights: list[NightAvailability]
    needs_move: bool


class AvailabilityResource(msgspec.Struct, frozen=True, gc=False):
    """The rooms that are left for a stay, by type."""

    hotel: str
    arrival: date
    departure: date
    room_types: list[RoomTypeAvailability]


class ChartRoom(msgspec.Struct, frozen=True, gc=False):
    """A row of the tape chart. A room that is retired has one where it has bookings in these nights."""

    number: str
    room_type: str
    retired: bool
    condition: RoomCondition


class ClosureResource(msgspec.Struct, frozen=True):
    """A room is out of order or out of service on the nights [first, until)."""

    id: str
    room: str
    kind: ClosureKind
    first: date
    until: date
    reason: str


class ChartGuest(msgspec.Struct, frozen=True, gc=False):
    """The guest of a bar of the tape chart; without a name once forgotten."""

    name: str | None


class ChartBooking(msgspec.Struct, frozen=True, gc=False):
    """A bar of the tape chart."""

    id: str
    locator: str
    status: BookingStatus
    room: str | None
    rooms: tuple[RoomSegment, ...]
    room_type: str
    arrival: date
    departure: date
    pinned: bool
    adults: int
    children: tuple[int, ...]
    guest: ChartGuest


class TapeChart(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """The grid of rooms and nights: the rooms in their order, and the bookings and closures that hold a night in
    [from, to)."""

    hotel: str
    business_date: date
    from_: date
    to: date
    rooms: list[ChartRoom]
    bookings: list[ChartBooking]
    closures: list[ClosureResource]


class ListPage(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list. `next_cursor` requests the next page; it is None on the last one."""

    data: list[T]
    next_cursor: str | None


class SubscriberResource(msgspec.Struct, frozen=True):
    """A subscriber: `positions` are its positions in the logs, `lag` is the number of events that it has not handled,
    up to the ends of the logs as these were known `lag_age_seconds` ago. `stalled` is the reason why it is stalled;
    `parked` is the number of hotels that wait behind a dead letter. `consumer-SERVICE` is what fills the inbox of a
    service from a broker: its positions are those of the inbox, and it cannot be paused."""

    name: str
    types: tuple[str, ...]
    positions: dict[str, int]
    lag: int
    lag_age_seconds: float
    paused: bool
    parked: int
    stalled: str | None


class DeadLetterResource(msgspec.Struct, frozen=True):
    """An event that a subscriber could not handle. Later events of its hotel wait until it is redriven or dropped.
    `retry_at` is the time of the next automatic attempt, None where an operator must decide."""

    subscriber: str
    event: str
    type: str
    hotel: str
    reason: str
    trace: str
    attempts: int
    since: datetime
    retry_at: datetime | None


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of the server. `silent` names the parts in other processes that do not run or do not answer; what
    needs one of them is refused with 503. `clock` says why the server's clock is in doubt: night audits wait then."""

    status: str
    silent: list[str] = []
    clock: str = ""


class Problem(msgspec.Struct, frozen=True):
    """An error (RFC 9457). `code` is stable, and `type` a link to what it means; some codes add members (nights,
    allowed actions)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...]
    request_id: str
