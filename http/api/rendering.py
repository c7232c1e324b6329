"""Renders replies as resources, and resources as JSON."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TypeVar

import msgspec
from aiohttp import web
from innkeeper.http.api.resources import (
    Amount,
    AvailabilityResource,
    BookingResource,
    ChartBooking,
    ChartGuest,
    ChartRoom,
    ClosureResource,
    DeadLetterResource,
    GuestResource,
    HotelResource,
    KnownRoomTypeResource,
    ListPage,
    MoveResource,
    NightAvailability,
    NightPrice,
    Price,
    RoomTypeAvailability,
    RoomTypeResource,
    SubscriberResource,
    TapeChart,
    TaxOfNight,
    TaxTermsResource,
)
from innkeeper.protocol.ports.subscriptions import DeadLetter, SubscriberState
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.hotel import Hotel, RoomType
from innkeeper.protocol.reservations.replies import (
    AvailabilityReply,
    PreviewReply,
    RoomDetails,
    TypeAvailability,
)
from innkeeper.protocol.reservations.room_events import RoomCondition
from innkeeper.protocol.values.guests import Guest
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import Tax

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


_JSON = {"Content-Type": "application/json"}
_DAY = timedelta(days=1)


def booking_resource(booking: Booking) -> BookingResource:
    """The resource of a booking."""
    arrival, currency, guest = booking.arrival, booking.currency, booking.guest
    details = guest.details
    nights: list[NightPrice] = []
    total = 0
    for line in booking.lines:
        total += line.total
        amount = render(line.amount, currency)
        if line.taxes:
            taxes = [TaxOfNight(tax.code, render(tax.amount, currency), tax.included) for tax in line.taxes]
            nights.append(NightPrice(line.night, amount, taxes, render(line.total, currency)))
        else:
            nights.append(NightPrice(line.night, amount, [], amount))
    created_at = instant(booking.created_at)
    changed_at = created_at if booking.changed_at == booking.created_at else instant(booking.changed_at)
    return BookingResource(
        booking.id, booking.locator, booking.hotel, booking.status, booking.room_type, booking.room or None,
        booking.rooms, booking.pinned,
        arrival, booking.departure, (booking.departure - arrival).days, booking.adults, booking.children,
        booking.exemptions,
        guest_resource(guest) if details is None else GuestResource(
            guest.id, details.name, details.email, details.phone, details.address, details.language, False
        ),
        Price(render(total, currency), currency, nights),
        instant(booking.free_until), Amount(render(booking.late_fee, currency), currency),
        Amount(render(booking.no_show_fee, currency), currency),
        Amount(render(booking.fee, currency), currency) if booking.fee else None,
        "" if details is None else details.notes, booking.source, booking.group,
        None if booking.expires_at is None else instant(booking.expires_at), booking.reminder_on,
        booking.checked_in_on, booking.checked_out_on, booking.overstayed_nights,
        created_at, booking.created_by, changed_at, booking.changed_by,
        booking.version,
    )  # fmt: skip


def preview_resource(reply: PreviewReply) -> BookingResource:
    """The resource of a booking as it would be."""
    moves = [MoveResource(one.booking, one.locator, one.from_room, one.to_room or None) for one in reply.moves]
    return msgspec.structs.replace(booking_resource(reply.booking), moves=moves)


def guest_resource(guest: Guest) -> GuestResource:
    """The resource of a guest."""
    details = guest.details
    if details is None:
        return GuestResource(guest.id, None, None, None, (), None, True)
    return GuestResource(guest.id, details.name, details.email, details.phone, details.address, details.language, False)


def hotel_resource(hotel: Hotel) -> HotelResource:
    """The resource of a hotel."""
    terms = hotel.terms_of_sale[-1]
    return HotelResource(
        hotel.id, hotel.name, hotel.timezone, hotel.currency, hotel.check_in, hotel.check_out, hotel.night_audit,
        hotel.housekeeping, hotel.infants_below, hotel.overstays_block_audit,
        terms.cancellation, [_tax_terms(tax, hotel.currency) for tax in terms.taxes], terms.deposits,
        hotel.business_date, hotel.clock, [_room_type(kind, hotel.currency) for kind in hotel.room_types],
        hotel.version,
    )  # fmt: skip


def _tax_terms(tax: Tax, currency: str) -> TaxTermsResource:
    return TaxTermsResource(
        tax.code, tax.name, tax.applies_to, render_percent(tax.rate) if tax.by_rate else None,
        None if tax.by_rate else Amount(render(tax.amount, currency), currency),
        tax.base, tax.period, tax.included, tax.nights_max, tax.exempt_below, tax.valid_from, tax.valid_to,
        tax.category, tax.exemption,
    )  # fmt: skip


def _room_type(kind: RoomType, currency: str) -> RoomTypeResource:
    return RoomTypeResource(
        kind.code, kind.name, kind.max_guests, kind.max_adults, kind.cots,
        Amount(render(kind.rate, currency), currency), kind.rooms,
    )  # fmt: skip


def room_type_resource(kind: RoomType, currency: str, retired: bool = False) -> KnownRoomTypeResource:
    """The resource of a room type, which may be retired."""
    return KnownRoomTypeResource(**msgspec.structs.asdict(_room_type(kind, currency)), retired=retired)


def availability(reply: AvailabilityReply) -> AvailabilityResource:
    """The resource of the rooms left per type."""
    dates = [reply.arrival + _DAY * night for night in range((reply.departure - reply.arrival).days)]
    return AvailabilityResource(
        reply.hotel, reply.arrival, reply.departure, [_type_left(left, reply.currency, dates) for left in reply.types]
    )


def _type_left(left: TypeAvailability, currency: str, dates: list[date]) -> RoomTypeAvailability:
    kind = left.room_type
    nights = list(map(NightAvailability, dates, left.nights))
    return RoomTypeAvailability(
        kind.code, kind.name, kind.max_guests, Amount(render(kind.rate, currency), currency), left.rooms, nights,
        left.needs_move,
    )  # fmt: skip


def subscriber(state: SubscriberState) -> SubscriberResource:
    """The resource of a subscriber."""
    return SubscriberResource(
        state.name, state.types, state.positions, state.lag, round(state.lag_age_seconds, 3), state.paused,
        state.parked, state.stalled or None,
    )  # fmt: skip


def dead_letter(letter: DeadLetter) -> DeadLetterResource:
    """The resource of a dead letter."""
    return DeadLetterResource(
        letter.subscriber, letter.event, letter.type, letter.hotel, letter.reason, letter.trace, letter.attempts,
        instant(letter.since), None if letter.retry_at is None else instant(letter.retry_at),
    )  # fmt: skip


def closure_resource(closure: Closure) -> ClosureResource:
    """The resource of a closure."""
    return ClosureResource(closure.id, closure.room, closure.kind, closure.first, closure.until, closure.reason)


def tape_chart(
    hotel: Hotel, bookings: Iterable[Booking], known: Iterable[RoomDetails], start: date, end: date
) -> TapeChart:
    """The tape chart of a hotel for the nights [start, end). Its rooms are `known` with their condition."""
    rooms = [ChartRoom(room.number, room.room_type, False, room.condition) for room in known]
    closures = [
        closure_resource(one) for room in known for one in room.closures if one.first < end and start < one.until
    ]
    bars = [
        ChartBooking(
            booking.id, booking.locator, booking.status, booking.room or None,
            booking.rooms, booking.room_type, booking.arrival,
            booking.departure, booking.pinned, booking.adults, booking.children, ChartGuest(booking.guest.name or None),
        )
        for booking in bookings
    ]  # fmt: skip
    used = {segment.room for bar in bars for segment in bar.rooms}
    rooms += [
        ChartRoom(one.room, one.room_type, True, RoomCondition.CLEAN) for one in hotel.retired_rooms if one.room in used
    ]
    return TapeChart(hotel.id, hotel.business_date, start, end, rooms, bars, closures)


def page(entries: Iterable[T], next_cursor: str | None) -> ListPage[T]:
    """A page of a list."""
    return ListPage(list(entries), next_cursor)


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(body=_encode(body), status=status, headers={**_JSON, **(headers or {})})
