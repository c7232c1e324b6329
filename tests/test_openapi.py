"""The OpenAPI document: valid, and true. What the real gateway answers is what it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from browser import open_page
from front_desk import Answered, FrontDesk, front_desk, path_of, stay
from innkeeper.http.openapi import document
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from reception import night

DOCUMENT = msgspec.json.decode(msgspec.json.encode(document()))
OPERATIONS = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDesk]:
    """One front desk for this file."""
    with front_desk(tmp_path_factory.mktemp("front")) as opened:
        yield opened


def test_the_document_is_valid_and_served(front: FrontDesk) -> None:
    validate(DOCUMENT)
    assert front.get("/openapi.json").json == DOCUMENT


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())


def check_answer(operation: str, reply: Answered) -> None:
    """The answer has the status, the media type and the form that the document promises, and no field more."""
    promised = OPERATIONS[operation]["responses"][str(reply.status)]
    media = reply.headers["content-type"].partition(";")[0]
    assert media in promised["content"], (operation, reply)
    if operation not in ("show_metrics", "show_openapi", "show_docs", "show_front_desk"):
        _check_form(promised["content"][media]["schema"], reply.json)


def _check_form(schema: dict[str, Any], told: dict[str, Any]) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(told)
    form = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert told.keys() <= form["properties"].keys()


def _every_operation(front: FrontDesk) -> dict[str, Answered]:
    """One good answer of each operation but the stream, which never ends."""
    hotel = front.open({"DBL": 3})
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
        "book": front.post(f"{hotel}/bookings", stay(5)),
        "list_bookings": front.get(f"{hotel}/bookings"),
        "show_booking": front.get(path_of(hotel, booking)),
        "change_booking": front.send("PATCH", path_of(hotel, booking), {"notes": "quiet"}),
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
        "show_history": front.get(path_of(hotel, booking) + "/history"),
        "show_tape_chart": front.get(f"{hotel}/tape-chart", from_=night(0), to=night(9)),
        "audit_night": front.audit(hotel, 1),
        "list_events": front.get("/v1/events"),
        "show_live": front.get("/health/live"),
        "show_ready": front.get("/health/ready"),
        "show_metrics": front.get("/metrics"),
        "show_openapi": front.get("/openapi.json"),
        "show_docs": front.get("/docs"),
        "show_front_desk": front.get("/"),
    }


def _opened(front: FrontDesk) -> Answered:
    front.open()
    plan = front.get("/v1/hotels").json["data"][-1]
    types = [{**kind, "code": "NEW"} for kind in plan["room_types"]]
    fields = {name: plan[name] for name in ("name", "timezone", "currency", "cancellation", "business_date")}
    return front.post("/v1/hotels", {**fields, "id": "another", "room_types": types})


def test_what_is_answered_is_what_the_document_says(front: FrontDesk) -> None:
    replies = _every_operation(front)
    assert OPERATIONS.keys() - replies.keys() == {"stream_events"}
    for operation, reply in replies.items():
        assert reply.status < 300, (operation, reply)
        check_answer(operation, reply)


def test_problems_have_the_form_that_the_document_says(front: FrontDesk) -> None:
    promised = OPERATIONS["book"]["responses"]["default"]["content"]["application/problem+json"]["schema"]
    hotel = front.open({"DBL": 1})
    front.book(hotel)
    for body in (b"{", {"room_type": 1}, stay(-1), stay()):
        reply = front.post(f"{hotel}/bookings", body)
        assert reply.status >= 400
        Draft202012Validator({**promised, "components": DOCUMENT["components"]}).validate(reply.json)


@pytest.mark.parametrize("operation", sorted(name for name, each in OPERATIONS.items() if "requestBody" in each))
def test_a_body_with_an_unknown_field_is_refused_as_the_document_says(operation: str) -> None:
    content = OPERATIONS[operation]["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    assert not Draft202012Validator(schema).is_valid({"no_such_field": 1})


def test_the_page_shows_every_operation(front: FrontDesk, tmp_path: Path) -> None:
    with open_page(f"http://127.0.0.1:{front.port}/docs", tmp_path / "profile") as page:
        page.wait_until(f"document.querySelectorAll('details').length === {len(OPERATIONS)}")
        shown = page.value_of("document.getElementById('book').textContent")
        for text in (
            "/v1/hotels/{hotel}/bookings",
            "Idempotency-Key",
            "guest.name",
            "required",
            "Answers 201",
            "price.total",
        ):
            assert text in shown
        page.value_of("filter.value = 'audit'; filter.dispatchEvent(new Event('input'))")
        page.wait_until("[...document.querySelectorAll('details')].filter(one => !one.hidden).length === 1")
