"""Billing over HTTP: what a stay costs, who pays, and what is on paper at the end. The guest's booking goes through the
real desk; billing hears of it as it always does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.webhooks.signing import fresh_secret
from support.gateway import Gateway, HttpResponse, assert_problem, gateway, path_of
from support.partition_fixture import night
from support.payment_updates import NEWS_PATH, payment_update
from support.waiting import wait_until

SECONDS_MAX = 20


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    """A front desk of its own."""
    with gateway(tmp_path) as opened:
        yield opened


class Guest:
    """A booking and its bill."""

    def __init__(self, front: Gateway, hotel: str, nights: int = 2, **more: Any) -> None:
        self.front = front
        self.hotel = hotel
        self.booking = front.book(hotel, 0, nights, **more)
        self.path = path_of(hotel, self.booking)

    def bill(self) -> Any:
        """What the booking owes."""
        return self.front.get(f"{self.path}/folio").json

    def say(self, path: str, **body: Any) -> HttpResponse:
        """POST something about the bill."""
        return self.front.post(f"{self.path}/{path}", body)

    def charge(self, amount: str = "10.00", **more: Any) -> Any:
        """Something from the bar."""
        body = {"charge": "minibar", "text": "Water", "amount": euros(amount)} | more
        return self.say("folio/charges", **body).json

    def pay(self, amount: str, **more: Any) -> Any:
        """Pay at the desk."""
        return self.say("folio/payments", **({"method": "cash", "amount": euros(amount)} | more)).json

    def sleep(self) -> None:
        """Arrive, stay to the end, and leave."""
        self.front.act(self.hotel, self.booking, "check-in")
        self.front.post(f"{self.hotel}/night-audit", {"to": self.booking["departure"]})
        self.front.act(self.hotel, self.booking, "check-out")


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def lines(bill: Any, folio: int = 1) -> list[tuple[str, str, str]]:
    return [(line["kind"], line["charge"] or line["text"], line["amount"]["amount"])
            for line in bill["folios"][folio - 1]["lines"]]  # fmt: skip


def test_who_books_has_a_folio_at_once(front: Gateway) -> None:
    guest = Guest(front, front.open())
    bill = guest.bill()
    assert (bill["booking"], bill["balance"], bill["charged"]) == (guest.booking["id"], euros("0.00"), euros("0.00"))
    assert [(folio["number"], folio["lines"]) for folio in bill["folios"]] == [(1, [])]
    assert bill["folios"][0]["buyer"]["name"] == guest.booking["guest"]["name"]


def test_the_nights_are_charged_as_they_are_slept_and_paid_at_the_end(front: Gateway) -> None:
    guest = Guest(front, front.open(), nights=2)
    front.act(guest.hotel, guest.booking, "check-in")
    front.post(f"{guest.hotel}/night-audit", {})
    assert guest.bill()["balance"] == euros("100.00")
    front.post(f"{guest.hotel}/night-audit", {})
    front.act(guest.hotel, guest.booking, "check-out")
    bill = guest.bill()
    assert lines(bill) == [("charge", "room", "100.00"), ("charge", "room", "100.00")]
    assert [line["night"] for line in bill["folios"][0]["lines"]] == [str(night(0)), str(night(1))]
    payment = guest.pay("200.00", method="terminal", reference="slip 7")
    assert (payment["status"], payment["captured"]) == ("captured", euros("200.00"))
    assert guest.bill()["balance"] == euros("0.00")
    wait_until(lambda: "innkeeper.booking.paid.v1" in types(front), SECONDS_MAX)


def types(front: Gateway) -> list[str]:
    return [event["type"] for event in front.entries("/v1/events", log="billing", limit=200)]


def test_taxes_stand_on_each_line_and_on_the_invoice(front: Gateway) -> None:
    hotel = front.open()
    terms = {
        "seller": {"name": "Seaside Lda", "address": ["Rua do Mar 1", "8000-001 Faro"], "tax_number": "PT500000000"},
        "taxes": [
            {"code": "VAT6", "name": "IVA 6 %", "applies_to": ["room"], "rate": "6", "included": True},
            {"code": "VAT23", "name": "IVA 23 %", "applies_to": ["minibar"], "rate": "23"},
            {"code": "CITY", "name": "Taxa turística", "applies_to": ["room"], "per_night": euros("2.00")},
        ],
        "invoice_prefix": "FT-", "credit_note_prefix": "NC-",
    }  # fmt: skip
    reply = front.send("PUT", f"{hotel}/billing", terms)
    assert (reply.status, reply.json["seller"]["tax_number"]) == (200, "PT500000000")
    assert front.get(f"{hotel}/billing").json == reply.json
    guest = Guest(front, hotel, nights=1, adults=2)
    guest.sleep()
    guest.charge("10.00", quantity=2)
    bill = guest.bill()
    assert lines(bill) == [("charge", "room", "104.00"), ("charge", "minibar", "24.60")]
    room, bar = bill["folios"][0]["lines"]
    assert [(tax["code"], tax["amount"]["amount"]) for tax in room["taxes"]] == [("VAT6", "5.66"), ("CITY", "4.00")]
    assert [(tax["code"], tax["rate"], tax["amount"]["amount"]) for tax in bar["taxes"]] == [("VAT23", "23", "4.60")]
    issued = guest.say("invoices")
    assert (issued.status, issued.headers["location"]) == (201, f"{hotel}/invoices/{issued.json['number']}")
    invoice = issued.json
    assert (invoice["number"], invoice["total"], invoice["buyer"]["name"]) == ("FT-1", euros("128.60"), "Ann")
    assert sum(float(total["tax"]["amount"]) for total in invoice["totals"]) == pytest.approx(14.26)
    assert front.get(issued.headers["location"]).json == invoice
    html = front.get(f"{issued.headers['location']}?format=html")
    assert html.headers["content-type"].startswith("text/html")
    assert "FT-1" in html.body.decode()
    pdf = front.get(f"{issued.headers['location']}?format=pdf")
    assert (pdf.headers["content-type"], pdf.body[:5]) == ("application/pdf", b"%PDF-")


def test_an_invoice_is_taken_back_by_a_credit_note_and_never_changed(front: Gateway) -> None:
    guest = Guest(front, front.open(), nights=1)
    guest.sleep()
    invoice = guest.say("invoices").json
    assert_problem(guest.say("invoices"), 409, "not_allowed")
    path = f"{guest.hotel}/invoices"
    note = front.post(f"{path}/{invoice['number']}/actions/credit", {"reason": "wrong name"})
    assert note.status == 201
    assert (note.json["kind"], note.json["credits"]) == ("credit_note", invoice["number"])
    assert note.json["total"]["amount"] == "-100.00"
    assert guest.bill()["balance"] == euros("0.00")
    assert_problem(front.post(f"{path}/{invoice['number']}/actions/credit", {"reason": "again"}), 409, "not_allowed")
    listed = front.get(path).json["data"]
    assert [one["number"] for one in listed] == [invoice["number"], note.json["number"]]
    assert listed[0] == {**invoice, "credited_by": note.json["number"]} | {"lines": listed[0]["lines"]}
    assert front.get(f"{guest.path}/invoices").json["data"] == listed
    first = front.get(f"{path}?limit=1").json
    rest = front.get(f"{path}?limit=1&cursor={first['next_cursor']}").json
    assert (first["data"] + rest["data"], rest["next_cursor"]) == (listed, None)


def test_a_late_cancellation_is_charged_and_forgiven_when_the_guest_comes_after_all(front: Gateway) -> None:
    guest = Guest(front, front.open())
    front.act(guest.hotel, guest.booking, "cancel")
    assert lines(guest.bill()) == [("charge", "fee", "100.00")]
    front.act(guest.hotel, guest.booking, "reinstate")
    bill = guest.bill()
    assert lines(bill)[1] == ("reversal", "fee", "-100.00")
    assert bill["balance"] == euros("0.00")


def test_a_charge_is_reversed_split_and_moved_to_who_else_pays(front: Gateway) -> None:
    guest, friend = (Guest(front, hotel) for hotel in [front.open()] * 2)
    wrong = guest.charge("7.00")["folios"][0]["lines"][0]["id"]
    assert lines(guest.say(f"folio/charges/{wrong}/actions/reverse", reason="not his").json)[1][2] == "-7.00"
    assert_problem(guest.say(f"folio/charges/{wrong}/actions/reverse", reason="again"), 409, "not_allowed")
    dinner = guest.charge("30.00", charge="restaurant", text="Dinner")["folios"][0]["lines"][-1]["id"]
    bill = guest.say(f"folio/charges/{dinner}/actions/split", amount=euros("10.00")).json
    small, large = (line["id"] for line in bill["folios"][0]["lines"][-2:])
    bill = guest.say("folios", buyer={"name": "ACME", "address": ["1 Road"], "tax_number": "X1"}).json
    assert [folio["buyer"]["name"] for folio in bill["folios"]] == ["Ann", "ACME"]
    bill = guest.say("folio/actions/transfer", lines=[large], to_folio=2).json
    assert [folio["balance"]["amount"] for folio in bill["folios"]] == ["10.00", "20.00"]
    guest.say("folio/actions/transfer", lines=[small], to_booking=friend.booking["id"])
    assert guest.bill()["folios"][0]["balance"] == euros("0.00")
    assert friend.bill()["balance"] == euros("10.00")


def test_a_payment_goes_back_in_parts_and_never_more_than_came(front: Gateway) -> None:
    guest = Guest(front, front.open())
    payment = guest.pay("50.00")
    path = f"{guest.hotel}/payments/{payment['id']}"
    assert front.get(path).json == payment
    refunded = front.post(f"{path}/actions/refund", {"amount": euros("20.00"), "reason": "too much"})
    assert (refunded.status, refunded.json["refunded"]) == (200, euros("20.00"))
    assert_problem(
        front.post(f"{path}/actions/refund", {"amount": euros("30.01")}), 422, "invalid", "amount", "captured_max"
    )
    assert front.post(f"{path}/actions/refund", {}).json["status"] == "refunded"
    assert guest.bill()["balance"] == euros("0.00")
    assert_problem(front.post(f"{path}/actions/capture", {}), 409, "not_allowed")


def test_the_same_key_charges_and_pays_once(front: Gateway) -> None:
    guest = Guest(front, front.open())
    body = {"method": "cash", "amount": euros("5.00")}
    path = f"{guest.path}/folio/payments"
    first, again = (front.post(path, body, headers={"Idempotency-Key": "till-1"}) for _ in range(2))
    assert (again.json, again.headers["idempotent-replayed"]) == (first.json, "true")
    other = {**body, "amount": euros("6.00")}
    assert_problem(front.post(path, other, headers={"Idempotency-Key": "till-1"}), 422, "idempotency_key_reused")
    assert guest.bill()["paid"] == euros("5.00")


def test_the_accounts_add_up_to_zero(front: Gateway) -> None:
    guest = Guest(front, front.open(), nights=1)
    guest.sleep()
    guest.charge()
    guest.pay("60.00")
    ledger = front.get(f"{guest.hotel}/ledger").json
    accounts = {one["account"]: float(one["balance"]["amount"]) for one in ledger["accounts"]}
    assert sum(accounts.values()) == 0
    assert accounts["guest_ledger"] == float(ledger["guests"]["amount"]) == 50.0


def test_everything_is_there_again_after_a_restart(front: Gateway) -> None:
    guest = Guest(front, front.open(), nights=1)
    guest.sleep()
    guest.charge()
    guest.pay("60.00")
    guest.say("invoices")
    before = guest.bill(), front.get(f"{guest.hotel}/invoices").json, types(front)
    front.restart()
    assert (guest.bill(), front.get(f"{guest.hotel}/invoices").json, types(front)) == before


@pytest.mark.parametrize(
    ("path", "body", "status", "field", "rule"),
    [
        ("folio/charges", {"charge": "gold", "text": "x", "amount": euros("1.00")}, 422, "charge", "one_of"),
        ("folio/charges", {"charge": "spa", "text": "", "amount": euros("1.00")}, 422, "text", "length"),
        ("folio/charges", {"charge": "spa", "text": "x", "amount": {"amount": "1.00", "currency": "USD"}}, 422,
         "unit_amount.currency", "currency"),
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
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    front: Gateway, path: str, body: dict[str, Any], status: int, field: str | None, rule: str | None
) -> None:
    guest = Guest(front, front.open())
    before = guest.bill()
    assert_problem(guest.say(path, **body), status, None, field, rule)
    assert guest.bill() == before
    assert_problem(front.get(f"{guest.hotel}/bookings/nobody/folio"), 404, "not_found")
    assert_problem(front.get("/v1/hotels/nowhere/ledger"), 404, "not_found")


def start(guest: Guest, **more: Any) -> str:
    """Ask the provider for 80.00 EUR; where the payment is found."""
    reply = guest.say("folio/payments", **({"method": "simulated", "amount": euros("80.00")} | more))
    assert (reply.status, reply.json["status"]) == (201, "pending")
    return reply.headers["location"]


def becomes(front: Gateway, payment: str, status: str) -> Any:
    """Wait until a payment is that far."""
    wait_until(lambda: front.get(payment).json["status"] == status, SECONDS_MAX)
    return front.get(payment).json


def test_a_provider_gets_the_money_or_says_why_not(front: Gateway) -> None:
    guest = Guest(front, front.open())
    paid = becomes(front, start(guest), "captured")
    assert paid["reference"] == f"sim-{paid['id']}"
    assert guest.bill()["balance"] == euros("-80.00")
    declined = becomes(front, start(guest, token="decline"), "failed")
    assert (declined["reason"], declined["captured"]) == ("the bank declined", euros("0.00"))
    assert guest.bill()["balance"] == euros("-80.00")


def test_money_is_reserved_and_taken_later_or_let_go(front: Gateway) -> None:
    guest = Guest(front, front.open())
    taken, let_go = start(guest, capture=False), start(guest, capture=False)
    for payment in (taken, let_go):
        becomes(front, payment, "authorised")
    assert guest.bill()["paid"] == euros("0.00")
    assert front.post(f"{taken}/actions/capture", {"amount": euros("70.00")}).json["captured"] == euros("70.00")
    assert front.post(f"{let_go}/actions/void", {"reason": "paid in cash"}).json["status"] == "voided"
    assert guest.bill()["paid"] == euros("70.00")


def test_news_from_a_provider_are_believed_when_they_are_signed_and_count_once(front: Gateway, tmp_path: Path) -> None:
    guest = Guest(front, front.open())
    payment = start(guest, token="late")
    secret = (tmp_path / "simulated-provider.secret").read_text()
    now = datetime.fromtimestamp(front.clock() / 1e6, UTC)
    body, headers = payment_update(secret, payment, "captured", now)
    for wrong in (
        {**headers, "webhook-signature": "v1,AAAA"}, {}, {**headers, "webhook-timestamp": "1"},
        payment_update(fresh_secret(), payment, "captured", now)[1],
        payment_update(secret, payment, "captured", now - timedelta(minutes=6))[1],
    ):  # fmt: skip
        assert_problem(front.post(NEWS_PATH, body, headers=wrong), 401, "bad_signature")
    assert_problem(front.post(NEWS_PATH, body + b" ", headers=headers), 401, "bad_signature")
    assert front.get(payment).json["status"] == "pending"
    for _ in range(2):
        assert front.post(NEWS_PATH, body, headers=headers).status == 200
    assert front.get(payment).json["reference"] == "bank-1"
    late, signed = payment_update(secret, payment, "failed", now)
    assert front.post(NEWS_PATH, late, headers=signed).status == 200
    assert front.get(payment).json["status"] == "captured"
    assert guest.bill()["paid"] == euros("80.00")
    unknown, signed = payment_update(secret, "/v1/hotels/nowhere/payments/nobody", "captured", now)
    assert_problem(front.post(NEWS_PATH, unknown, headers=signed), 404, "not_found")
    assert_problem(front.post("/v1/payment-providers/other/notifications", body, headers=headers), 404, "not_found")


def test_a_provider_may_take_its_time(front: Gateway) -> None:
    guest = Guest(front, front.open())
    payment = start(guest, token="late-1")
    becomes(front, payment, "captured")


def test_a_provider_is_asked_again_after_a_restart_and_pays_once(front: Gateway) -> None:
    guest = Guest(front, front.open())
    front.post("/v1/subscribers/payments/actions/pause", {})
    payment = start(guest)
    front.restart()
    assert front.get(payment).json["status"] == "pending"
    front.post("/v1/subscribers/payments/actions/resume", {})
    becomes(front, payment, "captured")
    assert guest.bill()["paid"] == euros("80.00")
