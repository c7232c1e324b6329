"""A command that makes its hotel fail, or a hotel that has to wait, holds up no other hotel; what goes on with it is
seen."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.billing import ledger
from innkeeper.actors.reservations import hotel
from innkeeper.protocol.billing.commands import ApplyReservationEvent, SettlePayment
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.reservations.commands import ConfirmBooking
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.waiting import wait_until

SECONDS_MAX = 60
HOUR = 3_600


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


class Guest:
    """A guest with a hold of a room for 200.00 in a hotel of its own."""

    def __init__(self, gateway: Gateway, hold_seconds: int = HOUR) -> None:
        self.gateway = gateway
        self.hotel = gateway.open_hotel()
        self.name = self.hotel.rsplit("/", 1)[1]
        self.path = booking_path(self.hotel, gateway.book(self.hotel, 9, 2, status="held", hold_seconds=hold_seconds))
        self.payment = ""

    def pay(self) -> None:
        """Start the payment by the provider."""
        body = {"method": "simulated", "amount": {"amount": "200.00", "currency": "EUR"}, "token": "tok"}
        self.payment = self.gateway.post(f"{self.path}/folio/payments", body).headers["location"]

    def wait(self, **fields: Any) -> None:
        """Wait until the payment has these fields."""
        wait_until(lambda: fields.items() <= self.gateway.get(self.payment).json.items(), SECONDS_MAX)


def subscriber(gateway: Gateway, name: str) -> Any:
    return next(one for one in gateway.get("/v1/subscribers").json["data"] if one["name"] == name)


def dead_letters(gateway: Gateway) -> list[tuple[str, str]]:
    return [(one["subscriber"], one["hotel"]) for one in gateway.get("/v1/dead-letters").json["data"]]


def fail_at(monkeypatch: pytest.MonkeyPatch, actor: Any, kind: type[Command], names: set[str]) -> None:
    """Make these hotels fail at this kind of command."""
    decide: Callable[..., Any] = actor.decide

    def fail(state: Any, *asked: Any) -> Any:
        command = getattr(asked[0], "message", asked[0])
        if isinstance(command, kind) and command.hotel in names:
            raise ZeroDivisionError
        return decide(state, *asked)

    monkeypatch.setattr(actor, "decide", fail)


def test_a_hotel_that_fails_at_a_confirmation_leaves_the_paid_holds_of_others_alone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Guest(gateway), Guest(gateway)
    failing = {first.name}
    fail_at(monkeypatch, hotel, ConfirmBooking, failing)
    first.pay()
    first.wait(status="captured")
    second.pay()
    second.wait(hold="confirmed")
    assert dead_letters(gateway) == [("hold-payments", first.name)]
    assert subscriber(gateway, "hold-payments")["stalled"] is None
    failing.clear()
    first.wait(hold="confirmed")


def test_a_hold_of_which_billing_does_not_know_the_end_waits_alone_and_is_no_dead_letter(gateway: Gateway) -> None:
    first, second = Guest(gateway), Guest(gateway, 3 * HOUR)
    gateway.post("/v1/subscribers/hold-payments/actions/pause", {})
    for guest in (first, second):
        guest.pay()
        guest.wait(status="captured")
    gateway.post("/v1/subscribers/billing/actions/pause", {})
    gateway.advance_clock(HOUR + 60)
    wait_until(lambda: bool(gateway.get(first.path).json["status"] == "expired"), SECONDS_MAX)
    gateway.post("/v1/subscribers/hold-payments/actions/resume", {})
    wait_until(lambda: bool(gateway.get(second.path).json["status"] == "confirmed"), SECONDS_MAX)
    seen = subscriber(gateway, "hold-payments")
    assert (seen["stalled"], seen["parked"], dead_letters(gateway)) == (None, 0, [])
    gateway.post("/v1/subscribers/billing/actions/resume", {})
    first.wait(hold="paid_back")


def test_a_ledger_that_fails_at_an_answer_of_the_provider_becomes_a_dead_letter(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Guest(gateway, 24 * HOUR), Guest(gateway)
    failing = {first.name}
    fail_at(monkeypatch, ledger, SettlePayment, failing)
    first.pay()
    second.pay()
    second.wait(status="captured")

    def is_dead() -> bool:
        gateway.advance_clock(300)  # more than each pause between the attempts
        gateway.post("/v1/subscribers/providers/actions/resume", {})
        return dead_letters(gateway) == [("providers", first.name)]

    wait_until(is_dead, SECONDS_MAX)
    assert subscriber(gateway, "providers")["stalled"] is None
    failing.clear()
    (letter,) = gateway.get("/v1/dead-letters").json["data"]
    gateway.post(f"/v1/dead-letters/providers/{letter['event']}/actions/redrive", {})
    first.wait(hold="confirmed")


def test_a_bill_without_the_newest_events_is_not_shown(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused billing, or a ledger that fails at an event, neither shows an old bill nor issues an invoice of it."""
    first, second = Guest(gateway), Guest(gateway)
    gateway.post("/v1/subscribers/billing/actions/pause", {})
    gateway.act(first.hotel, gateway.get(first.path).json, "confirm")
    problem = assert_problem(gateway.get(f"{first.path}/folio"), 503, "unavailable")
    assert problem["detail"].startswith("billing has not handled all events of the hotel yet: it is paused;")
    failing = {first.name}
    fail_at(monkeypatch, ledger, ApplyReservationEvent, failing)
    gateway.post("/v1/subscribers/billing/actions/resume", {})
    wait_until(lambda: bool(subscriber(gateway, "billing")["parked"] == 1), SECONDS_MAX)
    for answer in (gateway.get(f"{first.path}/folio"), gateway.post(f"{first.path}/invoices", {"folio": 1})):
        assert_problem(answer, 503, "unavailable")
    assert gateway.get(f"{second.path}/folio").status == 200
    failing.clear()
    wait_until(lambda: gateway.get(f"{first.path}/folio").status == 200, SECONDS_MAX)
