"""Webhooks over HTTP: which events are sent, in which order, how they are signed, and what follows failures."""

from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.openapi_schemas import check_response
from support.waiting import wait_until
from support.webhook_gateway import gateway, receiver
from support.webhook_receiver import WebhookReceiver, check_signature
from support.webhook_routes import act, add_webhook, deliveries, events, show_webhook

SECONDS_MAX = 60
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


__all__ = ["gateway", "receiver"]


def test_new_events_are_sent_in_order_and_signed(gateway: Gateway, receiver: WebhookReceiver) -> None:
    gateway.book(gateway.open_hotel())
    before = gateway.last_position()
    webhook = add_webhook(gateway, receiver.url, secret=SECRET)
    assert webhook["secret"] == SECRET
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel)
    gateway.act(hotel, booking, "pin")
    wait_until(lambda: len(receiver.received) == gateway.last_position() - before, SECONDS_MAX)
    assert [received.event for received in receiver.received] == events(gateway, after=before)
    for received in receiver.received:
        assert received.headers["content-type"] == "application/json"
        assert received.headers["webhook-id"] == received.event["id"]
        check_signature(received.headers, received.body, SECRET)
    assert "secret" not in {name for name, value in show_webhook(gateway, webhook).items() if value is not None}
    assert {each["delivered"] for each in deliveries(gateway, webhook)} == {True}


def test_billing_events_are_sent_resent_and_replayed(gateway: Gateway, receiver: WebhookReceiver) -> None:
    hotel = gateway.open_hotel()
    gateway.all_events()
    webhook = add_webhook(gateway, receiver.url, events=["innkeeper.folio.*", "innkeeper.payment.*"])
    booking = gateway.book(hotel)
    money = {"amount": "5.00", "currency": "EUR"}
    paid = gateway.post(f"{booking_path(hotel, booking)}/folio/payments", {"method": "cash", "amount": money})
    assert paid.status == 201
    wait_until(lambda: len(receiver.received) == 2, SECONDS_MAX)
    opened, recorded = events(gateway, log="billing")[-2:]
    assert [received.event for received in receiver.received] == [opened, recorded]
    assert (recorded["type"], recorded["subject"]) == ("innkeeper.payment.recorded.v1", booking["id"])
    act(gateway, webhook, "resend", event=opened["id"])
    assert receiver.received[-1].event == opened
    act(gateway, webhook, "replay", after=opened["position"] - 1, log="billing")
    wait_until(lambda: receiver.ids()[3:] == [opened["id"], recorded["id"]], SECONDS_MAX)


def test_only_events_of_the_requested_types_and_hotel_are_sent(gateway: Gateway, receiver: WebhookReceiver) -> None:
    own, other = gateway.open_hotel(), gateway.open_hotel()
    add_webhook(gateway, receiver.url, events=["innkeeper.booking.cancelled.*"], hotel=own.rpartition("/")[2])
    for hotel in (other, own):
        gateway.act(hotel, gateway.book(hotel), "cancel")
    wait_until(lambda: bool(receiver.received), SECONDS_MAX)
    gateway.act(own, gateway.book(own), "cancel")
    wait_until(lambda: len(receiver.received) == 2, SECONDS_MAX)
    assert {(received.event["source"], received.event["type"]) for received in receiver.received} == {
        (own.removeprefix("/v1"), "innkeeper.booking.cancelled.v1")
    }


@pytest.mark.parametrize("during_a_delivery", [False, True])
def test_a_replay_sends_all_events_after_a_position(
    gateway: Gateway, receiver: WebhookReceiver, during_a_delivery: bool
) -> None:
    hotel = gateway.open_hotel()
    webhook = add_webhook(gateway, receiver.url)
    if during_a_delivery:
        receiver.answering.clear()
    gateway.book(hotel)
    wait_until(lambda: len(receiver.received) == 1, SECONDS_MAX)
    act(gateway, webhook, "replay", after=2)
    receiver.answering.set()
    wait_until(lambda: len(receiver.received) == 1 + gateway.last_position() - 2, SECONDS_MAX)
    assert [received.event for received in receiver.received[1:]] == events(gateway, after=2)
    problem = act(gateway, webhook, "replay", after=10**9)
    assert_problem(problem, 422, "invalid", "after", "range")


def test_disabled_and_removed_webhooks_receive_no_events(gateway: Gateway, receiver: WebhookReceiver) -> None:
    hotel = gateway.open_hotel()
    kept, removed = add_webhook(gateway, receiver.url), add_webhook(gateway, receiver.url)
    assert act(gateway, kept, "disable").json["disabled_reason"] == "by hand"
    reply = gateway.send("DELETE", f"/v1/webhooks/{removed['id']}")
    check_response("remove_webhook", reply)
    gateway.book(hotel)
    assert_problem(gateway.get(f"/v1/webhooks/{removed['id']}"), 404, "not_found")
    assert [each["id"] for each in gateway.get("/v1/webhooks").json["data"]] == [kept["id"]]
    names = [each["name"] for each in gateway.get("/v1/subscribers").json["data"]]
    assert [name for name in names if name.startswith("webhook-")] == [f"webhook-{kept['id']}"]
    gateway.restart()
    assert [each["id"] for each in gateway.get("/v1/webhooks").json["data"]] == [kept["id"]]
    act(gateway, kept, "enable")
    wait_until(lambda: len(receiver.received) == 1, SECONDS_MAX)


def test_deliveries_resume_after_a_restart_without_repeats(gateway: Gateway, receiver: WebhookReceiver) -> None:
    hotel = gateway.open_hotel()
    webhook = add_webhook(gateway, receiver.url)
    before = gateway.last_position()
    for _ in range(3):
        gateway.book(hotel)
        gateway.restart()
    wait_until(lambda: len(receiver.received) == 3, SECONDS_MAX)
    assert [received.event for received in receiver.received] == events(gateway, after=before)
    assert [each["attempt"] for each in deliveries(gateway, webhook)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"url": "ftp://127.0.0.1/"}, "url", "scheme"),
        ({"url": "http://10.0.0.1/"}, "url", "address"),
        ({"url": "http://127.0.0.1/" + "a" * 2_000}, "url", "length"),
        ({"url": ""}, "url", "length"),
        ({"events": []}, "events", "length"),
        ({"events": ["innkeeper.nothing.*"]}, "events", "unknown"),
        ({"events": ["*"] * 51}, "events", "length"),
        ({"hotel": "no slug"}, "hotel", "form"),
        ({"secret": "password"}, "secret", "prefix"),
        ({"secret": "whsec_c2hvcnQ="}, "secret", "length"),
        ({"more": 1}, "more", "unknown"),
    ],
)
def test_an_invalid_webhook_is_refused(gateway: Gateway, fields: dict[str, Any], field: str, rule: str) -> None:
    body = {"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"]} | fields
    assert_problem(gateway.post("/v1/webhooks", body), 422, "invalid", field, rule)
    assert gateway.get("/v1/webhooks").json["data"] == []


def test_the_hotel_of_a_webhook_must_exist(gateway: Gateway, receiver: WebhookReceiver) -> None:
    body = {"url": receiver.url, "events": ["innkeeper.*"], "hotel": "inn"}
    key = {"Idempotency-Key": "inn-1"}
    problem = assert_problem(gateway.post("/v1/webhooks", body, key), 404, "not_found")
    assert (problem["kind"], problem["name"]) == ("hotel", "inn")
    assert gateway.get("/v1/webhooks").json["data"] == []
    path = f"/v1/webhooks/{add_webhook(gateway, receiver.url)['id']}"
    assert_problem(gateway.send("PATCH", path, {"hotel": "inn"}), 404, "not_found")
    assert gateway.get(path).json["hotel"] is None
    gateway.open_hotel(id="inn")
    assert gateway.post("/v1/webhooks", body, key).json["hotel"] == "inn"
    assert gateway.send("PATCH", path, {"hotel": "inn"}).json["hotel"] == "inn"
    assert gateway.send("PATCH", path, {"hotel": None}).json["hotel"] is None


def test_unknown_webhooks_and_events_and_too_many_webhooks_are_refused(
    gateway: Gateway, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = add_webhook(gateway, receiver.url)
    for event in ("none:1", "x", ":", "none:0", "a:99999999999999999999", "a:1:2", "é:1"):
        assert_problem(act(gateway, webhook, "resend", event=event), 404, "not_found")
    assert_problem(
        gateway.get(f"/v1/webhooks/{webhook['id']}/deliveries", cursor="x"), 422, "invalid", "cursor", "unknown"
    )
    for action in ("enable", "disable", "ping", "rotate-secret"):
        assert_problem(act(gateway, {"id": "none"}, action), 404, "not_found")
    assert_problem(
        gateway.send("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": "http://192.168.0.1/"}),
        422,
        "invalid",
        "url",
        "address",
    )
    assert show_webhook(gateway, webhook)["url"] == receiver.url
    monkeypatch.setattr("innkeeper.delivery.webhooks.webhooks.webhooks_max", 1)
    body = {"url": receiver.url, "events": ["innkeeper.*"]}
    refused = assert_problem(gateway.post("/v1/webhooks", body), 409, "not_allowed")
    assert refused["detail"] == "1 webhooks are the maximum; remove one first"


def test_attempts_are_listed_page_by_page_and_the_oldest_are_deleted(
    gateway: Gateway, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for engine in ("sqlite", "memory"):
        monkeypatch.setattr(f"innkeeper.storage.{engine}.webhook_store.webhook_deliveries_kept_max", 5)
    monkeypatch.setattr("innkeeper.storage.sqlite.webhook_store._DELETE_EVERY", 1)
    webhook = add_webhook(gateway, receiver.url)
    for _ in range(8):
        act(gateway, webhook, "ping")
    listed = gateway.list_all(f"/v1/webhooks/{webhook['id']}/deliveries", limit=2)
    assert [each["number"] for each in listed] == [8, 7, 6, 5, 4]


def test_webhooks_to_loopback_need_permission(tmp_path: Path, receiver: WebhookReceiver) -> None:
    with running_gateway(tmp_path, webhooks_to_loopback=False) as gateway:
        body = {"url": receiver.url, "events": ["innkeeper.*"]}
        assert_problem(gateway.post("/v1/webhooks", body), 422, "invalid", "url", "address")
    assert receiver.received == []
