"""The choice of rooms: no needless refusal (P4), and no needless move."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.actors.reservations.rules.allocation import Plan, RoomRequest, allocate
from innkeeper.actors.reservations.rules.calendar import Calendar, Claimed

ORIGIN = 739_000
NIGHTS = 9

stay_lengths = st.lists(st.tuples(st.integers(0, NIGHTS - 1), st.integers(1, 5)), min_size=1, max_size=14)


def calendar_of(rooms: int) -> Calendar:
    calendar = Calendar(ORIGIN)
    for number in range(rooms):
        calendar.add_room(str(101 + number))
    return calendar


def carry_out(calendar: Calendar, stay: Claimed, plan: Plan) -> None:
    """Do what the plan says, everyone at once, and see that nobody stands in anybody's way."""
    moved = [(booking, here, there, find(calendar, booking)) for booking, (here, there) in plan.moves.items()]
    for booking, here, _, _ in moved:
        calendar.vacate(here, booking)
    for booking, _, there, (_, held) in moved:
        assert not calendar.overlapping(there, held[0], held[1])
        calendar.claim(there, held[0], held[1], booking)
    assert not calendar.overlapping(plan.room, stay[0], stay[1])
    calendar.claim(plan.room, *stay)


def find(calendar: Calendar, booking: str) -> tuple[int, Claimed]:
    return next((room, stay) for room, stays in enumerate(calendar.stays) for stay in stays if stay[2] == booking)


def fewest_moves(calendar: Calendar, stay: Claimed, fixed: set[str]) -> int | None:
    """By trying every way to give everyone a room."""
    everyone = [(room, held) for room, stays in enumerate(calendar.stays) for held in stays]
    best: int | None = None
    for choice in product(range(len(calendar.numbers)), repeat=len(everyone) + 1):
        moves = sum(room != now for room, (now, _) in zip(choice, everyone, strict=False))
        if best is not None and moves >= best:
            continue
        if any(held[2] in fixed and room != now for room, (now, held) in zip(choice, everyone, strict=False)):
            continue
        nights = [
            (room, night)
            for room, held in zip(choice, [*(held for _, held in everyone), stay], strict=True)
            for night in range(held[0], held[1])
        ]
        if len(set(nights)) == len(nights):
            best = moves
    return best


@given(st.integers(1, 4), stay_lengths, st.integers(0, 2))
def test_a_stay_is_refused_only_if_a_night_is_sold_out(
    rooms: int, wanted: list[tuple[int, int]], in_house: int
) -> None:
    """Guests in house are fixed; all others may move, and then the count of each night decides alone."""
    calendar = calendar_of(rooms)
    fixed: set[str] = set()
    for number, (arrival, nights) in enumerate(wanted):
        if number < in_house:
            arrival = 0
        stay = (ORIGIN + arrival, ORIGIN + arrival + nights, f"b{number}")
        full = bool(calendar.sold_out(stay[0], stay[1]))
        plan = allocate(calendar, RoomRequest(stay, calendar.all_rooms, lambda booking: booking not in fixed))
        assert (plan is None) == full
        if plan is not None:
            assert not fixed & plan.moves.keys()
            carry_out(calendar, stay, plan)
            if number < in_house:
                fixed.add(stay[2])


@settings(max_examples=60)
@given(st.integers(2, 3), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=6), st.data())
def test_nobody_moves_without_need(rooms: int, wanted: list[tuple[int, int]], data: st.DataObject) -> None:
    """Also with pinned rooms, small hotels get the fewest moves there can be, and none are refused that could stay."""
    calendar = calendar_of(rooms)
    fixed: set[str] = set()
    for number, (arrival, nights) in enumerate([*wanted, (data.draw(st.integers(0, 5)), data.draw(st.integers(1, 3)))]):
        stay = (ORIGIN + arrival, ORIGIN + arrival + nights, f"b{number}")
        plan = allocate(calendar, RoomRequest(stay, calendar.all_rooms, lambda booking: booking not in fixed))
        best = fewest_moves(calendar, stay, fixed)
        assert (None if plan is None else len(plan.moves)) == best
        if plan is not None:
            carry_out(calendar, stay, plan)
            if data.draw(st.integers(0, 4)) == 0:
                fixed.add(stay[2])


def test_a_guest_who_wants_this_very_room_gets_it_when_others_can_move() -> None:
    calendar = calendar_of(2)
    calendar.claim(0, ORIGIN + 1, ORIGIN + 3, "anyone")
    wanted = RoomRequest((ORIGIN + 2, ORIGIN + 4, "pinned"), 0b01, lambda _: True)
    assert allocate(calendar, wanted) == Plan(0, {"anyone": (0, 1)})
    assert allocate(calendar, RoomRequest(wanted.stay, 0b01, lambda _: False)) is None
