"""Allocation of rooms: no needless refusal (P4), and no needless move."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.actors.reservations.rules.allocation import AllocationPlan, AllocationRequest, allocate
from innkeeper.actors.reservations.rules.calendar import Calendar, Claimed

ORIGIN = 739_000
NIGHTS = 9

stay_lengths = st.lists(st.tuples(st.integers(0, NIGHTS - 1), st.integers(1, 5)), min_size=1, max_size=14)


def calendar_of(rooms: int) -> Calendar:
    calendar = Calendar(ORIGIN)
    for number in range(rooms):
        calendar.add_room(str(101 + number))
    return calendar


def apply_plan(calendar: Calendar, stay: Claimed, plan: AllocationPlan) -> None:
    """Carry out the moves of a plan at once, and check that no stays overlap."""
    moved = [(booking, source, target, stay_of(calendar, booking)) for booking, (source, target) in plan.moves.items()]
    for booking, source, _, _ in moved:
        calendar.vacate(source, booking)
    for booking, _, target, (_, claimed) in moved:
        assert not calendar.overlapping(target, claimed[0], claimed[1])
        calendar.claim(target, claimed[0], claimed[1], booking)
    assert not calendar.overlapping(plan.room, stay[0], stay[1])
    calendar.claim(plan.room, *stay)


def stay_of(calendar: Calendar, booking: str) -> tuple[int, Claimed]:
    return next((room, stay) for room, stays in enumerate(calendar.stays) for stay in stays if stay[2] == booking)


def fewest_moves(calendar: Calendar, stay: Claimed, fixed: set[str]) -> int | None:
    """The fewest moves with which all stays fit, found by trying every assignment; None where there is none."""
    current = [(room, claimed) for room, stays in enumerate(calendar.stays) for claimed in stays]
    fewest: int | None = None
    for rooms in product(range(len(calendar.numbers)), repeat=len(current) + 1):
        moves = sum(room != now for room, (now, _) in zip(rooms, current, strict=False))
        if fewest is not None and moves >= fewest:
            continue
        if any(claimed[2] in fixed and room != now for room, (now, claimed) in zip(rooms, current, strict=False)):
            continue
        nights = [
            (room, night)
            for room, claimed in zip(rooms, [*(claimed for _, claimed in current), stay], strict=True)
            for night in range(claimed[0], claimed[1])
        ]
        if len(set(nights)) == len(nights):
            fewest = moves
    return fewest


@given(st.integers(1, 4), stay_lengths, st.integers(0, 2))
def test_a_stay_is_refused_only_if_a_night_is_sold_out(
    rooms: int, requested: list[tuple[int, int]], in_house: int
) -> None:
    """Guests in house are fixed. As all others may move, only the number of rooms on each night decides."""
    calendar = calendar_of(rooms)
    fixed: set[str] = set()
    for number, (arrival, nights) in enumerate(requested):
        if number < in_house:
            arrival = 0
        stay = (ORIGIN + arrival, ORIGIN + arrival + nights, f"b{number}")
        sold_out = bool(calendar.sold_out(stay[0], stay[1]))
        plan = allocate(calendar, AllocationRequest(stay, calendar.all_rooms, lambda booking: booking not in fixed))
        assert (plan is None) == sold_out
        if plan is not None:
            assert not fixed & plan.moves.keys()
            apply_plan(calendar, stay, plan)
            if number < in_house:
                fixed.add(stay[2])


@settings(max_examples=60)
@given(st.integers(2, 3), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=6), st.data())
def test_an_allocation_makes_the_fewest_moves(
    rooms: int, requested: list[tuple[int, int]], data: st.DataObject
) -> None:
    """With pinned rooms too, a plan has the fewest possible moves, and no stay that fits is refused."""
    calendar = calendar_of(rooms)
    fixed: set[str] = set()
    for number, (arrival, nights) in enumerate(
        [*requested, (data.draw(st.integers(0, 5)), data.draw(st.integers(1, 3)))]
    ):
        stay = (ORIGIN + arrival, ORIGIN + arrival + nights, f"b{number}")
        plan = allocate(calendar, AllocationRequest(stay, calendar.all_rooms, lambda booking: booking not in fixed))
        fewest = fewest_moves(calendar, stay, fixed)
        assert (None if plan is None else len(plan.moves)) == fewest
        if plan is not None:
            apply_plan(calendar, stay, plan)
            if data.draw(st.integers(0, 4)) == 0:
                fixed.add(stay[2])


def test_a_requested_room_is_given_when_its_guest_can_move() -> None:
    calendar = calendar_of(2)
    calendar.claim(0, ORIGIN + 1, ORIGIN + 3, "anyone")
    requested = AllocationRequest((ORIGIN + 2, ORIGIN + 4, "pinned"), 0b01, lambda _: True)
    assert allocate(calendar, requested) == AllocationPlan(0, {"anyone": (0, 1)})
    assert allocate(calendar, AllocationRequest(requested.stay, 0b01, lambda _: False)) is None
