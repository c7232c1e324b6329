"""What is published about webhooks is what has happened, and once, wherever the program ends."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.webhooks.client import PostOutcome
from innkeeper.protocol.delivery.events import WebhookDisabled, WebhookEnabled, WebhookEventRefused
from innkeeper.protocol.delivery.webhooks import Webhook
from innkeeper.protocol.ports.journal import JournalLocked
from innkeeper.protocol.ports.storage import Storage
from innkeeper.storage.memory.event_outbox import MemoryEventOutbox
from innkeeper.storage.memory.webhook_store import MemoryWebhookStore
from innkeeper.storage.sqlite.event_outbox import SqliteEventOutbox
from innkeeper.storage.sqlite.webhook_store import SqliteWebhookStore
from innkeeper.storage.stored_cursor import StoredCursor
from support.storages import sqlite_storage
from support.virtual_webhooks import DAY, HOUR, SECOND, Answer, VirtualWebhooks, delivery, refuse

__all__ = ["delivery"]

GONE = PostOutcome(410, "answered 410")


class Died(BaseException):
    """The process ends."""


def die_once(
    monkeypatch: pytest.MonkeyPatch, classes: tuple[type, ...], name: str, when: Callable[..., bool] = lambda *_: True
) -> None:
    """The process ends at the first call of this method of one of the classes with such arguments, before it begins."""
    has_died = False

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: object, *given: Any) -> Any:
            nonlocal has_died
            if not has_died and when(*given):
                has_died = True
                raise Died
            return method(self, *given)

        return call

    for kind in classes:
        monkeypatch.setattr(kind, name, dying(getattr(kind, name)))


def is_disabled(webhook: Webhook, *_: object) -> bool:
    """Whether a webhook that is stored is disabled."""
    return webhook.disabled_at is not None


def run_and_die(delivery: VirtualWebhooks, duration: int) -> None:
    """Let time pass until the process ends, and start it again."""
    with pytest.raises(Died):
        delivery.run(duration)
    delivery.restart()


def refuse_for_days(delivery: VirtualWebhooks) -> None:
    """Let days pass, in which events of another hotel are accepted."""
    for _ in range(4 * 24):
        delivery.append("lodge")
        delivery.run(HOUR)


def kinds(delivery: VirtualWebhooks) -> list[type]:
    """The types of what is published."""
    return [type(event) for _, event, _ in delivery.published]


def test_a_webhook_that_is_gone_is_published_once_where_the_process_ends_before_that_is_stored(
    delivery: VirtualWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = delivery.add()
    delivery.answer = lambda _url, _event: GONE
    delivery.append("inn")
    die_once(monkeypatch, (SqliteWebhookStore, MemoryWebhookStore), "put", is_disabled)
    run_and_die(delivery, SECOND)
    assert (delivery.show(webhook).disabled_at, kinds(delivery)) == (None, [])
    delivery.run(HOUR)
    assert (delivery.show(webhook).disabled_reason, kinds(delivery)) == (
        "the endpoint answered 410 Gone", [WebhookDisabled],
    )  # fmt: skip
    assert delivery.published[0][2] == "inn:1"


def test_a_webhook_is_disabled_and_paused_together(delivery: VirtualWebhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = delivery.add()
    delivery.answer = lambda _url, _event: GONE
    delivery.append("inn")
    die_once(monkeypatch, (StoredCursor,), "pause")
    run_and_die(delivery, SECOND)
    assert delivery.show(webhook).disabled_at is None
    delivery.run(HOUR)
    assert delivery.show(webhook).disabled_at is not None
    assert delivery.subscriber(webhook).state().paused
    assert kinds(delivery) == [WebhookDisabled]


def test_a_webhook_that_is_enabled_is_published_once_where_the_process_ends_before_that_is_stored(
    delivery: VirtualWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = delivery.add()
    delivery.enable(webhook, False)
    die_once(monkeypatch, (SqliteWebhookStore, MemoryWebhookStore), "put")
    with pytest.raises(Died):
        delivery.enable(webhook)
    delivery.restart()
    assert (delivery.show(webhook).disabled_reason, kinds(delivery)) == ("by hand", [WebhookDisabled])
    delivery.enable(webhook)
    assert kinds(delivery) == [WebhookDisabled, WebhookEnabled]


def test_a_refused_event_is_published_once_where_the_process_ends_before_it_is_parked(
    delivery: VirtualWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery.add()
    delivery.answer = refuse("inn:1")
    delivery.append("inn")
    die_once(monkeypatch, (StoredCursor,), "park", lambda _, failure, __: failure.retry.seconds is None)
    with pytest.raises(Died):
        refuse_for_days(delivery)
    delivery.restart()
    assert (kinds(delivery), [letter.retry_at is None for letter in delivery.dead_letters()]) == ([], [False])
    refuse_for_days(delivery)
    assert kinds(delivery) == [WebhookEventRefused]
    assert [letter.retry_at for letter in delivery.dead_letters()] == [None]


def test_what_was_published_is_not_published_again_where_the_process_ends_before_it_is_removed(
    delivery: VirtualWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = delivery.add()
    die_once(monkeypatch, (SqliteEventOutbox, MemoryEventOutbox), "remove")
    delivery.enable(webhook, False)
    with pytest.raises(Died):
        delivery.published  # noqa: B018
    delivery.enable(webhook)
    delivery.restart()
    assert kinds(delivery) == [WebhookDisabled, WebhookEnabled]
    delivery.enable(webhook, False)
    delivery.run(DAY)
    assert kinds(delivery) == [WebhookDisabled, WebhookEnabled, WebhookDisabled]


def test_what_happened_before_the_process_ended_is_published_when_it_starts_again(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.enable(webhook, False)
    delivery.enable(webhook)
    delivery.restart()
    assert kinds(delivery) == [WebhookDisabled, WebhookEnabled]


@pytest.mark.parametrize("enabled", [False, True])
def test_nothing_is_published_of_a_change_that_cannot_be_stored(tmp_path: Path, enabled: bool) -> None:
    delivery = VirtualWebhooks(sqlite_storage(tmp_path))
    webhook = delivery.add()
    if enabled:
        delivery.enable(webhook, False)
    before = delivery.published
    (path,) = tmp_path.rglob("delivery.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalLocked):
            delivery.enable(webhook, enabled)
    assert delivery.published == before
    assert (delivery.show(webhook).disabled_at is None) is not enabled
    assert delivery.subscriber(webhook).state().paused is enabled
    delivery.close()


def test_an_event_is_published_when_the_change_is_on_disk(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = VirtualWebhooks(storage)
    webhook = delivery.add()
    at_sync: list[int] = []
    synced = delivery.relay._sync

    async def sync() -> None:
        at_sync.append(delivery.published_now())
        await synced()

    monkeypatch.setattr(delivery.relay, "_sync", sync)
    delivery.answer = Answer({})
    delivery.enable(webhook, False)
    assert (kinds(delivery), at_sync) == ([WebhookDisabled], [0])
    delivery.close()
