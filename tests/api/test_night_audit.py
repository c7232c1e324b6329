"""The night audit: a business date is closed when it is over, once, by the hotel's own clock (P12)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.http.keys import read_keys
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A server whose clock begins at noon in London, 13:00 in Lisbon, of the first business date."""
    with running_gateway(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def hotel(gateway: Gateway) -> str:
    """A hotel in Lisbon, whose dates are over at 03:00 and are closed by hand."""
    return gateway.open_hotel({"DBL": 3}, clock="wall")


def audit(gateway: Gateway, hotel: str, **body: Any) -> Any:
    """Run the night audit, and expect success; its answer."""
    reply = gateway.post(f"{hotel}/night-audit", body)
    assert reply.status == 200, reply
    return reply.json


def business_date(gateway: Gateway, hotel: str) -> str:
    """The business date of a hotel."""
    return str(gateway.get(hotel).json["business_date"])


def status_of(gateway: Gateway, hotel: str, booking: dict[str, Any]) -> str:
    """The status of a booking."""
    return str(gateway.get(booking_path(hotel, booking)).json["status"])


def rolled(gateway: Gateway, hotel: str) -> list[dict[str, Any]]:
    """The events that closed dates of a hotel."""
    events = gateway.list_all("/v1/events", limit=200, hotel=hotel.rpartition("/")[2])
    return [event for event in events if event["type"] == "innkeeper.business_date.rolled.v1"]


def test_a_day_that_is_not_over_stays_open(gateway: Gateway, hotel: str) -> None:
    for body in ({}, {"date": str(night(0))}):
        refused = assert_problem(gateway.post(f"{hotel}/night-audit", body), 409, "day_not_over")
        assert (refused["date"], refused["over_at"]) == ("2026-06-01", "2026-06-02T02:00:00Z")
        assert refused["over_at_local"] == "2026-06-02T03:00"
    gateway.set_clock("2026-06-02T02:59")
    assert_problem(gateway.post(f"{hotel}/night-audit"), 409, "day_not_over")
    assert business_date(gateway, hotel) == "2026-06-01"
    gateway.set_clock("2026-06-02T03:00")
    assert audit(gateway, hotel)["business_date"] == "2026-06-02"


def test_every_day_that_is_over_is_closed_one_after_the_other(gateway: Gateway, hotel: str) -> None:
    monday, tuesday = gateway.book(hotel, 0), gateway.book(hotel, 1)
    gateway.set_clock("2026-06-04T09:00")
    answer = audit(gateway, hotel)
    assert (answer["business_date"], answer["no_shows"]) == ("2026-06-04", 2)
    assert [one["date"] for one in answer["closed"]] == ["2026-06-01", "2026-06-02", "2026-06-03"]
    listed = [[one["booking"] for one in date["no_shows"]["bookings"]] for date in answer["closed"]]
    assert listed == [[monday["id"]], [tuesday["id"]], []]
    dates = [(event["data"]["closed"], event["data"]["opened"]) for event in rolled(gateway, hotel)]
    assert dates == [(str(night(day)), str(night(day + 1))) for day in range(3)]


def test_an_audit_that_is_sent_again_answers_the_same(gateway: Gateway, hotel: str) -> None:
    late = gateway.book(hotel, 0, 1)
    gateway.set_clock("2026-06-02T04:00")
    first = audit(gateway, hotel, date="2026-06-01")
    listed = {"booking": late["id"], "locator": late["locator"], "room": late["room"]}
    assert first["closed"][0]["no_shows"] == {"count": 1, "bookings": [listed]}
    assert audit(gateway, hotel, date="2026-06-01") == first
    gateway.set_clock("2026-06-05T04:00")
    assert audit(gateway, hotel)["business_date"] == "2026-06-05"
    assert audit(gateway, hotel, date="2026-06-01") == first
    assert len(rolled(gateway, hotel)) == 4


def test_what_a_day_long_ago_had_is_not_made_up(gateway: Gateway, hotel: str) -> None:
    gateway.set_clock("2026-07-15T04:00")
    while audit(gateway, hotel)["business_date"] != "2026-07-15":
        pass
    answer = audit(gateway, hotel, date="2026-06-01")
    assert (answer["business_date"], answer["no_shows"], answer["closed"]) == ("2026-06-02", None, [])
    reply = gateway.post(f"{hotel}/night-audit", {"date": "2026-05-31"})
    assert_problem(reply, 422, "invalid", "date", "before_opening")


def test_a_later_day_is_not_closed_before_an_earlier_one(gateway: Gateway, hotel: str) -> None:
    assert_problem(gateway.post(f"{hotel}/night-audit", {"date": "2027-06-01"}), 409, "day_not_over")
    gateway.set_clock("2026-06-03T04:00")
    reply = gateway.post(f"{hotel}/night-audit", {"date": "2026-06-02"})
    assert_problem(reply, 422, "invalid", "date", "next")
    assert business_date(gateway, hotel) == "2026-06-01"


def test_a_day_is_closed_early_from_its_noon_on(gateway: Gateway, hotel: str) -> None:
    assert audit(gateway, hotel, date="2026-06-01", early=True)["closed"][0]["early"]
    refused = gateway.post(f"{hotel}/night-audit", {"date": "2026-06-02", "early": True})
    assert assert_problem(refused, 409, "day_not_over")["over_at_local"] == "2026-06-02T12:00"
    gateway.set_clock("2026-06-02T12:00")
    assert audit(gateway, hotel, date="2026-06-02", early=True)["business_date"] == "2026-06-03"
    assert_problem(gateway.post(f"{hotel}/night-audit"), 409, "day_not_over")


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({"to": "2027-06-01"}, "to", "simulated_clock"),
        ({"to": "2026-06-02", "date": "2026-06-01"}, "to", "alone"),
        ({"early": True}, "early", "date"),
    ],
)
def test_a_typing_error_of_a_year_closes_nothing(
    gateway: Gateway, hotel: str, body: dict[str, Any], field: str, rule: str
) -> None:
    gateway.book(hotel, 5)
    assert_problem(gateway.post(f"{hotel}/night-audit", body), 422, "invalid", field, rule)
    assert business_date(gateway, hotel) == "2026-06-01"


def test_a_dry_run_shows_what_the_audit_would_do_and_does_nothing(gateway: Gateway, hotel: str) -> None:
    late, hold = gateway.book(hotel, 0), gateway.book(hotel, 0, 1, status="held", hold_seconds=DAY)
    guest = gateway.book(hotel, 0, 2)
    assert gateway.act(hotel, guest, "check-in").status == 200
    position = gateway.last_position()
    shown = gateway.post(f"{hotel}/night-audit?dry_run=true").json
    assert gateway.last_position() == position
    assert (shown["dry_run"], shown["business_date"], shown["over_at"]) == (True, "2026-06-02", "2026-06-02T02:00:00Z")
    (closed,) = shown["closed"]
    found = {name: [one["booking"] for one in closed[name]["bookings"]] for name in ("no_shows", "holds_expired")}
    assert found == {"no_shows": [late["id"]], "holds_expired": [hold["id"]]}
    assert [one["booking"] for one in shown["unposted"]["bookings"]] == [guest["id"]]
    assert [status_of(gateway, hotel, one) for one in (late, hold, guest)] == ["confirmed", "held", "in_house"]
    for day, status in (("2026-06-01", 200), ("2026-05-31", 422), ("2026-06-02", 409)):
        assert gateway.post(f"{hotel}/night-audit?dry_run=true", {"date": day}).status == status
    reply = gateway.post(f"{hotel}/night-audit?dry_run=true", {"to": "2026-06-02"})
    assert_problem(reply, 422, "invalid", "to", "dry_run")


def test_a_hotel_opens_on_its_own_calendar_day(gateway: Gateway) -> None:
    for day in ("2026-05-31", "2026-06-02", "2027-06-01"):
        reply = gateway.post("/v1/hotels", hotel_body("elsewhen", business_date=day))
        assert_problem(reply, 422, "invalid", "business_date", "calendar_day")
    assert gateway.post("/v1/hotels", hotel_body("auckland", timezone="Pacific/Auckland")).json["business_date"] == (
        "2026-06-02"
    )
    gateway.set_clock("2026-06-02T00:30")
    assert gateway.post("/v1/hotels", hotel_body("night", business_date="2026-06-01")).status == 201
    gateway.set_clock("2026-06-02T03:30")
    reply = gateway.post("/v1/hotels", hotel_body("morning", business_date="2026-06-01"))
    assert_problem(reply, 422, "invalid", "business_date", "calendar_day")


def hotel_body(name: str, **more: Any) -> dict[str, Any]:
    """The body that opens a hotel on the wall clock."""
    rate = {"amount": "100.00", "currency": "EUR"}
    kind = {"code": "DBL", "name": "Double", "max_guests": 2, "rate": rate, "room_count": 1}
    return {"id": name, "name": name, "timezone": "Europe/Lisbon", "currency": "EUR", "room_types": [kind]} | more


def test_only_a_demo_opens_hotels_with_a_simulated_clock(tmp_path: Path) -> None:
    with running_gateway(tmp_path / "data", simulated_clocks=False) as gateway:
        refused = gateway.post("/v1/hotels", hotel_body("history", clock="simulated", business_date="2014-08-01"))
        assert_problem(refused, 422, "invalid", "clock", "wall")
        assert gateway.post("/v1/hotels", hotel_body("now")).json["clock"] == "wall"


def test_a_simulated_clock_moves_on_request_only(gateway: Gateway) -> None:
    hotel = gateway.open_hotel(clock="simulated", business_date="2014-08-01")
    assert gateway.get(hotel).json["clock"] == "simulated"
    answer = audit(gateway, hotel, to="2014-08-04")
    assert [one["date"] for one in answer["closed"]] == ["2014-08-01", "2014-08-02", "2014-08-03"]
    assert audit(gateway, hotel)["business_date"] == "2014-08-05"
    assert audit(gateway, hotel, date="2014-08-02")["closed"] == answer["closed"][1:2]
    assert_problem(gateway.post(f"{hotel}/night-audit", {"date": "2014-08-06"}), 409, "day_not_over")


def test_an_audit_in_the_evening_closes_that_evenings_date(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3}, clock="wall", night_audit="23:30")
    today, tomorrow = gateway.book(hotel, 0), gateway.book(hotel, 1, room="102")
    assert gateway.act(hotel, today, "check-in").status == 200
    gateway.set_clock("2026-06-01T23:29")
    assert business_date(gateway, hotel) == "2026-06-01"
    gateway.set_clock("2026-06-01T23:30")
    assert business_date(gateway, hotel) == "2026-06-02"
    gateway.set_clock("2026-06-02T08:00")
    assert business_date(gateway, hotel) == "2026-06-02"
    assert status_of(gateway, hotel, today) == "in_house"
    assert gateway.act(hotel, tomorrow, "check-in").status == 200


@pytest.mark.parametrize(("night_audit", "arrival"), [("03:00", 0), ("manual", 0), ("23:30", 1)])
def test_a_walk_in_after_midnight_has_a_room(gateway: Gateway, night_audit: str, arrival: int) -> None:
    hotel = gateway.open_hotel({"DBL": 3}, clock="wall", night_audit=night_audit)
    gateway.set_clock("2026-06-02T00:40")
    assert business_date(gateway, hotel) == str(night(arrival))
    walk_in = gateway.book(hotel, arrival)
    assert gateway.act(hotel, walk_in, "check-in").status == 200


def test_who_is_booked_for_the_new_day_comes_after_the_audit_of_the_old_one(gateway: Gateway, hotel: str) -> None:
    early = gateway.book(hotel, 1)
    gateway.set_clock("2026-06-02T00:40")
    assert_problem(gateway.act(hotel, early, "check-in"), 409, "not_allowed")
    gateway.set_clock("2026-06-02T03:00")  # nobody has closed the day before
    assert gateway.act(hotel, early, "check-in").status == 200
    assert business_date(gateway, hotel) == "2026-06-01"
    audit(gateway, hotel)
    assert status_of(gateway, hotel, early) == "in_house"


def test_a_guest_who_came_and_left_before_the_audit_needs_no_room(gateway: Gateway, hotel: str) -> None:
    """At eight in the morning: a day use of tomorrow, as the hotel counts, holds no night."""
    early = gateway.book(hotel, 1)
    gateway.set_clock("2026-06-02T08:00")
    assert gateway.act(hotel, early, "check-in").status == 200
    assert gateway.act(hotel, early, "check-out", reason_code="day_use").status == 200
    closure = {"kind": "out_of_order", "until": str(night(4)), "reason": "The shower leaks"}
    assert gateway.post(f"{hotel}/rooms/{early['room']}/closures", closure).status == 201


def test_a_hold_for_tonight_ends_before_the_audit_and_says_so(gateway: Gateway, hotel: str) -> None:
    hold = gateway.book(hotel, 0, 1, status="held", hold_seconds=DAY)
    assert hold["expires_at"].startswith("2026-06-02T00:00:0")  # two hours before 03:00 in Lisbon
    extended = gateway.act(hotel, hold, "extend", hold_seconds=DAY).json
    assert extended["expires_at"] == hold["expires_at"]
    later = gateway.book(hotel, 1, 1, status="held", hold_seconds=DAY)
    assert later["expires_at"].startswith("2026-06-02T12:00:0")
    gateway.set_clock("2026-06-02T00:30")
    last = gateway.book(hotel, 0, 1, status="held", hold_seconds=DAY)
    assert last["expires_at"].startswith("2026-06-02T00:45:0")  # half of what is left is for the next in line
    gateway.set_clock("2026-06-02T01:01")
    assert status_of(gateway, hotel, hold) == "expired"


def test_a_hold_that_is_changed_to_tonight_ends_before_the_audit(gateway: Gateway, hotel: str) -> None:
    hold = gateway.book(hotel, 3, 1, status="held", hold_seconds=DAY)
    changed = gateway.send("PATCH", booking_path(hotel, hold), {"arrival": str(night(0)), "departure": str(night(1))})
    assert (changed.status, changed.json["expires_at"][:18]) == (200, "2026-06-02T00:00:0")


def test_an_offer_for_tonight_leaves_time_for_the_next_in_line(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1}, clock="wall", night_audit="03:00")
    booked = gateway.book(hotel, 0)
    stay = {"room_type": "DBL", "arrival": str(night(0)), "departure": str(night(1))}
    first, second = (
        gateway.post(f"{hotel}/waitlist", {**stay, "guest": {"name": name}}).json["id"] for name in ("Ann", "Bea")
    )
    gateway.set_clock("2026-06-01T23:00")
    assert gateway.act(hotel, booked, "cancel").status == 200
    offer = gateway.get(f"{hotel}/bookings/{first}").json
    assert (offer["status"], offer["expires_at"][:18]) == ("held", "2026-06-02T00:00:0")
    gateway.set_clock("2026-06-02T01:01")
    offer = gateway.get(f"{hotel}/bookings/{second}").json
    assert (offer["status"], offer["expires_at"][:17]) == ("held", "2026-06-02T01:00:")
    assert gateway.act(hotel, {"id": second}, "confirm").status == 200


def test_an_audit_by_hand_has_its_person_in_the_history(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("night-manager:0123456789abcdef0123456789abcdef\n")
    keys = read_keys(tmp_path / "keys")
    with running_gateway(tmp_path / "data", keys) as gateway:
        hotel, by_itself = (Keyed(gateway).open(name, audit) for name, audit in (("a", "manual"), ("b", "03:00")))
        late = {path: Keyed(gateway).post(f"{path}/bookings", STAY) for path in (hotel, by_itself)}
        gateway.set_clock("2026-06-02T03:01")
        Keyed(gateway).post(f"{hotel}/night-audit", {})
        for path, who in ((hotel, "night-manager"), (by_itself, "system")):
            history = Keyed(gateway).get(f"{path}/bookings/{late[path]['id']}/history")["data"]
            assert (history[-1]["type"], history[-1]["by"]) == ("innkeeper.booking.no_show.v1", who)


STAY = {"room_type": "DBL", "arrival": str(night(0)), "departure": str(night(1)), "guest": {"name": "Ann"}}


class Keyed:
    """Requests with the key of the night manager."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._headers = {"Authorization": "Bearer 0123456789abcdef0123456789abcdef"}

    def get(self, path: str) -> Any:
        return self._gateway.send("GET", path, None, self._headers).json

    def post(self, path: str, body: Any) -> Any:
        return self._gateway.send("POST", path, body, self._headers).json

    def open(self, name: str, night_audit: str) -> str:
        self.post("/v1/hotels", hotel_body(name, night_audit=night_audit))
        return f"/v1/hotels/{name}"


def test_a_hotel_may_close_no_date_while_somebody_overstays(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3}, clock="wall", overstays_block_audit=True, night_audit="03:00")
    guest = gateway.act(hotel, gateway.book(hotel, 0, 1), "check-in").json
    gateway.set_clock("2026-06-02T12:00")
    assert business_date(gateway, hotel) == "2026-06-02"
    gateway.set_clock("2026-06-03T12:00")
    assert business_date(gateway, hotel) == "2026-06-02", "the automatic audit waits"
    refused = assert_problem(gateway.post(f"{hotel}/night-audit"), 409, "overstays_open")
    assert refused["bookings"] == [{"booking": guest["id"], "locator": guest["locator"], "room": guest["room"]}]
    assert gateway.send("PATCH", booking_path(hotel, guest), {"departure": "2026-06-03"}).status == 200
    gateway.set_clock("2026-06-03T12:02")
    assert business_date(gateway, hotel) == "2026-06-03"
    assert gateway.send("PATCH", hotel, {"overstays_block_audit": False}).status == 200
    gateway.set_clock("2026-06-04T12:00")
    assert business_date(gateway, hotel) == "2026-06-04"
    assert gateway.get(booking_path(hotel, guest)).json["overstayed_nights"] == 1
