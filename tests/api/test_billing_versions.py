"""ETags and If-Match on all that billing can change: a folio, a payment, an invoice, the billing terms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import SELLER, Gateway, HttpResponse, assert_problem, booking_path
from support.gateway import gateway as running_gateway

WATER = {"charge": "minibar", "text": "Water", "amount": {"amount": "3.00", "currency": "EUR"}}
CASH = {"method": "cash", "amount": {"amount": "3.00", "currency": "EUR"}}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def hotel(gateway: Gateway) -> str:
    """A hotel that can issue invoices."""
    path = gateway.open_hotel()
    gateway.set_billing(path)
    return path


@pytest.fixture
def booking(gateway: Gateway, hotel: str) -> str:
    """The path of a booking."""
    return booking_path(hotel, gateway.book(hotel, 0))


def post(gateway: Gateway, path: str, body: Any, tag: str) -> HttpResponse:
    return gateway.post(path, body, {"If-Match": tag})


def test_a_folio_is_changed_only_in_the_version_that_was_seen(gateway: Gateway, booking: str) -> None:
    folio = f"{booking}/folio"
    seen = gateway.get(folio).headers["etag"]
    first = post(gateway, f"{folio}/charges", WATER, seen)
    assert (first.status, first.headers["etag"] == seen) == (201, False)
    stale = assert_problem(post(gateway, f"{folio}/charges", WATER, seen), 412, "stale_version")
    assert f'"{stale["version"]}"' == first.headers["etag"] == gateway.get(folio).headers["etag"]
    line = first.json["folios"][0]["lines"][0]["id"]
    for path, body in (
        (f"{folio}/charges/{line}/actions/reverse", {"reason": "no"}),
        (f"{folio}/charges/{line}/actions/split", {"amount": WATER["amount"]}),
        (f"{folio}/actions/transfer", {"lines": [line]}),
        (f"{folio}/payments", CASH),
        (f"{booking}/folios", {"buyer": {"name": "Globex"}}),
        (f"{booking}/invoices", {}),
        (f"{booking}/deposit-invoices", {}),
    ):
        assert_problem(post(gateway, path, body, seen), 412, "stale_version")
    assert post(gateway, f"{folio}/charges", WATER, "*").status == 201
    assert gateway.get(folio).json["balance"]["amount"] == "6.00"


def test_a_payment_changes_the_version_of_its_folio_and_has_its_own(gateway: Gateway, booking: str) -> None:
    seen = gateway.get(f"{booking}/folio").headers["etag"]
    paid = gateway.post(f"{booking}/folio/payments", CASH)
    assert gateway.get(f"{booking}/folio").headers["etag"] != seen
    path, tag = paid.headers["location"], paid.headers["etag"]
    assert gateway.get(path).headers["etag"] == tag
    gateway.post(f"{booking}/folio/charges", WATER)
    part = {"amount": {"amount": "1.00", "currency": "EUR"}}
    assert post(gateway, f"{path}/actions/refund", part, tag).status == 200, "a charge leaves the payment as it is"
    assert_problem(post(gateway, f"{path}/actions/refund", part, tag), 412, "stale_version")
    assert_problem(post(gateway, f"{path}/actions/void", {}, tag), 412, "stale_version")
    assert_problem(post(gateway, f"{path}/actions/move", {"to_folio": 2}, tag), 412, "stale_version")


def test_an_invoice_has_a_new_version_when_it_is_credited(gateway: Gateway, hotel: str, booking: str) -> None:
    gateway.post(f"{booking}/folio/charges", WATER)
    issued = gateway.post(f"{booking}/invoices", {})
    path, tag = issued.headers["location"], issued.headers["etag"]
    part = {"reason": "half", "lines": [{"position": 1, "amount": {"amount": "1.00", "currency": "EUR"}}]}
    assert post(gateway, f"{path}/actions/credit", part, tag).status == 201
    assert_problem(post(gateway, f"{path}/actions/credit", part, tag), 412, "stale_version")
    again = {"reason": "buyer", "buyer": {"name": "Globex"}}
    assert_problem(post(gateway, f"{path}/actions/reissue", again, tag), 412, "stale_version")
    shown = gateway.get(path)
    assert (shown.headers["etag"], shown.json["credit_notes"]) == (f'"{shown.json["version"]}"', ["CN-1"])
    unknown = post(gateway, f"{hotel}/invoices/INV-9/actions/credit", {"reason": "x"}, tag)
    assert_problem(unknown, 404, "not_found")


def test_the_billing_terms_are_changed_only_in_the_version_that_was_seen(gateway: Gateway, hotel: str) -> None:
    seen = gateway.get(f"{hotel}/billing").headers["etag"]
    changed = gateway.send("PUT", f"{hotel}/billing", {"seller": SELLER, "payment_days": 7}, {"If-Match": seen})
    assert changed.status == 200
    stale = gateway.send("PUT", f"{hotel}/billing", {"seller": SELLER}, {"If-Match": seen})
    assert_problem(stale, 412, "stale_version")
    assert gateway.get(f"{hotel}/billing").headers["etag"] == changed.headers["etag"]
    assert gateway.get(f"{hotel}/billing").json["payment_days"] == 7
