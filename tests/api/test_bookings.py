"""Bookings, availability and hotels over HTTP: the valid requests and their replies."""

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.protocol.values.contexts import RESERVATIONS
from support.gateway import ANSWER_SECONDS_MAX, Gateway, assert_problem, booking_path, hotel_request, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night
from support.waiting import wait_until

HOUR = 3_600


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file; each test opens its own hotels."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture
def hotel(gateway: Gateway) -> str:
    """A hotel with three doubles and two suites; its path."""
    return gateway.open_hotel({"DBL": 3, "STE": 2})


def test_a_booking_is_made_and_shown_with_all_fields(gateway: Gateway, hotel: str) -> None:
    body = stay_request(
        2, 3, adults=1, children=[7], notes="late\narrival", source="phone",
        guest={"name": "Ann Lee", "email": "ann@example.com", "phone": "+351 1"},
    )  # fmt: skip
    reply = gateway.post(f"{hotel}/bookings", body)
    booking = reply.json
    assert reply.status == 201
    assert reply.headers["location"] == booking_path(hotel, booking)
    assert reply.headers["etag"] == '"1"'
    assert len(booking["locator"]) == 6
    assert booking["created_at"].endswith("Z")
    made = {name: booking[name] for name in ("id", "locator", "created_at", "changed_at")}
    assert booking == made | {
        "hotel": hotel.rpartition("/")[2], "status": "confirmed", "room_type": "DBL", "room": "101", "pinned": False,
        "rooms": [{"room": "101", "first": "2026-06-03", "until": "2026-06-06"}],
        "arrival": "2026-06-03", "departure": "2026-06-06", "nights": 3, "adults": 1, "children": [7], "exemptions": [],
        "guest": {"id": booking["guest"]["id"], **body["guest"], "address": [], "language": None, "forgotten": False},
        "price": {"total": "300.00", "currency": "EUR", "nights": [
            {"date": str(night(number)), "amount": "100.00", "taxes": [], "total": "100.00"} for number in (2, 3, 4)
        ]},
        "free_until": "2026-06-02T14:00:00Z", "late_fee": (fee := {"amount": "100.00", "currency": "EUR"}),
        "no_show_fee": fee, "fee": None, "source": "phone", "group": None,
        "notes": "late\narrival", "expires_at": None, "reminder_on": None, "checked_in_on": None,
        "checked_out_on": None, "overstayed_nights": 0, "created_by": "front desk", "changed_by": "front desk",
        "version": 1,
    }  # fmt: skip
    again = gateway.get(booking_path(hotel, booking))
    assert (again.status, again.headers["etag"], again.json) == (200, '"1"', booking)


def test_a_booking_may_specify_a_room_and_a_rate(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, nights=2, room="103", rate={"amount": "80.5", "currency": "EUR"})
    assert (booking["room"], booking["pinned"], booking["price"]["total"]) == ("103", True, "161.00")


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"notes": "vegan"}, {"notes": "vegan"}),
        ({"adults": 2}, {"adults": 2}),
        ({"children": [3]}, {"children": [3]}),
        ({"source": "web"}, {"source": "web"}),
        ({"reminder_on": str(night(1))}, {"reminder_on": str(night(1))}),
        ({"departure": str(night(4))}, {"departure": str(night(4)), "nights": 3}),
        ({"arrival": str(night(5)), "departure": str(night(7))}, {"arrival": str(night(5)), "nights": 2}),
        ({"room_type": "STE"}, {"room_type": "STE", "room": "201"}),
    ],
)
def test_a_change_affects_only_the_given_fields(
    gateway: Gateway, hotel: str, change: dict[str, Any], shown: dict[str, Any]
) -> None:
    before = gateway.book(hotel)
    reply = gateway.send("PATCH", booking_path(hotel, before), change)
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')
    after = reply.json
    assert after.items() >= (change | shown | {"version": 2}).items()
    derived = {"version", "changed_at", "nights", "price", "free_until", "rooms"}
    assert {name for name in after if after[name] != before[name]} - derived == (change | shown).keys() - derived
    assert gateway.get(booking_path(hotel, before)).json == after


def test_each_change_of_the_reminder_date_is_an_event_of_its_own(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, 5, 2, reminder_on=str(night(3)))
    assert booking["reminder_on"] == str(night(3))
    path = booking_path(hotel, booking)
    for day in (str(night(4)), str(night(4)), None):
        assert gateway.send("PATCH", path, {"reminder_on": day}).json["reminder_on"] == day
    history = gateway.get(f"{path}/history").json["data"]
    assert [(event["type"], event["data"].get("reminder_on")) for event in history] == [
        ("innkeeper.booking.confirmed.v1", str(night(3))),
        ("innkeeper.booking.reminder_changed.v1", str(night(4))),
        ("innkeeper.booking.reminder_changed.v1", None),
    ]


@pytest.mark.parametrize("day", [-1, 6])
def test_a_reminder_date_lies_between_today_and_arrival(gateway: Gateway, hotel: str, day: int) -> None:
    wrong = {"reminder_on": str(night(day))}
    reply = gateway.post(f"{hotel}/bookings", stay_request(5, **wrong))
    assert_problem(reply, 422, "invalid", "reminder_on", "before_arrival")
    path = booking_path(hotel, gateway.book(hotel, 5))
    assert_problem(gateway.send("PATCH", path, wrong), 422, "invalid", "reminder_on", "before_arrival")


def test_a_reminder_after_the_new_arrival_is_removed(gateway: Gateway, hotel: str) -> None:
    path = booking_path(hotel, gateway.book(hotel, 5, reminder_on=str(night(4))))
    earlier = {"arrival": str(night(2)), "departure": str(night(3))}
    changed = gateway.send("PATCH", path, earlier).json
    assert (changed["arrival"], changed["reminder_on"]) == (str(night(2)), None)
    with_reminder = gateway.send("PATCH", path, {"reminder_on": str(night(1))}).json
    assert with_reminder["reminder_on"] == str(night(1))


def test_a_change_may_replace_the_guest_and_the_rate(gateway: Gateway, hotel: str) -> None:
    before = gateway.book(hotel, notes="vegan")
    rate = {"amount": "90.00", "currency": "EUR"}
    after = gateway.send(
        "PATCH", booking_path(hotel, before), {"guest": {"name": "Bea", "email": "b@x.pt"}, "rate": rate}
    ).json
    assert (after["guest"]["name"], after["guest"]["email"], after["notes"]) == ("Bea", "b@x.pt", "vegan")
    assert after["price"]["total"] == "90.00"


def test_a_change_of_the_guest_affects_only_the_given_fields(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, guest={"name": "Ann", "email": "ann@example.com", "phone": "+351 1"})
    path, guest = booking_path(hotel, booking), booking["guest"]
    for change in ({"name": "Bea"}, {"phone": "+351 2"}, {"email": None}, {"name": "Cy", "email": "c@x.pt"}):
        guest |= change
        assert gateway.send("PATCH", path, {"guest": change}).json["guest"] == guest
    for wrong, field in (({"name": None}, "name"), ({"name": " "}, "name"), ({"email": "x"}, "email"), ({"a": 1}, "a")):
        problem = assert_problem(gateway.send("PATCH", path, {"guest": wrong}), 422, "invalid")
        assert [error["field"] for error in problem["errors"]] == [f"guest.{field}"]
    assert gateway.get(path).json["guest"] == guest


@pytest.mark.parametrize("change", [{}, {"guest": {}}])
def test_an_empty_change_changes_nothing(gateway: Gateway, hotel: str, change: dict[str, Any]) -> None:
    booking = gateway.book(hotel, guest={"name": "Ann", "email": "ann@example.com"})
    assert gateway.send("PATCH", booking_path(hotel, booking), change).json == booking


@pytest.mark.parametrize(
    ("initial", "actions", "status"),
    [
        ("held", ["confirm"], "confirmed"),
        ("held", ["release"], "released"),
        ("held", ["extend"], "held"),
        ("held", ["pin", "confirm"], "confirmed"),
        ("confirmed", ["cancel"], "cancelled"),
        ("confirmed", ["cancel", "reinstate"], "confirmed"),
        ("confirmed", ["pin", "unpin"], "confirmed"),
        ("confirmed", ["check-in"], "in_house"),
        ("confirmed", ["check-in", "undo-check-in"], "confirmed"),
        ("confirmed", ["no-show"], "no_show"),
        ("confirmed", ["no-show", "reinstate", "check-in"], "in_house"),
    ],
)
def test_actions_change_the_status(gateway: Gateway, hotel: str, initial: str, actions: list[str], status: str) -> None:
    booking = gateway.book(hotel, arrival=0, status=initial)
    for number, action in enumerate(actions, start=2):
        reply = gateway.act(hotel, booking, action)
        assert (reply.status, reply.headers["etag"], reply.json["version"]) == (200, f'"{number}"', number), reply
    assert reply.json["status"] == status
    assert gateway.get(booking_path(hotel, booking)).json.items() <= reply.json.items()  # a check-out has a balance
    assert [entry["status"] for entry in gateway.list_all(f"{hotel}/bookings")] == [status]


def test_a_move_assigns_another_room_and_an_upgrade_pins_it(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel)
    moved = gateway.act(hotel, booking, "move", room="102").json
    assert (moved["room"], moved["room_type"], moved["pinned"]) == ("102", "DBL", False)
    upgraded = gateway.act(hotel, booking, "move", room="202").json
    assert (upgraded["room"], upgraded["room_type"], upgraded["pinned"]) == ("202", "DBL", True)
    assert upgraded["price"] == booking["price"]


def test_a_move_is_refused_where_the_room_type_takes_too_few_guests(gateway: Gateway) -> None:
    large, small = hotel_request({"FAM": 2, "DBL": 1})["room_types"]
    hotel = gateway.open_hotel(room_types=[large | {"max_guests": 4}, small])
    family = gateway.book(hotel, room_type="FAM", adults=2, children=[3])
    refused = gateway.act(hotel, family, "move", room="201")
    assert_problem(refused, 422, "invalid", "room", "max_guests")
    assert gateway.get(booking_path(hotel, family)).json == family
    assert gateway.act(hotel, family, "move", room="102").json["room"] == "102"
    couple = gateway.book(hotel, room_type="FAM", adults=2)
    assert gateway.act(hotel, couple, "move", room="201").json["room"] == "201"


def test_an_early_check_out_frees_the_remaining_nights(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, arrival=0, nights=5)
    gateway.act(hotel, booking, "check-in")
    checked_out = gateway.act(hotel, booking, "check-out", reason_code="early").json
    assert (checked_out["departure"], checked_out["nights"]) == (str(night(1)), 1)
    assert rooms_left(gateway, hotel, 0, 3)["DBL"] == [2, 3, 3]


def test_an_expired_hold_frees_its_room(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    hold = gateway.book(hotel, status="held", hold_seconds=HOUR)
    assert hold["expires_at"] > hold["created_at"]
    assert_problem(gateway.post(f"{hotel}/bookings", stay_request()), 409, "sold_out")
    gateway.advance_clock(HOUR)
    assert gateway.get(booking_path(hotel, hold)).json["status"] == "expired"
    assert_problem(gateway.act(hotel, hold, "confirm"), 409, "not_allowed")
    assert gateway.book(hotel)["room"] == hold["room"]


def test_an_extended_hold_expires_later(gateway: Gateway, hotel: str) -> None:
    hold = gateway.book(hotel, status="held", hold_seconds=60)
    gateway.act(hotel, hold, "extend", hold_seconds=2 * HOUR)
    gateway.advance_clock(HOUR)
    assert gateway.get(booking_path(hotel, hold)).json["status"] == "held"


def test_extending_a_hold_never_shortens_it(gateway: Gateway, hotel: str) -> None:
    hold = gateway.book(hotel, status="held", hold_seconds=24 * HOUR)
    for fields in ({}, {"hold_seconds": HOUR}):
        reply = gateway.act(hotel, hold, "extend", **fields)
        assert (reply.status, reply.headers["etag"], reply.json) == (200, '"1"', hold)
    assert len(gateway.get(f"{booking_path(hotel, hold)}/history").json["data"]) == 1
    gateway.advance_clock(HOUR)
    later = gateway.act(hotel, hold, "extend", hold_seconds=24 * HOUR).json
    assert (later["expires_at"] > hold["expires_at"], later["version"]) == (True, 2)


def test_a_hold_expires_without_any_request(gateway: Gateway, hotel: str) -> None:
    before = gateway.last_position()
    gateway.book(hotel, status="held", hold_seconds=1)
    deadline = monotonic() + 30
    while gateway.last_position() < before + 2 and monotonic() < deadline:
        sleep(0.05)
    [_, last] = gateway.get("/v1/events", after=before).json["data"]
    assert (last["type"], last["by"]) == ("innkeeper.booking.hold_expired.v1", "system")


def rooms_left(gateway: Gateway, hotel: str, arrival: int, departure: int) -> dict[str, list[int]]:
    """Rooms left per type and night."""
    reply = gateway.get(f"{hotel}/availability", arrival=night(arrival), departure=night(departure))
    assert reply.status == 200, reply
    return {
        room_type["code"]: [entry["rooms"] for entry in room_type["nights"]] for room_type in reply.json["room_types"]
    }


def test_availability_is_shown_per_type_and_night(gateway: Gateway, hotel: str) -> None:
    for arrival, nights in ((1, 2), (2, 1), (2, 3)):
        gateway.book(hotel, arrival, nights)
    gateway.book(hotel, 4, 1, room_type="STE", status="held")
    assert rooms_left(gateway, hotel, 1, 6) == {"DBL": [2, 0, 2, 2, 3], "STE": [2, 2, 2, 1, 2]}
    reply = gateway.get(f"{hotel}/availability", arrival=night(1), departure=night(6), adults=2).json
    double, suite = reply["room_types"]
    assert (double["rooms"], suite["rooms"]) == (0, 1)
    assert double["nights"][1] == {"date": str(night(2)), "rooms": 0}
    assert (reply["arrival"], reply["departure"]) == (str(night(1)), str(night(6)))
    assert gateway.get(f"{hotel}/availability", arrival=night(1), departure=night(6), adults=3).json["room_types"] == []


def test_availability_covers_every_night_that_can_be_booked(gateway: Gateway, hotel: str) -> None:
    gateway.book(hotel, 1_096, 365)
    assert rooms_left(gateway, hotel, 1_096, 1_096 + 400)["DBL"] == [2] * 365 + [3] * 35


def test_a_sold_out_stay_is_refused_with_its_full_nights(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    gateway.book(hotel, 2, 1)
    gateway.book(hotel, 4, 1)
    problem = assert_problem(gateway.post(f"{hotel}/bookings", stay_request(1, 5)), 409, "sold_out")
    assert problem["nights"] == [str(night(2)), str(night(4))]
    assert problem["room_type"] == "DBL"


def test_rooms_are_reassigned_to_accept_another_booking(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    first = gateway.book(hotel, 1, 2)
    second = gateway.book(hotel, 3, 2)
    gateway.act(hotel, second, "move", room=next(iter({"101", "102"} - {first["room"]})))
    gateway.book(hotel, 1, 4)
    assert rooms_left(gateway, hotel, 1, 5) == {"DBL": [0, 0, 0, 0]}
    moved = [gateway.get(booking_path(hotel, booking)).json["room"] for booking in (first, second)]
    assert moved[0] == moved[1]


def test_a_tape_chart_shows_rooms_and_the_bookings_of_its_nights(gateway: Gateway, hotel: str) -> None:
    shown = [gateway.book(hotel, 0, 2), gateway.book(hotel, 3, 1, room_type="STE", status="held")]
    gateway.book(hotel, 4, 1)
    gateway.act(hotel, gateway.book(hotel, 1, 2), "cancel")
    chart = gateway.get(f"{hotel}/tape-chart", from_=night(1), to=night(4)).json
    assert chart["rooms"] == [
        {"number": number, "room_type": code, "retired": False, "condition": "clean"}
        for code, numbers in (("DBL", ("101", "102", "103")), ("STE", ("201", "202")))
        for number in numbers
    ]
    assert [entry["id"] for entry in chart["bookings"]] == [booking["id"] for booking in shown]
    assert chart["bookings"][0]["guest"] == {"name": "Ann"}
    assert chart["business_date"] == str(night(0))
    assert_problem(gateway.get("/v1/hotels/none/tape-chart", from_=night(1), to=night(4)), 404, "not_found")


def test_a_night_audit_closes_a_day_once(gateway: Gateway, hotel: str) -> None:
    late = gateway.book(hotel, 0, 3)
    hold = gateway.book(hotel, 0, 1, status="held", hold_seconds=24 * HOUR)
    guest = gateway.book(hotel, 0, 1, room_type="STE")
    gateway.act(hotel, guest, "check-in")
    counted = itemgetter("business_date", "no_shows", "overstays", "holds_expired")
    assert counted(gateway.run_night_audit(hotel, 2).json) == (str(night(2)), 1, 1, 1)
    position = gateway.last_position()
    assert counted(gateway.run_night_audit(hotel, 2).json) == (str(night(2)), 0, 0, 0)
    assert gateway.run_night_audit(hotel, 1).json["business_date"] == str(night(2))
    assert gateway.last_position() == position
    found = [gateway.get(booking_path(hotel, booking)).json["status"] for booking in (late, hold, guest)]
    assert found == ["no_show", "expired", "in_house"]
    assert gateway.get(hotel).json["business_date"] == str(night(2))
    assert gateway.post(f"{hotel}/night-audit").json["business_date"] == str(night(3))


def test_a_past_stay_is_shown_but_cannot_be_changed(gateway: Gateway, hotel: str) -> None:
    checked_out, cancelled = gateway.book(hotel, 0, 1), gateway.book(hotel, 0, 1)
    gateway.act(hotel, checked_out, "check-in")
    gateway.act(hotel, checked_out, "check-out", reason_code="day_use")
    gateway.act(hotel, cancelled, "cancel")
    for day in (2, 40, 400):
        gateway.run_night_audit(hotel, day)
    for booking, status in ((checked_out, "checked_out"), (cancelled, "cancelled")):
        path = booking_path(hotel, booking)
        found = gateway.get(path)
        etag = f'"{found.json["version"]}"'
        assert (found.status, found.json["status"], found.headers["etag"]) == (200, status, etag)
        for action in ("check-in", "cancel", "reinstate", "pin", "confirm"):
            assert assert_problem(gateway.act(hotel, booking, action), 409, "not_allowed")["allowed"] == []
        problem = assert_problem(gateway.send("PATCH", path, {"notes": "x"}), 409, "not_allowed")
        assert problem["allowed"] == []
        assert gateway.get(f"{path}/history").status == 200


def test_a_history_lists_the_events_of_a_booking_in_order(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, 0, status="held")
    gateway.book(hotel, 0)
    gateway.act(hotel, booking, "confirm")
    gateway.send("PATCH", booking_path(hotel, booking), {"notes": "vegan"})
    gateway.act(hotel, booking, "check-in")
    history = gateway.get(booking_path(hotel, booking) + "/history").json["data"]
    names = ["held", "confirmed", "guest_changed", "checked_in"]
    assert [event["type"] for event in history] == [f"innkeeper.booking.{name}.v1" for name in names]
    assert {event["subject"] for event in history} == {booking["id"]}
    assert_problem(gateway.get(f"{hotel}/bookings/none/history"), 404, "not_found")


def test_a_hotel_is_opened_and_shown_with_all_fields(gateway: Gateway) -> None:
    body = hotel_request({"DBL": 2}, id="sea-view", check_in="16:00", cancellation={"free_until_hours": 48})
    body["room_types"].append(body["room_types"][0] | {"code": "STE", "rooms": ["A", "B1"], "room_count": 0})
    reply = gateway.post("/v1/hotels", body)
    assert (reply.status, reply.headers["location"]) == (201, "/v1/hotels/sea-view")
    shown = reply.json
    assert [kind["rooms"] for kind in shown["room_types"]] == [["101", "102"], ["A", "B1"]]
    assert shown["room_types"][0]["rate"] == {"amount": "100.00", "currency": "EUR"}
    assert (shown["check_in"], shown["check_out"], shown["night_audit"]) == ("16:00", "11:00", "manual")
    assert shown["cancellation"] == {"free_until_hours": 48, "late_nights": 1, "no_show_nights": 1}
    assert gateway.get("/v1/hotels/sea-view").json == shown
    assert_problem(gateway.post("/v1/hotels", body), 409, "hotel_exists")


def test_the_id_of_a_hotel_defaults_to_its_name(gateway: Gateway) -> None:
    reply = gateway.post("/v1/hotels", hotel_request(name="Hotel do Mar, Faro"))
    assert (reply.headers["location"], reply.json["id"]) == ("/v1/hotels/hotel-do-mar-faro", "hotel-do-mar-faro")


def test_hotels_are_listed_by_id_page_by_page(gateway: Gateway) -> None:
    opened = {gateway.open_hotel(id=f"page-{number}").rpartition("/")[2] for number in range(5)}
    listed = [hotel["id"] for hotel in gateway.list_all("/v1/hotels", limit=2)]
    assert listed == sorted(set(listed))
    assert set(listed) >= opened


def test_the_health_endpoints_report_a_working_gateway(gateway: Gateway) -> None:
    assert (gateway.get("/health/live").status, gateway.get("/health/ready").status) == (200, 200)


def test_a_gateway_whose_partition_is_fenced_is_not_ready(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_gateway(tmp_path) as gateway:
        hotel = gateway.open_hotel()
        gateway.storage.journal(RESERVATIONS).close()
        assert_problem(gateway.post(f"{hotel}/bookings", stay_request()), 503, "unavailable")
        wait_until(lambda: gateway.get("/health/ready").status == 503, ANSWER_SECONDS_MAX)
        assert_problem(gateway.get("/health/ready"), 503, "unavailable")
        assert gateway.get("/health/live").status == 200
    assert "this one must stop" in caplog.text
