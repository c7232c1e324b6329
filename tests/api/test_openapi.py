"""The OpenAPI document is valid, and the gateway's replies conform to it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from innkeeper.http.api import routes
from innkeeper.http.problem_codes import PROBLEM_CODES, STATUS
from innkeeper.http.problems import refusal_details
from innkeeper.protocol.messages.refusals import Refusal
from jsonschema import ValidationError
from openapi_spec_validator import validate
from support.gateway import SELLER, Gateway, HttpResponse, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.messages import messages
from support.openapi_schemas import DOCUMENT, OPERATIONS, check_response
from support.partition_fixture import night
from support.payment_updates import UPDATE_PATH, payment_update
from support.problem_schemas import check_problem, code_schemas, schemas_of
from support.problem_schemas import validate as validate_schema
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the gateway."""
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def gateway(data: Path) -> Iterator[Gateway]:
    """One gateway for this file."""
    with running_gateway(data) as opened:
        yield opened


def test_the_openapi_document_is_valid_and_served(gateway: Gateway) -> None:
    validate(DOCUMENT)
    assert gateway.get("/openapi.json").json == DOCUMENT


def test_the_names_of_operations_are_unique() -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())


def _replies_of_all_operations(gateway: Gateway, data: Path) -> dict[str, HttpResponse]:
    """A successful reply of each operation, except the endless stream and dead letters, which need a fault."""
    hotel = gateway.open_hotel({"DBL": 3})
    held = gateway.book(hotel, status="held", hold_seconds=600)
    released = gateway.book(hotel, status="held")
    booking = gateway.book(hotel, 2, 2)
    due, absent = gateway.book(hotel, 0, 1), gateway.book(hotel, 0, 1)
    two_nights = {"arrival": str(night(0)), "departure": str(night(2))}
    return {
        "open_hotel": _opened(gateway),
        "list_hotels": gateway.get("/v1/hotels"),
        "show_hotel": gateway.get(hotel),
        "show_availability": gateway.get(f"{hotel}/availability", **two_nights),
        "book": gateway.post(f"{hotel}/bookings", stay_request(5)),
        "list_bookings": gateway.get(f"{hotel}/bookings"),
        "show_booking": gateway.get(booking_path(hotel, booking)),
        "change_hotel": gateway.send("PATCH", hotel, {"deposits": [{"percent": 10}]}),
        "change_booking": gateway.send("PATCH", booking_path(hotel, booking), {"notes": "quiet"}),
        "extend": gateway.act(hotel, held, "extend", hold_seconds=900),
        "confirm": gateway.act(hotel, held, "confirm"),
        "release": gateway.act(hotel, released, "release"),
        "move": gateway.act(hotel, booking, "move", room="103"),
        "pin": gateway.act(hotel, booking, "pin"),
        "unpin": gateway.act(hotel, booking, "unpin"),
        "cancel": gateway.act(hotel, booking, "cancel", reason="ill"),
        "reinstate": gateway.act(hotel, booking, "reinstate"),
        "check_in": gateway.act(hotel, due, "check-in"),
        "undo_check_in": gateway.act(hotel, due, "undo-check-in"),
        "swap": gateway.act(hotel, due, "swap", **{"with": held["id"]}),
        "check_out": _checked_out(gateway, hotel, due),
        "undo_check_out": gateway.act(hotel, due, "undo-check-out"),
        "no_show": gateway.act(hotel, absent, "no-show"),
        "show_history": gateway.get(booking_path(hotel, booking) + "/history"),
        "list_unsent_letters": gateway.get(booking_path(hotel, booking) + "/letters"),
        **_waitlist_operations(gateway),
        **_house_operations(gateway),
        "show_tape_chart": gateway.get(f"{hotel}/tape-chart", from_=night(0), to=night(9)),
        "audit_night": gateway.run_night_audit(hotel, 1),
        "list_events": gateway.get("/v1/events"),
        "list_subscribers": gateway.get("/v1/subscribers"),
        "pause_subscriber": gateway.post("/v1/subscribers/archive/actions/pause"),
        "resume_subscriber": gateway.post("/v1/subscribers/archive/actions/resume"),
        "list_dead_letters": gateway.get("/v1/dead-letters"),
        **_billing_operations(gateway, (data / "simulated-provider.secret").read_text()),
        **_webhook_operations(gateway),
        "show_live": gateway.get("/health/live"),
        "show_ready": gateway.get("/health/ready"),
        "show_metrics": gateway.get("/metrics"),
        "show_openapi": gateway.get("/openapi.json"),
        "show_asyncapi": gateway.get("/asyncapi.json"),
        "show_docs": gateway.get("/docs"),
        "show_front_desk": gateway.get("/"),
    }


def _waitlist_operations(gateway: Gateway) -> dict[str, HttpResponse]:
    hotel = gateway.open_hotel({"DBL": 1})
    gateway.book(hotel)
    joined = gateway.post(f"{hotel}/waitlist", stay_request())
    entry = joined.headers["location"]
    guest = f"{hotel}/guests/{joined.json['id']}"
    return {
        "join_waitlist": joined,
        "list_waitlist": gateway.get(f"{hotel}/waitlist"),
        "show_entry": gateway.get(entry),
        "change_entry": gateway.send("PATCH", entry, {"notes": "quiet"}),
        "leave_waitlist": gateway.send("DELETE", entry),
        "show_guest": gateway.get(guest),
        "forget_guest": gateway.send("DELETE", guest),
    }


def _house_operations(gateway: Gateway) -> dict[str, HttpResponse]:
    hotel = gateway.open_hotel({"DBL": 2})
    suite = {"code": "STE", "name": "Suite", "max_guests": 4, "rate": {"amount": "150.00", "currency": "EUR"}}
    types, rooms = f"{hotel}/room-types", f"{hotel}/rooms"
    return {
        "add_room_type": gateway.post(types, suite | {"rooms": ["201"], "max_adults": 2, "cots": 1}),
        "list_room_types": gateway.get(types),
        "show_room_type": gateway.get(f"{types}/STE"),
        "change_room_type": gateway.send("PATCH", f"{types}/STE", {"max_guests": 3}),
        "retire_room_type": gateway.send("DELETE", f"{types}/STE"),
        "add_room": gateway.post(rooms, {"number": "103", "room_type": "DBL"}),
        "list_rooms": gateway.get(rooms),
        "show_room": gateway.get(f"{rooms}/103"),
        **_room_operations(gateway, f"{hotel}/rooms/101"),
        "list_housekeeping": gateway.get(f"{hotel}/housekeeping"),
        "retire_room": gateway.send("DELETE", f"{rooms}/103"),
    }


def _room_operations(gateway: Gateway, room: str) -> dict[str, HttpResponse]:
    closed = gateway.post(f"{room}/closures", {"kind": "out_of_order", "until": str(night(3)), "reason": "paint"})
    closure = closed.headers["location"]
    return {
        "change_room": gateway.send("PATCH", room, {"condition": "inspected"}),
        "close_room": closed,
        "list_closures": gateway.get(f"{room}/closures"),
        "show_closure": gateway.get(closure),
        "change_closure": gateway.send("PATCH", closure, {"until": str(night(4))}),
        "reopen_room": gateway.send("DELETE", closure),
    }


def _billing_operations(gateway: Gateway, secret: str) -> dict[str, HttpResponse]:
    hotel = gateway.open_hotel({"DBL": 3})
    booking = booking_path(hotel, gateway.book(hotel))

    def euros(units: int) -> dict[str, str]:
        return {"amount": f"{units}.00", "currency": "EUR"}

    def charge(text: str) -> HttpResponse:
        return gateway.post(f"{booking}/folio/charges", {"charge": "minibar", "text": text, "amount": euros(10)})

    def pay(method: str, **more: Any) -> HttpResponse:
        return gateway.post(
            f"{booking}/folio/payments", {"method": method, "amount": euros(40), "allow_overpayment": True} | more
        )

    def authorised_payment() -> str:
        payment = pay("simulated", capture=False).headers["location"]
        wait_until(lambda: gateway.get(payment).json["status"] == "authorised", 60)
        return payment

    charged = charge("Water")
    for text in ("Tea", "Wine"):
        line = charge(text).json["folios"][0]["lines"][-1]["id"]
    buyer = SELLER
    terms = {"seller": buyer, "invoice_prefix": "FT-"}
    folio, cash = f"{booking}/folio", pay("cash")
    late, now = pay("simulated", token="late").headers["location"], datetime.fromtimestamp(gateway.clock() / 1e6, UTC)
    replies = {
        "change_billing_terms": gateway.send("PUT", f"{hotel}/billing", terms),
        "change_notification_terms": gateway.send("PUT", f"{hotel}/notifications", {"language": "pt-BR"}),
        "show_notification_terms": gateway.get(f"{hotel}/notifications"),
        "show_billing_terms": gateway.get(f"{hotel}/billing"),
        "post_charge": charged,
        "open_folio": gateway.post(f"{booking}/folios", {"buyer": buyer}),
        "post_discount": gateway.post(
            f"{folio}/discounts", {"charge": "minibar", "amount": euros(1), "reason": "stale"}
        ),
        "reverse_charge": gateway.post(f"{folio}/charges/{line}/actions/reverse", {"reason": "not drunk"}),
        "split_charge": gateway.post(f"{folio}/charges/{line - 1}/actions/split", {"amount": euros(4)}),
        "move_charges": gateway.post(f"{folio}/actions/transfer", {"lines": [1], "to_folio": 2}),
        "pay": cash,
        "show_payment": gateway.get(cash.headers["location"]),
        "capture_payment": gateway.post(f"{authorised_payment()}/actions/capture", {}),
        "void_payment": gateway.post(f"{authorised_payment()}/actions/void", {}),
        "return_payment": gateway.post(f"{pay('transfer').headers['location']}/actions/return", {}),
        "move_payment": gateway.post(f"{pay('cash').headers['location']}/actions/move", {"to_folio": 2}),
        "refund_payment": gateway.post(f"{cash.headers['location']}/actions/refund", {"amount": euros(3)}),
        "receive_payment_notification": gateway.post(UPDATE_PATH, *payment_update(secret, late, "captured", now)),
        "show_bill": gateway.get(folio),
        "issue_invoice": gateway.post(f"{booking}/invoices", {}),
        "list_booking_invoices": gateway.get(f"{booking}/invoices"),
        "list_invoices": gateway.get(f"{hotel}/invoices"),
        "show_trial_balance": gateway.get(f"{hotel}/ledger"),
        "list_open_balances": gateway.get(f"{hotel}/open-balances"),
    }
    return replies | _invoice_operations(gateway, booking, replies["issue_invoice"].headers["location"])


def _invoice_operations(gateway: Gateway, booking: str, invoice: str) -> dict[str, HttpResponse]:
    reissued = gateway.post(
        f"{invoice}/actions/reissue", {"reason": "wrong name", "buyer": {"name": "Globex", "country": "DE"}}
    )
    deposit = {"amount": {"amount": "5.00", "currency": "EUR"}}
    return {
        "show_invoice": gateway.get(invoice),
        "reissue_invoice": reissued,
        "issue_deposit_invoice": gateway.post(f"{booking}/deposit-invoices", deposit),
        "issue_credit_note": gateway.post(f"{reissued.headers['location']}/actions/credit", {"reason": "wrong name"}),
    }


def _webhook_operations(gateway: Gateway) -> dict[str, HttpResponse]:
    with webhook_receiver() as receiver:
        added = gateway.post("/v1/webhooks", {"url": receiver.url, "events": ["innkeeper.*"]})
        path = f"/v1/webhooks/{added.json['id']}"
        event = gateway.get("/v1/events", limit=1).json["data"][0]["id"]
        return {
            "add_webhook": added,
            "list_webhooks": gateway.get("/v1/webhooks"),
            "show_webhook": gateway.get(path),
            "change_webhook": gateway.send("PATCH", path, {"events": ["innkeeper.booking.*"]}),
            "disable_webhook": gateway.post(f"{path}/actions/disable"),
            "enable_webhook": gateway.post(f"{path}/actions/enable"),
            "rotate_secret": gateway.post(f"{path}/actions/rotate-secret"),
            "ping_webhook": gateway.post(f"{path}/actions/ping"),
            "resend_event": gateway.post(f"{path}/actions/resend", {"event": event}),
            "replay_events": gateway.post(f"{path}/actions/replay", {"after": 0}),
            "list_deliveries": gateway.get(f"{path}/deliveries"),
            "remove_webhook": gateway.send("DELETE", path),
        }


def _checked_out(gateway: Gateway, hotel: str, booking: dict[str, Any]) -> HttpResponse:
    gateway.act(hotel, booking, "check-in")
    return gateway.act(hotel, booking, "check-out", reason_code="early")


def _opened(gateway: Gateway) -> HttpResponse:
    gateway.open_hotel()
    hotel = gateway.get("/v1/hotels").json["data"][-1]
    types = [{**room_type, "code": "NEW"} for room_type in hotel["room_types"]]
    fields = {name: hotel[name] for name in ("name", "timezone", "currency", "cancellation", "business_date")}
    return gateway.post("/v1/hotels", {**fields, "id": "another", "room_types": types})


def test_every_reply_conforms_to_the_document(gateway: Gateway, data: Path) -> None:
    replies = _replies_of_all_operations(gateway, data)
    assert OPERATIONS.keys() - replies.keys() == {"stream_events", "redrive_dead_letter", "drop_dead_letter"}
    for operation, reply in replies.items():
        assert reply.status < 300, (operation, reply)
        documented = OPERATIONS[operation]["responses"][str(reply.status)].get("headers", {})
        assert ("ETag" in documented) is (reply.headers.get("etag", "").strip('"').isdigit()), operation
        check_response(operation, reply)


def test_every_code_of_a_problem_is_documented_with_its_status_meaning_and_fields() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Problem"]["properties"]["code"]["enum"] == sorted(code_schemas())
    assert code_schemas().keys() == {code.name for code in PROBLEM_CODES}
    for code in PROBLEM_CODES:
        schema = code_schemas()[code.name]
        response = DOCUMENT["components"]["responses"][f"Problem{code.status}"]
        assert schema["properties"]["status"] == {"const": code.status}
        assert schema["description"] == code.meaning
        assert f"`{code.name}`: {code.meaning}" in response["description"]
        assert set(schema["required"]) == schema["properties"].keys()
    sold_out = {"status", "code", "room_type", "nights"}
    assert code_schemas()["sold_out"]["properties"].keys() == sold_out


def test_each_status_that_an_operation_can_have_names_its_codes() -> None:
    responses = OPERATIONS["book"]["responses"]
    codes = {
        status: {schema["properties"]["code"]["const"] for schema in schemas_of(response)}
        for status, response in responses.items()
        if status.startswith(("4", "5"))
    }
    assert {"sold_out", "no_single_room", "room_taken"} <= codes["409"]
    assert codes["422"] == {"invalid", "idempotency_key_reused"}
    assert codes["404"] == {"not_found"}
    assert codes["503"] == {"unavailable"}
    assert not {"405", "406", "412"} & codes.keys()
    assert "409" not in OPERATIONS["list_bookings"]["responses"]


def test_problems_conform_to_the_document(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    gateway.book(hotel)
    for body, code in (
        (b"{", "not_json"), ({"room_type": 1}, "invalid"), (stay_request(-1), "invalid"), (stay_request(), "sold_out"),
    ):  # fmt: skip
        reply = gateway.post(f"{hotel}/bookings", body)
        assert reply.json["code"] == code
        check_response("book", reply)
        validate_schema(DOCUMENT["components"]["schemas"]["Problem"], reply.json)


def test_a_problem_with_a_code_status_or_field_that_is_not_documented_fails_the_check(gateway: Gateway) -> None:
    path = f"{gateway.open_hotel()}/bookings/none"
    known = gateway.get(path).json
    check_problem(404, known, "GET", path)
    sold_out = {**known, "code": "sold_out", "status": 409, "nights": [], "room_type": "DBL"}
    del sold_out["kind"], sold_out["name"]
    check_problem(409, sold_out, "PATCH", path)
    for status, problem in (
        (404, {**known, "code": "lost"}),
        (409, {**known, "status": 409}),
        (409, known),
        (404, {**known, "more": 1}),
        (404, {name: value for name, value in known.items() if name != "kind"}),
        (409, sold_out),
    ):
        with pytest.raises((KeyError, AssertionError, ValidationError)):
            check_problem(status, problem, "GET", path)


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
def test_every_refusal_conforms_to_the_schema_of_its_code(kind: type[Refusal]) -> None:
    @settings(max_examples=10)
    @given(messages(kind))
    def conforms(refusal: Any) -> None:
        if "displaced" in kind.__struct_fields__:
            pinned = [msgspec.structs.replace(one, obstacle="pinned") for one in refusal.displaced]
            refusal = msgspec.structs.replace(refusal, displaced=tuple(pinned))
        problem = msgspec.json.decode(msgspec.json.encode(refusal_details(refusal, "request-1")))
        check_problem(STATUS[kind], problem)

    conforms()


def test_a_path_that_does_not_exist_is_named_in_the_problem(gateway: Gateway) -> None:
    problem = assert_problem(gateway.get("/v1/nothing"), 404, "not_found")
    assert (problem["kind"], problem["name"]) == ("resource", "/v1/nothing")
    reply = gateway.send_bytes(b"GET /v1/\xff%ff HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert reply.status in (400, 404)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "null"}, 403), ({"Host": "stranger.test"}, 421), ({"Content-Type": "text/plain"}, 415)],
    ids=str,
)
def test_refusals_before_routing_conform_to_the_document(
    gateway: Gateway, headers: dict[str, str], status: int
) -> None:
    reply = gateway.send("POST", "/v1/hotels", {}, headers)
    assert reply.status == status
    check_response("open_hotel", reply)


@pytest.mark.parametrize("operation", sorted(name for name, each in OPERATIONS.items() if "requestBody" in each))
def test_the_document_forbids_unknown_fields_in_every_body(operation: str) -> None:
    schema = OPERATIONS[operation]["requestBody"]["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert schema["additionalProperties"] is False


def test_an_operation_whose_handler_reads_a_body_documents_it() -> None:
    for operation in routes.OPERATIONS:
        used = set(operation.handler.__code__.co_names)
        reads_fields = "body_of" in used and "no_fields" not in used
        assert reads_fields <= (operation.body is not None), f"{operation.method} {operation.path}"
