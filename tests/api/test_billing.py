"""Billing over HTTP: charges, payments, invoices and credit notes. Bookings are made through the gateway, and billing
receives their events as in production."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.webhooks.signing import fresh_secret
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.partition_fixture import night
from support.payment_updates import UPDATE_PATH, payment_update
from support.waiting import wait_until

SECONDS_MAX = 60


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


class Guest:
    """A guest with a booking and its bill."""

    def __init__(self, gateway: Gateway, hotel: str, nights: int = 2, **more: Any) -> None:
        self.gateway = gateway
        self.hotel = hotel
        self.booking = gateway.book(hotel, 0, nights, **more)
        self.path = booking_path(hotel, self.booking)

    def bill(self) -> Any:
        """The bill of the booking."""
        return self.gateway.get(f"{self.path}/folio").json

    def post(self, path: str, **body: Any) -> HttpResponse:
        """POST below the path of the booking."""
        return self.gateway.post(f"{self.path}/{path}", body)

    def charge(self, amount: str = "10.00", **more: Any) -> Any:
        """Post a charge for the minibar; the bill."""
        body = {"charge": "minibar", "text": "Water", "amount": euros(amount)} | more
        return self.post("folio/charges", **body).json

    def pay(self, amount: str, **more: Any) -> Any:
        """Record a cash payment; the payment."""
        return self.post("folio/payments", **({"method": "cash", "amount": euros(amount)} | more)).json

    def complete_stay(self) -> None:
        """Check in, close the nights of the stay, and check out."""
        self.gateway.act(self.hotel, self.booking, "check-in")
        self.gateway.post(f"{self.hotel}/night-audit", {"to": self.booking["departure"]})
        self.gateway.act(self.hotel, self.booking, "check-out")


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def lines(bill: Any, folio: int = 1) -> list[tuple[str, str, str]]:
    return [(line["kind"], line["charge"] or line["text"], line["amount"]["amount"])
            for line in bill["folios"][folio - 1]["lines"]]  # fmt: skip


def test_a_new_booking_has_an_empty_folio(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    bill = guest.bill()
    assert (bill["booking"], bill["balance"], bill["charged"]) == (guest.booking["id"], euros("0.00"), euros("0.00"))
    assert [(folio["number"], folio["lines"]) for folio in bill["folios"]] == [(1, [])]
    assert bill["folios"][0]["buyer"]["name"] == guest.booking["guest"]["name"]


def test_each_night_audit_charges_a_night_and_a_payment_settles_the_bill(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel(), nights=2)
    gateway.act(guest.hotel, guest.booking, "check-in")
    gateway.post(f"{guest.hotel}/night-audit", {})
    assert guest.bill()["balance"] == euros("100.00")
    gateway.post(f"{guest.hotel}/night-audit", {})
    gateway.act(guest.hotel, guest.booking, "check-out")
    bill = guest.bill()
    assert lines(bill) == [("charge", "room", "100.00"), ("charge", "room", "100.00")]
    assert [line["night"] for line in bill["folios"][0]["lines"]] == [str(night(0)), str(night(1))]
    payment = guest.pay("200.00", method="terminal", reference="slip 7")
    assert (payment["status"], payment["captured"]) == ("captured", euros("200.00"))
    assert guest.bill()["balance"] == euros("0.00")
    wait_until(lambda: "innkeeper.booking.paid.v1" in billing_event_types(gateway), SECONDS_MAX)


def billing_event_types(gateway: Gateway) -> list[str]:
    return [event["type"] for event in gateway.list_all("/v1/events", log="billing", limit=200)]


def test_taxes_are_shown_on_each_line_and_on_the_invoice(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    taxes = [
        {"code": "VAT6", "name": "IVA 6 %", "applies_to": ["room"], "rate": "6", "included": True},
        {"code": "VAT23", "name": "IVA 23 %", "applies_to": ["minibar"], "rate": "23"},
        {"code": "CITY", "name": "Taxa turística", "applies_to": ["room"], "amount": euros("2.00")},
    ]
    assert gateway.send("PATCH", hotel, {"taxes": taxes}).status == 200
    reply = gateway.set_billing(hotel, invoice_prefix="FT-", credit_note_prefix="NC-")
    assert reply.json["seller"]["tax_number"] == "500000000"
    assert gateway.get(f"{hotel}/billing").json == reply.json
    guest = Guest(gateway, hotel, nights=1, adults=2)
    guest.complete_stay()
    guest.charge("10.00", quantity=2)
    bill = guest.bill()
    assert lines(bill) == [("charge", "room", "104.00"), ("charge", "minibar", "24.60")]
    room, bar = bill["folios"][0]["lines"]
    assert [(tax["code"], tax["amount"]["amount"]) for tax in room["taxes"]] == [("VAT6", "5.66"), ("CITY", "4.00")]
    assert [(tax["code"], tax["rate"], tax["amount"]["amount"]) for tax in bar["taxes"]] == [("VAT23", "23", "4.60")]
    issued = guest.post("invoices")
    assert (issued.status, issued.headers["location"]) == (201, f"{hotel}/invoices/{issued.json['number']}")
    invoice = issued.json
    assert (invoice["number"], invoice["total"], invoice["buyer"]["name"]) == ("FT-1", euros("128.60"), "Ann")
    assert sum(float(total["tax"]["amount"]) for total in invoice["totals"]) == pytest.approx(14.26)
    assert gateway.get(issued.headers["location"]).json == invoice
    html = gateway.get(f"{issued.headers['location']}?format=html")
    assert html.headers["content-type"].startswith("text/html")
    assert "FT-1" in html.body.decode()
    pdf = gateway.get(f"{issued.headers['location']}?format=pdf")
    assert (pdf.headers["content-type"], pdf.body[:5]) == ("application/pdf", b"%PDF-")


def test_a_credit_note_reverses_an_invoice_without_changing_it(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel(), nights=1)
    gateway.set_billing(guest.hotel)
    guest.complete_stay()
    invoice = guest.post("invoices").json
    assert_problem(guest.post("invoices"), 409, "not_allowed")
    invoices = f"{guest.hotel}/invoices"
    credit_note = gateway.post(f"{invoices}/{invoice['number']}/actions/credit", {"reason": "wrong name"})
    assert credit_note.status == 201
    assert (credit_note.json["kind"], credit_note.json["credits"]) == ("credit_note", invoice["number"])
    assert credit_note.json["total"]["amount"] == "-100.00"
    assert guest.bill()["balance"] == euros("0.00")
    assert_problem(
        gateway.post(f"{invoices}/{invoice['number']}/actions/credit", {"reason": "again"}), 409, "not_allowed"
    )
    listed = gateway.get(invoices).json["data"]
    assert [each["number"] for each in listed] == [invoice["number"], credit_note.json["number"]]
    number = credit_note.json["number"]
    assert listed[0] == invoice | {"credited_by": number, "credit_notes": [number], "version": listed[0]["version"]}
    assert gateway.get(f"{guest.path}/invoices").json["data"] == listed
    first = gateway.get(f"{invoices}?limit=1").json
    rest = gateway.get(f"{invoices}?limit=1&cursor={first['next_cursor']}").json
    assert (first["data"] + rest["data"], rest["next_cursor"]) == (listed, None)


def test_a_cancellation_fee_is_charged_and_reversed_on_reinstatement(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    gateway.act(guest.hotel, guest.booking, "cancel")
    assert lines(guest.bill()) == [("charge", "fee", "100.00")]
    gateway.act(guest.hotel, guest.booking, "reinstate")
    bill = guest.bill()
    assert lines(bill)[1] == ("reversal", "fee", "-100.00")
    assert bill["balance"] == euros("0.00")


def test_a_charge_can_be_reversed_split_and_transferred(gateway: Gateway) -> None:
    guest, friend = (Guest(gateway, hotel) for hotel in [gateway.open_hotel()] * 2)
    wrong_line = guest.charge("7.00")["folios"][0]["lines"][0]["id"]
    assert lines(guest.post(f"folio/charges/{wrong_line}/actions/reverse", reason="not his").json)[1][2] == "-7.00"
    assert_problem(guest.post(f"folio/charges/{wrong_line}/actions/reverse", reason="again"), 409, "not_allowed")
    dinner_line = guest.charge("30.00", charge="restaurant", text="Dinner")["folios"][0]["lines"][-1]["id"]
    bill = guest.post(f"folio/charges/{dinner_line}/actions/split", amount=euros("10.00")).json
    small, large = (line["id"] for line in bill["folios"][0]["lines"][-2:])
    bill = guest.post("folios", buyer={"name": "ACME", "address": ["1 Road"], "tax_number": "X1"}).json
    assert [folio["buyer"]["name"] for folio in bill["folios"]] == ["Ann", "ACME"]
    bill = guest.post("folio/actions/transfer", lines=[large], to_folio=2).json
    assert [folio["balance"]["amount"] for folio in bill["folios"]] == ["10.00", "20.00"]
    guest.post("folio/actions/transfer", lines=[small], to_booking=friend.booking["id"])
    assert guest.bill()["folios"][0]["balance"] == euros("0.00")
    assert friend.bill()["balance"] == euros("10.00")


def test_a_payment_is_refunded_in_parts_up_to_the_captured_amount(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    payment = guest.pay("50.00")
    path = f"{guest.hotel}/payments/{payment['id']}"
    assert gateway.get(path).json == payment
    refunded = gateway.post(f"{path}/actions/refund", {"amount": euros("20.00"), "reason": "too much"})
    assert (refunded.status, refunded.json["refunded"]) == (200, euros("20.00"))
    assert_problem(
        gateway.post(f"{path}/actions/refund", {"amount": euros("30.01")}), 422, "invalid", "amount", "captured_max"
    )
    assert gateway.post(f"{path}/actions/refund", {}).json["status"] == "refunded"
    assert guest.bill()["balance"] == euros("0.00")
    assert_problem(gateway.post(f"{path}/actions/capture", {}), 409, "not_allowed")


def test_the_same_idempotency_key_records_a_payment_once(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    body = {"method": "cash", "amount": euros("5.00")}
    path = f"{guest.path}/folio/payments"
    first, again = (gateway.post(path, body, headers={"Idempotency-Key": "till-1"}) for _ in range(2))
    assert (again.json, again.headers["idempotent-replayed"]) == (first.json, "true")
    other = {**body, "amount": euros("6.00")}
    assert_problem(gateway.post(path, other, headers={"Idempotency-Key": "till-1"}), 422, "idempotency_key_reused")
    assert guest.bill()["paid"] == euros("5.00")


def test_the_accounts_of_the_ledger_add_up_to_zero(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel(), nights=1)
    guest.complete_stay()
    guest.charge()
    guest.pay("60.00")
    ledger = gateway.get(f"{guest.hotel}/ledger").json
    accounts = {each["account"]: float(each["balance"]["amount"]) for each in ledger["accounts"]}
    assert sum(accounts.values()) == 0
    assert accounts["guest_ledger"] == float(ledger["guests"]["amount"]) == 50.0


def test_bills_invoices_and_events_survive_a_restart(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel(), nights=1)
    guest.complete_stay()
    guest.charge()
    guest.pay("60.00")
    guest.post("invoices")
    before = guest.bill(), gateway.get(f"{guest.hotel}/invoices").json, billing_event_types(gateway)
    gateway.restart()
    assert (guest.bill(), gateway.get(f"{guest.hotel}/invoices").json, billing_event_types(gateway)) == before


@pytest.mark.parametrize(
    ("path", "body", "status", "field", "rule"),
    [
        ("folio/charges", {"charge": "gold", "text": "x", "amount": euros("1.00")}, 422, "charge", "one_of"),
        ("folio/charges", {"charge": "spa", "text": "", "amount": euros("1.00")}, 422, "text", "length"),
        ("folio/charges", {"charge": "spa", "text": "x", "amount": {"amount": "1.00", "currency": "USD"}}, 422,
         "amount.currency", "currency"),
        ("folio/charges", {"charge": "spa", "text": "x", "amount": euros("-1.00")}, 422, "amount.amount", "decimal"),
        ("folio/charges", {"charge": "spa", "text": "x", "amount": euros("1.00"), "folio": 2}, 404, None, None),
        ("folio/charges/99/actions/reverse", {"reason": "x"}, 404, None, None),
        ("folio/charges/x/actions/reverse", {"reason": "x"}, 422, "line", "number"),
        ("folio/payments", {"method": "cash", "amount": euros("0.00")}, 422, "amount", "positive"),
        ("folio/payments", {"method": "cash", "amount": euros("1.00"), "capture": False}, 422, "method", "provider"),
        ("folio/payments", {"method": "barter", "amount": euros("1.00")}, 422, "method", "known"),
        ("invoices", {}, 409, None, None),
        ("invoices", {"folio": 0}, 422, "folio", "range"),
    ],
)  # fmt: skip
def test_an_invalid_billing_request_is_refused_and_changes_nothing(
    gateway: Gateway, path: str, body: dict[str, Any], status: int, field: str | None, rule: str | None
) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    before = guest.bill()
    assert_problem(guest.post(path, **body), status, None, field, rule)
    assert guest.bill() == before
    assert_problem(gateway.get(f"{guest.hotel}/bookings/nobody/folio"), 404, "not_found")
    assert_problem(gateway.get("/v1/hotels/nowhere/ledger"), 404, "not_found")


def start_payment(guest: Guest, **more: Any) -> str:
    """Start a payment of 80.00 EUR with the provider; its path."""
    reply = guest.post("folio/payments", **({"method": "simulated", "amount": euros("80.00")} | more))
    assert (reply.status, reply.json["status"]) == (201, "pending")
    return reply.headers["location"]


def wait_for_status(gateway: Gateway, payment: str, status: str) -> Any:
    """Wait until a payment has this status; the payment."""
    wait_until(lambda: gateway.get(payment).json["status"] == status, SECONDS_MAX)
    return gateway.get(payment).json


def test_a_provider_captures_a_payment_or_declines_it_with_a_reason(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    paid = wait_for_status(gateway, start_payment(guest), "captured")
    assert paid["reference"] == f"sim-{paid['id']}"
    assert guest.bill()["balance"] == euros("-80.00")
    declined = wait_for_status(gateway, start_payment(guest, token="decline"), "failed")
    assert (declined["reason"], declined["captured"]) == ("the bank declined", euros("0.00"))
    assert guest.bill()["balance"] == euros("-80.00")


def test_an_authorised_payment_is_captured_or_voided(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    captured, voided = start_payment(guest, capture=False), start_payment(guest, capture=False)
    for payment in (captured, voided):
        wait_for_status(gateway, payment, "authorised")
    assert guest.bill()["paid"] == euros("0.00")
    assert guest.bill()["reserved"] == euros("160.00")
    assert gateway.post(f"{captured}/actions/capture", {"amount": euros("70.00")}).status == 200
    assert gateway.post(f"{voided}/actions/void", {"reason": "paid in cash"}).status == 200
    assert wait_for_status(gateway, captured, "captured")["captured"] == euros("70.00")
    assert wait_for_status(gateway, voided, "voided")["reason"] == "paid in cash"
    assert (guest.bill()["paid"], guest.bill()["reserved"]) == (euros("70.00"), euros("0.00"))


def test_a_payment_update_needs_a_valid_signature_and_is_applied_once(gateway: Gateway, tmp_path: Path) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    payment = start_payment(guest, token="late")
    secret = (tmp_path / "simulated-provider.secret").read_text()
    now = datetime.fromtimestamp(gateway.clock() / 1e6, UTC)
    body, headers = payment_update(secret, payment, "captured", now)
    for wrong in (
        {**headers, "webhook-signature": "v1,AAAA"}, {}, {**headers, "webhook-timestamp": "1"},
        payment_update(fresh_secret(), payment, "captured", now)[1],
        payment_update(secret, payment, "captured", now - timedelta(minutes=6))[1],
    ):  # fmt: skip
        assert_problem(gateway.post(UPDATE_PATH, body, headers=wrong), 401, "bad_signature")
    assert_problem(gateway.post(UPDATE_PATH, body + b" ", headers=headers), 401, "bad_signature")
    assert gateway.get(payment).json["status"] == "pending"
    for _ in range(2):
        assert gateway.post(UPDATE_PATH, body, headers=headers).status == 200
    assert gateway.get(payment).json["reference"] == "bank-1"
    late_body, signed_headers = payment_update(secret, payment, "failed", now)
    assert gateway.post(UPDATE_PATH, late_body, headers=signed_headers).status == 200
    assert gateway.get(payment).json["status"] == "captured"
    assert guest.bill()["paid"] == euros("80.00")
    unknown_body, signed_headers = payment_update(secret, "/v1/hotels/nowhere/payments/nobody", "captured", now)
    assert_problem(gateway.post(UPDATE_PATH, unknown_body, headers=signed_headers), 404, "not_found")
    assert_problem(gateway.post("/v1/payment-providers/other/notifications", body, headers=headers), 404, "not_found")


def test_a_payment_is_captured_by_a_later_update_of_the_provider(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    payment = start_payment(guest, token="late-1")
    wait_for_status(gateway, payment, "captured")


def test_a_pending_payment_is_captured_once_after_a_restart(gateway: Gateway) -> None:
    guest = Guest(gateway, gateway.open_hotel())
    gateway.post("/v1/subscribers/payments/actions/pause", {})
    payment = start_payment(guest)
    gateway.restart()
    assert gateway.get(payment).json["status"] == "pending"
    gateway.post("/v1/subscribers/payments/actions/resume", {})
    wait_for_status(gateway, payment, "captured")
    assert guest.bill()["paid"] == euros("80.00")
