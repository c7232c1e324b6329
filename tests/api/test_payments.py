"""Payments by a provider over HTTP: what it refuses has not happened, what is reserved is let go, and what it reports
by itself counts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.payment_updates import UPDATE_PATH, payment_update
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


class Guest:
    """A guest with a booking of 200.00 or more, and what the guest pays by a provider."""

    def __init__(self, gateway: Gateway, arrival: int = 9, **more: Any) -> None:
        self.gateway = gateway
        self.hotel = gateway.open_hotel()
        self.booking = gateway.book(self.hotel, arrival, 2, **more)
        self.path = booking_path(self.hotel, self.booking)

    def pay(self, amount: str = "100.00", status: str = "captured", **more: Any) -> str:
        """Pay by the provider; the path of the payment once it has this status."""
        body = {"method": "simulated", "amount": euros(amount)} | more
        path = self.gateway.post(f"{self.path}/folio/payments", body).headers["location"]
        self.wait(path, status=status)
        return path

    def wait(self, payment: str, **fields: Any) -> Any:
        """Wait until a payment has these fields; the payment."""
        wait_until(lambda: fields.items() <= self.gateway.get(payment).json.items(), SECONDS_MAX)
        return self.gateway.get(payment).json

    def answered(self, payment: str) -> Any:
        """The payment once the provider has answered everything."""
        wait_until(
            lambda: all(one["status"] != "pending" for one in self.gateway.get(payment).json["operations"]), SECONDS_MAX
        )
        return self.gateway.get(payment).json

    def bill(self) -> Any:
        """The bill of the booking."""
        return self.gateway.get(f"{self.path}/folio").json


def billing_events(gateway: Gateway, name: str) -> list[Any]:
    return [
        event["data"]
        for event in gateway.list_all("/v1/events", log="billing", limit=200)
        if event["type"] == f"innkeeper.payment.{name}.v1"
    ]


def test_a_refund_that_the_provider_refuses_is_shown_and_never_counts(gateway: Gateway) -> None:
    guest = Guest(gateway)
    payment = guest.pay(token="refuse-refund")
    asked = gateway.post(f"{payment}/actions/refund", {"amount": euros("40.00"), "reason": "too loud"})
    assert (asked.status, asked.json["refunded"]) == (200, euros("0.00"))
    refused = guest.answered(payment)
    assert (refused["status"], refused["refunded"], refused["refund_pending"]) == (
        "captured", euros("0.00"), euros("0.00"),
    )  # fmt: skip
    assert refused["operations"] == [
        {"number": 1, "action": "refund", "amount": euros("40.00"), "status": "refused", "code": "declined",
         "reason": "the bank declined"}
    ]  # fmt: skip
    assert guest.bill()["paid"] == euros("100.00")
    assert [event["code"] for event in billing_events(gateway, "operation_refused")] == ["declined"]
    assert billing_events(gateway, "refunded") == []
    assert gateway.get("/v1/dead-letters").json["data"] == []
    other = guest.pay("50.00")
    gateway.post(f"{other}/actions/refund", {})
    assert guest.wait(other, status="refunded")["refunded"] == euros("50.00")


@pytest.mark.parametrize(
    ("token", "status", "code"), [("refuse-capture", "authorised", "declined"), ("expire", "failed", "expired")]
)
def test_a_capture_that_the_provider_refuses_is_not_money(gateway: Gateway, token: str, status: str, code: str) -> None:
    guest = Guest(gateway)
    payment = guest.pay(status="authorised", capture=False, token=token)
    asked = gateway.post(f"{payment}/actions/capture", {"amount": euros("90.00")})
    assert (asked.status, asked.json["captured"]) == (200, euros("0.00"))
    refused = guest.answered(payment)
    assert (refused["status"], refused["captured"], refused["operations"][0]["code"]) == (status, euros("0.00"), code)
    assert guest.bill()["paid"] == euros("0.00")


def test_while_the_provider_is_silent_an_operation_is_pending_and_other_guests_pay(gateway: Gateway) -> None:
    guest = Guest(gateway)
    payment = guest.pay(status="authorised", capture=False)
    gateway.post("/v1/subscribers/providers/actions/pause", {})
    pending = gateway.post(f"{payment}/actions/capture", {}).json
    assert (pending["status"], [one["status"] for one in pending["operations"]]) == ("authorised", ["pending"])
    problem = assert_problem(gateway.post(f"{payment}/actions/void", {}), 409, "not_allowed")
    assert problem["detail"] == "the payment is authorised; it waits for the provider to answer a capture"
    assert gateway.post(f"{guest.path}/folio/payments", {"method": "cash", "amount": euros("1.00")}).status == 201
    gateway.restart()
    gateway.post("/v1/subscribers/providers/actions/resume", {})
    assert guest.wait(payment, status="captured")["captured"] == euros("100.00")


def test_an_operation_whose_answer_was_lost_is_carried_out_once(gateway: Gateway) -> None:
    guest = Guest(gateway)
    payment = guest.pay(token="lost")
    gateway.post(f"{payment}/actions/refund", {"amount": euros("40.00")})
    assert guest.wait(payment, refunded=euros("40.00"))["operations"][0]["status"] == "done"
    assert len(billing_events(gateway, "refunded")) == 1
    assert guest.bill()["paid"] == euros("60.00")


def test_a_free_cancellation_lets_go_of_what_is_reserved(gateway: Gateway) -> None:
    guest = Guest(gateway)
    payment = guest.pay("150.00", status="authorised", capture=False)
    shown = gateway.get(payment).json
    assert datetime.fromisoformat(shown["expires_at"]) > datetime.fromisoformat(shown["started_at"])
    assert guest.bill()["reserved"] == euros("150.00")
    gateway.act(guest.hotel, guest.booking, "cancel")
    voided = guest.wait(payment, status="voided")
    assert (voided["reason"], voided["expires_at"]) == ("nothing is owed any more", None)
    assert guest.bill()["reserved"] == euros("0.00")


def test_a_check_out_with_a_balance_shows_what_is_reserved_until_it_is_settled(gateway: Gateway) -> None:
    guest = Guest(gateway, arrival=0)
    payment = guest.pay("150.00", status="authorised", capture=False)
    gateway.act(guest.hotel, guest.booking, "check-in")
    gateway.post(f"{guest.hotel}/night-audit", {"to": guest.booking["departure"]})
    gateway.act(guest.hotel, guest.booking, "check-out")
    assert (guest.bill()["balance"], guest.bill()["reserved"]) == (euros("200.00"), euros("150.00"))
    assert gateway.get(payment).json["status"] == "authorised"
    gateway.post(f"{guest.path}/folio/payments", {"method": "cash", "amount": euros("200.00")})
    guest.wait(payment, status="voided")


def notify(gateway: Gateway, folder: Path, payment: str, outcome: str, **more: Any) -> None:
    """The provider reports something about a payment, twice."""
    secret = (folder / "simulated-provider.secret").read_text()
    at = datetime.fromtimestamp(gateway.clock() / 1e6, UTC)
    body, headers = payment_update(secret, payment, outcome, at, **more)
    for _ in range(2):
        assert gateway.post(UPDATE_PATH, body, headers=headers).status == 200


def test_what_the_provider_reports_by_itself_is_in_the_balance_once(gateway: Gateway, tmp_path: Path) -> None:
    guest = Guest(gateway)
    payment = guest.pay("100.00")
    notify(gateway, tmp_path, payment, "refunded", amount=euros("30.00"), id="re-1")
    assert (gateway.get(payment).json["refunded"], guest.bill()["paid"]) == (euros("30.00"), euros("70.00"))
    notify(gateway, tmp_path, payment, "chargeback_opened", amount=euros("70.00"), id="dp-1", reason="fraudulent")
    assert (gateway.get(payment).json["charged_back"], guest.bill()["paid"]) == (euros("70.00"), euros("0.00"))
    notify(gateway, tmp_path, payment, "chargeback_won", amount=euros("70.00"), id="dp-1")
    shown = gateway.get(payment).json
    assert shown["chargebacks"] == [
        {"id": "dp-1", "amount": euros("70.00"), "status": "won", "reason": "fraudulent"}
    ]  # fmt: skip
    assert (shown["charged_back"], guest.bill()["paid"]) == (euros("0.00"), euros("70.00"))
    notify(gateway, tmp_path, payment, "returned", amount=euros("100.00"), id="rt-1")
    assert (gateway.get(payment).json["status"], guest.bill()["paid"]) == ("returned", euros("-30.00"))


def test_a_refund_that_did_not_reach_the_guest_is_owed_again(gateway: Gateway) -> None:
    """The deposit of a cancelled booking: the front desk finds it among the open balances until it is paid out."""
    guest = Guest(gateway, 30)
    payment = guest.pay(token="bounce-1")
    guest.gateway.post(f"{guest.path}/actions/cancel", {})
    guest.gateway.post(f"{payment}/actions/refund", {})
    back = guest.wait(payment, status="captured", reason="the account is closed")
    assert (back["refunded"], guest.bill()["balance"]) == (euros("0.00"), euros("-100.00"))
    assert [(one["status"], one["code"]) for one in back["operations"]] == [("refused", "declined")]
    (owed,) = gateway.get(f"{guest.hotel}/open-balances", balance="owed_to_guest").json["data"]
    assert (owed["booking"], owed["balance"]) == (guest.booking["id"], euros("-100.00"))
    kinds = [line["kind"] for line in guest.bill()["folios"][0]["lines"]]
    assert kinds == ["payment", "refund", "payment"]


def test_a_reference_that_would_be_dropped_is_refused(gateway: Gateway) -> None:
    """A provider gives its own one: of a payment, a capture and a refund."""
    guest = Guest(gateway)
    start = {"method": "simulated", "amount": euros("100.00"), "reference": "slip 9"}
    payment = guest.pay(status="authorised", capture=False)
    for path, body, rule in (
        (f"{guest.path}/folio/payments", start, "manual"),
        (f"{payment}/actions/capture", {"reference": "slip 9"}, "unknown"),
    ):
        problem = assert_problem(gateway.post(path, body), 422, "invalid")
        assert [(one["field"], one["rule"]) for one in problem["errors"]] == [("reference", rule)]
    gateway.post(f"{payment}/actions/capture", {})
    guest.wait(payment, status="captured")
    problem = assert_problem(gateway.post(f"{payment}/actions/refund", {"reference": "slip 9"}), 422, "invalid")
    assert [(one["field"], one["rule"]) for one in problem["errors"]] == [("reference", "manual")]
    assert gateway.get(payment).json["operations"][1:] == []


def test_the_reference_of_a_refund_by_hand_is_recorded(gateway: Gateway) -> None:
    guest = Guest(gateway)
    body = {"method": "transfer", "amount": euros("100.00"), "reference": "slip 1"}
    paid = gateway.post(f"{guest.path}/folio/payments", body).headers["location"]
    assert gateway.post(f"{paid}/actions/refund", {"reference": "slip 2"}).status == 200
    assert [event["reference"] for event in billing_events(gateway, "refunded")] == ["slip 2"]


def test_a_return_is_booked_by_hand(gateway: Gateway) -> None:
    guest = Guest(gateway)
    body = {"method": "transfer", "amount": euros("100.00")}
    paid = gateway.post(f"{guest.path}/folio/payments", body).headers["location"]
    back = gateway.post(f"{paid}/actions/return", {"reason": "no such account", "reference": "slip 9"})
    assert (back.status, back.json["status"], back.json["returned"]) == (200, "returned", euros("100.00"))
    assert guest.bill()["paid"] == euros("0.00")
    assert_problem(gateway.post(f"{paid}/actions/return", {}), 409, "not_allowed")
    assert [line["kind"] for line in guest.bill()["folios"][0]["lines"]] == ["payment", "return"]


def test_a_guest_who_has_to_confirm_a_payment_is_shown_how(gateway: Gateway) -> None:
    guest = Guest(gateway)
    body = {"method": "simulated", "amount": euros("100.00"), "token": "action"}
    payment = gateway.post(f"{guest.path}/folio/payments", body).headers["location"]
    wait_until(lambda: gateway.get(payment).json["next_action"] is not None, SECONDS_MAX)
    shown = gateway.get(payment).json
    assert (shown["status"], shown["next_action"]["url"]) == ("pending", f"https://bank.example/{shown['id']}")
