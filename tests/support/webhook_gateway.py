"""Fixtures of the tests of webhooks over HTTP: a gateway that retries soon, and a receiver."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway
from support.gateway import gateway as running_gateway
from support.webhook_receiver import WebhookReceiver, webhook_receiver


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway for one test that retries deliveries after 0.05 s."""
    monkeypatch.setattr("innkeeper.delivery.webhooks.retries.delay_seconds", lambda *_: 0.05)
    schedule = (0.05,) * len(limits.webhook_retry_seconds)
    monkeypatch.setattr("innkeeper.delivery.webhooks.retries.webhook_retry_seconds", schedule)
    with running_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """The server that the webhooks are sent to."""
    with webhook_receiver() as started:
        yield started
