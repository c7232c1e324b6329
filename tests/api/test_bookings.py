"""The life of a booking over real HTTP: everything that a well-behaved client can ask, and what comes back."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.gateway import ANSWER_SECONDS_MAX, Gateway, assert_problem, gateway, hotel_plan, path_of, stay
from support.partition_fixture import night
from support.waiting import wait_until

HOUR = 3_600


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One front desk for this file; each test opens hotels of its own."""
    with gateway(tmp_path_factory.mktemp("front")) as opened:
        yield opened


@pytest.fixture
def hotel(front: Gateway) -> str:
    """A hotel with three doubles and two suites; its path."""
    return front.open({"DBL": 3, "STE": 2})


def test_a_booking_is_made_and_shown_whole(front: Gateway, hotel: str) -> None:
    asked = stay(
        2, 3, adults=1, children=[7], notes="late\narrival", source="phone",
        guest={"name": "Ann Lee", "email": "ann@example.com", "phone": "+351 1"},
    )  # fmt: skip
    reply = front.post(f"{hotel}/bookings", asked)
    booking = reply.json
    assert reply.status == 201
    assert reply.headers["location"] == path_of(hotel, booking)
    assert reply.headers["etag"] == '"1"'
    assert len(booking["locator"]) == 6
    assert booking["created_at"].endswith("Z")
    made = {name: booking[name] for name in ("id", "locator", "created_at", "changed_at")}
    assert booking == made | {
        "hotel": hotel.rpartition("/")[2], "status": "confirmed", "room_type": "DBL", "room": "101", "pinned": False,
        "arrival": "2026-06-03", "departure": "2026-06-06", "nights": 3, "adults": 1, "children": [7],
        "guest": {"id": booking["guest"]["id"], **asked["guest"]},
        "price": {
            "total": "300.00", "currency": "EUR",
            "nights": [{"date": str(night(number)), "amount": "100.00"} for number in (2, 3, 4)],
        },
        "fee": None, "notes": "late\narrival", "source": "phone", "group": None, "expires_at": None,
        "reminder_on": None, "created_by": "front desk", "changed_by": "front desk", "version": 1,
    }  # fmt: skip
    again = front.get(path_of(hotel, booking))
    assert (again.status, again.headers["etag"], again.json) == (200, '"1"', booking)


def test_a_booking_may_ask_for_a_room_and_a_rate(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel, nights=2, room="103", rate={"amount": "80.5", "currency": "EUR"})
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
def test_a_change_changes_what_it_says_and_nothing_else(
    front: Gateway, hotel: str, change: dict[str, Any], shown: dict[str, Any]
) -> None:
    was = front.book(hotel)
    reply = front.send("PATCH", path_of(hotel, was), change)
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')
    now = reply.json
    assert now.items() >= (change | shown | {"version": 2}).items()
    derived = {"version", "changed_at", "nights", "price"}
    assert {name for name in now if now[name] != was[name]} - derived == (change | shown).keys() - derived
    assert front.get(path_of(hotel, was)).json == now


def test_a_reminder_is_set_moved_and_taken_back_as_events_of_their_own(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel, 5, 2, reminder_on=str(night(3)))
    assert booking["reminder_on"] == str(night(3))
    path = path_of(hotel, booking)
    for day in (str(night(4)), str(night(4)), None):
        assert front.send("PATCH", path, {"reminder_on": day}).json["reminder_on"] == day
    history = front.get(f"{path}/history").json["data"]
    assert [(event["type"], event["data"].get("reminder_on")) for event in history] == [
        ("innkeeper.booking.confirmed.v1", str(night(3))),
        ("innkeeper.booking.reminder_changed.v1", str(night(4))),
        ("innkeeper.booking.reminder_changed.v1", None),
    ]


@pytest.mark.parametrize("day", [-1, 6])
def test_a_reminder_comes_from_today_up_to_the_arrival(front: Gateway, hotel: str, day: int) -> None:
    wrong = {"reminder_on": str(night(day))}
    assert_problem(front.post(f"{hotel}/bookings", stay(5, **wrong)), 422, "invalid", "reminder_on", "before_arrival")
    path = path_of(hotel, front.book(hotel, 5))
    assert_problem(front.send("PATCH", path, wrong), 422, "invalid", "reminder_on", "before_arrival")


def test_a_stay_that_comes_before_its_reminder_loses_it(front: Gateway, hotel: str) -> None:
    path = path_of(hotel, front.book(hotel, 5, reminder_on=str(night(4))))
    earlier = {"arrival": str(night(2)), "departure": str(night(3))}
    changed = front.send("PATCH", path, earlier).json
    assert (changed["arrival"], changed["reminder_on"]) == (str(night(2)), None)
    with_new_one = front.send("PATCH", path, {"reminder_on": str(night(1))}).json
    assert with_new_one["reminder_on"] == str(night(1))


def test_a_new_guest_or_rate_is_a_change_too(front: Gateway, hotel: str) -> None:
    was = front.book(hotel, notes="vegan")
    rate = {"amount": "90.00", "currency": "EUR"}
    now = front.send("PATCH", path_of(hotel, was), {"guest": {"name": "Bea", "email": "b@x.pt"}, "rate": rate}).json
    assert (now["guest"]["name"], now["guest"]["email"], now["notes"]) == ("Bea", "b@x.pt", "vegan")
    assert now["price"]["total"] == "90.00"


def test_of_the_guest_only_what_is_said_changes(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel, guest={"name": "Ann", "email": "ann@example.com", "phone": "+351 1"})
    path, guest = path_of(hotel, booking), booking["guest"]
    for change in ({"name": "Bea"}, {"phone": "+351 2"}, {"email": None}, {"name": "Cy", "email": "c@x.pt"}):
        guest |= change
        assert front.send("PATCH", path, {"guest": change}).json["guest"] == guest
    for wrong, field in (({"name": None}, "name"), ({"name": " "}, "name"), ({"email": "x"}, "email"), ({"a": 1}, "a")):
        problem = assert_problem(front.send("PATCH", path, {"guest": wrong}), 422, "invalid")
        assert [error["field"] for error in problem["errors"]] == [f"guest.{field}"]
    assert front.get(path).json["guest"] == guest


@pytest.mark.parametrize("nothing", [{}, {"guest": {}}])
def test_a_change_of_nothing_changes_nothing(front: Gateway, hotel: str, nothing: dict[str, Any]) -> None:
    was = front.book(hotel, guest={"name": "Ann", "email": "ann@example.com"})
    assert front.send("PATCH", path_of(hotel, was), nothing).json == was


@pytest.mark.parametrize(
    ("born", "actions", "status"),
    [
        ("held", ["confirm"], "confirmed"),
        ("held", ["release"], "released"),
        ("held", ["extend"], "held"),
        ("held", ["pin", "confirm"], "confirmed"),
        ("confirmed", ["cancel"], "cancelled"),
        ("confirmed", ["cancel", "reinstate"], "confirmed"),
        ("confirmed", ["pin", "unpin"], "confirmed"),
        ("confirmed", ["check-in"], "in_house"),
        ("confirmed", ["check-in", "check-out"], "checked_out"),
        ("confirmed", ["no-show"], "no_show"),
        ("confirmed", ["no-show", "reinstate", "check-in"], "in_house"),
    ],
)
def test_actions_lead_from_status_to_status(
    front: Gateway, hotel: str, born: str, actions: list[str], status: str
) -> None:
    booking = front.book(hotel, arrival=0, status=born)
    for number, action in enumerate(actions, start=2):
        reply = front.act(hotel, booking, action)
        assert (reply.status, reply.headers["etag"], reply.json["version"]) == (200, f'"{number}"', number), reply
    assert reply.json["status"] == status
    assert front.get(path_of(hotel, booking)).json == reply.json
    assert [entry["status"] for entry in front.entries(f"{hotel}/bookings")] == [status]


def test_a_move_gives_another_room_and_an_upgrade_pins_it(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel)
    moved = front.act(hotel, booking, "move", room="102").json
    assert (moved["room"], moved["room_type"], moved["pinned"]) == ("102", "DBL", False)
    upgraded = front.act(hotel, booking, "move", room="202").json
    assert (upgraded["room"], upgraded["room_type"], upgraded["pinned"]) == ("202", "DBL", True)
    assert upgraded["price"] == booking["price"]


def test_a_move_is_refused_where_the_other_type_takes_fewer_guests(front: Gateway) -> None:
    large, small = hotel_plan({"FAM": 2, "DBL": 1})["room_types"]
    hotel = front.open(room_types=[large | {"max_guests": 4}, small])
    family = front.book(hotel, room_type="FAM", adults=2, children=[3])
    refused = front.act(hotel, family, "move", room="201")
    assert_problem(refused, 422, "invalid", "room", "max_guests")
    assert front.get(path_of(hotel, family)).json == family
    assert front.act(hotel, family, "move", room="102").json["room"] == "102"
    couple = front.book(hotel, room_type="FAM", adults=2)
    assert front.act(hotel, couple, "move", room="201").json["room"] == "201"


def test_a_late_cancellation_costs_a_night_and_an_early_one_nothing(front: Gateway, hotel: str) -> None:
    late, early = front.book(hotel, arrival=0), front.book(hotel, arrival=9)
    assert front.act(hotel, late, "cancel", reason="ill").json["fee"] == {"amount": "100.00", "currency": "EUR"}
    assert front.act(hotel, early, "cancel").json["fee"] is None


def test_an_early_check_out_gives_the_other_nights_back(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel, arrival=0, nights=5)
    front.act(hotel, booking, "check-in")
    left = front.act(hotel, booking, "check-out").json
    assert (left["departure"], left["nights"]) == (str(night(1)), 1)
    assert rooms_left(front, hotel, 0, 3)["DBL"] == [2, 3, 3]


def test_an_expired_hold_gives_its_room_back(front: Gateway) -> None:
    hotel = front.open({"DBL": 1})
    hold = front.book(hotel, status="held", hold_seconds=HOUR)
    assert hold["expires_at"] > hold["created_at"]
    assert_problem(front.post(f"{hotel}/bookings", stay()), 409, "sold_out")
    front.pass_seconds(HOUR)
    assert front.get(path_of(hotel, hold)).json["status"] == "expired"
    assert_problem(front.act(hotel, hold, "confirm"), 409, "not_allowed")
    assert front.book(hotel)["room"] == hold["room"]


def test_an_extended_hold_lives_longer(front: Gateway, hotel: str) -> None:
    hold = front.book(hotel, status="held", hold_seconds=60)
    front.act(hotel, hold, "extend", hold_seconds=2 * HOUR)
    front.pass_seconds(HOUR)
    assert front.get(path_of(hotel, hold)).json["status"] == "held"


def test_to_extend_a_hold_never_makes_it_end_earlier(front: Gateway, hotel: str) -> None:
    hold = front.book(hotel, status="held", hold_seconds=24 * HOUR)
    for fields in ({}, {"hold_seconds": HOUR}):
        reply = front.act(hotel, hold, "extend", **fields)
        assert (reply.status, reply.headers["etag"], reply.json) == (200, '"1"', hold)
    assert len(front.get(f"{path_of(hotel, hold)}/history").json["data"]) == 1
    front.pass_seconds(HOUR)
    later = front.act(hotel, hold, "extend", hold_seconds=24 * HOUR).json
    assert (later["expires_at"] > hold["expires_at"], later["version"]) == (True, 2)


def test_a_hold_expires_by_itself_though_nobody_asks(front: Gateway, hotel: str) -> None:
    before = front.position()
    front.book(hotel, status="held", hold_seconds=1)
    deadline = monotonic() + 10
    while front.position() < before + 2 and monotonic() < deadline:
        sleep(0.05)
    [_, last] = front.get("/v1/events", after=before).json["data"]
    assert (last["type"], last["by"]) == ("innkeeper.booking.hold_expired.v1", "system")


def rooms_left(front: Gateway, hotel: str, arrival: int, departure: int) -> dict[str, list[int]]:
    """Rooms left per type, night by night."""
    reply = front.get(f"{hotel}/availability", arrival=night(arrival), departure=night(departure))
    assert reply.status == 200, reply
    return {kind["code"]: [left["rooms"] for left in kind["nights"]] for kind in reply.json["room_types"]}


def test_availability_is_told_per_type_and_night(front: Gateway, hotel: str) -> None:
    for arrival, nights in ((1, 2), (2, 1), (2, 3)):
        front.book(hotel, arrival, nights)
    front.book(hotel, 4, 1, room_type="STE", status="held")
    assert rooms_left(front, hotel, 1, 6) == {"DBL": [2, 0, 2, 2, 3], "STE": [2, 2, 2, 1, 2]}
    reply = front.get(f"{hotel}/availability", arrival=night(1), departure=night(6), guests=2).json
    double, suite = reply["room_types"]
    assert (double["rooms"], suite["rooms"]) == (0, 1)
    assert double["nights"][1] == {"date": str(night(2)), "rooms": 0}
    assert (reply["arrival"], reply["departure"]) == (str(night(1)), str(night(6)))
    assert front.get(f"{hotel}/availability", arrival=night(1), departure=night(6), guests=3).json["room_types"] == []


def test_availability_reaches_as_far_as_bookings_do(front: Gateway, hotel: str) -> None:
    front.book(hotel, 1_096, 365)
    assert rooms_left(front, hotel, 1_096, 1_096 + 400)["DBL"] == [2] * 365 + [3] * 35


def test_a_full_night_is_refused_and_named(front: Gateway) -> None:
    hotel = front.open({"DBL": 1})
    front.book(hotel, 2, 1)
    front.book(hotel, 4, 1)
    problem = assert_problem(front.post(f"{hotel}/bookings", stay(1, 5)), 409, "sold_out")
    assert problem["nights"] == [str(night(2)), str(night(4))]
    assert problem["room_type"] == "DBL"


def test_guests_change_rooms_rather_than_turn_one_away(front: Gateway) -> None:
    hotel = front.open({"DBL": 2})
    first = front.book(hotel, 1, 2)
    second = front.book(hotel, 3, 2)
    front.act(hotel, second, "move", room=next(iter({"101", "102"} - {first["room"]})))
    front.book(hotel, 1, 4)
    assert rooms_left(front, hotel, 1, 5) == {"DBL": [0, 0, 0, 0]}
    moved = [front.get(path_of(hotel, booking)).json["room"] for booking in (first, second)]
    assert moved[0] == moved[1]


def test_a_tape_chart_shows_rooms_and_who_holds_their_nights(front: Gateway, hotel: str) -> None:
    shown = [front.book(hotel, 0, 2), front.book(hotel, 3, 1, room_type="STE", status="held")]
    front.book(hotel, 4, 1)
    front.act(hotel, front.book(hotel, 1, 2), "cancel")
    chart = front.get(f"{hotel}/tape-chart", from_=night(1), to=night(4)).json
    assert chart["rooms"] == [
        {"number": number, "room_type": code}
        for code, numbers in (("DBL", ("101", "102", "103")), ("STE", ("201", "202")))
        for number in numbers
    ]
    assert [entry["id"] for entry in chart["bookings"]] == [booking["id"] for booking in shown]
    assert chart["bookings"][0]["guest"] == {"name": "Ann"}
    assert chart["business_date"] == str(night(0))
    assert_problem(front.get("/v1/hotels/none/tape-chart", from_=night(1), to=night(4)), 404, "not_found")


def test_a_night_audit_settles_the_day_and_happens_once(front: Gateway, hotel: str) -> None:
    late = front.book(hotel, 0, 3)
    hold = front.book(hotel, 0, 1, status="held", hold_seconds=24 * HOUR)
    guest = front.book(hotel, 0, 1, room_type="STE")
    front.act(hotel, guest, "check-in")
    settled = {"hotel": hotel.rpartition("/")[2], "business_date": str(night(2))}
    assert front.audit(hotel, 2).json == settled | {"no_shows": 1, "checked_out": 1, "holds_expired": 1}
    position = front.position()
    assert front.audit(hotel, 2).json == settled | {"no_shows": 0, "checked_out": 0, "holds_expired": 0}
    assert front.audit(hotel, 1).json["business_date"] == str(night(2))
    assert front.position() == position
    found = [front.get(path_of(hotel, booking)).json["status"] for booking in (late, hold, guest)]
    assert found == ["no_show", "expired", "checked_out"]
    assert front.get(hotel).json["business_date"] == str(night(2))
    assert front.post(f"{hotel}/night-audit").json["business_date"] == str(night(3))


def test_a_stay_long_over_is_still_shown_but_nothing_can_change_it(front: Gateway, hotel: str) -> None:
    gone, cancelled = front.book(hotel, 0, 1), front.book(hotel, 0, 1)
    front.act(hotel, gone, "check-in")
    front.act(hotel, cancelled, "cancel")
    for day in (2, 40, 400):
        front.audit(hotel, day)
    for booking, status in ((gone, "checked_out"), (cancelled, "cancelled")):
        found = front.get(path_of(hotel, booking))
        assert (found.status, found.json["status"], found.headers["etag"]) == (
            200,
            status,
            f'"{found.json["version"]}"',
        )
        for action in ("check-in", "cancel", "reinstate", "pin", "confirm"):
            assert assert_problem(front.act(hotel, booking, action), 409, "not_allowed")["allowed"] == []
        problem = assert_problem(front.send("PATCH", path_of(hotel, booking), {"notes": "x"}), 409, "not_allowed")
        assert problem["allowed"] == []
        assert front.get(path_of(hotel, booking) + "/history").status == 200


def test_a_history_tells_what_happened_to_a_booking_in_order(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel, 0, status="held")
    front.book(hotel, 0)
    front.act(hotel, booking, "confirm")
    front.send("PATCH", path_of(hotel, booking), {"notes": "vegan"})
    front.act(hotel, booking, "check-in")
    told = front.get(path_of(hotel, booking) + "/history").json["data"]
    names = ["held", "confirmed", "note_changed", "checked_in"]
    assert [event["type"] for event in told] == [f"innkeeper.booking.{name}.v1" for name in names]
    assert {event["subject"] for event in told} == {booking["id"]}
    assert_problem(front.get(f"{hotel}/bookings/none/history"), 404, "not_found")


def test_a_hotel_is_opened_and_shown_whole(front: Gateway) -> None:
    plan = hotel_plan({"DBL": 2}, id="sea-view", check_in="16:00", cancellation={"free_until_hours": 48})
    plan["room_types"].append(plan["room_types"][0] | {"code": "STE", "rooms": ["A", "B1"], "room_count": 0})
    reply = front.post("/v1/hotels", plan)
    assert (reply.status, reply.headers["location"]) == (201, "/v1/hotels/sea-view")
    shown = reply.json
    assert [kind["rooms"] for kind in shown["room_types"]] == [["101", "102"], ["A", "B1"]]
    assert shown["room_types"][0]["rate"] == {"amount": "100.00", "currency": "EUR"}
    assert (shown["check_in"], shown["check_out"], shown["night_audit"]) == ("16:00", "11:00", "manual")
    assert shown["cancellation"] == {"free_until_hours": 48}
    assert front.get("/v1/hotels/sea-view").json == shown
    assert_problem(front.post("/v1/hotels", plan), 409, "hotel_exists")


def test_a_hotel_without_an_id_is_called_by_its_name(front: Gateway) -> None:
    reply = front.post("/v1/hotels", hotel_plan(name="Hotel do Mar, Faro"))
    assert (reply.headers["location"], reply.json["id"]) == ("/v1/hotels/hotel-do-mar-faro", "hotel-do-mar-faro")


def test_hotels_are_listed_by_id_page_by_page(front: Gateway) -> None:
    opened = {front.open(id=f"page-{number}").rpartition("/")[2] for number in range(5)}
    listed = [hotel["id"] for hotel in front.entries("/v1/hotels", limit=2)]
    assert listed == sorted(set(listed))
    assert set(listed) >= opened


def test_the_desk_says_that_it_is_well(front: Gateway) -> None:
    assert (front.get("/health/live").status, front.get("/health/ready").status) == (200, 200)


def test_a_desk_whose_data_was_taken_over_says_that_it_is_not_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with gateway(tmp_path) as front:
        hotel = front.open()
        SqliteJournal(tmp_path / "partition-0.db").close()
        assert_problem(front.post(f"{hotel}/bookings", stay()), 503, "unavailable")
        wait_until(lambda: front.get("/health/ready").status == 503, ANSWER_SECONDS_MAX)
        assert_problem(front.get("/health/ready"), 503, "unavailable")
        assert front.get("/health/live").status == 200
    assert "another process writes" in caplog.text
