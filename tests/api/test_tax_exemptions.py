"""Guests who do not pay a city tax, with the reason: on business, ill, or in the service of another state."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night

CITY = {"code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": {"amount": "2.00", "currency": "EUR"}}
VAT = {"code": "VAT", "name": "VAT 6 %", "applies_to": ["room"], "rate": "6", "included": True}
ON_BUSINESS = [{"code": "CITY", "reason": "on business for Globex"}]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def test_a_guest_on_business_does_not_pay_the_city_tax(gateway: Gateway) -> None:
    hotel = gateway.open_hotel(taxes=[VAT, CITY])
    gateway.set_billing(hotel)
    booking = gateway.book(hotel, 0, 2, exemptions=ON_BUSINESS)
    assert (booking["price"]["total"], booking["exemptions"]) == ("200.00", ON_BUSINESS)
    gateway.act(hotel, booking, "check-in")
    gateway.run_night_audit(hotel, 2)
    gateway.act(hotel, booking, "check-out")
    invoice = gateway.post(f"{booking_path(hotel, booking)}/invoices", {}).json
    assert [(row["code"], row["gross"]["amount"]) for row in invoice["totals"]] == [("VAT", "200.00")]


def test_an_exemption_counts_from_the_business_date_on_and_for_added_nights(gateway: Gateway) -> None:
    hotel = gateway.open_hotel(taxes=[CITY])
    booking = gateway.book(hotel, 0, 2)
    path = booking_path(hotel, booking)
    gateway.act(hotel, booking, "check-in")
    gateway.run_night_audit(hotel, 1)
    changed = gateway.send("PATCH", path, {"exemptions": ON_BUSINESS}).json
    assert [line["total"] for line in changed["price"]["nights"]] == ["102.00", "100.00"]
    longer = gateway.send("PATCH", path, {"departure": str(night(3))}).json
    assert (longer["price"]["total"], longer["exemptions"]) == ("302.00", ON_BUSINESS)
    again = gateway.send("PATCH", path, {"exemptions": []}).json
    assert [line["total"] for line in again["price"]["nights"]] == ["102.00", "102.00", "102.00"]


@pytest.mark.parametrize(
    ("exemptions", "rule"),
    [
        ([{"code": "VAT", "reason": "a diplomat"}], "levy"),
        ([{"code": "SPA", "reason": "ill"}], "known"),
        (ON_BUSINESS * 2, "unique"),
    ],
)
def test_an_exemption_that_cannot_be_is_refused(gateway: Gateway, exemptions: Any, rule: str) -> None:
    hotel = gateway.open_hotel(taxes=[VAT, CITY])
    body = stay_request(exemptions=exemptions)
    assert_problem(gateway.post(f"{hotel}/bookings", body), 422, "invalid", "exemptions", rule)
    path = booking_path(hotel, gateway.book(hotel))
    assert_problem(gateway.send("PATCH", path, {"exemptions": exemptions}), 422, "invalid", "exemptions", rule)
    nameless = stay_request(exemptions=[{"code": "CITY", "reason": ""}])
    assert_problem(gateway.post(f"{hotel}/bookings", nameless), 422, "invalid", "exemptions[0].reason", "length")
