"""Webhooks whose receivers do not accept what they get: retries, dead letters, disabled webhooks, test events."""

import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway
from support.waiting import wait_until
from support.webhook_gateway import gateway, receiver
from support.webhook_receiver import WebhookReceiver, webhook_receiver
from support.webhook_routes import RESERVATIONS, act, add_webhook, deliveries, events, show_webhook

SECONDS_MAX = 60


__all__ = ["gateway", "receiver"]


@pytest.mark.parametrize("status", [500, 404, 302, 503, 429])
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


def test_an_event_that_is_refused_alone_becomes_a_dead_letter_and_is_redriven(
    gateway: Gateway, receiver: WebhookReceiver
) -> None:
    hotel, other = gateway.open_hotel({"DBL": 9}, id="inn"), gateway.open_hotel({"DBL": 9}, id="lodge")
    night = count(1)
    webhook = add_webhook(gateway, receiver.url, events=[*RESERVATIONS, "innkeeper.webhook.*"])
    refused = f"inn:{int(events(gateway, hotel='inn')[-1]['sequence']) + 1}"
    receiver.rejected.add(refused)
    gateway.book(hotel)
    gateway.book(hotel)

    def is_given_up() -> bool:
        gateway.book(other, next(night) % 300)
        return any(each["given_up"] for each in deliveries(gateway, webhook))

    wait_until(is_given_up, SECONDS_MAX)
    wait_until(lambda: len(gateway.list_all("/v1/events", log="delivery")) == 1, SECONDS_MAX)
    (announced,) = gateway.list_all("/v1/events", log="delivery")
    wait_until(lambda: announced["id"] in receiver.ids(), SECONDS_MAX)
    assert (announced["source"], announced["causationid"]) == ("/hotels/inn/delivery", refused)
    assert (announced["type"], announced["by"]) == ("innkeeper.webhook.event_refused.v1", "system")
    assert announced["data"] == {
        "webhook": webhook["id"], "url": receiver.url, "event": refused, "event_type": "innkeeper.booking.confirmed.v1",
        "attempts": announced["data"]["attempts"], "reason": "answered 422",
    }  # fmt: skip
    wait_until(lambda: gateway.get("/v1/dead-letters").json["data"][0]["retry_at"] is None, SECONDS_MAX)
    (letter,) = gateway.get("/v1/dead-letters").json["data"]
    assert (letter["subscriber"], letter["event"], letter["hotel"], letter["reason"], letter["retry_at"]) == (
        f"webhook-{webhook['id']}", refused, "inn", "answered 422", None,
    )  # fmt: skip
    assert {event for event in receiver.ids() if event.startswith("inn:")} == {refused}
    receiver.rejected.clear()
    assert gateway.post(f"/v1/dead-letters/{letter['subscriber']}/{refused}/actions/redrive", {}).status == 200
    last = events(gateway, hotel="inn")[-1]["id"]
    wait_until(lambda: last in receiver.ids(), SECONDS_MAX)
    assert gateway.get("/v1/dead-letters").json["data"] == []


def test_the_content_type_is_chosen_for_each_webhook(gateway: Gateway, receiver: WebhookReceiver) -> None:
    """Most receivers parse only `application/json`, as `express.json()` does."""
    webhook = add_webhook(gateway, receiver.url)
    assert webhook["content_type"] == "application/json"
    act(gateway, webhook, "ping")
    path = f"/v1/webhooks/{webhook['id']}"
    changed = gateway.send("PATCH", path, {"content_type": "application/cloudevents+json"})
    assert changed.json["content_type"] == "application/cloudevents+json"
    act(gateway, webhook, "ping")
    chosen = add_webhook(gateway, receiver.url, content_type="application/cloudevents+json")
    act(gateway, chosen, "ping")
    assert [received.headers["content-type"] for received in receiver.received] == [
        "application/json", "application/cloudevents+json", "application/cloudevents+json",
    ]  # fmt: skip
    gateway.restart()
    assert show_webhook(gateway, chosen)["content_type"] == "application/cloudevents+json"
    body = {"url": receiver.url, "events": ["innkeeper.*"], "content_type": "text/plain"}
    assert gateway.post("/v1/webhooks", body).status == 422


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
    assert receiver.received[-1].event["id"].startswith("ping-")
    assert receiver.received[-1].event["data"] == {"webhook": webhook["id"]}
    receiver.status = 500
    reply = act(gateway, webhook, "ping")
    assert (reply.json["delivered"], reply.json["status"], reply.json["error"]) == (False, 500, "answered 500")
    assert reply.json["milliseconds"] >= 0
    assert [event["type"] for event in gateway.list_all("/v1/events", log="delivery")] == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{closed}/hook", "the host refuses connections"),
        ("https://127.0.0.1:{open}/hook", "the TLS handshake with the host failed"),
        ("http://no-such-host.invalid/hook", "the host's name cannot be resolved"),
    ],
)
def test_a_ping_says_why_a_receiver_cannot_be_reached(
    gateway: Gateway, receiver: WebhookReceiver, url: str, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        ports = {"closed": closed.getsockname()[1], "open": receiver.port}
    reply = act(gateway, add_webhook(gateway, url.format(**ports)), "ping")
    assert (reply.status, reply.json["delivered"], reply.json["status"]) == (200, False, None)
    assert reply.json["error"] == reason


def test_a_ping_of_a_receiver_that_hangs_ends_in_limited_time_and_delays_no_other(
    gateway: Gateway, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.delivery.webhooks.client.webhook_seconds_max", 1)
    webhook = add_webhook(gateway, receiver.url)
    receiver.answering.clear()
    with webhook_receiver() as healthy:
        add_webhook(gateway, healthy.url)
        hotel = gateway.open_hotel()
        with ThreadPoolExecutor(limits.webhook_tests_at_once_max + 4) as pings:
            replies = [pings.submit(act, gateway, webhook, "ping") for _ in range(limits.webhook_tests_at_once_max + 4)]
            gateway.book(hotel)
            wait_until(lambda: len(healthy.received) == gateway.last_position(), SECONDS_MAX)
            answered = [reply.result() for reply in replies]
    statuses = [reply.status for reply in answered]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= limits.webhook_tests_at_once_max
    errors = {reply.json["error"] for reply in answered if reply.status == 200}
    assert errors == {"no answer within 1 seconds"}
    assert all("retry-after" in reply.headers for reply in answered if reply.status == 503)


def test_a_ping_that_is_repeated_with_its_key_is_sent_once(gateway: Gateway, receiver: WebhookReceiver) -> None:
    path = f"/v1/webhooks/{add_webhook(gateway, receiver.url)['id']}/actions/ping"
    first, again = (gateway.post(path, {}, {"Idempotency-Key": "ping-1"}) for _ in range(2))
    assert (first.json, again.headers["idempotent-replayed"], len(receiver.received)) == (again.json, "true", 1)


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
