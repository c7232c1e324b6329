"""A webhook is changed while a delivery to it is under way: neither undoes the other."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.webhooks.client import PostOutcome
from innkeeper.delivery.webhooks.signing import fresh_secret
from innkeeper.protocol.delivery.webhooks import Webhook
from innkeeper.protocol.messages.refusals import NotFound, Refused
from support.storages import sqlite_storage
from support.virtual_webhooks import ACCEPTED, HOUR, SECOND, URL, WAYS_TO_BE_AWAY, Answer, VirtualWebhooks, delivery

__all__ = ["delivery"]

NEW_URL = "https://new.example/hook"


@contextmanager
def locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Holds the lock of delivery's database in this folder until the function is called."""
    (path,) = folder.rglob("delivery.db")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield lambda: db.execute("ROLLBACK") and None
    finally:
        db.close()


def while_it_waits_for_the_database(
    delivery: VirtualWebhooks, webhook: Webhook, folder: Path, change: Coroutine[Any, Any, object]
) -> None:
    """Deliver the next event, and make the change while the delivery waits to be stored."""

    async def run() -> None:
        subscriber = delivery.subscriber(webhook)
        with locked(folder) as unlock:
            step = asyncio.create_task(subscriber.step())
            while not subscriber.stalled:  # noqa: ASYNC110 (it comes from another task)
                await asyncio.sleep(0.001)
            unlock()
            await change
            await step

    delivery.do(run())


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[tuple[VirtualWebhooks, Webhook]]:
    """A delivery service in files, with a webhook to which an attempt has failed, and that accepts events again."""
    delivery = VirtualWebhooks(sqlite_storage(tmp_path))
    webhook = delivery.add()
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 500"]
    delivery.append("inn")
    delivery.run(SECOND)
    assert delivery.show(webhook).failing_since is not None
    delivery.answer = Answer({})
    delivery.append("lodge")
    yield delivery, webhook
    delivery.close()


def test_a_secret_that_is_rotated_while_a_delivery_waits_for_the_database_signs(
    failing: tuple[VirtualWebhooks, Webhook], tmp_path: Path
) -> None:
    delivery, webhook = failing
    secret = fresh_secret()
    while_it_waits_for_the_database(delivery, webhook, tmp_path, delivery.rotating(webhook, secret))
    assert delivery.show(webhook).failing_since is None
    delivery.append("lodge")
    delivery.run(HOUR)
    assert delivery.secrets[-1][0] == secret
    delivery.restart()
    delivery.append("lodge")
    delivery.run(HOUR)
    assert delivery.secrets[-1][0] == secret
    assert delivery.show(webhook).failing_since is None


def test_a_webhook_that_is_disabled_while_a_delivery_waits_for_the_database_stays_so(
    failing: tuple[VirtualWebhooks, Webhook], tmp_path: Path
) -> None:
    delivery, webhook = failing
    while_it_waits_for_the_database(delivery, webhook, tmp_path, delivery.enabling(webhook, False))
    assert delivery.show(webhook).disabled_at is not None
    delivery.restart()
    assert delivery.show(webhook).disabled_at is not None


@pytest.mark.parametrize("way", [PostOutcome(410, "answered 410"), PostOutcome(422, "answered 422")])
def test_what_the_old_url_answers_late_says_nothing_of_the_new_one(delivery: VirtualWebhooks, way: PostOutcome) -> None:
    webhook = delivery.add()
    delivery.answer = lambda url, _event: way if url == URL else ACCEPTED
    delivery.meanwhile = delivery.changing(webhook, url=NEW_URL)
    events = delivery.append("inn", "lodge")
    delivery.run(SECOND)
    changed = delivery.show(webhook)
    assert (changed.disabled_at, changed.failing_since, delivery.accepted()) == (None, None, events)
    assert [post.url for post in delivery.posts] == [URL, NEW_URL, NEW_URL]


def test_a_webhook_that_is_removed_during_a_test_keeps_no_attempt(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.meanwhile = delivery.removing(webhook)
    with pytest.raises(Refused) as refused:
        delivery.ping(webhook)
    assert refused.value.refusal == NotFound("webhook", webhook.id)
    assert delivery.attempts(webhook) == ()
