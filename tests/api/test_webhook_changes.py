"""A webhook is changed while its receiver hangs: the change waits for the request under way, and gets through."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.gateway import Gateway, assert_problem
from support.waiting import wait_until
from support.webhook_gateway import gateway, receiver
from support.webhook_receiver import WebhookReceiver, webhook_receiver
from support.webhook_routes import act, add_webhook, events, show_webhook

SECONDS_MAX = 60


__all__ = ["gateway", "receiver"]


def test_a_ping_during_a_change_goes_to_the_new_url(gateway: Gateway, receiver: WebhookReceiver) -> None:
    webhook = add_webhook(gateway, receiver.url)
    receiver.answering.clear()
    gateway.open_hotel()
    wait_until(lambda: len(receiver.received) == 1, SECONDS_MAX)
    with webhook_receiver() as other, ThreadPoolExecutor() as pool:
        path = f"/v1/webhooks/{webhook['id']}"
        changing = pool.submit(gateway.send, "PATCH", path, {"url": other.url})
        wait_until(lambda: show_webhook(gateway, webhook)["url"] == other.url, SECONDS_MAX)
        ping = act(gateway, webhook, "ping")
        assert (ping.status, ping.json["delivered"]) == (200, True)
        assert not changing.done()
        receiver.answering.set()
        assert changing.result().status == 200


def test_a_change_that_its_client_does_not_wait_for_is_carried_out(
    gateway: Gateway, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = add_webhook(gateway, receiver.url)
    receiver.answering.clear()
    gateway.open_hotel()
    wait_until(lambda: len(receiver.received) == 1, SECONDS_MAX)
    path = f"/v1/webhooks/{webhook['id']}"
    with webhook_receiver() as other, monkeypatch.context() as patched:
        patched.setattr("innkeeper.actors.subscriptions.service_router.service_answer_seconds_max", 0.5)
        change = "PATCH", path, {"url": other.url}, {"Idempotency-Key": "change-1"}
        late = gateway.send(*change)
        assert_problem(late, 503, "unavailable")
        assert late.json["unknown"]
        receiver.status = 500  # of the request that is under way
        receiver.answering.set()
        wait_until(lambda: other.accepted == [event["id"] for event in events(gateway)], SECONDS_MAX)
        patched.undo()
        assert gateway.send(*change).headers["idempotent-replayed"] == "true"
        for action in ("disable", "enable"):
            assert act(gateway, webhook, action).status == 200
        assert gateway.send("PATCH", path, {"url": other.url}).status == 200
