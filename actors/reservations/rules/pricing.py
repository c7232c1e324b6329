"""The price of a stay, night by night, and the fee of a cancellation."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from innkeeper.actors.reservations.rules.business_day import hotel_instant
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.reservations.booking import Booking, PriceLine, RoomSegment
from innkeeper.protocol.reservations.events import BookingReinstated, GuestCheckedOut, GuestNoShow
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import TaxExemptionRequest
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.taxes import (
    Guests,
    TaxAmount,
    TaxCategory,
    TaxExemption,
    added,
    night_taxes,
    taxes_on,
    with_fees_of_stay,
)


class SoldNight(NamedTuple):
    """A night at its agreed amount, on a version of the hotel's terms of sale."""

    night: date
    amount: int
    terms: int


class StayChange(NamedTuple):
    """The stay after a change. `rate` is the price of added nights, and of all that are not posted yet where the change
    `prices_anew`."""

    arrival: date
    departure: date
    adults: int
    children: tuple[int, ...]
    rate: int
    prices_anew: bool
    exemptions: tuple[TaxExemption, ...] = ()


class StayRequest(Protocol):
    """The stay of a booking request or of an entry of the waitlist."""

    @property
    def arrival(self) -> date:
        """The first night."""

    @property
    def departure(self) -> date:
        """The day after the last night."""

    @property
    def adults(self) -> int:
        """The number of adults."""

    @property
    def children(self) -> tuple[int, ...]:
        """The ages of the children."""


def price_nights(
    hotel: Hotel, nights: Sequence[SoldNight], guests: Guests, booked_on: int, over: Sequence[PriceLine] = ()
) -> tuple[PriceLine, ...]:
    """The price of a stay: a line for each night, with its taxes and fees. Nothing else prices a stay. The first nights
    are `over`, and keep their lines; fees per stay are those of the version of the terms that it was `booked_on`."""
    lines = [*over]
    stay: tuple[PriceLine | SoldNight, ...] = (*over, *nights)
    dates: list[date] = []
    charged = [line.taxes for line in over] if over else ()
    for place, sold in enumerate(nights, len(over)):
        amount = total = sold.amount
        taxes: tuple[TaxAmount, ...] = ()
        terms = hotel.terms_of_sale[sold.terms - 1].taxes
        if sold.terms != booked_on:
            terms = with_fees_of_stay(terms, hotel.terms_of_sale[booked_on - 1].taxes)
        if terms:
            dates = dates or [other.night for other in stay]
            taxes = taxes_on(amount, night_taxes(terms, dates, place, guests, charged))
            if on_top := added(taxes):  # else both are one number in memory
                total += on_top
        lines.append(PriceLine(sold.night, amount, total, sold.terms, taxes))
    return tuple(lines)


def new_stay(
    hotel: Hotel, request: StayRequest, rate: int, exemptions: tuple[TaxExemption, ...] = ()
) -> dict[str, Any]:
    """The price and the terms of a new booking, as the fields of a `StayEvent`: on the current terms of sale."""
    terms = hotel.terms_of_sale[-1]
    nights = []
    for day in range(request.arrival.toordinal(), request.departure.toordinal()):
        nights.append(SoldNight(date.fromordinal(day), rate, terms.version))  # noqa: PERF401 (on the way of a booking)
    policy = terms.cancellation
    late_fee = no_show_fee = rate * min(policy.late_nights, len(nights))
    if policy.no_show_nights != policy.late_nights:
        no_show_fee = rate * min(policy.no_show_nights, len(nights))
    return {
        "lines": price_nights(hotel, nights, Guests(request.adults, request.children, exemptions), terms.version),
        "exemptions": exemptions,
        "terms": terms.version,
        "free_until": _deadline(request.arrival, hotel.check_in, hotel.timezone, policy.free_until_hours),
        "late_fee": late_fee,
        "no_show_fee": no_show_fee,
    }


@lru_cache(maxsize=10_000)
def _deadline(arrival: date, check_in: str, timezone: str, hours: int) -> int:
    """The last instant at which cancelling is free: so many hours before check-in by the clock on the wall, whatever
    change of clocks is in between."""
    local = datetime.combine(arrival, time.fromisoformat(check_in)) - timedelta(hours=hours)
    return round(local.replace(tzinfo=ZoneInfo(timezone)).timestamp()) * 1_000_000


def _changed_deadline(hotel: Hotel, booking: Booking, arrival: date) -> int:
    """The deadline of a booking with this arrival: as many days before it as agreed, at the agreed hour by the clock on
    the wall. The check-in hour of the hotel may be another one by now."""
    if arrival == booking.arrival:
        return booking.free_until
    hours = hotel.terms_of_sale[booking.terms - 1].cancellation.free_until_hours
    if booking.free_until == _deadline(booking.arrival, hotel.check_in, hotel.timezone, hours):
        return _deadline(arrival, hotel.check_in, hotel.timezone, hours)  # also from an hour that the clocks leave out
    zone = ZoneInfo(hotel.timezone)
    agreed = instant(booking.free_until).astimezone(zone).replace(tzinfo=None) + (arrival - booking.arrival)
    return round(agreed.replace(tzinfo=zone).timestamp()) * 1_000_000


def exempted(hotel: Hotel, terms: int, requested: tuple[TaxExemptionRequest, ...]) -> tuple[TaxExemption, ...]:
    """The exemptions of a booking on these terms of sale. Refuses a tax that there is not, and value added tax."""
    categories = {tax.code: tax.category for tax in hotel.terms_of_sale[terms - 1].taxes}
    for exemption in requested:
        category = categories.get(exemption.code)
        if category is None:
            raise invalid("exemptions", "known", f"the terms of the booking have no tax {exemption.code}")
        if category not in (TaxCategory.LEVY, TaxCategory.FEE):
            raise invalid("exemptions", "levy", f"{exemption.code} is value added tax; guests are exempt from levies")
    if len({exemption.code for exemption in requested}) < len(requested):
        raise invalid("exemptions", "unique", "a tax is given twice")
    return tuple(TaxExemption(exemption.code, exemption.reason) for exemption in requested)


def cancellation_fee(hotel: Hotel, booking: Booking, at: int) -> int:
    """Zero until the deadline of the booking, then its fee."""
    return booking.late_fee if is_late(hotel, booking, at) else 0


def no_show(booking: Booking, business_date: date, reason: str = "", waive_fee: bool = False) -> GuestNoShow:
    """The event of a guest who has not come before this business date; its nights before it were kept."""
    fee, waived = (0, booking.no_show_fee) if waive_fee else (booking.no_show_fee, 0)
    return GuestNoShow(booking.id, fee, min(business_date, booking.departure), waived, reason)


def turned_away(booking: Booking) -> GuestNoShow:
    """The event of a guest whom the hotel had no room for: nothing is owed, and no night was kept."""
    return GuestNoShow(booking.id, 0, booking.arrival, booking.no_show_fee, "the hotel had no room")


def reinstated(hotel: Hotel, booking: Booking, room: str) -> BookingReinstated:
    """The event of a booking that is confirmed again, in this room. The nights of a no-show that were neither kept nor
    are left cost nothing: somebody else could have them."""
    kept_until, today, lines = booking.kept_until or booking.arrival, hotel.business_date, booking.lines
    if kept_until < today:
        past = [line for line in lines if line.night < today]
        over = [PriceLine(line.night, 0, 0, line.terms) if line.night >= kept_until else line for line in past]
        left = [SoldNight(line.night, line.amount, line.terms) for line in lines[len(over) :]]
        guests = Guests(booking.adults, booking.children, booking.exemptions)
        lines = price_nights(hotel, left, guests, booking.terms, over)
    rooms, price = (RoomSegment(room, booking.arrival, booking.departure),), sum(line.amount for line in lines)
    return BookingReinstated(booking.id, rooms, lines, min(booking.late_fee, price), min(booking.no_show_fee, price))


def is_late(hotel: Hotel, booking: Booking, at: int) -> bool:
    """Whether cancelling costs a fee at this instant."""
    return hotel_instant(hotel, at) > booking.free_until


def checked_out(booking: Booking, departure: date, today: date, reason: DepartureReason) -> GuestCheckedOut:
    """The event of a guest who leaves today, after a stay until this day, with the rooms and the price of the nights
    until then; a day use costs the first night."""
    rooms = [RoomSegment(one.room, one.first, min(one.until, departure)) for one in booking.rooms]
    slept = [one for one in rooms if one.first < one.until] or rooms[:1]
    lines = tuple(line for line in booking.lines if line.night < departure) or booking.lines[:1]
    return GuestCheckedOut(booking.id, today, departure, tuple(slept), lines, reason)


def changed_stay(hotel: Hotel, booking: Booking, change: StayChange, at: int) -> dict[str, Any]:
    """The price and the terms of a booking after a change, as the fields of a `StayEvent`.

    Nights that the booking keeps have the agreed price and terms; those that are added have the current ones. A new
    rate is for the nights that are not posted yet: from the business date on, which also bear what is left of fees per
    stay. The deadline follows the arrival, but a
    change after the deadline leaves deadline and fees as they are: otherwise every late cancellation would be free in
    two steps."""
    agreed = {line.night: line for line in booking.lines}
    over, nights = [], []
    for day in range(change.arrival.toordinal(), change.departure.toordinal()):
        night = date.fromordinal(day)
        kept = agreed.get(night)
        if kept is not None and night < hotel.business_date:
            over.append(kept)
            continue
        if kept is None:
            sold = SoldNight(night, change.rate, hotel.terms_of_sale[-1].version)
        elif change.prices_anew:
            sold = SoldNight(night, change.rate, kept.terms)
        else:
            sold = SoldNight(night, kept.amount, kept.terms)
        nights.append(sold)
    guests, lines = Guests(change.adults, change.children, change.exemptions), booking.lines
    sold_before = [SoldNight(line.night, line.amount, line.terms) for line in lines[len(over) :]]
    if nights != sold_before or guests != Guests(booking.adults, booking.children, booking.exemptions):
        lines = price_nights(hotel, nights, guests, booking.terms, over)
    changed = {"lines": lines, "terms": booking.terms}
    if is_late(hotel, booking, at) or not lines:
        return changed | {name: getattr(booking, name) for name in ("free_until", "late_fee", "no_show_fee")}
    policy = hotel.terms_of_sale[booking.terms - 1].cancellation
    return changed | {
        "free_until": _changed_deadline(hotel, booking, change.arrival),
        "late_fee": sum(line.amount for line in lines[: policy.late_nights]),
        "no_show_fee": sum(line.amount for line in lines[: policy.no_show_nights]),
    }
