"""Bad input gets an error that names field and rule, changes nothing, and leaves the gateway ready (P9)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path, hotel_request, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

EUR = {"currency": "EUR"}
LONG = "x" * 201


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """A hotel with three doubles and two suites; its path."""
    return gateway.open_hotel({"DBL": 3, "STE": 2})


@pytest.fixture(scope="module")
def booking(gateway: Gateway, hotel: str) -> str:
    """The path of a confirmed booking in that hotel, of version 2."""
    made = gateway.book(hotel)
    gateway.send("PATCH", booking_path(hotel, made), {"notes": "vegan"})
    return booking_path(hotel, made)


@contextmanager
def unchanged(gateway: Gateway) -> Iterator[None]:
    """The requests inside record no event, and the gateway stays ready."""
    before = gateway.last_position()
    yield
    assert gateway.last_position() == before
    assert gateway.get("/health/ready").status == 200


def room_type(**more: Any) -> dict[str, Any]:
    """The body of a hotel whose only room type has these fields."""
    return {"room_types": [hotel_request()["room_types"][0] | more]}


def rooms(*numbers: str) -> dict[str, Any]:
    """The body of a hotel with these rooms."""
    return room_type(rooms=numbers, room_count=0)


def combined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The body of a hotel with the room types of both, under different codes."""
    return {"room_types": [first["room_types"][0], second["room_types"][0] | {"code": "STE"}]}


BAD_STAYS = [
    ({"colour": "red"}, "colour", "unknown"),
    ({"guest": {"name": "Ann", "age": 3}}, "guest.age", "unknown"),
    ({"adults": "2"}, "adults", "type"),
    ({"adults": 1.5}, "adults", "type"),
    ({"adults": True}, "adults", "type"),
    ({"adults": None}, "adults", "type"),
    ({"adults": 0}, "adults", "range"),
    ({"adults": -1}, "adults", "range"),
    ({"adults": 3}, "adults", "max_guests"),
    ({"adults": 101}, "adults", "range"),
    ({"adults": 10**30}, "adults", "range"),
    ({"children": [3, 4]}, "children", "max_guests"),
    ({"children": [18]}, "children[0]", "range"),
    ({"children": [-1]}, "children[0]", "range"),
    ({"children": [1] * 101}, "children", "length"),
    ({"children": 2}, "children", "type"),
    ({"arrival": "2026-02-30"}, "arrival", "date"),
    ({"arrival": "2026-6-2"}, "arrival", "date"),
    ({"arrival": "2026-06-02T00:00:00"}, "arrival", "date"),
    ({"arrival": "tomorrow"}, "arrival", "date"),
    ({"arrival": ""}, "arrival", "date"),
    ({"arrival": 20260602}, "arrival", "type"),
    ({"arrival": "0000-01-01"}, "arrival", "date"),
    ({"departure": str(night(1))}, "departure", "after_arrival"),
    ({"departure": str(night(0))}, "departure", "after_arrival"),
    ({"departure": str(night(1 + 366))}, "departure", "nights_max"),
    ({"departure": "9999-12-31"}, "departure", "nights_max"),
    ({"arrival": str(night(-1))}, "arrival", "not_past"),
    ({"arrival": str(night(1_097)), "departure": str(night(1_098))}, "arrival", "days_ahead_max"),
    ({"arrival": "9999-12-30", "departure": "9999-12-31"}, "arrival", "days_ahead_max"),
    ({"room_type": "XXX"}, "room_type", "unknown"),
    ({"room_type": ""}, "room_type", "length"),
    ({"room_type": "D B L"}, "room_type", "form"),
    ({"room": "999"}, "room", "unknown"),
    ({"room": "201"}, "room", "room_type"),
    ({"room": 101}, "room", "type"),
    ({"status": "cancelled"}, "status", "one_of"),
    ({"status": "held", "hold_seconds": 0}, "hold_seconds", "range"),
    ({"status": "held", "hold_seconds": 24 * 3_600 + 1}, "hold_seconds", "range"),
    ({"hold_seconds": 60}, "hold_seconds", "only_held"),
    ({"guest": None}, "guest", "type"),
    ({"guest": "Ann"}, "guest", "type"),
    ({"guest": {}}, "guest.name", "required"),
    ({"guest": {"name": ""}}, "guest.name", "length"),
    ({"guest": {"name": " \u3000"}}, "guest.name", "length"),
    ({"guest": {"name": LONG}}, "guest.name", "length"),
    ({"guest": {"name": "Ann\0"}}, "guest.name", "form"),
    ({"guest": {"name": "Ann\nLee"}}, "guest.name", "form"),
    ({"guest": {"name": "Ann", "email": "ann"}}, "guest.email", "form"),
    ({"guest": {"name": "Ann", "email": "a@b\r\nBcc: c@d"}}, "guest.email", "form"),
    ({"guest": {"name": "Ann", "phone": "1\0"}}, "guest.phone", "form"),
    ({"notes": "x" * 1_001}, "notes", "length"),
    ({"notes": "\0"}, "notes", "form"),
    ({"source": LONG}, "source", "length"),
    ({"rate": {"amount": "-1.00"} | EUR}, "rate.amount", "decimal"),
    ({"rate": {"amount": "1.234"} | EUR}, "rate.amount", "digits"),
    ({"rate": {"amount": "1,00"} | EUR}, "rate.amount", "decimal"),
    ({"rate": {"amount": "1."} | EUR}, "rate.amount", "decimal"),
    ({"rate": {"amount": "1e9"} | EUR}, "rate.amount", "decimal"),
    ({"rate": {"amount": "NaN"} | EUR}, "rate.amount", "decimal"),
    ({"rate": {"amount": "١"} | EUR}, "rate.amount", "decimal"),
    ({"rate": {"amount": "9999999999.00"} | EUR}, "rate.amount", "maximum"),
    ({"rate": {"amount": 1.0} | EUR}, "rate.amount", "type"),
    ({"rate": {"amount": "1.5", "currency": "JPY"}}, "rate.amount", "digits"),
    ({"rate": {"amount": "1.00", "currency": "USD"}}, "rate.currency", "currency"),
    ({"rate": {"amount": "1.00", "currency": "ZZZ"}}, "rate.currency", "iso_4217"),
    ({"rate": {"amount": "1.00", "currency": ""}}, "rate.currency", "iso_4217"),
    ({"rate": 100}, "rate", "type"),
]

BAD_HOTELS = [
    ({"stars": 5}, "stars", "unknown"),
    ({"id": "Sea Side"}, "id", "form"),
    ({"id": "-"}, "id", "form"),
    ({"id": "../x"}, "id", "form"),
    ({"id": "x" * 65}, "id", "length"),
    ({"name": "!!!"}, "id", "required"),
    ({"name": 7}, "name", "type"),
    ({"timezone": "Mars/Olympus"}, "timezone", "iana"),
    ({"timezone": "../../etc/passwd"}, "timezone", "iana"),
    ({"timezone": "/etc/passwd"}, "timezone", "iana"),
    ({"timezone": ""}, "timezone", "iana"),
    ({"timezone": "\0"}, "timezone", "iana"),
    ({"timezone": "Europe"}, "timezone", "iana"),
    ({"timezone": "x" * 5_000}, "timezone", "length"),
    ({"timezone": None}, "timezone", "type"),
    ({"currency": "eur"}, "currency", "iso_4217"),
    ({"currency": "XXX"}, "currency", "iso_4217"),
    ({"currency": "USD"}, "room_types", "currency"),
    ({"check_in": "25:00"}, "check_in", "form"),
    ({"check_out": "11"}, "check_out", "form"),
    ({"night_audit": "never"}, "night_audit", "clock"),
    ({"business_date": "2026-02-30"}, "business_date", "date"),
    ({"cancellation": {"free_until_hours": -1}}, "cancellation.free_until_hours", "range"),
    ({"cancellation": {"free": 1}}, "cancellation.free", "unknown"),
    ({"room_types": []}, "room_types", "length"),
    ({"room_types": {}}, "room_types", "type"),
    ({"room_types": [{}]}, "room_types[0].code", "required"),
    ({"room_types": hotel_request()["room_types"] * 2}, "room_types", "unique"),
    (room_type(room_count=0), "room_types[0].rooms", "one_of"),
    (room_type(rooms=["101"]), "room_types[0].rooms", "one_of"),
    (room_type(room_count=10_001), "room_types[0].room_count", "range"),
    ({"room_types": hotel_request({"DBL": 5_000, "STE": 5_001})["room_types"]}, "room_types", "rooms_max"),
    (room_type(max_guests=0), "room_types[0].max_guests", "range"),
    (room_type(rate={"amount": "-5"} | EUR), "room_types[0].rate.amount", "decimal"),
    (room_type(rate={"amount": "1.234"} | EUR), "room_types[0].rate.amount", "digits"),
    (rooms("101", "101"), "room_types", "unique"),
    (rooms("1/1"), "room_types[0].rooms[0]", "form"),
    (rooms("101", "x" * 17), "room_types[0].rooms[1]", "length"),
    (combined(room_type(), rooms("101")), "room_types", "unique"),
]


@pytest.mark.parametrize(("change", "field", "rule"), BAD_STAYS, ids=str)
def test_a_bad_booking_is_refused_with_its_field_and_rule(
    gateway: Gateway, hotel: str, change: dict[str, Any], field: str, rule: str
) -> None:
    with unchanged(gateway):
        assert_problem(gateway.post(f"{hotel}/bookings", stay_request() | change), 422, "invalid", field, rule)


@pytest.mark.parametrize("field", ["room_type", "arrival", "departure", "guest"])
def test_a_booking_without_a_required_field_is_refused(gateway: Gateway, hotel: str, field: str) -> None:
    body = {name: value for name, value in stay_request().items() if name != field}
    with unchanged(gateway):
        assert_problem(gateway.post(f"{hotel}/bookings", body), 422, "invalid", field, "required")


@pytest.mark.parametrize(("change", "field", "rule"), BAD_HOTELS, ids=lambda value: str(value)[:60])
def test_a_bad_hotel_is_refused_with_its_field_and_rule(
    gateway: Gateway, change: dict[str, Any], field: str, rule: str
) -> None:
    with unchanged(gateway):
        assert_problem(gateway.post("/v1/hotels", hotel_request() | change), 422, "invalid", field, rule)


@pytest.mark.parametrize("day", ["9999-12-31", "9999-12-30", "0001-01-01"])
@pytest.mark.parametrize("audit", ["manual", "03:00"])
def test_a_business_date_at_the_limits_causes_no_server_error(gateway: Gateway, day: str, audit: str) -> None:
    reply = gateway.post("/v1/hotels", hotel_request(id=f"end-{day}-{audit[:2]}", business_date=day, night_audit=audit))
    if reply.status == 422:
        assert_problem(reply, 422, "invalid", "business_date", reply.json["errors"][0]["rule"])
        return
    path = reply.headers["location"]
    replies = [gateway.post(f"{path}/night-audit") for _ in range(3)]
    replies.append(gateway.get(f"{path}/availability", arrival=day, departure="9999-12-31"))
    assert [each.status for each in (reply, *replies) if each.status >= 500] == []


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"colour": "red"}, "colour", "unknown"),
        ({"status": "cancelled"}, "status", "unknown"),
        ({"floor": 1}, "floor", "unknown"),
        ({"notes": 5}, "notes", "type"),
        ({"room_type": "XXX"}, "room_type", "unknown"),
        ({"adults": 3}, "adults", "max_guests"),
        ({"departure": str(night(1))}, "departure", "after_arrival"),
        ({"departure": str(night(400))}, "departure", "nights_max"),
        ({"arrival": str(night(-1))}, "arrival", "not_past"),
        ({"arrival": str(night(2_000)), "departure": str(night(2_001))}, "arrival", "days_ahead_max"),
        ({"arrival": "9999-12-31"}, "departure", "after_arrival"),
        ({"rate": {"amount": "1.00", "currency": "USD"}}, "rate.currency", "currency"),
        ({"rate": {"amount": "-1.00", "currency": "EUR"}}, "rate.amount", "decimal"),
    ],
    ids=str,
)
def test_a_bad_change_is_refused_with_its_field_and_rule(
    gateway: Gateway, booking: str, change: dict[str, Any], field: str, rule: str
) -> None:
    with unchanged(gateway):
        assert_problem(gateway.send("PATCH", booking, change), 422, "invalid", field, rule)


@pytest.mark.parametrize(
    ("action", "fields", "field", "rule"),
    [
        ("cancel", {"colour": "red"}, "colour", "unknown"),
        ("cancel", {"hotel": "other"}, "hotel", "unknown"),
        ("cancel", {"booking": "other"}, "booking", "unknown"),
        ("cancel", {"reason": 5}, "reason", "type"),
        ("cancel", {"reason": "\0"}, "reason", "form"),
        ("cancel", {"reason_code": "weather"}, "reason_code", "one_of"),
        ("extend", {"hold_seconds": -1}, "hold_seconds", "range"),
        ("move", {}, "room", "required"),
        ("move", {"room": "999"}, "room", "unknown"),
        ("move", {"room": 101}, "room", "type"),
        ("move", {"room": [1]}, "room", "type"),
    ],
)
def test_a_bad_action_is_refused_with_its_field_and_rule(
    gateway: Gateway, booking: str, action: str, fields: dict[str, Any], field: str, rule: str
) -> None:
    with unchanged(gateway):
        assert_problem(gateway.post(f"{booking}/actions/{action}", fields), 422, "invalid", field, rule)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5_000])
@pytest.mark.parametrize(("action", "field"), [("extend", "hold_seconds"), ("move", "room"), ("cancel", "reason")])
def test_a_number_that_is_too_large_is_refused_with_its_field(
    gateway: Gateway, booking: str, action: str, field: str, number: str
) -> None:
    with unchanged(gateway):
        reply = gateway.post(f"{booking}/actions/{action}", f'{{"{field}": {number}}}'.encode())
        assert [error["field"] for error in assert_problem(reply, 422, "invalid")["errors"]] == [field]


@pytest.mark.parametrize(
    ("path", "query", "field", "rule"),
    [
        ("/availability", "departure=2026-06-03", "arrival", "required"),
        ("/availability", "arrival=2026-02-30&departure=2026-06-03", "arrival", "date"),
        ("/availability", "arrival=2026-06-03&departure=2026-06-03", "departure", "after_arrival"),
        ("/availability", "arrival=2026-06-03&departure=2028-06-03", "departure", "nights_max"),
        ("/availability", "arrival=2026-05-31&departure=2026-06-03", "arrival", "not_past"),
        ("/availability", "arrival=9999-12-30&departure=9999-12-31", "arrival", "days_ahead_max"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&adults=0", "adults", "range"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&children=two", "children", "form"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&children=5,", "children", "form"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&children=5,18", "children", "range"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&children=" + ",1" * 200, "children", "length"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&arrival=2026-06-01", "arrival", "once"),
        ("/availability", "arrival=2026-06-02&departure=2026-06-03&rooms=1", "rooms", "unknown"),
        ("/bookings", "limit=0", "limit", "range"),
        ("/bookings", "limit=201", "limit", "range"),
        ("/bookings", "limit=-1", "limit", "range"),
        ("/bookings", "limit=ten", "limit", "type"),
        ("/bookings", "limit=1e999", "limit", "range"),
        ("/bookings", "limit=NaN", "limit", "type"),
        ("/bookings", "limit=" + "9" * 5_000, "limit", "range"),
        ("/bookings", "limit=1&limit=1", "limit", "once"),
        ("/bookings", "cursor=abc", "cursor", "unknown"),
        ("/bookings", "cursor=", "cursor", "unknown"),
        ("/bookings", "cursor=-1", "cursor", "unknown"),
        ("/bookings", "cursor=%C2%B2", "cursor", "unknown"),
        ("/bookings", "cursor=" + "9" * 100, "cursor", "unknown"),
        ("/bookings", "cursor=" + "9" * 201, "cursor", "length"),
        ("/bookings", "status=gone", "status", "one_of"),
        ("/bookings", "arrival_from=soon", "arrival_from", "date"),
        ("/bookings", "q=a%00b", "q", "form"),
        ("/bookings", "q=" + LONG, "q", "length"),
        ("/bookings", "sort=name", "sort", "unknown"),
        ("/tape-chart", "from=2026-06-01", "to", "required"),
        ("/tape-chart", "from=2026-06-01&to=2026-06-01", "to", "after_from"),
        ("/tape-chart", "from=2026-06-01&to=2026-09-01", "to", "nights_max"),
    ],
)
def test_a_bad_query_is_refused_with_its_field_and_rule(
    gateway: Gateway, hotel: str, path: str, query: str, field: str, rule: str
) -> None:
    assert_problem(gateway.get(f"{hotel}{path}?{query}"), 422, "invalid", field, rule)


@pytest.mark.parametrize(
    ("path", "field", "rule"),
    [
        ("/v1/events?after=-1", "after", "range"),
        ("/v1/events?after=x", "after", "type"),
        ("/v1/events?after=" + "9" * 30, "after", "range"),
        (f"/v1/events?after={2**63}", "after", "range"),
        ("/v1/events?limit=0", "limit", "range"),
        ("/v1/hotels?limit=201", "limit", "range"),
        ("/v1/hotels?cursor=No%20Such", "cursor", "unknown"),
        ("/v1/hotels?cursor=%00", "cursor", "unknown"),
    ],
)
def test_a_bad_page_position_is_refused(gateway: Gateway, path: str, field: str, rule: str) -> None:
    assert_problem(gateway.get(path), 422, "invalid", field, rule)


@pytest.mark.parametrize("key", ["", "k" * 256, "with space", "clé"])
def test_an_idempotency_key_of_invalid_form_is_refused(gateway: Gateway, hotel: str, key: str) -> None:
    with unchanged(gateway):
        reply = gateway.post(f"{hotel}/bookings", stay_request(), {"Idempotency-Key": key})
        assert_problem(reply, 422, "invalid", "Idempotency-Key", "form")


@pytest.mark.parametrize("days", [367, 10_000])
def test_a_night_audit_closes_at_most_a_year(gateway: Gateway, hotel: str, days: int) -> None:
    with unchanged(gateway):
        assert_problem(gateway.run_night_audit(hotel, days), 422, "invalid", "to", "days_max")


def assert_no_server_error(reply: HttpResponse) -> None:
    """The reply is no server error, and any other error is a problem document."""
    assert reply.status < 500, reply
    if reply.status >= 400:
        assert_problem(reply, reply.status)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str) | st.text("\ud800\0a9-."),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def altered(valid: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A valid body with some fields replaced by any JSON values, or any JSON value in its place."""
    return values | st.dictionaries(st.sampled_from(sorted(valid)), values, min_size=1, max_size=2).map(
        lambda change: valid | change
    )


@settings(max_examples=150)
@given(body=altered(stay_request() | {"adults": 1, "children": [], "notes": "", "rate": None, "hold_seconds": 1}))
def test_no_body_for_a_booking_causes_a_server_error(gateway: Gateway, hotel: str, body: Any) -> None:
    assert_no_server_error(gateway.post(f"{hotel}/bookings", body if body is not None else b"null"))


@settings(max_examples=150)
@given(body=altered(hotel_request() | {"night_audit": "manual", "check_in": "15:00", "cancellation": {}}))
def test_no_body_for_a_hotel_causes_a_server_error(gateway: Gateway, body: Any) -> None:
    assert_no_server_error(gateway.post("/v1/hotels", body if body is not None else b"null"))


@settings(max_examples=100)
@given(
    part=st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda part: part not in (".", "..")),
    name=st.sampled_from(["limit", "cursor", "q", "status", "after", "from", "arrival", "x"]),
    value=st.text(st.characters(codec="utf-8"), max_size=20) | st.integers(-(2**70), 2**70).map(str),
    tail=st.sampled_from(["", "/availability", "/bookings", "/bookings/x", "/bookings/x/history", "/tape-chart"]),
)
def test_no_path_or_query_causes_a_server_error(
    gateway: Gateway, hotel: str, part: str, name: str, value: str, tail: str
) -> None:
    query = f"?{name}={quote(value, safe='')}"
    for path in (f"/v1/hotels/{quote(part, safe='')}{tail}", hotel + tail, "/v1/hotels", "/v1/events"):
        assert_no_server_error(gateway.get(path + query))
