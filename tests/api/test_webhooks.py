"""Webhooks over HTTP: which events are sent, in which order, how they are signed, and what follows failures."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway, HttpResponse, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.openapi_schemas import check_response
from support.waiting import wait_until
from support.webhook_receiver import WebhookReceiver, check_signature, webhook_receiver

SECONDS_MAX = 60
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway for one test that retries deliveries after 0.05 s."""
    monkeypatch.setattr("innkeeper.delivery.webhooks.webhooks.delay_seconds", lambda *_: 0.05)
    with running_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """The server that the webhooks are sent to."""
    with webhook_receiver() as started:
        yield started


RESERVATIONS = [f"innkeeper.{kind}.*" for kind in ("hotel", "room_type", "room", "booking", "business_date")]


def add_webhook(gateway: Gateway, url: str, **more: Any) -> dict[str, Any]:
    """A new webhook, for all events of reservations unless `more` says otherwise."""
    reply = gateway.post("/v1/webhooks", {"url": url, "events": RESERVATIONS} | more)
    assert reply.status == 201, reply
    check_response("add_webhook", reply)
    assert reply.headers["location"] == f"/v1/webhooks/{reply.json['id']}"
    return reply.json


def act(gateway: Gateway, webhook: dict[str, Any], action: str, **fields: Any) -> HttpResponse:
    """An action on a webhook; a successful reply conforms to the OpenAPI document."""
    reply = gateway.post(f"/v1/webhooks/{webhook['id']}/actions/{action}", fields)
    names = {
        "rotate-secret": "rotate_secret", "ping": "ping_webhook", "resend": "resend_event", "replay": "replay_events",
        "enable": "enable_webhook", "disable": "disable_webhook",
    }  # fmt: skip
    if reply.status == 200:
        check_response(names[action], reply)
    return reply


def show_webhook(gateway: Gateway, webhook: dict[str, Any]) -> dict[str, Any]:
    """The webhook as it is now."""
    reply = gateway.get(f"/v1/webhooks/{webhook['id']}")
    check_response("show_webhook", reply)
    return reply.json


def deliveries(gateway: Gateway, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The delivery attempts, newest first."""
    reply = gateway.get(f"/v1/webhooks/{webhook['id']}/deliveries", limit=200, **query)
    check_response("list_deliveries", reply)
    return reply.json["data"]


def events(gateway: Gateway, **query: Any) -> list[dict[str, Any]]:
    """The event log."""
    return gateway.get("/v1/events", limit=200, **query).json["data"]


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
        assert received.headers["content-type"] == "application/cloudevents+json"
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


def test_an_unreachable_receiver_delays_no_booking_and_misses_no_event(
    gateway: Gateway, receiver: WebhookReceiver
) -> None:
    hotel = gateway.open_hotel({"DBL": 9})
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/hook"
    before = gateway.last_position()
    webhook = add_webhook(gateway, url)
    for _ in range(5):
        gateway.book(hotel)
    wait_until(lambda: show_webhook(gateway, webhook)["attempts"] >= 3, SECONDS_MAX)
    assert show_webhook(gateway, webhook)["failing_since"] is not None
    failed = deliveries(gateway, webhook, failed="true")
    assert {(each["event"], each["status"], each["delivered"]) for each in failed} == {
        (events(gateway, after=before)[0]["id"], None, False)
    }
    assert failed[-1]["error"]
    assert gateway.send("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": receiver.url}).json["url"] == receiver.url
    wait_until(lambda: len(receiver.received) == 5, SECONDS_MAX)
    assert [received.event for received in receiver.received] == events(gateway, after=before)
    wait_until(lambda: show_webhook(gateway, webhook)["failing_since"] is None, SECONDS_MAX)


@pytest.mark.parametrize("status", [500, 404, 302, 503])
def test_a_rejected_event_is_retried_with_the_same_id(gateway: Gateway, receiver: WebhookReceiver, status: int) -> None:
    hotel = gateway.open_hotel()
    webhook = add_webhook(gateway, receiver.url)
    receiver.status = status
    gateway.book(hotel)
    wait_until(lambda: len(receiver.received) >= 3, SECONDS_MAX)
    receiver.status = 200
    gateway.book(hotel)
    wait_until(lambda: deliveries(gateway, webhook)[0]["delivered"] and len(set(receiver.ids())) == 2, SECONDS_MAX)
    first, second = [event["id"] for event in events(gateway)[-2:]]
    assert receiver.ids() == [first] * receiver.ids().count(first) + [second]
    assert {received.headers["webhook-id"] for received in receiver.received[:3]} == {first}
    attempts = deliveries(gateway, webhook)
    numbers = [attempt["attempt"] for attempt in attempts if attempt["event"] == first]
    assert numbers == list(range(receiver.ids().count(first), 0, -1))
    assert attempts[-1]["status"] == status


def test_a_rejected_event_is_given_up_and_later_ones_are_sent(gateway: Gateway, receiver: WebhookReceiver) -> None:
    hotel = gateway.open_hotel()
    webhook = add_webhook(gateway, receiver.url)
    receiver.rejected.add(f"{hotel.rpartition('/')[2]}:{events(gateway)[-1]['position'] + 1}")
    for _ in range(2):
        gateway.book(hotel)
    wait_until(lambda: len(set(receiver.ids())) == 2, SECONDS_MAX)
    (refused,) = receiver.rejected
    assert receiver.ids().count(refused) == limits.webhook_attempts_max
    (given_up,) = [each for each in deliveries(gateway, webhook) if each["given_up"]]
    assert (given_up["event"], given_up["status"], given_up["attempt"]) == (refused, 422, limits.webhook_attempts_max)
    receiver.rejected.clear()
    resent = act(gateway, webhook, "resend", event=refused)
    assert (resent.json["event"], resent.json["delivered"]) == (refused, True)
    assert receiver.received[-1].headers["webhook-id"] == refused


def test_a_failing_webhook_is_disabled_and_resumes_when_enabled(gateway: Gateway, receiver: WebhookReceiver) -> None:
    hotel = gateway.open_hotel()
    webhook = add_webhook(gateway, receiver.url)
    receiver.status = 503
    gateway.book(hotel)
    wait_until(lambda: show_webhook(gateway, webhook)["failing_since"] is not None, SECONDS_MAX)
    gateway.advance_clock(limits.webhook_failing_seconds_max + 1)
    wait_until(lambda: show_webhook(gateway, webhook)["disabled_at"] is not None, SECONDS_MAX)
    assert "5 days" in show_webhook(gateway, webhook)["disabled_reason"]
    gateway.restart()
    receiver.status, seen = 200, len(receiver.received)
    gateway.book(hotel)
    act(gateway, webhook, "ping")
    assert len(receiver.received) == seen + 1
    enabled = act(gateway, webhook, "enable").json
    assert (enabled["disabled_at"], enabled["failing_since"], enabled["attempts"]) == (None, None, 0)
    wait_until(lambda: receiver.ids()[-1] == events(gateway)[-1]["id"], SECONDS_MAX)


def test_disabling_and_enabling_a_webhook_are_events(gateway: Gateway, receiver: WebhookReceiver) -> None:
    with webhook_receiver() as failing:
        webhook = add_webhook(gateway, failing.url)
        add_webhook(gateway, receiver.url, events=["innkeeper.webhook.*"])
        failing.status = 410
        gateway.open_hotel()
        wait_until(lambda: len(receiver.received) == 1, SECONDS_MAX)
        gateway.restart()
        failing.status = 204
        act(gateway, webhook, "enable")
        wait_until(lambda: len(receiver.received) == 2, SECONDS_MAX)
        act(gateway, webhook, "enable")
    recorded = gateway.list_all("/v1/events", log="delivery")
    assert [received.event for received in receiver.received] == recorded
    assert [(event["id"], event["source"], event["type"], event["sequence"]) for event in recorded] == [
        ("delivery:_all:1", "/hotels/_all/delivery", "innkeeper.webhook.disabled.v1", "000000000001"),
        ("delivery:_all:2", "/hotels/_all/delivery", "innkeeper.webhook.enabled.v1", "000000000002"),
    ]
    assert (recorded[0]["by"], recorded[0]["causationid"]) == ("system", failing.received[0].event["id"])
    assert not recorded[1].keys() & {"by", "causationid", "correlationid"}
    assert recorded[0]["data"] == {
        "webhook": webhook["id"], "url": failing.url, "reason_code": "gone",
        "reason": "the endpoint answered 410 Gone",
    }  # fmt: skip


def test_the_answer_410_gone_disables_a_webhook_at_once(gateway: Gateway, receiver: WebhookReceiver) -> None:
    webhook = add_webhook(gateway, receiver.url)
    receiver.status = 410
    gateway.open_hotel()
    wait_until(lambda: show_webhook(gateway, webhook)["disabled_at"] is not None, SECONDS_MAX)
    assert "410" in show_webhook(gateway, webhook)["disabled_reason"]
    assert len(receiver.received) == 1


def test_a_ping_reports_its_outcome(gateway: Gateway, receiver: WebhookReceiver) -> None:
    webhook = add_webhook(gateway, receiver.url)
    reply = act(gateway, webhook, "ping")
    assert (reply.json["delivered"], reply.json["status"]) == (True, 204)
    assert receiver.received[-1].event["type"] == "innkeeper.webhook.pinged.v1"
    receiver.status = 500
    reply = act(gateway, webhook, "ping")
    assert (reply.json["delivered"], reply.json["status"]) == (False, 500)
    assert reply.json["error"]


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
