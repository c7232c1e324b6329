"""What all read models do: they contain what was acknowledged before the query, and page through it without a gap."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.ports.views import BookingSearch, InvalidCursor, Views
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.commands import BookRoom, CancelBooking
from innkeeper.protocol.reservations.requests import Contact
from innkeeper.protocol.values.contexts import RESERVATIONS
from msgspec.structs import replace
from support.partition_fixture import HOTEL, TODAY, PartitionFixture, night, request

GUESTS = {
    "Ann Lee": ("ann@sea.example", "+351 91 22"),
    "Béa Müller": (None, None),
    "O'Neil, Cian": ("cian.oneil@example.com", None),
    "Ann Ørsted": (None, "0044"),
}


class Hotels:
    """A partition with its read models."""

    def __init__(self, partition: PartitionFixture, views: Views) -> None:
        self.partition = partition
        self.views = views

    @property
    def positions(self) -> Positions:
        """The end of the log."""
        return {RESERVATIONS: self.partition.host.journal.position()}

    def book(
        self, guest: str = "Ann Lee", arrival: int = 1, email: str | None = None, phone: str | None = None, **more: Any
    ) -> Booking:
        """Book for this guest."""
        if guest in GUESTS and not (email or phone):
            email, phone = GUESTS[guest]
        made = replace(request(arrival, **more), guest=Contact(guest, email, phone))
        return self.partition.booking_after(BookRoom(HOTEL, made))

    def found(self, limit: int = 100, cursor: str | None = None, hotel: str = HOTEL, **search: Any) -> list[str]:
        """The ids of the bookings on a page."""
        page = self.views.bookings(self.positions, BookingSearch(hotel, **search), limit, cursor)
        return [booking.id for booking in page.bookings]


@pytest.fixture
def hotels(storage: Storage) -> Iterator[Hotels]:
    """One hotel with three rooms of two types each."""
    partition = PartitionFixture(storage.journal(RESERVATIONS))
    try:
        with storage.event_log(RESERVATIONS) as log, storage.views(RESERVATIONS, log) as views:
            partition.open_hotel({"DBL": 3, "SUI": 3})
            yield Hotels(partition, views)
    finally:
        partition.host.close()


def test_every_acknowledged_booking_is_listed_newest_first(hotels: Hotels) -> None:
    made: list[str] = []
    for guest in GUESTS:
        made.insert(0, hotels.book(guest, arrival=len(made) + 1).id)
        assert hotels.found() == made
    assert hotels.found(hotel="elsewhere") == []


def test_pages_continue_where_the_last_one_ended_also_while_bookings_are_made(hotels: Hotels) -> None:
    made = [hotels.book(arrival=number).id for number in range(1, 6)][::-1]
    pages, cursor = list[list[str]](), None
    for _ in range(3):
        page = hotels.views.bookings(hotels.positions, BookingSearch(HOTEL), 2, cursor)
        pages.append([booking.id for booking in page.bookings])
        cursor = page.cursor
        hotels.book(arrival=20)
    assert (pages, cursor) == ([made[:2], made[2:4], made[4:]], None)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "²", "1" * 19, "1.5"])
def test_a_cursor_that_no_list_returned_is_refused(hotels: Hotels, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        hotels.found(cursor=cursor)


@pytest.mark.parametrize(
    ("text", "guests"),
    [
        ("ann", ["Ann Ørsted", "Ann Lee"]),
        ("LEE an", ["Ann Lee"]),
        ("bea", ["Béa Müller"]),
        ("mull", ["Béa Müller"]),
        ("o'neil", ["O'Neil, Cian"]),
        ("o'ne", ["O'Neil, Cian"]),
        ("neil", ["O'Neil, Cian"]),
        ("eil", []),
        ("sea.example", ["Ann Lee"]),
        ("ann@sea", ["Ann Lee"]),
        ("91 22", ["Ann Lee"]),
        ("0044", ["Ann Ørsted"]),
        ("ann -", ["Ann Ørsted", "Ann Lee"]),
        ("ann OR bea", []),
        ('"ann', ["Ann Ørsted", "Ann Lee"]),
        ("O’Neil", ["O'Neil, Cian"]),
        ("ONeil", ["O'Neil, Cian"]),
        ("orsted", ["Ann Ørsted"]),
        ("OERSTED", ["Ann Ørsted"]),
        ("Mueller", ["Béa Müller"]),
        ("-", []),
        ("", []),
        ("*", []),
    ],
)
def test_text_finds_the_beginnings_of_words(hotels: Hotels, text: str, guests: list[str]) -> None:
    made = {hotels.book(guest, arrival=1 + number).id: guest for number, guest in enumerate(GUESTS)}
    assert [made[id_] for id_ in hotels.found(text=text)] == guests


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Nguyễn Thị Hoa", ["nguyen", "Nguyễn", "nguyễn thi", "hoa ng"]),
        ("Łukasz Dąbrowski", ["lukasz", "Łukasz", "łuk", "dabrow"]),
        ("Lukasz Dabrowski", ["Łukasz", "Dąbrowski"]),
        ("Søren Kjærgård", ["soren", "SØREN", "soeren", "kjaergard", "kjaergaard"]),
        ("Jürgen Weiß", ["weiss", "Weiß", "WEISS", "juergen", "jurgen"]),
        ("Yıldız İnce", ["yildiz", "Yıldız", "YILDIZ", "ince", "İnce"]),
        ("山田太郎", ["山田", "太郎", "郎"]),
        ("タナカ ハナコ", ["tanaka", "ハナコ", "ﾀﾅｶ"]),
        ("김민수", ["김", "민수", "gimminsu"]),
        ("Иван Петров", ["иван", "ПЕТРОВ", "petrov"]),
        ("Αλέξανδρος", ["αλεξανδρος", "ΑΛΈΞ", "alex"]),
        ("יוסף כהן", ["יוסף", "כהן"]),
        ("محمد", ["محمد"]),
        ("สมชาย ใจดี", ["สมชาย", "ใจดี", "ชาย"]),
        ("Jean-Pierre d’Arc", ["jeanpierre", "jean pierre", "pierre", "darc", "d'arc"]),
    ],
)
def test_people_are_found_by_what_is_typed_of_their_names(hotels: Hotels, name: str, typed: list[str]) -> None:
    other, booking = hotels.book("Quentin Xavier"), hotels.book(name)
    assert {text: hotels.found(text=text) for text in typed} == {text: [booking.id] for text in typed}
    assert hotels.found(text="quentin") == [other.id]


@pytest.mark.parametrize(
    "typed", ["020 7946 0018", "+44 20 7946", "0044 20 7946 0018", "7946-0018", "0018", "(020) 7946"]
)
def test_a_phone_is_found_by_its_digits(hotels: Hotels, typed: str) -> None:
    hotels.book("Ann Lee", phone="+351 912 345 678")
    booking = hotels.book("Bea Kent", phone="+44 20 7946 0018")
    assert hotels.found(text=typed) == [booking.id]


@pytest.mark.parametrize("typed", ["kent", "bea.kent", "BEA.KENT@mail.example", "mail.example", "kent@mail"])
def test_an_address_is_found_by_any_part(hotels: Hotels, typed: str) -> None:
    hotels.book("Ann Lee", email="ann@sea.example")
    booking = hotels.book("B K", email="bea.kent@mail.example")
    assert hotels.found(text=typed) == [booking.id]


def test_a_locator_is_found_however_it_was_read(hotels: Hotels) -> None:
    bookings = [hotels.book(f"Guest {number}", arrival=number) for number in range(1, 40)]
    ambiguous = [booking for booking in bookings if {"0", "1"} & {*booking.locator}]
    assert ambiguous
    for booking in ambiguous:
        for one in ("I", "l", "1"):
            assert hotels.found(text=booking.locator.replace("0", "O").replace("1", one)) == [booking.id]


def test_the_locator_and_the_newest_details_are_searched(hotels: Hotels) -> None:
    booking, other = hotels.book("Béa Müller"), hotels.book("Ann Lee")
    assert hotels.found(text=booking.locator.lower()) == [booking.id]
    assert hotels.found(text="ann") == [other.id]


def test_bookings_are_filtered(hotels: Hotels) -> None:
    first = hotels.book(arrival=1)
    suite = hotels.book(arrival=3, room_type="SUI")
    last = hotels.partition.booking_after(CancelBooking(HOTEL, hotels.book(arrival=5).id))
    assert hotels.found(status=BookingStatus.CANCELLED) == [last.id]
    assert hotels.found(room_type="SUI") == hotels.found(room=suite.room) == [suite.id]
    assert hotels.found(arrival_from=night(3)) == [last.id, suite.id]
    assert hotels.found(arrival_to=night(3)) == [suite.id, first.id]
    assert hotels.found(departure_to=first.departure) == [first.id]
    assert first.id not in hotels.found(departure_from=night(3), departure_to=night(9))
    assert hotels.found(arrival_from=night(3), arrival_to=night(3), room_type="DBL") == []


def test_a_booking_is_shown_as_it_is_now_with_its_history(hotels: Hotels) -> None:
    booking = hotels.book()
    hotels.book("Béa Müller")
    cancelled = hotels.partition.booking_after(CancelBooking(HOTEL, booking.id))
    assert hotels.views.booking(hotels.positions, HOTEL, booking.id) == cancelled
    history = hotels.views.history(hotels.positions, HOTEL, booking.id)
    assert [record.event.name for _, record in history] == ["booking.confirmed", "booking.cancelled"]
    logged = dict(hotels.partition.host.journal.read())
    assert all(logged[position] == record for position, record in history)
    for hotel, name in ((HOTEL, "unknown"), ("elsewhere", booking.id)):
        assert hotels.views.booking(hotels.positions, hotel, name) is None
        assert hotels.views.history(hotels.positions, hotel, name) == []


def test_the_chart_shows_bookings_that_hold_a_night(hotels: Hotels) -> None:
    long = hotels.book(arrival=1, nights=6)
    inside = hotels.book(arrival=3)
    hotels.book(arrival=6)
    hotels.partition.booking_after(CancelBooking(HOTEL, hotels.book(arrival=4).id))

    def chart(start: date, end: date) -> list[str]:
        found = hotels.views.chart(hotels.positions, HOTEL, start, end)
        assert found is not None
        assert found[0].id == HOTEL
        return [booking.id for booking in found[1]]

    assert chart(night(3), night(5)) == [long.id, inside.id]
    assert chart(TODAY, night(2)) == [long.id]
    assert chart(night(4), night(6)) == [long.id]
    assert hotels.views.chart(hotels.positions, "elsewhere", TODAY, night(9)) is None


def test_hotels_are_listed_page_by_page(hotels: Hotels) -> None:
    for name in ("alpine", "zenith"):
        hotels.partition.open_hotel(hotel=name)
    first, cursor = hotels.views.hotels(hotels.positions, 2, None)
    rest, end = hotels.views.hotels(hotels.positions, 2, cursor)
    assert ([hotel.id for hotel in first], [hotel.id for hotel in rest], end) == (["alpine", HOTEL], ["zenith"], None)


def test_what_was_there_before_is_there_when_they_are_opened_again(hotels: Hotels, storage: Storage) -> None:
    booking = hotels.book()
    assert hotels.found() == [booking.id]
    with storage.event_log(RESERVATIONS) as log, storage.views(RESERVATIONS, log) as again:
        page = again.bookings(hotels.positions, BookingSearch(HOTEL), 9, None)
    assert page.bookings == (booking,)
