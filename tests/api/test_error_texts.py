"""Errors speak to the person who reads them: each says what is allowed, or what can be done instead."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path, hotel_request, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

EUR = {"currency": "EUR"}
SELLER = {"name": "Seaside Ltd"}
CODE = "expected letters a to z, digits, and between them dots, hyphens and underscores, such as DBL or 101"
LINE = "expected one line of text, without control or invisible characters"
NAME = "expected one line of text that is not blank, without control or invisible characters"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """A hotel with three doubles and two suites; its path."""
    return gateway.open_hotel({"DBL": 3, "STE": 2})


def message(reply: Any) -> str:
    """The message about the only field that is wrong. The detail of the problem repeats it after the field's name."""
    problem = assert_problem(reply, 422, "invalid")
    (error,) = problem["errors"]
    assert problem["detail"] == f"{error['field']}: {error['message']}"
    text: str = error["message"]
    return text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"room_type": "D B L"}, CODE),
        ({"room": "-1"}, CODE),
        ({"guest": {"name": " "}}, "expected at least 1 character"),
        ({"guest": {"name": "Ann\nLee"}}, NAME),
        (
            {"guest": {"name": "Ann", "email": "ann"}},
            "expected an e-mail address without spaces, such as ann@example.com",
        ),
        ({"guest": {"name": "Ann", "phone": "1\0"}}, LINE),
        ({"source": "a\tb"}, LINE),
        ({"notes": "\0"}, "expected text without control or invisible characters other than tabs and line breaks"),
        ({"notes": "x" * 1_001}, "expected at most 1,000 characters"),
        ({"room_type": ""}, "expected at least 1 character"),
        ({"children": [1] * 101}, "expected at most 100 entries"),
        ({"children": [18]}, "expected a number of at most 17"),
        ({"adults": 0}, "expected a number of at least 1"),
        ({"adults": "2"}, "expected a whole number, got text"),
        ({"adults": 1.5}, "expected a whole number, got a decimal number"),
        ({"guest": {"name": "Ann", "email": 5}}, "expected text or null, got a whole number"),
        ({"children": 2}, "expected a list, got a whole number"),
        ({"guest": "Ann"}, "expected an object, got text"),
        ({"reminder_on": 5}, "expected a date such as 2026-06-01 or null, got a whole number"),
        ({"arrival": "2026-02-30"}, "expected a date that exists, as YYYY-MM-DD"),
        ({"status": "cancelled"}, "expected confirmed or held"),
        ({"arrival": str(night(-1))}, "2026-05-31 is before the business date, 2026-06-01"),
        (
            {"arrival": str(night(1_097)), "departure": str(night(1_098))},
            "expected at most 1,096 days after the business date, 2026-06-01",
        ),
        ({"adults": 3}, "DBL takes at most 2 guests, not 3"),
        ({"children": [3, 4]}, "DBL takes at most 2 guests, not 3"),
        ({"reminder_on": str(night(9))}, "expected a date from 2026-06-01 to the arrival, 2026-06-02"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refused_booking_is_told_what_is_allowed(
    gateway: Gateway, hotel: str, change: dict[str, Any], text: str
) -> None:
    assert message(gateway.post(f"{hotel}/bookings", stay_request() | change)) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"id": "Sea Side"},
            "expected lower-case letters a to z, digits, and between them hyphens, such as hotel-do-mar",
        ),
        ({"check_in": "25:00"}, "expected a local time from 00:00 to 23:59, such as 15:00"),
        ({"room_types": [hotel_request()["room_types"][0] | {"code": "D/B"}]}, CODE),
        ({"room_types": [hotel_request()["room_types"][0] | {"rooms": ["1 1"], "room_count": 0}]}, CODE),
        ({"cancellation": {"free_until_hours": 8_785}}, "expected a number of at most 8,784"),
        ({"deposits": [{"percent": 60}, {"percent": 41}]}, "together they must not exceed 100 percent"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refused_hotel_is_told_what_is_allowed(gateway: Gateway, change: dict[str, Any], text: str) -> None:
    assert message(gateway.post("/v1/hotels", hotel_request() | change)) == text


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("notifications", {"language": "English"}, "expected a language tag (BCP 47), such as en or pt-BR"),
        (
            "billing",
            {"seller": SELLER, "invoice_prefix": "INV1"},
            "expected letters a to z, digits, slashes, hyphens and once {year}, the last no digit, such as INV-{year}-",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refused_terms_are_told_what_is_allowed(
    gateway: Gateway, hotel: str, path: str, body: dict[str, Any], text: str
) -> None:
    assert message(gateway.send("PUT", f"{hotel}/{path}", body)) == text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "status=gone",
            "expected held, confirmed, in_house, checked_out, released, expired, cancelled or no_show",
        ),
        ("q=a%00b", LINE),
        ("limit=ten", "expected a whole number, got text"),
        ("cursor=abc", "expected the next_cursor of a page of this list"),
    ],
)
def test_a_refused_query_is_told_what_is_allowed(gateway: Gateway, hotel: str, query: str, text: str) -> None:
    assert message(gateway.send("GET", f"{hotel}/bookings?{query}")) == text


def test_too_many_guests_for_another_room_are_told_of_the_room(gateway: Gateway) -> None:
    single = hotel_request()["room_types"][0] | {"code": "SGL", "max_guests": 1, "room_count": 0, "rooms": ["S1"]}
    hotel = gateway.open_hotel(room_types=[hotel_request()["room_types"][0], single])
    booking = gateway.book(hotel, adults=2)
    text = "SGL takes at most 1 guest, not 2"
    for reply, field in (
        (gateway.act(hotel, booking, "move", room="S1"), "room"),
        (gateway.send("PATCH", booking_path(hotel, booking), {"room_type": "SGL"}), "room_type"),
    ):
        assert_problem(reply, 422, "invalid", field, "max_guests")
        assert message(reply) == text


def test_an_action_that_a_booking_does_not_allow_is_answered_with_those_that_it_does(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 9})

    def refused(booking: dict[str, Any], action: str, **fields: Any) -> str:
        detail: str = assert_problem(gateway.act(hotel, booking, action, **fields), 409, "not_allowed")["detail"]
        return detail

    confirmed, due, held = gateway.book(hotel, 1), gateway.book(hotel, 0), gateway.book(hotel, 1, status="held")
    assert refused(confirmed, "confirm") == (
        "the booking is confirmed already; it can be cancelled, changed, moved to another room,"
        " swapped with another booking or pinned"
    )
    assert refused(due, "confirm") == (
        "the booking is confirmed already;"
        " it can be checked in, cancelled, marked as a no-show, changed, moved to another room,"
        " swapped with another booking or pinned"
    )
    assert refused(held, "cancel") == (
        "the booking is held; it can be confirmed, released, extended, changed, moved to another room,"
        " swapped with another booking or pinned"
    )
    assert refused(confirmed, "check-in") == (
        "check-in is possible from the day of arrival, 2026-06-02; the business date is 2026-06-01"
    )
    gateway.act(hotel, confirmed, "pin")
    assert refused(confirmed, "pin") == "room 101 is pinned already"
    gateway.act(hotel, held, "release")
    assert refused(held, "release") == "the hold was released already; the booking cannot be changed any more"
    gateway.act(hotel, due, "check-in")
    assert refused(due, "check-in") == (
        "the guest is in house already; the booking can be taken back to before its check-in, checked out, changed,"
        " moved to another room or swapped with another booking"
    )
    gateway.act(hotel, due, "check-out", reason_code="early")
    assert refused(due, "cancel") == "the guest has checked out; the booking can be taken back to before its check-out"
    gateway.act(hotel, confirmed, "cancel")
    assert refused(confirmed, "check-in") == "the booking is cancelled; it can be reinstated"


def test_an_action_that_a_payment_does_not_allow_is_answered_with_those_that_it_does(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    payments = f"{booking_path(hotel, gateway.book(hotel))}/folio/payments"
    paid = gateway.post(payments, {"method": "cash", "amount": {"amount": "40.00"} | EUR}).headers["location"]
    refused = assert_problem(gateway.post(f"{paid}/actions/capture", {}), 409, "not_allowed")
    assert refused["detail"] == "the payment is captured already; it can be refunded"
    too_much = gateway.post(f"{paid}/actions/refund", {"amount": {"amount": "40.01"} | EUR})
    assert message(too_much) == "the maximum is 40.00, what is left of the captured amount"
    assert gateway.post(f"{paid}/actions/refund", {}).status == 200
    refused = assert_problem(gateway.post(f"{paid}/actions/refund", {}), 409, "not_allowed")
    assert refused["detail"] == "the payment is refunded already; it cannot be changed any more"


def test_a_tax_rate_is_the_same_in_request_and_resource(gateway: Gateway, hotel: str) -> None:
    city = {"code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": {"amount": "2.00"} | EUR}
    rates = ["6", "19.25", "12.5", "0.001", "100", "0"]
    taxes = [{"code": f"VAT{rate}", "name": "VAT", "applies_to": ["fee"], "rate": rate} for rate in rates]
    shown = gateway.send("PATCH", hotel, {"taxes": [*taxes, city]}).json["taxes"]
    assert [tax["rate"] for tax in shown] == [*rates, None]
    again = gateway.send("PATCH", hotel, {"taxes": shown})
    assert (again.status, again.json["taxes"]) == (200, shown)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (600, "expected text or null, got a whole number"),
        ("6 %", "expected percent as digits with at most three after a point, such as 6 or 19.25"),
        ("1.2345", "expected percent as digits with at most three after a point, such as 6 or 19.25"),
        ("100.01", "the maximum is 100"),
        (None, "expected either a rate in percent, or an amount"),
    ],
)
def test_a_refused_tax_rate_is_told_its_form(gateway: Gateway, hotel: str, rate: Any, text: str) -> None:
    tax = {"code": "VAT", "name": "VAT", "applies_to": ["room"], "rate": rate}
    assert message(gateway.send("PATCH", hotel, {"taxes": [tax]})) == text


def test_the_chart_shows_the_last_night_of_the_longest_stay(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, 365)
    gateway.act(hotel, booking, "check-in")
    longer = gateway.send("PATCH", booking_path(hotel, booking), {"departure": str(night(366))})
    assert message(longer) == "366 nights after arrival; the maximum is 365"
    chart = gateway.get(f"{hotel}/tape-chart", from_=night(364), to=night(365)).json
    assert [shown["id"] for shown in chart["bookings"]] == [booking["id"]]
