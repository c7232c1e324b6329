"""The terms of sale of a hotel, and what they make of a price: quoted is charged, night by night."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway
from support.gateway import gateway as running_gateway
from support.partition_fixture import night
from support.waiting import wait_until

SECONDS_MAX = 20
VAT = {"code": "VAT", "name": "VAT 6 %", "applies_to": ["room"], "rate": "6", "included": True}
CITY = {
    "code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": {"amount": "2.00", "currency": "EUR"},
    "nights_max": 7, "exempt_below": 13,
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("terms") / "data") as started:
        yield started


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def bill_of(gateway: Gateway, hotel: str, booking: str) -> dict[str, Any]:
    """The bill of a booking, as soon as billing has it."""
    path = f"{hotel}/bookings/{booking}/folio"
    wait_until(lambda: gateway.get(path).status == 200, SECONDS_MAX)
    bill: dict[str, Any] = gateway.get(path).json
    return bill


def test_booking_deposit_and_folio_say_the_same_amount(gateway: Gateway) -> None:
    """Example 11: 99.00 with 6 % inside, and a city tax from age 13 on at most seven nights."""
    hotel = gateway.open_hotel(taxes=[VAT, CITY], deposits=[{"percent": 30}])
    booking = gateway.book(hotel, arrival=0, nights=9, adults=2, rate=eur("99.00"))
    nights = booking["price"]["nights"]
    assert booking["price"]["total"] == "919.00"
    assert [night["total"] for night in nights] == ["103.00"] * 7 + ["99.00"] * 2
    vat = [tax for night in nights for tax in night["taxes"] if tax["code"] == "VAT"]
    assert vat == [{"code": "VAT", "amount": "5.60", "included": True}] * 9
    bill = bill_of(gateway, hotel, booking["id"])
    assert [deposit["amount"] for deposit in bill["deposits"]] == [eur("275.70")]
    assert gateway.act(hotel, booking, "check-in").status == 200
    assert gateway.run_night_audit(hotel, 9).status == 200
    assert gateway.act(hotel, booking, "check-out").status == 200
    wait_until(lambda: bill_of(gateway, hotel, booking["id"])["charged"] == eur("919.00"), SECONDS_MAX)


def test_new_terms_hold_for_later_bookings(gateway: Gateway) -> None:
    hotel = gateway.open_hotel(taxes=[CITY])
    early = gateway.book(hotel, arrival=3, nights=1)
    shown = gateway.get(hotel)
    changed = gateway.send("PATCH", hotel, {"taxes": [], "cancellation": {"free_until_hours": 48}})
    policy = {"free_until_hours": 48, "late_nights": 1, "no_show_nights": 1}
    assert (changed.status, changed.json["taxes"], changed.json["cancellation"]) == (200, [], policy)
    assert changed.json["version"] == shown.json["version"] + 1
    late = gateway.book(hotel, arrival=3, nights=1)
    assert [booking["price"]["total"] for booking in (early, late)] == ["102.00", "100.00"]
    assert early["free_until"] > late["free_until"]
    assert gateway.get(hotel).json == changed.json


def test_a_stale_change_of_a_hotel_is_refused(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    tag = gateway.get(hotel).headers["etag"]
    assert gateway.send("PATCH", hotel, {"taxes": [VAT]}, {"If-Match": tag}).status == 200
    stale = gateway.send("PATCH", hotel, {"taxes": []}, {"If-Match": tag})
    assert (stale.status, stale.json["code"]) == (412, "stale_version")
    assert [tax["code"] for tax in gateway.get(hotel).json["taxes"]] == ["VAT"]


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({"taxes": [VAT, VAT]}, "taxes", "unique"),
        ({"taxes": [VAT | {"rate": "6.1234"}]}, "taxes[0].rate", "decimal"),
        ({"taxes": [CITY | {"amount": {"amount": "2.00", "currency": "USD"}}]}, "taxes.amount", "currency"),
        ({"taxes": [VAT | {"base": "guest"}]}, "taxes[0].base", "one_of"),
        ({"deposits": [{"percent": 60}, {"percent": 41}]}, "deposits", "percent_max"),
        ({"cancellation": {"free_until_hours": -1}}, "cancellation.free_until_hours", "range"),
        ({"rooms": 3}, "rooms", "unknown"),
    ],
)
def test_terms_that_cannot_be_are_refused(gateway: Gateway, body: dict[str, Any], field: str, rule: str) -> None:
    hotel = gateway.open_hotel()
    refused = gateway.send("PATCH", hotel, body)
    assert refused.status == 422
    assert [(error["field"], error["rule"]) for error in refused.json["errors"]] == [(field, rule)]
    assert gateway.get(hotel).json["taxes"] == []


def test_the_terms_of_an_unknown_hotel_are_not_found(gateway: Gateway) -> None:
    assert gateway.send("PATCH", "/v1/hotels/nowhere", {"taxes": []}).status == 404


def test_a_rate_that_changes_on_new_years_night_is_that_of_each_night(gateway: Gateway) -> None:
    """Example 14: 6 % to the last night of the year, 7 % from the first."""
    versions = [
        {"code": "TAX", "name": "Tax", "applies_to": ["room"], "rate": "6", "valid_to": str(night(2))},
        {"code": "TAX", "name": "Tax", "applies_to": ["room"], "rate": "7", "valid_from": str(night(3))},
    ]
    hotel = gateway.open_hotel(taxes=versions)
    assert gateway.book(hotel, arrival=1, nights=3)["price"]["total"] == "319.00"
    by_stay = [version | {"period": "stay"} for version in versions]
    assert gateway.send("PATCH", hotel, {"taxes": by_stay}).status == 200
    assert gateway.book(hotel, arrival=1, nights=3)["price"]["total"] == "321.00"


def test_a_late_cancellation_costs_a_night_and_an_early_one_nothing(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    late, early = gateway.book(hotel, arrival=0), gateway.book(hotel, arrival=9)
    assert gateway.act(hotel, late, "cancel", reason="ill").json["fee"] == eur("100.00")
    assert gateway.act(hotel, early, "cancel").json["fee"] is None


def test_a_late_change_does_not_make_cancelling_free(gateway: Gateway) -> None:
    """Example 18 c: the stay moves a month on after the deadline, and is cancelled."""
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, arrival=0, nights=2, rate=eur("80.00"))
    path = f"{hotel}/bookings/{booking['id']}"
    moved = gateway.send("PATCH", path, {"arrival": str(night(30)), "departure": str(night(32)), "rate": eur("95.00")})
    assert (moved.json["free_until"], moved.json["late_fee"]) == (booking["free_until"], eur("80.00"))
    assert gateway.act(hotel, booking, "cancel").json["fee"] == eur("80.00")
