"""Who is physically in a room, at the front desk: check-ins, moves, swaps, and what was a mistake."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("occupancy") / "data") as started:
        yield started


def nights(room: str | None, first: int, until: int) -> dict[str, Any]:
    return {"room": room, "first": str(night(first)), "until": str(night(until))}


def in_house(gateway: Gateway, hotel: str, nights: int = 1, **more: Any) -> dict[str, Any]:
    """A guest who has arrived today."""
    booking: dict[str, Any] = gateway.act(
        hotel, gateway.book(hotel, 0, nights, **more), "check-in", accept_not_clean=True
    ).json
    return booking


def test_two_guests_and_one_room(gateway: Gateway) -> None:
    """A guest who was due out is still in the room of one who is due in (worked example 24)."""
    hotel = gateway.open_hotel({"DBL": 3})
    here = in_house(gateway, hotel, room="101")
    due_in = gateway.book(hotel, 1, 2, room="101")
    gateway.run_night_audit(hotel, 1)
    problem = assert_problem(gateway.act(hotel, due_in, "check-in"), 409, "room_occupied")
    assert (problem["room"], problem["booking"], problem["locator"]) == ("101", here["id"], here["locator"])
    assert problem["rooms"] == ["102", "103"]
    assert gateway.act(hotel, due_in, "move", room="103").json["room"] == "103"
    assert gateway.act(hotel, due_in, "check-in").json["status"] == "in_house"


def test_a_room_is_free_for_the_next_guest_after_the_check_out(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    here = in_house(gateway, hotel)
    due_in = gateway.book(hotel, 1)
    gateway.run_night_audit(hotel, 1)
    assert_problem(gateway.act(hotel, due_in, "check-in"), 409, "room_occupied")
    left = gateway.act(hotel, here, "check-out").json
    assert (left["status"], left["departure"], left["checked_out_on"]) == ("checked_out", str(night(1)), str(night(1)))
    assert_problem(gateway.act(hotel, due_in, "check-in"), 409, "room_not_clean")
    assert gateway.act(hotel, due_in, "check-in", accept_not_clean=True).json["checked_in_on"] == str(night(1))


def test_a_new_stay_gets_a_vacant_room_rather_than_one_of_a_guest_who_is_due_out(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    in_house(gateway, hotel, room="101")
    gateway.run_night_audit(hotel, 1)
    assert gateway.book(hotel, 1)["room"] == "102"


def test_check_out_on_the_day_of_arrival_asks_what_it_is(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = in_house(gateway, hotel, 2)
    problem = assert_problem(gateway.act(hotel, booking, "check-out"), 422, "invalid", "reason_code", "required")
    assert "undo-check-in" in problem["detail"]
    left = gateway.act(hotel, booking, "check-out", reason_code="day_use").json
    assert (left["nights"], left["price"]["total"]) == (0, "100.00")
    assert gateway.get(f"{booking_path(hotel, booking)}/folio").json["balance"]["amount"] == "100.00"
    assert gateway.book(hotel, 0)["room"] == "101", "the room is free again tonight"


def test_a_day_use_is_for_the_day_of_arrival(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = in_house(gateway, hotel, 2)
    gateway.run_night_audit(hotel, 1)
    reply = gateway.act(hotel, booking, "check-out", reason_code="day_use")
    assert_problem(reply, 422, "invalid", "reason_code", "day_use")


def test_a_check_in_of_the_wrong_guest_is_undone(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    wrong = in_house(gateway, hotel, 2)
    undone = gateway.act(hotel, wrong, "undo-check-in", reason="wrong guest").json
    assert (undone["status"], undone["room"], undone["checked_in_on"]) == ("confirmed", "101", None)
    right = in_house(gateway, hotel, room="102")
    gateway.run_night_audit(hotel, 1)
    problem = assert_problem(gateway.act(hotel, right, "undo-check-in"), 409, "not_allowed")
    assert "same business date" in problem["detail"]


def test_a_check_out_is_undone_on_its_day(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = in_house(gateway, hotel, 3)
    folio = f"{booking_path(hotel, booking)}/folio"
    left = gateway.act(hotel, booking, "check-out", reason_code="early").json
    assert (left["nights"], gateway.get(folio).json["balance"]["amount"]) == (1, "100.00")
    again = gateway.act(hotel, booking, "undo-check-out").json
    assert (again["status"], again["departure"], again["room"]) == ("in_house", str(night(3)), "101")
    assert again["rooms"] == [nights("101", 0, 3)]
    assert gateway.get(folio).json["balance"]["amount"] == "0.00"
    for day in (1, 2, 3):
        gateway.run_night_audit(hotel, day)
    assert gateway.act(hotel, booking, "check-out").json["price"]["total"] == "300.00"
    assert gateway.get(folio).json["balance"]["amount"] == "300.00"


def test_a_check_out_is_not_undone_where_the_room_has_other_guests(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = in_house(gateway, hotel, 2)
    gateway.act(hotel, booking, "check-out", reason_code="day_use")
    other = in_house(gateway, hotel)
    problem = assert_problem(gateway.act(hotel, booking, "undo-check-out"), 409, "room_occupied")
    assert problem["booking"] == other["id"]


def test_a_guest_who_was_due_out_and_is_still_there_stays_on(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    guest = in_house(gateway, hotel)
    late = gateway.book(hotel, 1)
    gateway.run_night_audit(hotel, 1)
    audit = gateway.run_night_audit(hotel, 2).json
    assert (audit["overstays"], audit["no_shows"], audit["closed"][0]["unassigned"]["count"]) == (1, 0, 1)
    found = gateway.get(booking_path(hotel, guest)).json
    assert (found["status"], found["departure"], found["price"]["total"]) == ("in_house", str(night(2)), "200.00")
    turned_away = gateway.get(booking_path(hotel, late)).json
    assert (turned_away["status"], turned_away["fee"]) == ("no_show", None), "the hotel had no room to give"
    assert gateway.act(hotel, guest, "check-out").json["nights"] == 2
    assert gateway.get(f"{booking_path(hotel, guest)}/folio").json["balance"]["amount"] == "200.00"


def test_a_move_is_from_a_night_on(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    booking = gateway.book(hotel, 1, 4)
    moved = gateway.act(hotel, booking, "move", **{"room": "102", "from": str(night(3))}).json
    assert (moved["room"], moved["rooms"]) == ("101", [nights("101", 1, 3), nights("102", 3, 5)])
    assert gateway.book(hotel, 3, 2)["room"] == "101"
    assert_problem(gateway.post(f"{hotel}/bookings", {**stay_request(1, 2), "room": "101"}), 409, "room_taken")
    for wrong in (0, 5):
        fields = {"room": "101", "from": str(night(wrong))}
        assert_problem(gateway.act(hotel, booking, "move", **fields), 422, "invalid", "from", "in_stay")


def test_a_planned_move_is_made_when_the_guest_moves(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    guest = in_house(gateway, hotel, 3)
    gateway.act(hotel, guest, "move", **{"room": "102", "from": str(night(1))})
    assert moving(gateway, hotel) == []
    gateway.run_night_audit(hotel, 1)
    assert gateway.get(booking_path(hotel, guest)).json["room"] == "101", "the guest has not moved yet"
    assert moving(gateway, hotel) == [guest["id"]]
    due_in = gateway.book(hotel, 1, room="101")
    assert_problem(gateway.act(hotel, due_in, "check-in"), 409, "room_occupied")
    assert gateway.act(hotel, guest, "move", room="102").json["room"] == "102"
    assert moving(gateway, hotel) == []
    assert gateway.act(hotel, due_in, "check-in").json["room"] == "101"


def moving(gateway: Gateway, hotel: str) -> list[str]:
    """The bookings of the guests who are to change rooms today."""
    return [booking["id"] for booking in gateway.get(f"{hotel}/bookings?view=moving").json["data"]]


def test_who_has_not_moved_as_planned_has_slept_where_the_guest_is(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    guest = in_house(gateway, hotel, 3)
    gateway.act(hotel, guest, "move", **{"room": "102", "from": str(night(1))})
    gateway.run_night_audit(hotel, 1)
    gateway.run_night_audit(hotel, 2)
    found = gateway.get(booking_path(hotel, guest)).json
    assert (found["room"], found["rooms"]) == ("101", [nights("101", 0, 2), nights("102", 2, 3)])


def test_two_guests_swap_rooms_in_a_full_house(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    ann, ben = in_house(gateway, hotel, 3, room="101"), in_house(gateway, hotel, 2, room="102")
    swapped = gateway.act(hotel, ann, "swap", **{"with": ben["id"]}).json
    assert (swapped["room"], swapped["rooms"]) == ("102", [nights("102", 0, 3)])
    assert gateway.get(booking_path(hotel, ben)).json["room"] == "101"
    names = [data["type"] for data in gateway.get(f"{booking_path(hotel, ben)}/history").json["data"]]
    assert names[-1] == "innkeeper.booking.room_moved.v1"


def test_a_swap_is_all_or_nothing(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    ann, ben = gateway.book(hotel, 1, 3, room="101"), gateway.book(hotel, 1, 1, room="102")
    gateway.book(hotel, 2, 1, room="102")
    problem = assert_problem(gateway.act(hotel, ann, "swap", **{"with": ben["id"]}), 409, "room_taken")
    assert problem["nights"] == [str(night(2))]
    assert gateway.get(booking_path(hotel, ann)).json["room"] == "101"
    assert_problem(gateway.act(hotel, ann, "swap", **{"with": "nobody"}), 422, "invalid", "with", "unknown")
    assert_problem(gateway.act(hotel, ann, "swap", **{"with": ann["id"]}), 422, "invalid", "with", "other")


def test_a_guest_in_house_stays_longer_in_another_room_when_tomorrow_is_promised(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    guest = in_house(gateway, hotel, room="101")
    gateway.book(hotel, 1, room="101")
    path = booking_path(hotel, guest)
    assert_problem(gateway.send("PATCH", path, {"departure": str(night(3))}), 409, "room_taken")
    longer = gateway.send("PATCH", path, {"departure": str(night(3)), "room": "102"}).json
    assert longer["rooms"] == [nights("101", 0, 1), nights("102", 1, 3)]
    assert longer["price"]["total"] == "300.00"


def test_a_guest_who_stays_may_stay_for_more_than_a_year(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    guest = in_house(gateway, hotel, 365)
    for day in (100, 200):
        gateway.run_night_audit(hotel, day)
    path = booking_path(hotel, guest)
    assert gateway.send("PATCH", path, {"departure": str(night(500))}).json["nights"] == 500
    problem = gateway.send("PATCH", path, {"departure": str(night(600))})
    assert_problem(problem, 422, "invalid", "departure", "nights_max")


def test_what_is_offered_can_be_booked(gateway: Gateway) -> None:
    """Two pinned guests leave no single room for two nights (worked example 25)."""
    hotel = gateway.open_hotel({"DBL": 2})
    gateway.book(hotel, 1, room="101")
    gateway.book(hotel, 2, room="102")

    def left(**query: Any) -> tuple[int, bool]:
        reply = gateway.get(f"{hotel}/availability", arrival=night(1), departure=night(3), **query)
        (kind,) = reply.json["room_types"]
        return kind["rooms"], kind["needs_move"]

    assert left() == (0, True)
    assert_problem(gateway.post(f"{hotel}/bookings", stay_request(1, 2)), 409, "no_single_room")
    assert left(allow_split="true") == (1, True)
    divided = gateway.post(f"{hotel}/bookings", {**stay_request(1, 2), "allow_split": True}).json
    assert divided["rooms"] == [nights("102", 1, 2), nights("101", 2, 3)]
    assert left(allow_split="true") == (0, False)


def test_guests_who_overstay_are_listed_until_a_departure_is_agreed_on(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    guest = in_house(gateway, hotel)
    in_house(gateway, hotel, 5)

    def listed() -> list[tuple[str, int]]:
        found = gateway.get(f"{hotel}/bookings", view="overstay").json["data"]
        return [(booking["id"], booking["overstayed_nights"]) for booking in found]

    gateway.run_night_audit(hotel, 1)
    assert listed() == []
    gateway.run_night_audit(hotel, 3)
    assert listed() == [(guest["id"], 2)]
    assert gateway.send("PATCH", booking_path(hotel, guest), {"departure": str(night(4))}).status == 200
    assert listed() == []
