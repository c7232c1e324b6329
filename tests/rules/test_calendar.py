"""The night calendar beside a plain dictionary."""

from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.reservations.rules.calendar import HORIZON, Calendar

ORIGIN = 739_000
ROOMS = 3

steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(0, ROOMS - 1), st.integers(0, 12), st.integers(1, 5)),
        st.tuples(st.just("vacate"), st.integers(0, 30), st.just(0), st.just(0)),
        st.tuples(st.just("roll"), st.integers(1, 4), st.just(0), st.just(0)),
    ),
    max_size=30,
)


class Plain:
    """Who sleeps where, night by night."""

    def __init__(self) -> None:
        self.origin = ORIGIN
        self.holders: dict[tuple[int, int], str] = {}

    def free(self, room: int, arrival: int, departure: int) -> bool:
        return all((room, night) not in self.holders for night in range(arrival, departure))


def new_calendar() -> Calendar:
    calendar = Calendar(ORIGIN)
    for room in range(ROOMS):
        calendar.add_room(f"10{room}")
    return calendar


@given(steps)
def test_it_says_what_a_dictionary_would(todo: list[tuple[str, int, int, int]]) -> None:
    calendar, plain, placed = new_calendar(), Plain(), []
    for number, (what, first, second, third) in enumerate(todo):
        if what == "roll":
            plain.origin += first
            calendar.roll(plain.origin)
            plain.holders = {place: who for place, who in plain.holders.items() if place[1] >= plain.origin}
        elif what == "vacate" and placed:
            room, booking = placed.pop(first % len(placed))
            calendar.vacate(room, booking)
            plain.holders = {place: who for place, who in plain.holders.items() if who != booking}
        elif what == "claim":
            arrival, departure = plain.origin + second, plain.origin + second + third
            if plain.free(first, arrival, departure):
                calendar.claim(first, arrival, departure, f"b{number}")
                plain.holders |= {(first, night): f"b{number}" for night in range(arrival, departure)}
                placed.append((first, f"b{number}"))
        check(calendar, plain)


def check(calendar: Calendar, plain: Plain) -> None:
    window = range(plain.origin, plain.origin + 20)
    taken = [sum((room, night) in plain.holders for room in range(ROOMS)) for night in window]
    assert calendar.left(window.start, window.stop) == [ROOMS - number for number in taken]
    assert calendar.sold_out(window.start, window.stop) == [
        night for night, number in zip(window, taken, strict=True) if number == ROOMS
    ]
    for arrival, nights in ((0, 1), (2, 3), (5, 10)):
        start, end = plain.origin + arrival, plain.origin + arrival + nights
        free = calendar.free_for(start, end)
        for room in range(ROOMS):
            assert bool(free >> room & 1) == plain.free(room, start, end)
            there = {stay[2] for stay in calendar.overlapping(room, start, end)}
            assert there == {
                plain.holders[room, night] for night in range(start, end) if (room, night) in plain.holders
            }


def test_a_stay_goes_where_it_leaves_no_gap() -> None:
    calendar = new_calendar()
    calendar.claim(1, ORIGIN + 1, ORIGIN + 3, "before")
    calendar.claim(1, ORIGIN + 5, ORIGIN + 7, "behind")
    calendar.claim(2, ORIGIN + 1, ORIGIN + 3, "only before")
    assert calendar.best_fit(0b111, ORIGIN + 3, ORIGIN + 5) == 1
    assert calendar.best_fit(0b101, ORIGIN + 3, ORIGIN + 5) == 2
    assert calendar.best_fit(0b001, ORIGIN + 3, ORIGIN + 5) == 0


def test_a_sketch_leaves_the_calendar_as_it_is() -> None:
    calendar = new_calendar()
    calendar.claim(0, ORIGIN, ORIGIN + 2, "here")
    sketch = calendar.copy()
    sketch.vacate(0, "here")
    sketch.claim(0, ORIGIN + 1, ORIGIN + 4, "there")
    assert calendar.overlapping(0, ORIGIN, ORIGIN + 9) == [(ORIGIN, ORIGIN + 2, "here")]
    assert calendar.left(ORIGIN, ORIGIN + 3) == [2, 2, 3]


def test_while_two_guests_pass_in_the_corridor_no_night_is_lost() -> None:
    calendar = new_calendar()
    calendar.claim(0, ORIGIN, ORIGIN + 3, "one")
    calendar.claim(1, ORIGIN, ORIGIN + 3, "two")
    for booking, here, there in (("one", 0, 1), ("two", 1, 0)):
        calendar.vacate(here, booking)
        calendar.claim(there, ORIGIN, ORIGIN + 3, booking)
    assert calendar.left(ORIGIN, ORIGIN + 4) == [1, 1, 1, 3]


def test_the_last_night_that_can_be_sold_is_on_the_calendar() -> None:
    calendar = new_calendar()
    calendar.claim(0, ORIGIN + HORIZON - 2, ORIGIN + HORIZON - 1, "far")
    assert calendar.best_fit(0b110, ORIGIN + HORIZON - 2, ORIGIN + HORIZON - 1) == 1
