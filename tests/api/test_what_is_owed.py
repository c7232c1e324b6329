"""What is owed for a booking over HTTP: nothing more is taken by mistake, and discounts are lines with a reason."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path
from support.gateway import gateway as running_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


class Guest:
    """A guest with a booking of two nights at 100.00."""

    def __init__(self, gateway: Gateway, arrival: int = 9, **more: Any) -> None:
        self.gateway = gateway
        self.hotel = gateway.open_hotel()
        self.booking = gateway.book(self.hotel, arrival, 2, **more)
        self.folio = f"{booking_path(self.hotel, self.booking)}/folio"

    def pay(self, amount: str, **more: Any) -> HttpResponse:
        return self.gateway.post(f"{self.folio}/payments", {"method": "cash", "amount": euros(amount)} | more)

    def charge(self, amount: str, **more: Any) -> HttpResponse:
        body = {"charge": "minibar", "text": "Water", "amount": euros(amount)} | more
        return self.gateway.post(f"{self.folio}/charges", body)

    def discount(self, amount: str, **more: Any) -> HttpResponse:
        body = {"charge": "minibar", "amount": euros(amount), "reason": "it was warm"} | more
        return self.gateway.post(f"{self.folio}/discounts", body)

    def balance(self) -> Any:
        return self.gateway.get(self.folio).json["balance"]["amount"]


@pytest.mark.parametrize("method", ["cash", "simulated"])
def test_more_than_is_owed_has_to_be_asked_for(gateway: Gateway, method: str) -> None:
    guest = Guest(gateway)
    refused = assert_problem(guest.pay("200.01", method=method), 422, "invalid", "amount", "owed_max")
    assert refused["errors"][0]["message"] == (
        "200.00 is owed for the booking; more has to be asked for: allow_overpayment"
    )  # fmt: skip
    assert guest.pay("200.01", method=method, allow_overpayment=True).status == 201


def test_deposits_and_charges_are_owed_and_what_is_paid_is_not(gateway: Gateway) -> None:
    guest = Guest(gateway)
    assert guest.pay("150.00").status == 201
    assert_problem(guest.pay("50.01"), 422, "invalid", "amount", "owed_max")
    assert guest.charge("10.00").status == 201
    assert guest.pay("60.00").status == 201
    assert_problem(guest.pay("0.01"), 422, "invalid", "amount", "owed_max")


def test_a_night_that_is_charged_is_owed_once(gateway: Gateway) -> None:
    guest = Guest(gateway, arrival=0)
    gateway.act(guest.hotel, guest.booking, "check-in")
    gateway.post(f"{guest.hotel}/night-audit", {})
    assert_problem(guest.pay("200.01"), 422, "invalid", "amount", "owed_max")
    assert guest.pay("200.00").status == 201


def test_nothing_is_owed_for_a_booking_that_was_cancelled_free_of_charge(gateway: Gateway) -> None:
    guest = Guest(gateway)
    gateway.act(guest.hotel, guest.booking, "cancel")
    assert_problem(guest.pay("1.00"), 422, "invalid", "amount", "owed_max")
    refused = assert_problem(guest.charge("1.00"), 409, "not_allowed")
    assert refused["detail"] == "the booking is cancelled; a charge on it has to be asked for: allow_ended"
    assert guest.charge("1.00", allow_ended=True).status == 201
    assert guest.pay("1.00").status == 201


def test_a_fee_is_owed(gateway: Gateway) -> None:
    guest = Guest(gateway, arrival=0)
    gateway.act(guest.hotel, guest.booking, "cancel")
    assert_problem(guest.pay("100.01"), 422, "invalid", "amount", "owed_max")
    assert guest.pay("100.00").status == 201


def test_a_charge_of_nothing_is_refused(gateway: Gateway) -> None:
    assert_problem(Guest(gateway).charge("0.00"), 422, "invalid", "amount", "positive")


def test_a_discount_is_a_line_with_its_reason_and_its_taxes(gateway: Gateway) -> None:
    guest = Guest(gateway)
    vat = {"code": "VAT23", "name": "IVA 23 %", "applies_to": ["minibar"], "rate": "23", "included": True}
    gateway.send("PATCH", guest.hotel, {"taxes": [vat]})
    gateway.set_billing(guest.hotel)
    guest.charge("24.60")
    given = guest.discount("12.30", voucher="V-7")
    assert given.status == 201
    line = given.json["folios"][0]["lines"][-1]
    assert (line["kind"], line["charge"], line["text"]) == ("discount", "minibar", "it was warm (V-7)")
    assert (line["amount"], line["net"]) == (euros("-12.30"), euros("-10.00"))
    assert [(tax["code"], tax["amount"]["amount"]) for tax in line["taxes"]] == [("VAT23", "-2.30")]
    assert guest.balance() == "12.30"
    invoice = gateway.post(f"{booking_path(guest.hotel, guest.booking)}/invoices", {}).json
    assert (invoice["total"], invoice["net"]) == (euros("12.30"), euros("10.00"))


def test_a_discount_lowers_what_is_charged_of_its_kind_at_most_to_zero(gateway: Gateway) -> None:
    guest = Guest(gateway)
    guest.charge("10.00")
    assert_problem(guest.discount("10.01"), 422, "invalid", "amount", "charged_max")
    assert_problem(guest.discount("1.00", charge="spa"), 422, "invalid", "amount", "charged_max")
    assert_problem(guest.discount("0.00"), 422, "invalid", "amount", "positive")
    assert_problem(guest.discount("1.00", reason=""), 422, "invalid", "reason", "length")
    assert guest.discount("10.00").status == 201
    assert_problem(guest.discount("0.01"), 422, "invalid", "amount", "charged_max")
    assert guest.balance() == "0.00"


def test_a_discount_is_reversed_and_moved_like_a_charge_and_never_split(gateway: Gateway) -> None:
    guest = Guest(gateway)
    guest.charge("10.00")
    line = guest.discount("4.00").json["folios"][0]["lines"][-1]["id"]
    assert_problem(gateway.post(f"{guest.folio}/charges/{line}/actions/split", {"amount": euros("1.00")}), 409)
    gateway.post(f"{guest.folio}s", {"buyer": {"name": "ACME"}})
    moved = gateway.post(f"{guest.folio}/actions/transfer", {"lines": [line], "to_folio": 2}).json
    assert [folio["balance"]["amount"] for folio in moved["folios"]] == ["10.00", "-4.00"]
    line = moved["folios"][1]["lines"][-1]["id"]
    assert gateway.post(f"{guest.folio}/charges/{line}/actions/reverse", {"reason": "a mistake"}).status == 200
    assert guest.balance() == "10.00"
