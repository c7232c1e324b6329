"""What every store of webhooks does: it keeps endpoints with their secrets, and the latest attempts of each."""

from collections.abc import Iterator
from typing import Any

import pytest
from innkeeper.protocol.delivery.webhooks import DeliveryAttempt, ListDeliveries, SigningSecret, Webhook
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.webhook_store import WebhookStore
from innkeeper.protocol.values.contexts import DELIVERY
from innkeeper.protocol.values.limits import webhook_deliveries_kept_max


@pytest.fixture
def webhooks(storage: Storage) -> Iterator[WebhookStore]:
    """An empty store."""
    with storage.delivery_store(DELIVERY) as store:
        yield store.webhooks


def webhook(id_: str, **more: Any) -> Webhook:
    """An endpoint."""
    return Webhook(
        id=id_, url="https://a.example", events=("innkeeper.*",), hotel=None, after={}, created_at=1, created_by="ann",
        **more,
    )  # fmt: skip


def attempt(webhook: str, event: str, error: str = "") -> DeliveryAttempt:
    """An attempt to deliver an event."""
    return DeliveryAttempt(
        webhook=webhook, event=event, type="t", at=1, attempt=1, status=200, error=error, milliseconds=3, excerpt=""
    )


def listed(webhooks: WebhookStore, limit: int = 10, **more: Any) -> tuple[list[str], bool]:
    """The events of the attempts of the first endpoint, and whether there are more."""
    page = webhooks.deliveries(ListDeliveries("1", limit, **more))
    return [one.event for one in page.deliveries], page.more


def test_endpoints_are_kept_with_their_secrets_in_the_order_of_their_ids(
    webhooks: WebhookStore, storage: Storage
) -> None:
    secrets = (SigningSecret("new"), SigningSecret("old", 7))
    webhooks.put(webhook("2"), (SigningSecret("s"),))
    webhooks.put(webhook("1"), ())
    webhooks.put(webhook("1", attempts=3), secrets)
    with storage.delivery_store(DELIVERY) as again:
        assert again.webhooks.all() == [(webhook("1", attempts=3), secrets), (webhook("2"), (SigningSecret("s"),))]


def test_attempts_are_numbered_and_listed_newest_first_page_by_page(webhooks: WebhookStore, storage: Storage) -> None:
    noted = [webhooks.note(attempt("1", event)) for event in "abc"]
    webhooks.note(attempt("2", "x"))
    noted.append(webhooks.note(attempt("1", "d", "timeout")))
    numbers = [one.number for one in noted]
    assert numbers == sorted(set(numbers))
    with storage.delivery_store(DELIVERY) as again:
        assert listed(again.webhooks) == (["d", "c", "b", "a"], False)
        assert listed(again.webhooks, limit=4) == (["d", "c", "b", "a"], False)
        assert listed(again.webhooks, limit=2) == (["d", "c"], True)
        assert listed(again.webhooks, before=numbers[2]) == (["b", "a"], False)
        assert listed(again.webhooks, failed=True) == (["d"], False)
        assert again.webhooks.deliveries(ListDeliveries("1", 1)).deliveries == (noted[-1],)
        assert again.webhooks.note(attempt("1", "e")).number > numbers[-1]


def test_a_removed_endpoint_leaves_nothing_and_its_numbers_are_not_used_again(webhooks: WebhookStore) -> None:
    webhooks.put(webhook("1"), ())
    webhooks.put(webhook("2"), ())
    last = webhooks.note(attempt("1", "a")).number
    webhooks.remove("1")
    webhooks.remove("unknown")
    assert ([one.id for one, _ in webhooks.all()], listed(webhooks)) == (["2"], ([], False))
    assert webhooks.note(attempt("1", "b")).number > last


def test_old_attempts_are_removed(webhooks: WebhookStore) -> None:
    for number in range(webhook_deliveries_kept_max + 200):
        webhooks.note(attempt("1", str(number)))
    events, more = listed(webhooks, 10_000)
    assert not more
    assert webhook_deliveries_kept_max <= len(events) < webhook_deliveries_kept_max + 200
    assert events[0] == str(webhook_deliveries_kept_max + 199)
