"""The calendar of nights, compared with a model that is a plain dictionary."""

from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.reservations.rules.calendar import HORIZON, Calendar

ORIGIN = 739_000
ROOMS = 3

steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(0, ROOMS - 1), st.integers(0, 12), st.integers(0, 5)),
        st.tuples(st.just("vacate"), st.integers(0, 30), st.just(0), st.just(0)),
        st.tuples(st.just("roll"), st.integers(1, 4), st.just(0), st.just(0)),
    ),
    max_size=30,
)


class DictionaryCalendar:
    """The booking of each room and night."""

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
def test_the_calendar_agrees_with_a_dictionary(operations: list[tuple[str, int, int, int]]) -> None:
    calendar, model, claims = new_calendar(), DictionaryCalendar(), []
    for number, (operation, first, second, third) in enumerate(operations):
        if operation == "roll":
            model.origin += first
            calendar.roll(model.origin)
            model.holders = {place: holder for place, holder in model.holders.items() if place[1] >= model.origin}
        elif operation == "vacate" and claims:
            room, booking = claims.pop(first % len(claims))
            calendar.vacate(room, booking)
            model.holders = {place: holder for place, holder in model.holders.items() if holder != booking}
        elif operation == "claim":
            arrival, departure = model.origin + second, model.origin + second + third
            if model.free(first, arrival, departure):
                calendar.claim(first, arrival, departure, f"b{number}")
                model.holders |= {(first, night): f"b{number}" for night in range(arrival, departure)}
                claims.append((first, f"b{number}"))
        check(calendar, model)


def check(calendar: Calendar, model: DictionaryCalendar) -> None:
    window = range(model.origin, model.origin + 20)
    taken = [sum((room, night) in model.holders for room in range(ROOMS)) for night in window]
    assert calendar.left(window.start, window.stop) == [ROOMS - number for number in taken]
    assert calendar.sold_out(window.start, window.stop) == [
        night for night, number in zip(window, taken, strict=True) if number == ROOMS
    ]
    for arrival, nights in ((0, 1), (2, 3), (5, 10)):
        start, end = model.origin + arrival, model.origin + arrival + nights
        free = calendar.free_for(start, end)
        for room in range(ROOMS):
            assert bool(free >> room & 1) == model.free(room, start, end)
            found = {stay[2] for stay in calendar.overlapping(room, start, end)}
            assert found == {
                model.holders[room, night] for night in range(start, end) if (room, night) in model.holders
            }


def test_the_best_fit_leaves_no_gap_between_stays() -> None:
    calendar = new_calendar()
    calendar.claim(1, ORIGIN + 1, ORIGIN + 3, "before")
    calendar.claim(1, ORIGIN + 5, ORIGIN + 7, "behind")
    calendar.claim(2, ORIGIN + 1, ORIGIN + 3, "only before")
    assert calendar.best_fit(0b111, ORIGIN + 3, ORIGIN + 5) == 1
    assert calendar.best_fit(0b101, ORIGIN + 3, ORIGIN + 5) == 2
    assert calendar.best_fit(0b001, ORIGIN + 3, ORIGIN + 5) == 0


def test_changes_of_a_copy_leave_the_calendar_unchanged() -> None:
    calendar = new_calendar()
    calendar.claim(0, ORIGIN, ORIGIN + 2, "here")
    copied = calendar.copy()
    copied.vacate(0, "here")
    copied.claim(0, ORIGIN + 1, ORIGIN + 4, "there")
    assert calendar.overlapping(0, ORIGIN, ORIGIN + 9) == [(ORIGIN, ORIGIN + 2, "here")]
    assert calendar.left(ORIGIN, ORIGIN + 3) == [2, 2, 3]


def test_swapping_two_rooms_loses_no_night() -> None:
    calendar = new_calendar()
    calendar.claim(0, ORIGIN, ORIGIN + 3, "one")
    calendar.claim(1, ORIGIN, ORIGIN + 3, "two")
    for booking, source, target in (("one", 0, 1), ("two", 1, 0)):
        calendar.vacate(source, booking)
        calendar.claim(target, ORIGIN, ORIGIN + 3, booking)
    assert calendar.left(ORIGIN, ORIGIN + 4) == [1, 1, 1, 3]


def test_a_stay_without_a_night_hides_no_other_stay_in_the_room() -> None:
    """Such as the day use of a guest who arrived, and left, before the date was open."""
    calendar = new_calendar()
    calendar.claim(0, ORIGIN, ORIGIN + 3, "b1")
    calendar.claim(0, ORIGIN + 1, ORIGIN + 1, "b2")
    assert calendar.overlapping(0, ORIGIN + 2, ORIGIN + 4) == [(ORIGIN, ORIGIN + 3, "b1")]


def test_the_calendar_includes_the_last_night_that_can_be_sold() -> None:
    calendar = new_calendar()
    calendar.claim(0, ORIGIN + HORIZON - 2, ORIGIN + HORIZON - 1, "far")
    assert calendar.best_fit(0b110, ORIGIN + HORIZON - 2, ORIGIN + HORIZON - 1) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5), st.integers(1, 3)), max_size=30))
def test_rooms_are_the_same_wherever_others_are_retired_and_added_again(steps: list[tuple[str, int, int]]) -> None:
    calendar, held = Calendar(0), {room: set[int]() for room in "abc"}
    retired: list[str] = []
    for room in held:
        calendar.add_room(room)
    for number, (room, first, nights) in enumerate(steps):
        wanted = {*range(first, first + nights)}
        if room not in held:
            calendar.add_room(room)
            held[room] = set()
            retired = [one for one in retired if one != room]
        elif not held[room]:
            calendar.retire_room(room)
            del held[room]
            retired.append(room)
        elif not held[room] & wanted:
            calendar.claim(calendar.numbers.index(room), first, first + nights, f"b-{number}")
            held[room] |= wanted
        else:
            held[room] -= {night for claim in _claims(calendar, room) for night in range(*claim[:2])}
            for _, _, booking in _claims(calendar, room):
                calendar.vacate(calendar.numbers.index(room), booking)
        free = calendar.free_for(first, first + nights)
        assert {one for place, one in enumerate(calendar.numbers) if free >> place & 1} == {
            one for one, taken in held.items() if not taken & wanted
        }
        assert calendar.numbers[len(held) :] == retired
        assert calendar.left(first, first + 1) == [sum(first not in taken for taken in held.values())]
    for room in retired:
        calendar.remove_room(room)
    assert {*calendar.numbers} == {*held}


def _claims(calendar: Calendar, room: str) -> list[tuple[int, int, str]]:
    return calendar.stays[calendar.numbers.index(room)]
