"""A hold that is paid online is confirmed exactly once, or the money goes back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, booking_path
from support.gateway import gateway as running_gateway
from support.payment_updates import UPDATE_PATH, payment_update
from support.waiting import wait_until

SECONDS_MAX = 60
HOLD_SECONDS = 3_600


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


class Guest:
    """A guest with a hold of a room for 200.00, who pays it online."""

    def __init__(self, gateway: Gateway, hotel: str) -> None:
        self.gateway = gateway
        self.hotel = hotel
        self.booking = gateway.book(hotel, 9, 2, status="held", hold_seconds=HOLD_SECONDS)
        self.path = booking_path(hotel, self.booking)
        self.payment = ""

    def pay(self, token: str = "tok", **more: Any) -> None:
        body = {"method": "simulated", "amount": euros("200.00"), "token": token} | more
        reply = self.gateway.post(f"{self.path}/folio/payments", body)
        assert (reply.status, reply.json["hold"]) == (201, "waiting")
        self.payment = reply.headers["location"]

    def paid(self) -> Any:
        """The payment."""
        return self.gateway.get(self.payment).json

    def wait(self, **fields: Any) -> Any:
        """Wait until the payment has these fields; the payment."""
        wait_until(lambda: fields.items() <= self.paid().items(), SECONDS_MAX)
        return self.paid()

    def status(self) -> Any:
        """The status of the booking."""
        return self.gateway.get(self.path).json["status"]

    def confirmed(self) -> int:
        """How often the booking was confirmed."""
        return [
            (event["type"], event.get("subject")) for event in self.gateway.all_events()
        ].count(("innkeeper.booking.confirmed.v1", self.booking["id"]))  # fmt: skip

    def end_hold(self) -> None:
        """Let the time of the hold pass."""
        self.gateway.advance_clock(HOLD_SECONDS + 60)
        wait_until(lambda: self.status() == "expired", SECONDS_MAX)


@pytest.fixture
def guest(gateway: Gateway) -> Guest:
    return Guest(gateway, gateway.open_hotel())


@pytest.mark.parametrize("capture", [True, False], ids=["captured", "authorised"])
def test_a_hold_that_is_paid_is_confirmed_once(guest: Guest, capture: bool) -> None:
    guest.pay(capture=capture)
    paid = guest.wait(hold="confirmed")
    assert (guest.status(), guest.confirmed()) == ("confirmed", 1)
    assert paid["refunded"] == euros("0.00")
    if not capture:
        guest.gateway.post(f"{guest.payment}/actions/capture", {})
        guest.wait(status="captured")
    guest.gateway.post("/v1/subscribers/hold-payments/actions/pause", {})
    assert guest.confirmed() == 1


def test_a_declined_payment_leaves_the_hold(guest: Guest) -> None:
    guest.pay("decline")
    guest.wait(status="failed", hold=None)
    assert guest.status() == "held"


def pay_too_late(guest: Guest, token: str = "tok") -> None:
    """The payment is captured, and the hold ends before it is confirmed."""
    guest.gateway.post("/v1/subscribers/hold-payments/actions/pause", {})
    guest.pay(token)
    guest.wait(status="captured")
    guest.end_hold()


def test_a_payment_whose_hold_has_ended_meanwhile_goes_back(guest: Guest) -> None:
    pay_too_late(guest)
    guest.gateway.post("/v1/subscribers/hold-payments/actions/resume", {})
    paid = guest.wait(hold="paid_back", status="refunded")
    assert (guest.status(), guest.confirmed(), paid["refunded"]) == ("expired", 0, euros("200.00"))
    assert paid["operations"][0]["reason"] == "the hold has ended"
    assert guest.gateway.get(f"{guest.path}/folio").json["balance"] == euros("0.00")


def test_a_payment_that_is_reported_while_it_is_voided_goes_back_too(guest: Guest, tmp_path: Path) -> None:
    guest.pay("late")
    guest.gateway.post("/v1/subscribers/providers/actions/pause", {})
    guest.end_hold()
    guest.wait(hold="paying_back", status="pending")
    report_captured(guest, tmp_path)
    wait_until(lambda: [one["action"] for one in guest.paid()["operations"]] == ["void", "refund"], SECONDS_MAX)
    assert (guest.paid()["hold"], guest.confirmed()) == ("paying_back", 0)


def report_captured(guest: Guest, folder: Path) -> None:
    """The provider reports that it has captured the payment, twice."""
    secret = (folder / "simulated-provider.secret").read_text()
    at = datetime.fromtimestamp(guest.gateway.clock() / 1e6, UTC)
    body, headers = payment_update(secret, guest.payment, "captured", at)
    for _ in range(2):
        assert guest.gateway.post(UPDATE_PATH, body, headers=headers).status == 200


def test_a_guest_whose_room_is_gone_gets_the_money_back_and_the_other_guest_the_room(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel({"DBL": 1}))
    pay_too_late(guest)
    other = gateway.book(guest.hotel, 9, 2)
    gateway.restart()
    gateway.post("/v1/subscribers/hold-payments/actions/resume", {})
    guest.wait(hold="paid_back")
    assert gateway.get(booking_path(guest.hotel, other)).json["status"] == "confirmed"


def test_a_provider_that_is_silent_until_the_hold_has_ended_takes_no_money(guest: Guest) -> None:
    guest.pay("away-7200")
    guest.end_hold()

    def is_voided() -> bool:
        guest.gateway.advance_clock(600)
        return bool(guest.paid()["status"] == "voided")

    wait_until(is_voided, SECONDS_MAX)
    assert (guest.paid()["hold"], guest.paid()["captured"]) == ("paid_back", euros("0.00"))


def test_money_that_the_provider_refuses_to_pay_back_is_shown(guest: Guest) -> None:
    pay_too_late(guest, "refuse-refund")
    guest.gateway.post("/v1/subscribers/hold-payments/actions/resume", {})
    paid = guest.wait(hold="not_paid_back")
    assert (paid["operations"][0]["code"], paid["refunded"]) == ("declined", euros("0.00"))


def test_a_crash_before_the_confirmation_confirms_once_after_the_restart(guest: Guest) -> None:
    guest.gateway.post("/v1/subscribers/hold-payments/actions/pause", {})
    guest.pay()
    guest.wait(status="captured", hold="waiting")
    guest.gateway.restart()
    guest.gateway.post("/v1/subscribers/hold-payments/actions/resume", {})
    guest.wait(hold="confirmed")
    assert guest.confirmed() == 1


def test_a_hold_that_staff_confirms_meanwhile_keeps_the_payment(guest: Guest) -> None:
    guest.gateway.post("/v1/subscribers/hold-payments/actions/pause", {})
    guest.pay()
    guest.wait(status="captured")
    guest.gateway.post(f"{guest.path}/actions/confirm", {})
    guest.gateway.post("/v1/subscribers/hold-payments/actions/resume", {})
    wait_until(lambda: is_at_rest(guest.gateway), SECONDS_MAX)
    assert (guest.paid()["status"], guest.paid()["hold"], guest.confirmed()) == ("captured", "confirmed", 1)


def is_at_rest(gateway: Gateway) -> bool:
    subscribers = gateway.get("/v1/subscribers").json["data"]
    return next(one["lag"] for one in subscribers if one["name"] == "hold-payments") == 0


def test_a_payment_of_a_confirmed_booking_is_none_of_a_hold(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    path = booking_path(hotel, gateway.book(hotel, 9, 2))
    reply = gateway.post(f"{path}/folio/payments", {"method": "simulated", "amount": euros("200.00")})
    assert reply.json["hold"] is None
