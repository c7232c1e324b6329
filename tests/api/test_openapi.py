"""The OpenAPI document: valid, and true. What the real gateway answers is what it says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from support.browser import open_page
from support.gateway import Gateway, HttpResponse, booking_path, gateway, stay_request
from support.openapi_schemas import DOCUMENT, OPERATIONS, check_response
from support.partition_fixture import night
from support.payment_updates import UPDATE_PATH, payment_update
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the front desk keeps its data."""
    return tmp_path_factory.mktemp("front")


@pytest.fixture(scope="module")
def front(data: Path) -> Iterator[Gateway]:
    """One front desk for this file."""
    with gateway(data) as opened:
        yield opened


def test_the_document_is_valid_and_served(front: Gateway) -> None:
    validate(DOCUMENT)
    assert front.get("/openapi.json").json == DOCUMENT


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())


def _every_operation(front: Gateway, data: Path) -> dict[str, HttpResponse]:
    """One good answer of each operation, but for the stream, which never ends, and dead letters, which need a fault."""
    hotel = front.open_hotel({"DBL": 3})
    held = front.book(hotel, status="held", hold_seconds=600)
    let_go = front.book(hotel, status="held")
    booking = front.book(hotel, 2, 2)
    due, absent = front.book(hotel, 0, 1), front.book(hotel, 0, 1)
    two_nights = {"arrival": str(night(0)), "departure": str(night(2))}
    return {
        "open_hotel": _opened(front),
        "list_hotels": front.get("/v1/hotels"),
        "show_hotel": front.get(hotel),
        "show_availability": front.get(f"{hotel}/availability", **two_nights),
        "book": front.post(f"{hotel}/bookings", stay_request(5)),
        "list_bookings": front.get(f"{hotel}/bookings"),
        "show_booking": front.get(booking_path(hotel, booking)),
        "change_booking": front.send("PATCH", booking_path(hotel, booking), {"notes": "quiet"}),
        "extend": front.act(hotel, held, "extend", hold_seconds=900),
        "confirm": front.act(hotel, held, "confirm"),
        "release": front.act(hotel, let_go, "release"),
        "move": front.act(hotel, booking, "move", room="103"),
        "pin": front.act(hotel, booking, "pin"),
        "unpin": front.act(hotel, booking, "unpin"),
        "cancel": front.act(hotel, booking, "cancel", reason="ill"),
        "reinstate": front.act(hotel, booking, "reinstate"),
        "check_in": front.act(hotel, due, "check-in"),
        "check_out": front.act(hotel, due, "check-out"),
        "no_show": front.act(hotel, absent, "no-show"),
        "show_history": front.get(booking_path(hotel, booking) + "/history"),
        **_waitlist_operations(front),
        "show_tape_chart": front.get(f"{hotel}/tape-chart", from_=night(0), to=night(9)),
        "audit_night": front.run_night_audit(hotel, 1),
        "list_events": front.get("/v1/events"),
        "list_subscribers": front.get("/v1/subscribers"),
        "pause_subscriber": front.post("/v1/subscribers/archive/actions/pause"),
        "resume_subscriber": front.post("/v1/subscribers/archive/actions/resume"),
        "list_dead_letters": front.get("/v1/dead-letters"),
        **_billing_operations(front, (data / "simulated-provider.secret").read_text()),
        **_webhook_operations(front),
        "show_live": front.get("/health/live"),
        "show_ready": front.get("/health/ready"),
        "show_metrics": front.get("/metrics"),
        "show_openapi": front.get("/openapi.json"),
        "show_asyncapi": front.get("/asyncapi.json"),
        "show_docs": front.get("/docs"),
        "show_front_desk": front.get("/"),
    }


def _waitlist_operations(front: Gateway) -> dict[str, HttpResponse]:
    hotel = front.open_hotel({"DBL": 1})
    front.book(hotel)
    joined = front.post(f"{hotel}/waitlist", stay_request())
    entry = joined.headers["location"]
    return {
        "join_waitlist": joined,
        "list_waitlist": front.get(f"{hotel}/waitlist"),
        "show_entry": front.get(entry),
        "leave_waitlist": front.send("DELETE", entry),
    }


def _billing_operations(front: Gateway, secret: str) -> dict[str, HttpResponse]:
    hotel = front.open_hotel({"DBL": 3})
    booking = booking_path(hotel, front.book(hotel))

    def euros(units: int) -> dict[str, str]:
        return {"amount": f"{units}.00", "currency": "EUR"}

    def charge(text: str) -> HttpResponse:
        return front.post(f"{booking}/folio/charges", {"charge": "minibar", "text": text, "amount": euros(10)})

    def pay(method: str, **more: Any) -> HttpResponse:
        return front.post(f"{booking}/folio/payments", {"method": method, "amount": euros(40)} | more)

    def reserved() -> str:
        payment = pay("simulated", capture=False).headers["location"]
        wait_until(lambda: front.get(payment).json["status"] == "authorised", 60)
        return payment

    charged = charge("Water")
    for text in ("Tea", "Wine"):
        line = charge(text).json["folios"][0]["lines"][-1]["id"]
    buyer = {"name": "Seaside Ltd", "address": ["1 Beach Road"]}
    terms = {"seller": buyer, "taxes": [], "deposits": [{"percent": 20}], "invoice_prefix": "FT-"}
    folio, cash = f"{booking}/folio", pay("cash")
    late, now = pay("simulated", token="late").headers["location"], datetime.fromtimestamp(front.clock() / 1e6, UTC)
    found = {
        "change_billing_terms": front.send("PUT", f"{hotel}/billing", terms),
        "change_notification_terms": front.send("PUT", f"{hotel}/notifications", {"language": "pt-BR"}),
        "show_notification_terms": front.get(f"{hotel}/notifications"),
        "show_billing_terms": front.get(f"{hotel}/billing"),
        "post_charge": charged,
        "open_folio": front.post(f"{booking}/folios", {"buyer": buyer}),
        "reverse_charge": front.post(f"{folio}/charges/{line}/actions/reverse", {"reason": "not drunk"}),
        "split_charge": front.post(f"{folio}/charges/{line - 1}/actions/split", {"amount": euros(4)}),
        "move_charges": front.post(f"{folio}/actions/transfer", {"lines": [1], "to_folio": 2}),
        "pay": cash,
        "show_payment": front.get(cash.headers["location"]),
        "capture_payment": front.post(f"{reserved()}/actions/capture", {}),
        "void_payment": front.post(f"{reserved()}/actions/void", {}),
        "refund_payment": front.post(f"{cash.headers['location']}/actions/refund", {"amount": euros(3)}),
        "receive_payment_notification": front.post(UPDATE_PATH, *payment_update(secret, late, "captured", now)),
        "show_bill": front.get(folio),
        "issue_invoice": front.post(f"{booking}/invoices", {}),
        "list_booking_invoices": front.get(f"{booking}/invoices"),
        "list_invoices": front.get(f"{hotel}/invoices"),
        "show_trial_balance": front.get(f"{hotel}/ledger"),
    }
    invoice = found["issue_invoice"].headers["location"]
    found["show_invoice"] = front.get(invoice)
    return found | {"issue_credit_note": front.post(f"{invoice}/actions/credit", {"reason": "wrong name"})}


def _webhook_operations(front: Gateway) -> dict[str, HttpResponse]:
    with webhook_receiver() as other:
        added = front.post("/v1/webhooks", {"url": other.url, "events": ["innkeeper.*"]})
        path = f"/v1/webhooks/{added.json['id']}"
        event = front.get("/v1/events", limit=1).json["data"][0]["id"]
        return {
            "add_webhook": added,
            "list_webhooks": front.get("/v1/webhooks"),
            "show_webhook": front.get(path),
            "change_webhook": front.send("PATCH", path, {"events": ["innkeeper.booking.*"]}),
            "disable_webhook": front.post(f"{path}/actions/disable"),
            "enable_webhook": front.post(f"{path}/actions/enable"),
            "rotate_secret": front.post(f"{path}/actions/rotate-secret"),
            "ping_webhook": front.post(f"{path}/actions/ping"),
            "resend_event": front.post(f"{path}/actions/resend", {"event": event}),
            "replay_events": front.post(f"{path}/actions/replay", {"after": 0}),
            "list_deliveries": front.get(f"{path}/deliveries"),
            "remove_webhook": front.send("DELETE", path),
        }


def _opened(front: Gateway) -> HttpResponse:
    front.open_hotel()
    plan = front.get("/v1/hotels").json["data"][-1]
    types = [{**kind, "code": "NEW"} for kind in plan["room_types"]]
    fields = {name: plan[name] for name in ("name", "timezone", "currency", "cancellation", "business_date")}
    return front.post("/v1/hotels", {**fields, "id": "another", "room_types": types})


def test_what_is_answered_is_what_the_document_says(front: Gateway, data: Path) -> None:
    replies = _every_operation(front, data)
    assert OPERATIONS.keys() - replies.keys() == {"stream_events", "redrive_dead_letter", "drop_dead_letter"}
    for operation, reply in replies.items():
        assert reply.status < 300, (operation, reply)
        check_response(operation, reply)


def test_problems_have_the_form_that_the_document_says(front: Gateway) -> None:
    promised = OPERATIONS["book"]["responses"]["default"]["content"]["application/problem+json"]["schema"]
    hotel = front.open_hotel({"DBL": 1})
    front.book(hotel)
    for body in (b"{", {"room_type": 1}, stay_request(-1), stay_request()):
        reply = front.post(f"{hotel}/bookings", body)
        assert reply.status >= 400
        Draft202012Validator({**promised, "components": DOCUMENT["components"]}).validate(reply.json)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "null"}, 403), ({"Host": "stranger.test"}, 421), ({"Content-Type": "text/plain"}, 415)],
    ids=str,
)
def test_what_is_refused_before_any_route_has_the_form_that_the_document_says(
    front: Gateway, headers: dict[str, str], status: int
) -> None:
    reply = front.send("POST", "/v1/hotels", {}, headers)
    assert reply.status == status
    check_response("open_hotel", reply)


@pytest.mark.parametrize("operation", sorted(name for name, each in OPERATIONS.items() if "requestBody" in each))
def test_a_body_with_an_unknown_field_is_refused_as_the_document_says(operation: str) -> None:
    content = OPERATIONS[operation]["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    assert not Draft202012Validator(schema).is_valid({"no_such_field": 1})


def test_the_page_shows_every_operation(front: Gateway, tmp_path: Path) -> None:
    with open_page(f"http://127.0.0.1:{front.port}/docs", tmp_path / "profile") as page:
        page.wait_until(f"document.querySelectorAll('details').length === {len(OPERATIONS)}")
        shown = page.evaluate("document.getElementById('book').textContent")
        for text in (
            "/v1/hotels/{hotel}/bookings",
            "Idempotency-Key",
            "guest.name",
            "required",
            "Response 201",
            "price.total",
        ):
            assert text in shown
        page.evaluate("filter.value = 'audit'; filter.dispatchEvent(new Event('input'))")
        page.wait_until("[...document.querySelectorAll('details')].filter(one => !one.hidden).length === 1")
