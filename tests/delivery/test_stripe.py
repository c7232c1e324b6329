"""Payments by Stripe over HTTP, against localstripe; disputes, which it does not have, by notifications of the test."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from innkeeper.delivery.integrations import IntegrationError, Integrations
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.localstripe_server import (
    CARD_3DS,
    CARD_DECLINED,
    KEY,
    SECRET,
    LocalStripe,
    localstripe,
    signed,
)
from support.waiting import wait_until

SECONDS_MAX = 60
NOTIFICATIONS = "/v1/payment-providers/stripe/notifications"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with localstripe() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: LocalStripe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests."""
    options = {"stripe_key": KEY, "stripe_webhook_secret": SECRET, "stripe_url": server.url}
    with running_gateway(tmp_path_factory.mktemp("stripe"), **options) as opened:
        yield opened


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


class Guest:
    """A guest with a booking, who pays by Stripe."""

    def __init__(self, gateway: Gateway, server: LocalStripe) -> None:
        self.gateway = gateway
        self.server = server
        self.hotel = gateway.open_hotel()
        self.path = booking_path(self.hotel, gateway.book(self.hotel, 9, 2))

    def pay(self, token: str, **more: Any) -> str:
        """Start a payment of 100.00; its path."""
        body = {"method": "stripe", "amount": euros("100.00"), "token": token} | more
        return str(self.gateway.post(f"{self.path}/folio/payments", body).headers["location"])

    def wait(self, payment: str, **fields: Any) -> Any:
        """Wait until a payment has these fields; the payment."""
        wait_until(lambda: fields.items() <= self.gateway.get(payment).json.items(), SECONDS_MAX)
        return self.gateway.get(payment).json

    def paid(self) -> Any:
        return self.gateway.get(f"{self.path}/folio").json["paid"]

    def notify(self, kind: str, resource: dict[str, Any], **event: Any) -> Any:
        """Stripe reports something, twice; the reply."""
        at = self.gateway.clock() // 1_000_000
        body, headers = signed({"id": "evt_1", "type": kind, "data": {"object": resource}} | event, at)
        replies = [self.gateway.post(NOTIFICATIONS, body, headers=headers) for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 200], replies
        return replies[0].json


@pytest.fixture
def guest(gateway: Gateway, server: LocalStripe) -> Guest:
    return Guest(gateway, server)


def test_a_card_pays_and_is_refunded_in_parts(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card())
    paid = guest.wait(payment, status="captured")
    assert (paid["captured"], guest.paid()) == (euros("100.00"), euros("100.00"))
    guest.gateway.post(f"{payment}/actions/refund", {"amount": euros("30.00")})
    guest.wait(payment, refunded=euros("30.00"))
    assert (guest.paid(), server.moved(paid["reference"])) == (euros("70.00"), 7_000)


def test_a_declined_card_pays_nothing(guest: Guest, server: LocalStripe) -> None:
    failed = guest.wait(guest.pay(server.card(CARD_DECLINED)), status="failed")
    assert (failed["code"], failed["reason"]) == ("declined", "Your card was declined.")
    assert guest.paid() == euros("0.00")


def test_a_reserved_amount_is_captured_in_part(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card(), capture=False)
    assert guest.wait(payment, status="authorised")["expires_at"] is not None
    guest.gateway.post(f"{payment}/actions/capture", {"amount": euros("60.00")})
    captured = guest.wait(payment, status="captured")
    assert (captured["captured"], server.moved(captured["reference"])) == (euros("60.00"), 6_000)


def test_a_cancellation_lets_go_of_the_reserved_amount(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card(), capture=False)
    reference = guest.wait(payment, status="authorised")["reference"]
    guest.gateway.post(f"{guest.path}/actions/cancel", {})
    guest.wait(payment, status="voided")
    assert server.ask(f"/v1/payment_intents/{reference}")["status"] == "canceled"


def test_3d_secure_is_shown_with_what_the_client_needs_and_goes_on(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card(CARD_3DS))
    wait_until(lambda: guest.gateway.get(payment).json["next_action"] is not None, SECONDS_MAX)
    shown = guest.gateway.get(payment).json
    assert shown["status"] == "pending"
    intent = f"/v1/payment_intents/{shown['reference']}"
    server.ask(f"{intent}/_authenticate", client_secret=shown["next_action"]["client_secret"], success="true")
    guest.notify("payment_intent.succeeded", server.ask(intent))
    paid = guest.wait(payment, status="captured")
    assert (paid["next_action"], guest.paid()) == (None, euros("100.00"))


def test_a_dispute_takes_the_money_until_it_is_won(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card())
    reference = guest.wait(payment, status="captured")["reference"]
    dispute = {
        "id": "dp_1", "payment_intent": reference, "amount": 10_000, "currency": "eur", "reason": "fraudulent",
        "status": "needs_response", "metadata": {},
    }  # fmt: skip
    guest.notify("charge.dispute.created", dispute)
    assert (guest.gateway.get(payment).json["charged_back"], guest.paid()) == (euros("100.00"), euros("0.00"))
    guest.notify("charge.dispute.closed", dispute | {"status": "won"})
    guest.notify("charge.dispute.funds_reinstated", dispute | {"status": "won"})
    assert guest.gateway.get(payment).json["chargebacks"][0]["status"] == "won"
    assert guest.paid() == euros("100.00")
    inquiry = dispute | {"id": "dp_2", "status": "warning_needs_response"}
    assert guest.notify("charge.dispute.created", inquiry) == {"updates": []}


def test_a_lost_dispute_keeps_the_money_away(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card())
    reference = guest.wait(payment, status="captured")["reference"]
    dispute = {
        "id": "dp_3", "payment_intent": reference, "amount": 10_000, "currency": "eur", "reason": "general",
        "status": "lost", "metadata": {},
    }  # fmt: skip
    guest.notify("charge.dispute.closed", dispute)
    guest.notify("charge.dispute.created", dispute | {"status": "needs_response"})
    assert guest.gateway.get(payment).json["chargebacks"][0]["status"] == "lost"
    assert guest.paid() == euros("0.00")


def test_a_first_card_that_was_declined_before_the_capture_is_no_return_however_late_it_is_reported(
    guest: Guest, server: LocalStripe
) -> None:
    """Stripe's clock alone says what came first: the clock of the gateway is months away from it."""
    payment = guest.pay(server.card(), capture=False)
    reference = guest.wait(payment, status="authorised")["reference"]
    guest.gateway.post(f"{payment}/actions/capture", {})
    guest.wait(payment, status="captured")
    error = {"status": "requires_payment_method", "last_payment_error": {"message": "Your card was declined."}}
    failed = server.ask(f"/v1/payment_intents/{reference}") | error
    charged_at = server.charge(reference)["created"]
    guest.notify("payment_intent.payment_failed", failed, created=charged_at - 1)
    assert (guest.gateway.get(payment).json["status"], guest.paid()) == ("captured", euros("100.00"))
    guest.notify("payment_intent.payment_failed", failed, created=charged_at + 1)
    assert (guest.gateway.get(payment).json["status"], guest.paid()) == ("returned", euros("0.00"))


def test_a_card_that_was_declined_at_the_start_takes_nothing_from_the_next_one(
    guest: Guest, server: LocalStripe
) -> None:
    """The clock of the gateway is a minute ahead of Stripe's."""
    payment = guest.pay(server.card(CARD_DECLINED))
    guest.wait(payment, status="failed")
    (intent,) = server.intents(payment.rsplit("/", 1)[1])
    paid = intent | {"status": "succeeded", "amount_received": 10_000}
    guest.notify("payment_intent.succeeded", paid, created=guest.gateway.clock() // 1_000_000 - 60)
    assert (guest.gateway.get(payment).json["status"], guest.paid()) == ("captured", euros("100.00"))


def test_a_refund_made_at_stripe_counts_once(guest: Guest, server: LocalStripe) -> None:
    payment = guest.pay(server.card())
    reference = guest.wait(payment, status="captured")["reference"]
    refund = server.ask("/v1/refunds", payment_intent=reference, amount=2_500)
    guest.notify("refund.created", refund)
    guest.notify("charge.refund.updated", refund)
    assert (guest.gateway.get(payment).json["refunded"], guest.paid()) == (euros("25.00"), euros("75.00"))


def test_a_refund_that_fails_after_it_had_succeeded_is_booked_back(guest: Guest, server: LocalStripe) -> None:
    """As when the card was closed meanwhile: Stripe has the money again, and reports it by both of its events."""
    payment = guest.pay(server.card())
    reference = guest.wait(payment, status="captured")["reference"]
    guest.gateway.post(f"{payment}/actions/refund", {})
    guest.wait(payment, status="refunded")
    made = server.ask(f"/v1/refunds?payment_intent={reference}")["data"][0]
    failed = made | {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    for kind, refund in (
        ("refund.failed", failed), ("charge.refund.updated", failed), ("refund.updated", made), ("refund.created", made)
    ):  # fmt: skip
        guest.notify(kind, refund)
    shown = guest.gateway.get(payment).json
    assert (shown["status"], shown["refunded"], guest.paid()) == ("captured", euros("0.00"), euros("100.00"))
    (operation,) = shown["operations"]
    assert (operation["status"], operation["reason"]) == ("refused", "expired_or_canceled_card")


def test_what_is_of_no_payment_here_reports_nothing(guest: Guest) -> None:
    foreign = {"id": "pi_1", "status": "succeeded", "amount": 100, "currency": "eur", "metadata": {}}
    assert guest.notify("payment_intent.succeeded", foreign) == {"updates": []}
    other = {"innkeeper_installation": "other", "innkeeper_hotel": "seaside", "innkeeper_payment": "p-1"}
    assert guest.notify("payment_intent.succeeded", foreign | {"metadata": other}) == {"updates": []}
    assert guest.notify("customer.created", {"id": "cus_1"}) == {"updates": []}


def test_a_notification_needs_the_signature_of_the_account(gateway: Gateway) -> None:
    at = gateway.clock() // 1_000_000
    event = {"type": "payment_intent.succeeded", "data": {"object": {"metadata": {}}}}
    body, headers = signed(event, at)
    assert gateway.post(NOTIFICATIONS, body, headers=headers).status == 200
    for wrong in ({}, signed(event, at, "whsec_other")[1], signed(event, at - 301)[1]):
        assert_problem(gateway.post(NOTIFICATIONS, signed(event, at - 301)[0], headers=wrong), 401, "bad_signature")
    assert_problem(gateway.post(NOTIFICATIONS, body + b" ", headers=headers), 401, "bad_signature")


@pytest.mark.parametrize("more", ["t={now}", "t", "t={now},v1=0"])
def test_a_notification_that_is_older_cannot_be_passed_off_as_new(gateway: Gateway, more: str) -> None:
    now = gateway.clock() // 1_000_000
    event = {"type": "payment_intent.succeeded", "data": {"object": {"metadata": {}}}}
    body, headers = signed(event, now - 3_600)
    old = headers["stripe-signature"]
    for header in (f"{old},{more.format(now=now)}", f"{more.format(now=now)},{old}"):
        assert_problem(gateway.post(NOTIFICATIONS, body, headers={"stripe-signature": header}), 401, "bad_signature")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"stripe_key": "pk_test_1", "stripe_webhook_secret": SECRET}, "expected a secret key"),
        ({"stripe_key": KEY}, "--stripe-webhook-secret is missing"),
        ({"stripe_webhook_secret": SECRET}, "the secret key of the account is missing"),
        ({"stripe_key": KEY, "stripe_webhook_secret": SECRET, "stripe_url": "http://stripe.example"}, "https://"),
    ],
)
def test_an_account_that_is_not_given_whole_refuses_the_start(
    given: dict[str, str], problem: str, tmp_path: Path
) -> None:

    with pytest.raises(IntegrationError, match=problem):
        Integrations.from_options(SimpleNamespace(**given))
