"""What letters say of a stay: who comes when, and what each night, tax and deposit of it costs."""

from collections.abc import Sequence
from datetime import date

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.protocol.notifications.notices import DepositFacts, StayFacts, TaxFacts
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import PriceLine
from innkeeper.protocol.reservations.terms import deposit_schedule


def stay_facts(
    hotel: KnownHotel,
    event: events.StayEvent | events.WaitlistJoined | events.WaitlistChanged,
    lines: Sequence[PriceLine] = (),
    terms: int = 0,
    booked_on: date = date.min,
) -> StayFacts:
    """What letters say of a stay that was booked on this date, on this version of the terms of sale; one that is only
    waited for has no price."""
    prices = tuple([line.total for line in lines])
    return StayFacts(
        guest=event.guest.name,
        room_type=next((name for code, name in hotel.room_types if code == event.room_type), event.room_type),
        arrival=event.arrival,
        departure=event.departure,
        adults=event.adults,
        prices=prices,
        children=event.children,
        taxes=_taxes(hotel, lines) if hotel.taxes else (),
        deposits=_deposits(hotel, terms, sum(prices), booked_on, event.arrival) if hotel.deposits else (),
    )


def with_price(hotel: KnownHotel, booking: KnownBooking, lines: Sequence[PriceLine]) -> KnownBooking:
    """The booking with this price of each night."""
    stay = booking.stay
    prices = tuple([line.total for line in lines])
    deposits = _deposits(hotel, booking.terms, sum(prices), booking.booked_on, stay.arrival)
    stay = msgspec.structs.replace(stay, prices=prices, taxes=_taxes(hotel, lines), deposits=deposits)
    return msgspec.structs.replace(booking, stay=stay)


def _deposits(hotel: KnownHotel, terms: int, total: int, booked_on: date, arrival: date) -> tuple[DepositFacts, ...]:
    deposits = hotel.deposits_of(terms)
    if not deposits:
        return ()
    schedule = deposit_schedule(deposits, total, booked_on, arrival)
    return tuple(DepositFacts(due, amount) for due, amount in schedule if amount)


def _taxes(hotel: KnownHotel, lines: Sequence[PriceLine]) -> tuple[TaxFacts, ...]:
    """The taxes and fees of all nights, in the order of the hotel's terms."""
    amounts: dict[str, int] = {}
    for line in lines:
        for tax in line.taxes:
            amounts[tax.code] = amounts.get(tax.code, 0) + tax.amount
    if not amounts:
        return ()
    names = dict(hotel.taxes)
    return tuple(TaxFacts(names.get(code, code), amount) for code, amount in amounts.items() if amount)
