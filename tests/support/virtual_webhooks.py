"""The real webhooks with real subscribers and cursors, on a clock that runs as fast as the test: days pass at once.

The receivers are functions of the test; nothing is sent. Each subscriber works when it has something to do, as the
tasks of a service would: after a pause, when an event is due again, or when there are new events.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any, NamedTuple, TypeVar

import pytest
from innkeeper.actors.delivery.event_relay import EventRelay
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.actors.subscriptions.kept_replies import without_key
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.delivery.webhooks.client import PostOutcome
from innkeeper.delivery.webhooks.webhooks import Webhooks
from innkeeper.protocol.delivery.events import WebhookEnabled
from innkeeper.protocol.delivery.webhooks import (
    AddWebhook,
    ChangeWebhook,
    ContentType,
    DeliveryAttempt,
    EnableWebhook,
    ListDeliveries,
    PingWebhook,
    RemoveWebhook,
    RotateSecret,
    ShowWebhook,
    Webhook,
    WebhookChange,
    WebhookRequest,
)
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import DeadLetter, EventHandler, Stalled, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS
from innkeeper.storage.memory.journal import JournalContents, MemoryEventLog, MemoryJournal

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
START = 20_000 * DAY
ACCEPTED = PostOutcome(204)
URL = "https://receiver.example/hook"

PAUSE_MAX = limits.webhook_pause_seconds_max * SECOND
REFUSED = PostOutcome(422, "answered 422")
WAYS_TO_BE_AWAY = {
    "refuses connections": PostOutcome(None, "the host refuses connections"),
    "has no address": PostOutcome(None, "the host's name cannot be resolved"),
    "cannot be connected to": PostOutcome(None, "no connection within 5 seconds"),
    "hangs": PostOutcome(None, "no answer within 15 seconds"),
    "has a wrong certificate": PostOutcome(None, "the host's certificate is not trusted: self-signed certificate"),
    "does not speak HTTP": PostOutcome(None, "the answer is not HTTP"),
    "answers 301": PostOutcome(301, "answered 301: redirects are not followed"),
    "answers 302": PostOutcome(302, "answered 302: redirects are not followed"),
    "answers 400": PostOutcome(400, "answered 400"),
    "answers 401": PostOutcome(401, "answered 401"),
    "answers 404": PostOutcome(404, "answered 404"),
    "answers 429, retry after a minute": PostOutcome(429, "answered 429", retry_after_seconds=60),
    "answers 500": PostOutcome(500, "answered 500"),
    "answers 502": PostOutcome(502, "answered 502"),
    "answers 503, retry after an hour": PostOutcome(503, "answered 503", retry_after_seconds=3_600),
    "answers 503, retry after a year": PostOutcome(503, "answered 503", retry_after_seconds=365 * 86_400),
}

T = TypeVar("T")


class Post(NamedTuple):
    """A request to a receiver: when (microseconds since 1970 UTC), where, which event, and whether it was accepted."""

    at: int
    url: str
    event: str
    accepted: bool

    @property
    def hotel(self) -> str:
        """The hotel of the event."""
        return self.event.rpartition(":")[0]


class Log(MemoryEventLog):
    """A log in memory, to which a test appends this event of hotels, many at once."""

    def __init__(self, event: Event) -> None:
        super().__init__(contents := JournalContents())
        self._journal = MemoryJournal(contents)
        self._event = event
        self._last: dict[str, int] = defaultdict(int)
        self.read_at_once_max = 0

    def append(self, hotels: Sequence[str]) -> list[str]:
        """Append an event of each of these hotels; their ids."""
        records = []
        for hotel in hotels:
            self._last[hotel] += 1
            records.append(RecordedEvent(hotel, self._last[hotel], 0, "", "", "", self._event))
        self._journal.write(records, ())
        self._journal.sync()
        return [record.id for record in records]

    def read(self, after: int, limit: int, *hotel: Any) -> Any:
        """See `protocol.ports.subscriptions.EventLog`."""
        found = super().read(after, limit, *hotel)
        self.read_at_once_max = max(self.read_at_once_max, len(found))
        return found


class VirtualWebhooks:
    """A delivery service with these webhooks. `answer` says how the receiver at a URL answers an event; `meanwhile` is
    done once, between the next request and its answer."""

    def __init__(self, storage: Storage) -> None:
        self.at = START
        self.answer: Callable[[str, str], PostOutcome] = lambda _url, _event: ACCEPTED
        self.posts: list[Post] = []
        self.content_types: list[ContentType] = []
        self.signed_at: list[int] = []
        self.secrets: list[tuple[str, ...]] = []
        self.meanwhile: Coroutine[Any, Any, object] | None = None
        self.logs = {
            RESERVATIONS: Log(BookingPinned("booking", "101")),
            DELIVERY: Log(WebhookEnabled("another", "https://another.example/")),
        }
        self._storage = storage
        self._ids = count(1)
        self._loop = asyncio.new_event_loop()
        self._opened = ExitStack()
        self._own_log = MemoryJournal(JournalContents())
        self._open()

    def _open(self) -> None:
        self._store = self._opened.enter_context(self._storage.delivery_store("delivery"))
        self._subscribers: dict[str, Subscriber] = {}
        self._due: dict[str, float] = {}
        self.relay = EventRelay(
            self._store.event_outbox, self._store.sync, EventWriter(self._own_log, lambda: self.at), lambda: self.at
        )
        self.webhooks = Webhooks(
            self._store, self, self.logs, self, lambda: self.at, lambda: f"w{next(self._ids)}", self.relay.publish
        )  # type: ignore[arg-type]

    def restart(self) -> None:
        """End the process, and start it again."""
        self._opened.close()
        self._open()

    def close(self) -> None:
        """Close the store."""
        self._opened.close()
        self._loop.close()

    @property
    def published(self) -> list[tuple[str, Event, str]]:
        """The events that are published now, each with its hotel and its cause."""
        while self.do(self.relay.step()):
            pass
        return [(record.hotel, record.event, record.cause) for _, record in self._own_log.read()]

    def published_now(self) -> int:
        """How many events are published, without those that wait."""
        return self._own_log.position()

    # The port `Subscribers`

    def subscribe(self, request: SubscriptionRequest, handle: EventHandler, batch_events: int = 256) -> Subscriber:
        """See `Subscribers`."""
        cursors = [self._store.open_cursor(request, name, log) for name, log in self.logs.items()]
        subscriber = Subscriber(cursors, handle, lambda: self.at, batch_events=batch_events)
        self._subscribers[request.name], self._due[request.name] = subscriber, 0
        return subscriber

    async def unsubscribe(self, name: str, delete: bool = True) -> None:
        """See `Subscribers`."""
        subscriber = self._subscribers.pop(name)
        if delete:
            subscriber.delete()

    def notify(self, name: str) -> None:
        """See `Subscribers`."""
        self._due[name] = 0

    # The client

    def check(self, url: str) -> None:
        """See `WebhookClient`."""

    async def post(
        self, url: str, secrets: Sequence[str], event: str, at_seconds: int, _body: bytes, content_type: ContentType
    ) -> PostOutcome:
        """See `WebhookClient`."""
        outcome = self.answer(url, event)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile
        self.posts.append(Post(self.at, url, event, outcome.delivered))
        self.content_types.append(content_type)
        self.signed_at.append(at_seconds)
        self.secrets.append((*secrets,))
        return outcome

    # What a test does

    def add(self, url: str = URL, **fields: Any) -> Webhook:
        """A new webhook for all events."""
        request = WebhookRequest(url=url, events=("innkeeper.*",), **fields)
        return self.do(self.webhooks.add(AddWebhook(request, "ann"), without_key(self._store))).webhook

    def show(self, webhook: Webhook) -> Webhook:
        """The webhook as it is now."""
        return self.do(self.webhooks.show(ShowWebhook(webhook.id), without_key(self._store))).webhook

    def enable(self, webhook: Webhook, enabled: bool = True) -> None:
        """Enable a webhook, or disable it."""
        self.do(self.enabling(webhook, enabled))

    def enabling(self, webhook: Webhook, enabled: bool = True) -> Coroutine[Any, Any, object]:
        """What enables or disables a webhook."""
        return self.webhooks.enable(EnableWebhook(webhook.id, enabled), without_key(self._store))

    def rotating(self, webhook: Webhook, secret: str) -> Coroutine[Any, Any, object]:
        """What replaces the secret of a webhook."""
        return self.webhooks.rotate(RotateSecret(webhook.id, secret), without_key(self._store))

    def change(self, webhook: Webhook, **fields: Any) -> None:
        """Change a webhook."""
        self.do(self.changing(webhook, **fields))

    def changing(self, webhook: Webhook, **fields: Any) -> Coroutine[Any, Any, object]:
        """What changes a webhook."""
        change = ChangeWebhook(webhook.id, WebhookChange(**fields))
        return self.webhooks.change(change, without_key(self._store))

    def removing(self, webhook: Webhook) -> Coroutine[Any, Any, object]:
        """What removes a webhook."""
        return self.webhooks.remove(RemoveWebhook(webhook.id), without_key(self._store))

    def ping(self, webhook: Webhook) -> DeliveryAttempt:
        """Send a test event."""
        reply = self.do(self.webhooks.ping(PingWebhook(webhook.id), without_key(self._store)))
        return reply.deliveries[0]

    def deliveries(self, webhook: Webhook) -> list[DeliveryAttempt]:
        """The attempts, oldest first."""
        message = ListDeliveries(webhook.id, 10_000)
        reply = self.do(self.webhooks.deliveries(message, without_key(self._store)))
        return [*reversed(reply.deliveries)]

    def attempts(self, webhook: Webhook) -> tuple[DeliveryAttempt, ...]:
        """What the store has of attempts, of a webhook that is removed too."""
        return self._store.webhooks.deliveries(ListDeliveries(webhook.id, 10)).deliveries

    def subscriber(self, webhook: Webhook) -> Subscriber:
        """The subscriber of a webhook."""
        return self._subscribers[f"webhook-{webhook.id}"]

    def dead_letters(self) -> list[DeadLetter]:
        """The dead letters of all webhooks."""
        return [letter for subscriber in self._subscribers.values() for letter in subscriber.dead_letters()]

    def redrive(self, letter: DeadLetter, drop: bool = False) -> None:
        """Retry a dead letter, or drop it."""
        assert self._subscribers[letter.subscriber].redrive(letter.event, drop) is not None
        self.notify(letter.subscriber)

    def append(self, *hotels: str, log: str = RESERVATIONS) -> list[str]:
        """Append an event of each of these hotels; their ids."""
        for name, subscriber in self._subscribers.items():
            if not subscriber.stalled:
                self.notify(name)
        return self.logs[log].append(hotels)

    def run(self, duration: int) -> None:
        """Let this time pass (microseconds); all that is due in it happens."""
        until = self.at + duration
        while self._due and (due := min(self._due.items(), key=lambda item: item[1]))[1] <= until:
            name, at = due
            self.at = max(self.at, round(at))
            self._due[name] = self._step(self._subscribers[name])
        self.at = until

    def _step(self, subscriber: Subscriber) -> float:
        """When the subscriber does its next step."""
        try:
            worked = self.do(subscriber.step())
        except Stalled as stalled:
            subscriber.stalled = str(stalled)
            return self.at + (stalled.retry_seconds or 0) * SECOND
        subscriber.stalled = ""
        due_at = subscriber.due_at()
        return self.at if worked else float("inf") if due_at is None else max(due_at, self.at + 1)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this work to its end."""
        return self._loop.run_until_complete(work)

    def accepted(self, hotel: str | None = None) -> list[str]:
        """The events that were accepted, of one hotel or of all, in order."""
        return [post.event for post in self.posts if post.accepted and hotel in (None, post.hotel)]


@pytest.fixture
def delivery(storage: Storage) -> Iterator[VirtualWebhooks]:
    """A delivery service on a virtual clock."""
    opened = VirtualWebhooks(storage)
    yield opened
    opened.close()


class Answer:
    """Answers some events differently, and accepts the others."""

    def __init__(self, outcomes: dict[str, PostOutcome]) -> None:
        self._outcomes = outcomes

    def __call__(self, _url: str, event: str) -> PostOutcome:
        return self._outcomes.get(event, ACCEPTED)


def assert_each_once_in_order(delivery: VirtualWebhooks, events: list[str]) -> None:
    """Every event was accepted exactly once, in the order of its hotel."""
    assert sorted(delivery.accepted()) == sorted(events)
    for hotel in {event.rpartition(":")[0] for event in events}:
        assert delivery.accepted(hotel) == [event for event in events if event.rpartition(":")[0] == hotel]


def refuse(*events: str) -> Answer:
    """Refuses these events, and accepts the others."""
    return Answer(dict.fromkeys(events, REFUSED))
