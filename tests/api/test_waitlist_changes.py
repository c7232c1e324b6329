"""Whoever waits can be changed, and waits once for a stay."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

BEA = {"name": "Bea", "email": "bea@example.com", "phone": "+351 91 22"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


class SoldOutHotel:
    """A hotel with one double, taken for five nights, and a suite that is free."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.path = gateway.open_hotel({"DBL": 1, "STE": 1})
        self.taken = gateway.book(self.path, 1, 5)

    def wait(self, arrival: int = 1, nights: int = 3, **guest: Any) -> HttpResponse:
        """Ask to wait for a double."""
        body = stay_request(arrival, nights, guest=BEA | guest if guest.get("id") is None else guest)
        return self.gateway.post(f"{self.path}/waitlist", body)

    def change(self, entry: Any, headers: dict[str, str] | None = None, **change: Any) -> HttpResponse:
        """Change an entry."""
        return self.gateway.send("PATCH", f"{self.path}/waitlist/{entry['id']}", change, headers)

    def waiting(self) -> list[str]:
        """The ids of the entries, longest wait first."""
        return [entry["id"] for entry in self.gateway.list_all(f"{self.path}/waitlist", limit=1)]


@pytest.fixture
def hotel(gateway: Gateway) -> SoldOutHotel:
    return SoldOutHotel(gateway)


def test_an_entry_is_changed_and_shown(hotel: SoldOutHotel) -> None:
    entry = hotel.wait().json
    changed = hotel.change(entry, departure=str(night(3)), guest={"email": None}, notes="quiet", adults=2, source="fax")
    assert changed.status == 200
    expected = {"departure": str(night(3)), "notes": "quiet", "adults": 2, "source": "fax", "version": 2}
    assert changed.json == entry | expected | {"guest": entry["guest"] | {"email": None}}
    shown = hotel.gateway.get(f"{hotel.path}/waitlist/{entry['id']}")
    assert (shown.json, shown.headers["etag"]) == (changed.json, '"2"')
    assert hotel.change(entry, notes="quiet").json == changed.json
    history = [event for event in hotel.gateway.all_events() if event["type"] == "innkeeper.waitlist.changed.v1"]
    assert history[-1]["data"]["entry"] == entry["id"]


def test_an_entry_keeps_its_place_while_the_stay_does_not_grow(hotel: SoldOutHotel) -> None:
    first, second, third = (hotel.wait(name=name).json for name in ("First", "Second", "Third"))
    hotel.change(first, departure=str(night(3)), adults=2)
    assert hotel.waiting() == [first["id"], second["id"], third["id"]]
    hotel.change(first, departure=str(night(4)))
    assert hotel.waiting() == [second["id"], third["id"], first["id"]]
    hotel.change(second, arrival=str(night(2)), departure=str(night(5)))  # as long, but on another night
    assert hotel.waiting() == [third["id"], first["id"], second["id"]]
    hotel.gateway.restart()
    assert hotel.waiting() == [third["id"], first["id"], second["id"]]
    hotel.gateway.act(hotel.path, hotel.taken, "cancel")
    assert hotel.gateway.get(booking_path(hotel.path, third)).json["status"] == "held"


def test_a_change_that_finds_a_room_is_refused(hotel: SoldOutHotel) -> None:
    entry = hotel.wait().json
    refused = hotel.change(entry, room_type="STE")
    assert_problem(refused, 409, "rooms_left")
    assert_problem(hotel.change(entry, arrival=str(night(6)), departure=str(night(7))), 409, "rooms_left")
    assert hotel.gateway.get(f"{hotel.path}/waitlist/{entry['id']}").json == entry


def test_an_invalid_change_is_refused(hotel: SoldOutHotel) -> None:
    entry = hotel.wait().json
    for change, field, rule in (
        ({"departure": str(night(1))}, "departure", "after_arrival"),
        ({"arrival": str(night(-1))}, "arrival", "not_past"),
        ({"adults": 3}, "adults", "max_guests"),
        ({"room_type": "XXL"}, "room_type", "unknown"),
        ({"guest": {"email": "nobody"}}, "guest.email", "form"),
        ({"status": "held"}, "status", "unknown"),
    ):
        assert_problem(hotel.change(entry, **change), 422, "invalid", field, rule)
    assert_problem(hotel.change({"id": "nobody"}, notes="x"), 404, "not_found")
    assert_problem(hotel.change(entry, {"If-Match": '"2"'}, notes="x"), 412, "stale_version")
    left = hotel.gateway.send("DELETE", f"{hotel.path}/waitlist/{entry['id']}", headers={"If-Match": '"2"'})
    assert_problem(left, 412, "stale_version")
    assert hotel.change(entry, {"If-Match": '"1"'}, notes="x").headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("guest", "is_same"),
    [
        ({}, True),
        ({"name": "BEA ", "email": None, "phone": "0035191-22"}, True),
        ({"phone": None, "email": "Bea@Example.com"}, True),
        ({"name": "Ben"}, False),
        ({"email": None, "phone": None}, False),
        ({"email": "other@example.com", "phone": "999"}, False),
    ],
    ids=str,
)
def test_a_guest_waits_once_for_a_stay(hotel: SoldOutHotel, guest: dict[str, Any], is_same: bool) -> None:
    entry = hotel.wait().json
    again = hotel.wait(**guest)
    if is_same:
        assert_problem(again, 409, "waits_already")
        assert again.json["entry"] == entry["id"]
    else:
        assert again.status == 201
    other = hotel.wait(2, 2, **guest)
    changed = hotel.change(other.json, arrival=str(night(1)), departure=str(night(4)))
    assert (changed.status == 409) == (is_same or bool(guest.get("email", "mine")))


def test_a_known_guest_waits_once_for_a_stay(hotel: SoldOutHotel) -> None:
    guest = hotel.taken["guest"]["id"]
    entry = hotel.wait(id=guest).json
    again = hotel.wait(id=guest)
    assert_problem(again, 409, "waits_already")
    assert again.json["entry"] == entry["id"]


def test_a_change_of_contact_data_reaches_the_bookings_of_the_guest(hotel: SoldOutHotel) -> None:
    entry = hotel.wait(id=hotel.taken["guest"]["id"]).json
    hotel.change(entry, guest={"name": "Ann Smith", "phone": "+44 1"})
    booking = hotel.gateway.get(booking_path(hotel.path, hotel.taken)).json
    assert (booking["guest"]["name"], booking["guest"]["phone"]) == ("Ann Smith", "+44 1")
