"""Locators: short, unique in their hotel, and of no use for counting its bookings."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.actors.reservations.router import hotel_type
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.actors.reservations.rules.state import HotelState, describe, evolve, restore
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel, RollBusinessDate
from innkeeper.protocol.reservations.events import TimelineBegun
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.billing_fixture import LedgerFixture
from support.partition_fixture import LOCATOR_KEY, NOON, PartitionFixture, hotel_request, request

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
OTHER_KEY = bytes(range(32))


def opened(hotel: str = "seaside", key: bytes = LOCATOR_KEY) -> HotelState:
    """A hotel without bookings."""
    state = HotelState(locator_key=key)
    for record in decide(state, Envelope(OpenHotel(hotel, hotel_request({"DBL": 30})), at=NOON, id="open")).records:
        evolve(state, record)
    return state


def locators(state: HotelState, first: int, count: int) -> Iterator[str]:
    """The locators of the bookings with these numbers, as if each were the next."""
    for state.bookings_made in range(first, first + count):
        yield state.next_locator()


def book(state: HotelState, number: int) -> Booking:
    """The booking with this number."""
    decision = decide(state, Envelope(BookRoom("seaside", request()), at=NOON, id=f"booking-{number}"))
    for record in decision.records:
        evolve(state, record)
    return state.bookings[f"booking-{number}"]


def number_of(locator: str) -> int:
    """The number that a locator writes in base 32."""
    number = 0
    for letter in locator:
        number = number * 32 + ALPHABET.index(letter)
    return number


def test_the_same_key_gives_the_same_locators_for_ever() -> None:
    assert [*locators(opened(), 0, 3)] == ["4NEHS9", "DGMX8F", "JEVG3X"]


def test_a_locator_has_six_letters_that_nobody_confuses() -> None:
    found = list(locators(opened(), 0, 5_000))
    assert {len(locator) for locator in found} == {6}
    assert set("".join(found)) == set(ALPHABET)


def test_two_hundred_thousand_bookings_have_as_many_locators() -> None:
    assert len(set(locators(opened(), 0, 200_000))) == 200_000


@settings(max_examples=20)
@given(key=st.binary(min_size=32, max_size=32), hotel=st.sampled_from(["seaside", "a"]), first=st.integers(0, 2**31))
def test_no_locator_is_given_twice_whatever_the_key(key: bytes, hotel: str, first: int) -> None:
    assert len(set(locators(opened(hotel, key), first, 2_000))) == 2_000


def test_each_hotel_and_each_installation_has_a_sequence_of_its_own() -> None:
    sequences = [
        set(locators(opened(hotel, key), 0, 1_000))
        for hotel in ("seaside", "hilltop")
        for key in (LOCATOR_KEY, OTHER_KEY)
    ]
    for number, sequence in enumerate(sequences):
        for other in sequences[number + 1 :]:
            assert len(sequence & other) < 10


def test_the_number_of_bookings_cannot_be_read_from_two_locators() -> None:
    """Bookings that are as far apart as others are not so in their locators, whatever the step between them."""
    found = [number_of(locator) for locator in locators(opened(), 0, 1_000)]
    steps = {(later - earlier) % 32**6 for earlier, later in pairwise(found)}
    assert len(steps) > 990
    step, start = 662_607_015, 299_792_458  # the permutation of an earlier version, which anybody could invert
    numbers = [(number - start) * pow(step, -1, 32**6) % 32**6 for number in found]
    assert numbers[:2] != [0, 1]
    assert not {later - earlier for earlier, later in pairwise(numbers)} & set(range(-50, 51))


def test_a_locator_that_a_booking_of_another_key_has_is_skipped() -> None:
    state = opened()
    first = book(state, 0)
    state.bookings_made = 0  # the next locator is that of the first booking again, as another key may have it
    assert state.next_locator() != first.locator
    restored = restore(describe(state), OTHER_KEY)
    restored.locator_key, restored.bookings_made = LOCATOR_KEY, 0
    assert restored.next_locator() == state.next_locator() != first.locator


def test_a_locator_is_free_again_when_its_booking_is_over() -> None:
    state = opened()
    booking = book(state, 0)
    while state.opened().business_date <= booking.departure:
        for record in decide(state, Envelope(RollBusinessDate("seaside"), at=NOON, id="audit")).records:
            evolve(state, record)
    state.bookings_made = 0
    assert state.next_locator() == booking.locator


def test_a_hotel_goes_on_with_its_locators_after_a_restart(tmp_path: Path) -> None:
    expected = list(locators(opened(), 0, 3))
    partition = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
    partition.open_hotel({"DBL": 30})
    made = [partition.book().locator]
    for after_events in (1, 1_000):  # with a snapshot, and from the events
        partition.host.save_snapshots(after_events)
        partition.host.close()
        partition = PartitionFixture(SqliteJournal(tmp_path / "journal.db"))
        made.append(partition.book().locator)
    partition.host.close()
    assert made == expected


def test_the_key_is_in_no_snapshot() -> None:
    state, other = opened(), opened(key=OTHER_KEY)
    assert describe(state) == describe(other)
    encoded = msgspec.msgpack.encode(describe(other))
    assert OTHER_KEY not in encoded
    assert hotel_type(OTHER_KEY).restore(describe(state)).locator_key == OTHER_KEY


def test_a_booking_that_is_lost_keeps_its_locator_for_itself() -> None:
    lost, afterwards = LedgerFixture(), LedgerFixture()
    booking = lost.book()
    assert afterwards.hotel_state.bookings_made == 0
    afterwards.record_hotel_events((TimelineBegun("1" * 32, (booking,)),))
    made = afterwards.book()
    locators = {one.hotel_state.bookings[id_].locator for one, id_ in ((lost, booking), (afterwards, made))}
    assert len(locators) == 2
