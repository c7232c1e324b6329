"""Worked examples over HTTP: the booking, its deposit, its folio and its invoices say one amount."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import TODAY, night


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


class Guest:
    """A guest with a booking, and the hotel."""

    def __init__(
        self, gateway: Gateway, hotel: str, arrival: date, nights: int, rate: str, currency: str = "EUR", **more: Any
    ) -> None:
        self.gateway, self.hotel, self.currency = gateway, hotel, currency
        self.departure = arrival + timedelta(days=nights)
        stay = {"room_type": more.pop("room_type", "DBL"), "arrival": str(arrival), "departure": str(self.departure)}
        body = stay | {"guest": {"name": "Ann"}, "rate": self.money(rate)} | more
        reply = gateway.post(f"{hotel}/bookings", body)
        assert reply.status == 201, reply
        self.booking = reply.json
        self.path = booking_path(hotel, self.booking)

    def money(self, amount: str) -> dict[str, str]:
        """An amount of the hotel's currency."""
        return {"amount": amount, "currency": self.currency}

    def folio(self) -> Any:
        """The bill of the booking."""
        return self.gateway.get(f"{self.path}/folio").json

    def charged(self) -> list[str]:
        """What each line of the folio charges."""
        return [line["amount"]["amount"] for line in self.folio()["folios"][0]["lines"] if line["charge"]]

    def price(self) -> Any:
        """The price of the booking."""
        return self.gateway.get(self.path).json["price"]

    def pay(self, amount: str) -> None:
        """Pay cash."""
        body = {"method": "cash", "amount": self.money(amount)}
        assert self.gateway.post(f"{self.path}/folio/payments", body).status == 201

    def issue(self, kind: str) -> Any:
        """Issue a document."""
        reply = self.gateway.post(f"{self.path}/{kind}", {})
        assert reply.status == 201, reply
        return reply.json

    def arrive(self, on: date = TODAY) -> None:
        """Check in on this date."""
        if on != TODAY:
            assert self.gateway.post(f"{self.hotel}/night-audit", {"to": str(on)}).status == 200
        assert self.gateway.act(self.hotel, self.booking, "check-in").status == 200

    def leave(self) -> None:
        """Close all nights, and check out."""
        assert self.gateway.post(f"{self.hotel}/night-audit", {"to": str(self.departure)}).status == 200
        assert self.gateway.act(self.hotel, self.booking, "check-out").status == 200


def hotel_with(gateway: Gateway, *taxes: dict[str, Any], currency: str = "EUR", **more: Any) -> str:
    """A hotel with these taxes, and a type FAM for a family."""
    types = [
        {"code": code, "name": code, "max_guests": guests, "rate": {"amount": "100", "currency": currency},
         "room_count": 2}
        for code, guests in (("DBL", 2), ("FAM", 4))
    ]  # fmt: skip
    hotel = gateway.open_hotel(room_types=types, taxes=[*taxes], currency=currency, **more)
    gateway.set_billing(hotel)
    return hotel


def totals(document: Any) -> list[tuple[str, str, str, str]]:
    return [(row["code"], row["rate"], row["net"]["amount"], row["tax"]["amount"]) for row in document["totals"]]


def test_a_family_pays_919_on_booking_deposit_folio_and_invoices(gateway: Gateway) -> None:
    """Example 11: nine nights at 99.00 with 6 % inside, a city tax from age 13 on at most seven nights."""
    vat = {"code": "VAT", "name": "VAT 6 %", "applies_to": ["room"], "rate": "6", "included": True}
    city = {
        "code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": {"amount": "2.00", "currency": "EUR"},
        "nights_max": 7, "exempt_below": 13,
    }  # fmt: skip
    hotel = hotel_with(gateway, vat, city, deposits=[{"percent": 30}])
    family = Guest(gateway, hotel, TODAY, 9, "99.00", room_type="FAM", adults=2, children=[5])
    assert family.price()["total"] == "919.00"
    assert [deposit["amount"]["amount"] for deposit in family.folio()["deposits"]] == ["275.70"]
    family.pay("275.70")
    deposit = family.issue("deposit-invoices")
    assert (deposit["total"]["amount"], totals(deposit)) == (
        "275.70", [("CITY", "0", "0.00", "8.40"), ("VAT", "6", "252.18", "15.12")],
    )  # fmt: skip
    family.arrive()
    family.leave()
    assert family.charged() == ["103.00"] * 7 + ["99.00"] * 2
    bill = family.folio()
    assert (bill["charged"]["amount"], bill["balance"]["amount"]) == ("919.00", "643.30")
    family.pay("643.30")
    final = family.issue("invoices")
    assert (final["total"]["amount"], final["due"]["amount"]) == ("643.30", "0.00")
    taxes = [float(row["tax"]["amount"]) for document in (deposit, final) for row in document["totals"]]
    assert sum(taxes) == pytest.approx(50.40 + 28.00)


def test_the_rate_of_new_years_night_is_on_the_folio_and_the_invoice(gateway: Gateway) -> None:
    """Example 14: 6 % to 31 December, 7 % from 1 January; the date slept decides."""
    versions = [
        {"code": "TAX", "name": "Tax", "applies_to": ["room"], "rate": "6", "valid_to": "2026-12-31"},
        {"code": "TAX", "name": "Tax", "applies_to": ["room"], "rate": "7", "valid_from": "2027-01-01"},
    ]
    hotel, arrival = hotel_with(gateway, *versions), date(2026, 12, 30)
    night_by_night = Guest(gateway, hotel, arrival, 3, "100.00")
    by_stay = [version | {"period": "stay"} for version in versions]
    assert gateway.send("PATCH", hotel, {"taxes": by_stay}).status == 200
    whole_stay = Guest(gateway, hotel, arrival, 3, "100.00")
    assert [guest.price()["total"] for guest in (night_by_night, whole_stay)] == ["319.00", "321.00"]
    night_by_night.arrive(arrival)
    assert gateway.act(hotel, whole_stay.booking, "check-in").status == 200
    night_by_night.leave()
    assert gateway.act(hotel, whole_stay.booking, "check-out").status == 200
    assert night_by_night.charged() == ["106.00", "106.00", "107.00"]
    assert whole_stay.charged() == ["107.00"] * 3
    first, second = night_by_night.issue("invoices"), whole_stay.issue("invoices")
    assert totals(first) == [("TAX", "6", "200.00", "12.00"), ("TAX", "7", "100.00", "7.00")]
    assert totals(second) == [("TAX", "7", "300.00", "21.00")]
    assert (first["total"]["amount"], second["total"]["amount"]) == ("319.00", "321.00")


def test_a_fee_in_yen_is_spread_without_a_loss(gateway: Gateway) -> None:
    """Example 15: 1,000 JPY for the stay on three nights: 334, 333, 333."""
    fee = {
        "code": "FEE", "name": "Fee", "applies_to": ["room"], "amount": {"amount": "1000", "currency": "JPY"},
        "base": "room", "period": "stay_spread",
    }  # fmt: skip
    hotel = hotel_with(gateway, fee, currency="JPY")
    guest = Guest(gateway, hotel, TODAY, 3, "12345", "JPY")
    assert [line["total"] for line in guest.price()["nights"]] == ["12679", "12678", "12678"]
    guest.arrive()
    guest.leave()
    assert guest.charged() == ["12679", "12678", "12678"]
    invoice = guest.issue("invoices")
    assert (invoice["total"]["amount"], totals(invoice)[1]) == ("38035", ("FEE", "0", "0", "1000"))


def test_a_fee_per_stay_is_charged_once_also_where_the_guest_stays_longer(gateway: Gateway) -> None:
    """30.00 on three nights, of which one is over when the stay becomes six nights, and the hotel has another fee."""
    fee = {
        "code": "CLEAN", "name": "Cleaning", "applies_to": ["room"], "amount": {"amount": "30.00", "currency": "EUR"},
        "base": "room", "period": "stay_spread",
    }  # fmt: skip
    hotel = hotel_with(gateway, fee)
    guest = Guest(gateway, hotel, TODAY, 3, "100.00")
    guest.arrive()
    assert gateway.run_night_audit(hotel, 1).status == 200
    assert gateway.send("PATCH", hotel, {"taxes": [fee | {"amount": guest.money("90.00")}]}).status == 200
    longer = gateway.send("PATCH", guest.path, {"departure": str(night(6))})
    assert (longer.status, longer.json["price"]["total"]) == (200, "630.00")
    guest.departure = night(6)
    guest.leave()
    assert guest.charged() == ["110.00"] + ["104.00"] * 5
    invoice = guest.issue("invoices")
    assert (invoice["total"]["amount"], totals(invoice)[1]) == ("630.00", ("CLEAN", "0", "0.00", "30.00"))


@pytest.mark.parametrize(
    ("currency", "rate", "shown"),
    [
        ("HUF", "12345.67", "12345.67"),
        ("ISK", "12345", "12345"),
        ("KWD", "22.613", "22.613"),
        ("JPY", "11111", "11111"),
    ],
)
def test_amounts_have_the_digits_of_iso_4217(gateway: Gateway, currency: str, rate: str, shown: str) -> None:
    """Example 15: not what tills do."""
    guest = Guest(gateway, hotel_with(gateway, currency=currency), TODAY, 1, rate, currency)
    guest.arrive()
    guest.leave()
    assert (guest.charged(), guest.issue("invoices")["total"]) == ([shown], {"amount": shown, "currency": currency})


def test_an_amount_with_too_many_digits_is_refused(gateway: Gateway) -> None:
    """Example 15: 12.345 EUR."""
    guest = Guest(gateway, hotel_with(gateway), TODAY, 1, "100.00")
    body = {"charge": "spa", "text": "Spa", "amount": guest.money("12.345")}
    assert_problem(gateway.post(f"{guest.path}/folio/charges", body), 422, "invalid", "amount.amount", "digits")


def test_a_new_rate_in_the_middle_of_a_stay_is_for_the_nights_that_are_left(gateway: Gateway) -> None:
    """Example 23: 100.00 for the night that is posted, 120.00 for the other one."""
    hotel = hotel_with(gateway)
    guest = Guest(gateway, hotel, TODAY, 2, "100.00")
    guest.arrive()
    assert gateway.post(f"{hotel}/night-audit", {"to": str(night(1))}).status == 200
    assert gateway.send("PATCH", guest.path, {"rate": guest.money("120.00")}).status == 200
    assert guest.price()["total"] == "220.00"
    guest.leave()
    assert (guest.price()["total"], guest.charged()) == ("220.00", ["100.00", "120.00"])
    assert guest.issue("invoices")["total"]["amount"] == "220.00"
