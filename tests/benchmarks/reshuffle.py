"""How long the decision takes when guests must change rooms: one type of 300 rooms, 95 % full for 120 nights, and stays
for which every night has a room left but no room is free throughout.

There are two such hotels. The `booked` one was filled by random bookings, each decided by Innkeeper, until it was 95 %
full. The `scattered` one is a hard case: only single nights are free, spread evenly over rooms and nights. Only the
decision is timed (pure rules, one thread); it is not applied, so all decisions are made in the same state.
"""

import gc
import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from hotels import FIRST_ARRIVAL, hotel_request, stay
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.events import BookingConfirmed
from innkeeper.protocol.reservations.requests import BookingRequest, HotelRequest
from innkeeper.protocol.values.guests import Guest, GuestDetails
from support.partition_fixture import NOON, price_lines

ROOMS = 300
NIGHTS = 120
STAY_NIGHTS_MAX = 7
OCCUPANCY = 0.95
GAP_CHANCE = 0.21  # scattered: a night's gap after every fifth stay of four nights on average: 95 % full
HOTEL = "hotel-1"


class Reshuffled(NamedTuple):
    """Times in ms; `occupancy` and `refused` are shares; `moves` is how many guests change rooms on average."""

    decisions: int
    p50: float
    p99: float
    longest: float
    moves: float
    occupancy: float
    refused: float


def measure(hotel: str, decisions: int, seed: int = 1) -> Reshuffled:
    """Time this many decisions in the `booked` or the `scattered` hotel."""
    chance = Random(seed)
    state = empty_hotel()
    FILL[hotel](state, chance)
    calendar = state.calendars["DBL"]
    times: list[float] = []
    moves = refused = 0
    gc.collect()
    while len(times) < decisions:
        wanted = _random_stay(chance)
        first, end = wanted.request.arrival.toordinal(), wanted.request.departure.toordinal()
        if calendar.free_for(first, end) or calendar.sold_out(first, end):
            continue
        start = perf_counter()
        try:
            records = decide(state, Envelope(wanted, id="the one more")).records
        except Refused:
            records = []
            refused += 1
        times.append((perf_counter() - start) * 1e3)
        moves += max(len(records) - 1, 0)
    times.sort()
    return Reshuffled(
        decisions,
        times[decisions // 2],
        times[decisions * 99 // 100],
        times[-1],
        moves / decisions,
        _occupancy(state),
        refused / decisions,
    )


def empty_hotel() -> HotelState:
    """A hotel of 300 rooms without bookings."""
    state = HotelState(locator_key=b"the key of locators")
    opening = OpenHotel(HOTEL, msgspec.convert(hotel_request(HOTEL, {"DBL": ROOMS}), HotelRequest))
    for record in decide(state, Envelope(opening, at=NOON, id="opening")).records:
        evolve(state, record)
    return state


def fill_by_booking(state: HotelState, chance: Random) -> None:
    """Book random stays, of which some are refused, until the hotel is 95 % full."""
    guests = 0
    while guests % 100 or _occupancy(state) < OCCUPANCY:
        guests += 1
        with suppress(Refused):
            booking = Envelope(_random_stay(chance, 1), at=NOON, id=f"booking-{guests}")
            for record in decide(state, booking).records:
                evolve(state, record)


def fill_scattered(state: HotelState, chance: Random) -> None:
    """Fill room by room with one stay after the other, at random with a free night between them."""
    for room in list(state.rooms):
        night = -chance.randrange(STAY_NIGHTS_MAX)
        while night < NIGHTS:
            departure = night + chance.randint(1, STAY_NIGHTS_MAX)
            if departure > 0:
                _apply(state, _booking(len(state.bookings), room, max(night, 0), departure))
            night = departure + (chance.random() < GAP_CHANCE)


FILL = {"booked": fill_by_booking, "scattered": fill_scattered}


def _occupancy(state: HotelState) -> float:
    nights = state.calendars["DBL"].taken[1 : NIGHTS + 1]
    return sum(night.bit_count() for night in nights) / (ROOMS * NIGHTS)


def _random_stay(chance: Random, nights_min: int = 2) -> BookRoom:
    nights = chance.randint(nights_min, STAY_NIGHTS_MAX)
    return BookRoom(
        HOTEL, msgspec.convert(stay("Guest", chance.randrange(NIGHTS - nights + 1), nights), BookingRequest)
    )


def _booking(number: int, room: str, arrival: int, departure: int) -> BookingConfirmed:
    return BookingConfirmed(
        booking=f"booking-{number}",
        locator=f"{number:06d}",
        room_type="DBL",
        rooms=(RoomSegment(room, FIRST_ARRIVAL + timedelta(days=arrival), FIRST_ARRIVAL + timedelta(days=departure)),),
        arrival=FIRST_ARRIVAL + timedelta(days=arrival),
        departure=FIRST_ARRIVAL + timedelta(days=departure),
        adults=2,
        children=(),
        guest=Guest(f"guest-{number}", 1, b"", GuestDetails(f"Guest {number}")),
        lines=price_lines(FIRST_ARRIVAL + timedelta(days=arrival), departure - arrival, 12_000),
        terms=1,
        free_until=0,
        late_fee=12_000,
        no_show_fee=12_000,
        source="direct",
        pinned=False,
    )


def _apply(state: HotelState, event: Event) -> None:
    evolve(state, RecordedEvent(HOTEL, state.seq + 1, NOON, "benchmark", "", "", event))


if __name__ == "__main__":
    print(json.dumps({hotel: measure(hotel, 2_000)._asdict() for hotel in FILL}))
