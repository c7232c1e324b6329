"""The rooms of a stay, night by night: the past stays where the guest slept."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("rooms") / "data") as started:
        yield started


def nights(room: str, first: int, until: int) -> dict[str, str]:
    """A room from one night until another."""
    return {"room": room, "first": str(night(first)), "until": str(night(until))}


def in_house(gateway: Gateway, hotel: str) -> dict[str, Any]:
    """A guest who has slept one of three nights in 101."""
    booking = gateway.book(hotel, arrival=0, nights=3, room="101")
    assert gateway.act(hotel, booking, "check-in").status == 200
    assert gateway.run_night_audit(hotel, 1).status == 200
    return booking


def test_the_chart_of_a_past_night_shows_where_the_guests_slept(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    moved = in_house(gateway, hotel)
    assert gateway.act(hotel, moved, "move", room="102").json["rooms"] == [nights("101", 0, 1), nights("102", 1, 3)]
    other = gateway.book(hotel, arrival=1, nights=2)
    entered = gateway.act(hotel, other, "check-in", accept_not_clean=True)
    assert entered.json["rooms"] == [nights("101", 1, 3)]
    chart = gateway.get(f"{hotel}/tape-chart", from_=night(0), to=night(3)).json["bookings"]
    assert {bar["id"]: bar["rooms"] for bar in chart} == {
        moved["id"]: [nights("101", 0, 1), nights("102", 1, 3)],
        other["id"]: [nights("101", 1, 3)],
    }
    events = gateway.get(f"{booking_path(hotel, moved)}/history").json["data"]
    assert events[-1]["data"]["rooms"] == [nights("101", 0, 1), nights("102", 1, 3)]


def test_a_guest_who_moves_back_before_the_night_has_had_one_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    booking = in_house(gateway, hotel)
    gateway.act(hotel, booking, "move", room="102")
    back = gateway.act(hotel, booking, "move", room="101", accept_not_clean=True).json
    assert (back["room"], back["rooms"]) == ("101", [nights("101", 0, 3)])


def test_who_leaves_on_the_day_of_a_move_slept_in_the_first_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    booking = in_house(gateway, hotel)
    gateway.act(hotel, booking, "move", room="102")
    left = gateway.act(hotel, booking, "check-out").json
    assert (left["departure"], left["rooms"]) == (str(night(1)), [nights("101", 0, 1)])
    for room in ("101", "102"):
        assert gateway.book(hotel, arrival=1, nights=2, room=room)["room"] == room


def test_a_stay_that_is_shortened_to_today_after_a_move_can_be_extended_again(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    booking = in_house(gateway, hotel)
    gateway.act(hotel, booking, "move", room="102")
    path = booking_path(hotel, booking)
    shortened = gateway.send("PATCH", path, {"departure": str(night(1))}).json
    assert (shortened["room"], shortened["rooms"]) == ("102", [nights("101", 0, 1)])
    extended = gateway.send("PATCH", path, {"departure": str(night(4))}).json
    assert (extended["room"], extended["rooms"]) == ("102", [nights("101", 0, 1), nights("102", 1, 4)])


def test_another_stay_of_who_has_not_arrived_has_one_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, arrival=2, nights=2)
    change = {"arrival": str(night(5)), "departure": str(night(6))}
    assert gateway.send("PATCH", booking_path(hotel, booking), change).json["rooms"] == [nights("101", 5, 6)]


def test_a_divided_stay_gives_back_its_last_night(gateway: Gateway) -> None:
    """Three rooms, each of which is free on one of the three nights only."""
    hotel = gateway.open_hotel({"DBL": 3})
    for room, taken in (("101", (2, 3)), ("102", (1, 3)), ("103", (1, 2))):
        for first in taken:
            gateway.book(hotel, arrival=first, room=room)
    divided = gateway.book(hotel, arrival=1, nights=3, allow_split=True)
    assert divided["rooms"] == [nights("101", 1, 2), nights("102", 2, 3), nights("103", 3, 4)]
    shorter = gateway.send("PATCH", booking_path(hotel, divided), {"departure": str(night(3))})
    assert shorter.status == 200, shorter
    assert shorter.json["rooms"] == divided["rooms"][:2]
    assert gateway.book(hotel, arrival=3)["room"] == "103"
