"""How many guests a room takes: adults, children and infants, in the room that is given."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

EUR_100 = {"amount": "100.00", "currency": "EUR"}
TYPES = [
    {"code": "DBL", "name": "Double", "max_guests": 2, "rate": EUR_100, "rooms": ["101", "102"], "cots": 1},
    {"code": "FAM", "name": "Family", "max_guests": 4, "max_adults": 2, "rate": EUR_100, "rooms": ["201", "202"]},
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("capacity") / "data") as started:
        yield started


def opened(gateway: Gateway, **more: Any) -> str:
    return gateway.open_hotel(**{"room_types": TYPES, "infants_below": 3} | more)


def book(gateway: Gateway, hotel: str, **more: Any) -> HttpResponse:
    return gateway.post(f"{hotel}/bookings", stay_request(**more))


@pytest.mark.parametrize(
    ("guests", "field", "rule"),
    [
        ({"adults": 3}, "adults", "max_guests"),
        ({"adults": 2, "children": [3]}, "children", "max_guests"),
        ({"adults": 2, "children": [0, 1]}, "children", "cots"),
        ({"room_type": "FAM", "adults": 3}, "adults", "max_adults"),
        ({"room_type": "FAM", "adults": 2, "children": [3, 4, 5]}, "children", "max_guests"),
    ],
)
def test_a_room_takes_no_more_than_it_has_beds_and_cots(
    gateway: Gateway, guests: dict[str, Any], field: str, rule: str
) -> None:
    assert_problem(book(gateway, opened(gateway), **guests), 422, "invalid", field, rule)


@pytest.mark.parametrize(
    "guests",
    [
        {"adults": 2, "children": [2]},
        {"room_type": "FAM", "adults": 2, "children": [3, 17]},
        {"room_type": "FAM", "adults": 2, "children": [0, 1, 2, 5, 6]},
    ],
)
def test_infants_are_not_counted_as_guests(gateway: Gateway, guests: dict[str, Any]) -> None:
    assert book(gateway, opened(gateway), **guests).status == 201


@pytest.mark.parametrize(
    ("adults", "children", "offered"),
    [
        (2, [], ["DBL", "FAM"]),
        (3, [], []),
        (2, [2], ["DBL", "FAM"]),
        (2, [1, 2], ["FAM"]),
        (2, [3], ["FAM"]),
        (2, [3, 4, 5], []),
    ],
)
def test_availability_names_the_room_types_that_the_guests_can_book(
    gateway: Gateway, adults: int, children: list[int], offered: list[str]
) -> None:
    hotel, ages = opened(gateway), ",".join(map(str, children))
    shown = gateway.get(f"{hotel}/availability", arrival=night(0), departure=night(1), adults=adults, children=ages)
    assert [kind["code"] for kind in shown.json["room_types"]] == offered
    for code in ("DBL", "FAM"):
        booked = book(gateway, hotel, room_type=code, adults=adults, children=children)
        assert (booked.status == 201) == (code in offered)


def test_without_an_age_below_which_children_are_infants_every_child_is_a_guest(gateway: Gateway) -> None:
    hotel = opened(gateway, infants_below=0)
    assert_problem(book(gateway, hotel, adults=2, children=[0]), 422, "invalid", "children", "max_guests")
    assert gateway.send("PATCH", hotel, {"infants_below": 1}).json["infants_below"] == 1
    assert book(gateway, hotel, adults=2, children=[0]).status == 201


def test_capacity_follows_the_room_that_is_given_and_back(gateway: Gateway) -> None:
    hotel = opened(gateway)
    booking = book(gateway, hotel, adults=2).json
    path = booking_path(hotel, booking)
    too_many = gateway.send("PATCH", path, {"children": [5, 6]})
    assert_problem(too_many, 422, "invalid", "children", "max_guests")
    assert gateway.act(hotel, booking, "move", room="201").status == 200
    changed = gateway.send("PATCH", path, {"children": [5, 6]})
    assert (changed.status, changed.json["room"], changed.json["room_type"]) == (200, "201", "DBL"), "an upgrade"
    assert_problem(gateway.act(hotel, booking, "move", room="101"), 422, "invalid", "room", "max_guests")
    assert gateway.send("PATCH", path, {"children": []}).status == 200
    assert gateway.act(hotel, booking, "move", room="101").status == 200


def test_a_change_of_the_type_needs_room_for_the_guests(gateway: Gateway) -> None:
    hotel = opened(gateway)
    booking = book(gateway, hotel, room_type="FAM", adults=2, children=[5]).json
    refused = gateway.send("PATCH", booking_path(hotel, booking), {"room_type": "DBL"})
    assert_problem(refused, 422, "invalid", "room_type", "max_guests")
    both = gateway.send("PATCH", booking_path(hotel, booking), {"room_type": "DBL", "children": []})
    assert both.status == 200


def test_a_booking_keeps_its_guests_when_its_type_takes_fewer(gateway: Gateway) -> None:
    hotel = opened(gateway)
    booking = book(gateway, hotel, room_type="FAM", adults=2, children=[5, 6]).json
    assert gateway.send("PATCH", f"{hotel}/room-types/FAM", {"max_guests": 3}).status == 200
    path = booking_path(hotel, booking)
    assert gateway.send("PATCH", path, {"notes": "late"}).status == 200
    assert gateway.send("PATCH", path, {"children": [5, 6, 7]}).status == 422
    assert gateway.send("PATCH", path, {"children": [5]}).status == 200
    smaller = gateway.send("PATCH", f"{hotel}/room-types/FAM", {"max_guests": 1})
    assert_problem(smaller, 422, "invalid", "max_adults", "max_guests")
