"""A payment moves to another folio: of another buyer, or of another guest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.invoiced_stay import GLOBEX, VAT, Stay, euros, issued


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def test_a_payment_moves_to_the_folio_of_the_other_guest(gateway: Gateway) -> None:
    stay, friend = Stay(gateway, VAT), gateway.book
    other = friend(stay.hotel, 0, 1)
    paid = stay.post("folio/payments", method="cash", amount=euros("80.00"))
    path = paid.headers["location"]
    gateway.post(f"{path}/actions/refund", {"amount": euros("10.00")})
    moved = gateway.post(f"{path}/actions/move", {"to_booking": other["id"]}, {"If-Match": paid.headers["etag"]})
    assert_problem(moved, 412, "stale_version")
    moved = gateway.post(f"{path}/actions/move", {"to_booking": other["id"]})
    assert (moved.status, moved.json["captured"], moved.json["refunded"]) == (200, euros("80.00"), euros("10.00"))
    assert (stay.balance(), stay.gateway.get(f"{stay.path}/folio").json["folios"][0]["payments"]) == ("0.00", [])
    bill = gateway.get(f"{booking_path(stay.hotel, other)}/folio").json
    assert (bill["balance"]["amount"], bill["folios"][0]["payments"][0]["id"]) == ("-70.00", moved.json["id"])
    assert gateway.post(f"{path}/actions/refund", {}).json["status"] == "refunded"
    assert gateway.get(f"{booking_path(stay.hotel, other)}/folio").json["balance"]["amount"] == "0.00"
    assert_problem(gateway.post(f"{path}/actions/move", {"to_booking": stay.booking["id"]}), 409, "not_allowed")


def test_a_payment_stays_where_a_deposit_invoice_says_it_is(gateway: Gateway) -> None:
    stay = Stay(gateway, VAT)
    paid = stay.post("folio/payments", method="cash", amount=euros("80.00")).headers["location"]
    stay.post("folios", buyer=GLOBEX)
    issued(stay.post("deposit-invoices"))
    assert_problem(gateway.post(f"{paid}/actions/move", {"to_folio": 2}), 409, "not_allowed")
    assert_problem(gateway.post(f"{paid}/actions/move", {"to_folio": 1}), 422, "invalid", "to_folio", "other")
    assert_problem(gateway.post(f"{paid}/actions/move", {"to_folio": 3}), 404, "not_found")
    issued(stay.correct("INV-1", "credit"))
    assert gateway.post(f"{paid}/actions/move", {"to_folio": 2}).status == 200
