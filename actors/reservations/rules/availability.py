"""What is left for a stay: as many rooms as can be booked for it at this moment, found by the same search."""

from innkeeper.actors.reservations.rules.allocation import AllocationRequest, allocate, bits
from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.values.limits import searched_rooms_max


def rooms_for_stay(state: HotelState, room_type: str, arrival: int, departure: int, most: int) -> int:
    """How many bookings of this type can each have one room for the whole stay, where each night has at least `most`
    left.

    While no room is pinned and no stay divided, guests can always be moved so that `most` fit. Otherwise those that are
    free throughout count, and as many more as the search finds, up to a limit."""
    calendar = state.calendars[room_type]
    free = calendar.free_for(arrival, departure)
    if not most or not state.fixed.get(room_type) or free.bit_count() >= most:
        return most
    found = free.bit_count()
    trial = calendar.copy()
    for room in bits(free):
        trial.claim(room, arrival, departure, f"free {room}")
    while found < min(most, free.bit_count() + searched_rooms_max):
        if not _book(state, trial, arrival, departure, f"found {found}"):
            break
        found += 1
    return found


def _book(state: HotelState, trial: Calendar, arrival: int, departure: int, name: str) -> bool:
    """Enters one more such stay, and the moves that it needs, in the trial calendar, if there is a way."""

    def movable(booking: str) -> bool:
        return booking in state.bookings and state.movable(booking)

    plan = allocate(trial, AllocationRequest((arrival, departure, name), trial.all_rooms, movable))
    if plan is None:
        return False
    for booking, (here, _) in plan.moves.items():
        trial.vacate(here, booking)
    for booking, (_, there) in plan.moves.items():
        stay = state.bookings[booking]
        trial.claim(there, stay.arrival.toordinal(), stay.departure.toordinal(), booking)
    trial.claim(plan.room, arrival, departure, name)
    return True
