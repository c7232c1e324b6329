"""The secrets of webhooks: the newest signs, and each older one for a day after its replacement."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, HttpResponse, assert_problem
from support.gateway import gateway as running_gateway
from support.webhook_receiver import WebhookReceiver, check_signature, webhook_receiver

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
DAY = 86_400


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """The server that the webhooks are sent to."""
    with webhook_receiver() as started:
        yield started


def add_webhook(gateway: Gateway, url: str) -> dict[str, Any]:
    """A new webhook, which gets no event during the test."""
    webhook: dict[str, Any] = gateway.post("/v1/webhooks", {"url": url, "events": ["innkeeper.webhook.*"]}).json
    return webhook


def act(gateway: Gateway, webhook: dict[str, Any], action: str, **fields: Any) -> HttpResponse:
    """An action on a webhook."""
    return gateway.post(f"/v1/webhooks/{webhook['id']}/actions/{action}", fields)


def test_after_a_rotation_both_secrets_sign_for_a_day(gateway: Gateway, receiver: WebhookReceiver) -> None:
    webhook = add_webhook(gateway, receiver.url)
    new_secret = act(gateway, webhook, "rotate-secret").json["secret"]
    act(gateway, webhook, "ping")
    for secret in (webhook["secret"], new_secret):
        check_signature(receiver.received[-1].headers, receiver.received[-1].body, secret)
    gateway.advance_clock(DAY + 1)
    act(gateway, webhook, "ping")
    check_signature(receiver.received[-1].headers, receiver.received[-1].body, new_secret)
    assert len(receiver.received[-1].headers["webhook-signature"].split()) == 1
    assert act(gateway, webhook, "rotate-secret", secret=SECRET).json["secret"] == SECRET


def test_every_secret_signs_for_a_day_after_its_replacement(gateway: Gateway, receiver: WebhookReceiver) -> None:
    webhook = add_webhook(gateway, receiver.url)
    secrets = [webhook["secret"]]
    for _ in range(3):
        gateway.advance_clock(DAY / 4)
        secrets.append(act(gateway, webhook, "rotate-secret").json["secret"])
    for valid in (4, 3, 2, 1):
        act(gateway, webhook, "ping")
        received = receiver.received[-1]
        assert len(received.headers["webhook-signature"].split()) == valid
        for secret in secrets[-valid:]:
            check_signature(received.headers, received.body, secret)
        gateway.advance_clock(DAY / 2 + 1 if valid == 4 else DAY / 4)


def test_too_many_valid_secrets_are_refused(
    gateway: Gateway, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.delivery.webhooks.webhooks.webhook_secrets_max", 2)
    webhook = add_webhook(gateway, receiver.url)
    assert act(gateway, webhook, "rotate-secret").status == 200
    problem = assert_problem(act(gateway, webhook, "rotate-secret"), 409, "not_allowed")
    assert problem["detail"] == "2 secrets sign at once at most; try again when an older one has expired"
    gateway.advance_clock(DAY + 1)
    assert act(gateway, webhook, "rotate-secret").status == 200


def test_a_key_of_a_service_is_valid_for_a_day(gateway: Gateway, receiver: WebhookReceiver) -> None:
    body = {"url": receiver.url, "events": ["innkeeper.webhook.*"]}

    def add(key: str) -> HttpResponse:
        return gateway.post("/v1/webhooks", body, {"Idempotency-Key": key})

    first = add("once").json["id"]
    gateway.advance_clock(23 * 3_600)
    assert add("other").status == 201
    again = add("once")
    assert (again.json["id"], again.headers["idempotent-replayed"]) == (first, "true")
    gateway.advance_clock(2 * 3_600)
    assert add("later").status == 201
    assert add("once").json["id"] != first
