"""Lists and the event log over HTTP: filters, pages, and that each shows every acknowledged write."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

ANN = {"name": "Ann O'Neil", "email": "ann@sea.example", "phone": "+351 91 22"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file; each test opens its own hotels."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """A hotel with the five bookings of `booked`; its path."""
    hotel = gateway.open_hotel({"DBL": 3, "STE": 2})
    gateway.book(hotel, 0, 2, guest=ANN)
    gateway.book(hotel, 1, 1, room_type="STE", guest={"name": "Bea Müller", "email": "bea@sea.example"})
    gateway.book(hotel, 2, 1, room="103", guest={"name": "Ann Lee"}, status="held", hold_seconds=9_999)
    gateway.act(hotel, gateway.book(hotel, 3, 1, guest={"name": "Carl Annan"}, room="102"), "cancel")
    gateway.book(hotel, 3, 1, guest={"name": "Dora"}, room="101")
    gateway.book(gateway.open_hotel(), 0, 1, guest=ANN)
    return hotel


@pytest.fixture(scope="module")
def booked(gateway: Gateway, hotel: str) -> list[dict[str, Any]]:
    """The bookings of that hotel, oldest first."""
    return gateway.list_all(f"{hotel}/bookings")[::-1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"status": "confirmed"}, [4, 1, 0]),
        ({"status": "held"}, [2]),
        ({"status": "cancelled"}, [3]),
        ({"status": "in_house"}, []),
        ({"room_type": "STE"}, [1]),
        ({"room": "103"}, [2]),
        ({"arrival_from": night(2)}, [4, 3, 2]),
        ({"arrival_to": night(1)}, [1, 0]),
        ({"arrival_from": night(1), "arrival_to": night(2)}, [2, 1]),
        ({"arrival_from": night(2), "status": "confirmed", "room_type": "DBL"}, [4]),
        ({"q": "ann"}, [3, 2, 0]),
        ({"q": "ANN lee"}, [2]),
        ({"q": "o'neil"}, [0]),
        ({"q": "muller"}, [1]),
        ({"q": "müll"}, [1]),
        ({"q": "bea@sea.example"}, [1]),
        ({"q": "sea.example"}, [1, 0]),
        ({"q": "91 22"}, [0]),
        ({"q": "ann", "status": "held"}, [2]),
        ({"q": "nobody"}, []),
        ({"q": '"ann'}, [3, 2, 0]),
        ({"q": "ann OR bea"}, []),
        ({"q": "ann NOT lee *"}, []),
    ],
)
def test_bookings_are_filtered_and_listed_newest_first(
    gateway: Gateway, hotel: str, booked: list[dict[str, Any]], query: dict[str, Any], found: list[int]
) -> None:
    assert gateway.list_all(f"{hotel}/bookings", **query) == [booked[number] for number in found]


def test_a_locator_finds_its_booking(gateway: Gateway, hotel: str, booked: list[dict[str, Any]]) -> None:
    for booking in booked:
        assert gateway.list_all(f"{hotel}/bookings", q=booking["locator"].lower()) == [booking]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 200])
def test_the_pages_add_up_to_the_whole_list(
    gateway: Gateway, hotel: str, booked: list[dict[str, Any]], limit: int
) -> None:
    assert gateway.list_all(f"{hotel}/bookings", limit=limit) == booked[::-1]
    first = gateway.get(f"{hotel}/bookings", limit=limit).json
    assert len(first["data"]) == min(limit, 5)
    assert (first["next_cursor"] is None) == (limit >= 5)


def test_pages_stay_consistent_while_bookings_are_made(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 9})
    made = [gateway.book(hotel)["id"] for _ in range(4)]
    page = gateway.get(f"{hotel}/bookings", limit=2).json
    gateway.book(hotel)
    rest = gateway.get(f"{hotel}/bookings", limit=2, cursor=page["next_cursor"]).json
    assert [booking["id"] for booking in page["data"] + rest["data"]] == made[::-1]
    assert rest["next_cursor"] is None


def test_a_list_shows_every_write_acknowledged_before_it(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    bookings = f"{hotel}/bookings"
    for arrival in range(1, 61):
        booking = gateway.book(hotel, arrival)
        assert gateway.get(bookings, limit=1).json["data"] == [booking]
        changed = gateway.send("PATCH", booking_path(hotel, booking), {"guest": {"name": f"Guest {arrival}"}}).json
        assert gateway.get(bookings, q=f"guest {arrival}").json["data"][0] == changed
        cancelled = gateway.act(hotel, booking, "cancel").json
        assert gateway.get(bookings, status="cancelled", limit=1).json["data"] == [cancelled]
        assert len(gateway.get(booking_path(hotel, booking) + "/history").json["data"]) == 3
    assert gateway.get(f"{hotel}/tape-chart", from_=night(0), to=night(62)).json["bookings"] == []


def test_the_event_log_contains_every_event_once_in_order(gateway: Gateway) -> None:
    start = gateway.last_position()
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel)
    log = gateway.get("/v1/events", after=start).json["data"]
    names = ["hotel.opened", "room_type.added", "room.added", "booking.confirmed"]
    assert [event["type"] for event in log] == [f"innkeeper.{name}.v1" for name in names]
    assert [event["position"] for event in log] == [start + number for number in range(1, 5)]
    assert [event["sequence"] for event in log] == [f"{number:012d}" for number in range(1, 5)]
    assert log[3].items() >= {
        "specversion": "1.0",
        "source": f"/hotels/{hotel.rpartition('/')[2]}",
        "subject": booking["id"],
        "datacontenttype": "application/json",
        "by": "front desk",
        "time": booking["created_at"],
    }.items()  # fmt: skip
    assert log[3]["data"]["guest"].keys() == {"id", "version", "hash"}
    assert len({event["id"] for event in gateway.get("/v1/events", limit=200).json["data"]}) == min(start + 4, 200)


def test_the_event_log_is_read_page_by_page(gateway: Gateway) -> None:
    gateway.open_hotel({"DBL": 3})
    end, after, seen = gateway.last_position(), "0", []
    while after is not None:
        page = gateway.get("/v1/events", after=after, limit=7).json
        seen += [event["position"] for event in page["data"]]
        after = page["next_cursor"]
    assert seen == list(range(1, end + 1))
    assert gateway.get("/v1/events", after=end).json == {"data": [], "next_cursor": None}


def test_the_event_log_is_filtered_by_hotel_and_by_log(gateway: Gateway) -> None:
    mine, other = gateway.open_hotel(), gateway.open_hotel()
    for hotel in (mine, other, mine):
        assert gateway.post(f"{hotel}/bookings", stay_request()).status == 201
    name = mine.rpartition("/")[2]
    found = gateway.list_all("/v1/events", hotel=name, limit=2)
    assert {event["source"] for event in found} == {f"/hotels/{name}"}
    assert [event["sequence"] for event in found] == [f"{number:012d}" for number in range(1, len(found) + 1)]
    assert [event["type"] for event in found[-2:]] == ["innkeeper.booking.confirmed.v1"] * 2
    assert gateway.get("/v1/events", hotel=name, log="delivery").json["data"] == []
    assert_problem(gateway.get("/v1/events", hotel="none"), 404, "not_found")


@pytest.fixture(scope="module")
def desk(gateway: Gateway) -> tuple[str, dict[str, str]]:
    """A hotel on its second day, and its guests by the ids of their bookings."""
    hotel = gateway.open_hotel({"DBL": 9})
    guests = {}
    for name, arrival, nights in (
        ("leaves", 0, 1), ("stays", 0, 3), ("came today", 1, 2), ("comes", 1, 1), ("comes tomorrow", 2, 1),
        ("late", 0, 2), ("left", 0, 2), ("cancelled", 1, 1),
    ):  # fmt: skip
        room = {"room": "109"} if name == "came today" else {}
        booking = gateway.book(hotel, arrival, nights, guest={"name": name}, **room)
        guests[booking["id"]] = name
        if name in ("leaves", "stays", "left"):
            gateway.act(hotel, booking, "check-in")
        if name == "cancelled":
            gateway.act(hotel, booking, "cancel")
    gateway.run_night_audit(hotel, 1)
    actions = {"came today": "check-in", "late": "reinstate", "left": "check-out"}
    for booking, name in guests.items():
        if name in actions:
            assert gateway.act(hotel, {"id": booking}, actions[name]).status == 200
    return hotel, guests


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"view": "due_in"}, ["late", "comes"]),
        ({"view": "due_out"}, ["leaves"]),
        ({"view": "in_house"}, ["came today", "stays", "leaves"]),
        ({"view": "overstay"}, []),
        ({"view": "in_house", "q": "came"}, ["came today"]),
        ({"departure_to": night(1)}, ["left", "leaves"]),
        ({"departure_from": night(3)}, ["comes tomorrow", "came today", "stays"]),
        ({"departure_from": night(2), "departure_to": night(2)}, ["cancelled", "late", "comes"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [1, 9])
def test_the_front_desk_lists_who_comes_and_who_leaves(
    gateway: Gateway, desk: tuple[str, dict[str, str]], query: dict[str, Any], found: list[str], limit: int
) -> None:
    hotel, guests = desk
    listed = gateway.list_all(f"{hotel}/bookings", limit=limit, **query)
    assert [guests[booking["id"]] for booking in listed] == found


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ({"view": "gone"}, "view", "one_of"),
        ({"view": "due_in", "status": "held"}, "view", "alone"),
        ({"view": "due_in", "departure_from": night(1)}, "view", "alone"),
        ({"departure_from": night(3), "departure_to": night(1)}, "departure_to", "from_departure_from"),
        ({"departure_from": "soon"}, "departure_from", "date"),
    ],
    ids=str,
)
def test_an_impossible_selection_is_refused(
    gateway: Gateway, hotel: str, query: dict[str, Any], field: str, rule: str
) -> None:
    assert_problem(gateway.get(f"{hotel}/bookings", **query), 422, "invalid", field, rule)
