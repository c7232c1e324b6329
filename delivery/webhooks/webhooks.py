"""Delivers events to webhooks: each endpoint is a subscriber, and gets one event at a time, in the order of its hotel.

An endpoint that is away is retried with growing pauses, while its events wait in the log; after days of failure it is
disabled, and keeps its place. An event that it refuses although it accepts others holds up its own hotel only (see
`retries`). An event that is sent again has the same id, so that the endpoint can drop duplicates.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import random
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from innkeeper.delivery.webhooks.attempts import attempt_to_deliver, body_of, type_of, valid_secrets
from innkeeper.delivery.webhooks.client import PostOutcome, WebhookClient
from innkeeper.delivery.webhooks.event_search import find_event
from innkeeper.delivery.webhooks.retries import failed_attempt
from innkeeper.delivery.webhooks.signing import check_secret, fresh_secret
from innkeeper.protocol.codec.cloud_event import CloudEvent, sequence
from innkeeper.protocol.delivery.events import (
    ALL_HOTELS,
    DisabledReason,
    WebhookDisabled,
    WebhookEnabled,
    WebhookEventRefused,
)
from innkeeper.protocol.delivery.webhooks import (
    AddressedWebhookMessage,
    AddWebhook,
    ChangeWebhook,
    DeliveriesReply,
    DeliveryAttempt,
    EnableWebhook,
    ListDeliveries,
    ListWebhooks,
    PingWebhook,
    RemoveWebhook,
    ReplayFrom,
    ResendEvent,
    RotateSecret,
    ShowWebhook,
    SigningSecret,
    Webhook,
    WebhookPinged,
    WebhookReply,
    WebhooksReply,
)
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refused, Unavailable, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.service_store import DeliveryStore, Keep, Transaction
from innkeeper.protocol.ports.subscriptions import (
    Effects,
    EventHandler,
    EventLog,
    NotAccepted,
    Stalled,
    Subscribers,
    Subscription,
    SubscriptionRequest,
    no_effects,
)
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.limits import (
    webhook_failing_seconds_max,
    webhook_pause_seconds_max,
    webhook_secret_overlap_seconds,
    webhook_secrets_max,
    webhook_tests_at_once_max,
    webhooks_max,
)

logger = logging.getLogger(__name__)

_SECONDS = 1_000_000


class Webhooks:
    """All endpoints of a delivery service; used in its event loop only."""

    def __init__(
        self,
        store: DeliveryStore,
        subscribers: Subscribers,
        logs: Mapping[str, EventLog],
        client: WebhookClient,
        clock: Callable[[], int],
        ids: Callable[[], object],
        publish: Callable[[UnpublishedEvent], None],
    ) -> None:
        """`publish` publishes an event about a webhook of this hotel, or of all hotels, once the transaction of the
        store in which it is called is on disk."""
        self._store = store
        self._endpoints = store.webhooks
        self._subscribers = subscribers
        self._logs = logs
        self._client = client
        self._clock = clock
        self._ids = ids
        self._publish = publish
        self._tests = 0
        self._webhooks: dict[str, tuple[Webhook, tuple[SigningSecret, ...]]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.handlers: dict[type, Callable[[Any, Transaction], Awaitable[Reply]]] = {
            AddWebhook: self.add, ListWebhooks: self.list, ShowWebhook: self.show, PingWebhook: self.ping,
            ResendEvent: self.resend, ListDeliveries: self.deliveries,
            ChangeWebhook: self._one_at_a_time(self.change), RemoveWebhook: self._one_at_a_time(self.remove),
            EnableWebhook: self._one_at_a_time(self.enable), RotateSecret: self._one_at_a_time(self.rotate),
            ReplayFrom: self._one_at_a_time(self.replay),
        }  # fmt: skip
        for webhook, secrets in self._endpoints.all():
            self._webhooks[webhook.id] = webhook, secrets
            self._follow(webhook)

    def _one_at_a_time(self, change: Callable[[Any, Transaction], Awaitable[Reply]]) -> Callable[..., Awaitable[Reply]]:
        """The handler of a change of an endpoint, which waits until an earlier change of the same one is done."""

        async def handle(message: AddressedWebhookMessage, transaction: Transaction) -> Reply:
            async with self._locks.setdefault(message.webhook, asyncio.Lock()):
                return await change(message, transaction)

        return handle

    async def add(self, message: AddWebhook, transaction: Transaction) -> WebhookReply:
        """Adds an endpoint. Only this reply, and that of `rotate`, contains its secret."""
        request = message.request
        self._client.check(request.url)
        secret = self._secret_or_new(request.secret)
        if len(self._webhooks) >= webhooks_max:
            reason = f"{webhooks_max} webhooks are the maximum; remove one first"
            raise Refused(ActionNotAllowed("add", reason, ()))
        webhook = Webhook(
            id=str(self._ids()), url=request.url, events=request.events, hotel=request.hotel,
            guest_details=request.guest_details, content_type=request.content_type,
            after={name: log.position for name, log in self._logs.items()},
            created_at=self._clock(), created_by=message.by,
        )  # fmt: skip
        reply = self._put(webhook, (SigningSecret(secret),), transaction, secret)
        self._follow(webhook)
        return reply

    async def list(self, _: ListWebhooks, __: Transaction) -> WebhooksReply:
        """Returns all endpoints."""
        return WebhooksReply(tuple(webhook for webhook, _ in self._webhooks.values()))

    async def show(self, message: ShowWebhook, _: Transaction) -> WebhookReply:
        """Returns one endpoint."""
        return WebhookReply(self._known(message.webhook)[0])

    async def change(self, message: ChangeWebhook, transaction: Transaction) -> WebhookReply:
        """Changes an endpoint, which keeps its position in the logs."""
        webhook, secrets = self._known(message.webhook)
        changed = {
            field: value
            for field in message.change.__struct_fields__
            if (value := getattr(message.change, field)) is not msgspec.UNSET
        }
        if "url" in changed:
            self._client.check(changed["url"])
        webhook = msgspec.structs.replace(webhook, **changed, attempts=0, failing_since=None)
        reply = self._put(webhook, secrets, transaction, also=self._subscriptions[webhook.id].retry_parked)
        await self._subscribers.unsubscribe(_name(webhook), delete=False)
        self._follow(webhook)
        return reply

    async def remove(self, message: RemoveWebhook, transaction: Transaction) -> WebhookReply:
        """Removes an endpoint; nothing more is sent to it."""
        webhook, _ = self._known(message.webhook)
        reply = WebhookReply(webhook)
        with transaction() as keep:
            self._endpoints.remove(webhook.id)
            keep(reply)
        del self._webhooks[webhook.id]
        await self._subscribers.unsubscribe(_name(webhook))
        return reply

    async def enable(self, message: EnableWebhook, transaction: Transaction) -> WebhookReply:
        """Disables an endpoint, or enables it again at its position in the logs."""
        webhook, secrets = self._known(message.webhook)
        if message.enabled:
            resume = partial(self._resume, webhook)
            webhook = msgspec.structs.replace(
                webhook, attempts=0, failing_since=None, disabled_at=None, disabled_reason=""
            )
            reply = self._put(webhook, secrets, transaction, also=resume)
            self._subscribers.notify(_name(webhook))
            return reply
        if webhook.disabled_at is None:
            return self._disable(webhook, DisabledReason.BY_HAND, "by hand", "", transaction)
        return WebhookReply(webhook)

    def _resume(self, webhook: Webhook) -> None:
        if webhook.disabled_at is not None:
            self._announce(webhook.hotel or ALL_HOTELS, WebhookEnabled(webhook.id, webhook.url), "")
        subscription = self._subscriptions[webhook.id]
        subscription.pause(False)
        subscription.retry_parked()

    async def rotate(self, message: RotateSecret, transaction: Transaction) -> WebhookReply:
        """Replaces the secret. Each previous one also signs for `webhook_secret_overlap_seconds` from its own
        replacement on."""
        webhook, secrets = self._known(message.webhook)
        secret = self._secret_or_new(message.secret)
        at = self._clock()
        newest, *older = secrets
        until = at + webhook_secret_overlap_seconds * _SECONDS
        valid = (SigningSecret(newest.secret, until), *valid_secrets(older, at))
        if len(valid) >= webhook_secrets_max:
            reason = f"{webhook_secrets_max} secrets sign at once at most; try again when an older one has expired"
            raise Refused(ActionNotAllowed("rotate-secret", reason, ()))
        return self._put(webhook, (SigningSecret(secret), *valid), transaction, secret)

    async def ping(self, message: PingWebhook, transaction: Transaction) -> DeliveriesReply:
        """Sends a test event now."""
        webhook, _ = self._known(message.webhook)
        name = f"ping-{self._ids()}"
        event = CloudEvent(
            specversion="1.0", id=name, source=f"/webhooks/{webhook.id}", type="innkeeper.webhook.pinged.v1",
            time=instant(self._clock()), datacontenttype="application/json", sequence=sequence(0),
            position=0, data=WebhookPinged(webhook.id),
        )  # fmt: skip
        return await self._attempt(webhook, name, event.type, msgspec.json.encode(event), transaction)

    async def resend(self, message: ResendEvent, transaction: Transaction) -> DeliveriesReply:
        """Sends this event now, ahead of those that wait."""
        webhook, _ = self._known(message.webhook)
        found = find_event(self._logs.values(), message.event)
        if found is None or webhook.hotel not in (None, found[1].hotel):
            raise Refused(NotFound("event", message.event))
        return await self._attempt(webhook, message.event, type_of(found), body_of(webhook, found), transaction)

    async def replay(self, message: ReplayFrom, transaction: Transaction) -> WebhookReply:
        """Moves an endpoint back to a position in a log, and sends all later events again."""
        webhook, secrets = self._known(message.webhook)
        end = self._logs[message.log].position
        if not 0 <= message.after <= end:
            raise invalid("after", "range", f"expected a position in the log {message.log}, which ends at {end}")
        webhook = msgspec.structs.replace(webhook, attempts=0)
        seek = partial(self._subscriptions[webhook.id].seek, {message.log: message.after})
        reply = self._put(webhook, secrets, transaction, also=seek)
        self._subscribers.notify(_name(webhook))
        return reply

    async def deliveries(self, message: ListDeliveries, _: Transaction) -> DeliveriesReply:
        """Returns the latest attempts."""
        self._known(message.webhook)
        return self._endpoints.deliveries(message)

    def _known(self, webhook: str) -> tuple[Webhook, tuple[SigningSecret, ...]]:
        if webhook not in self._webhooks:
            raise Refused(NotFound("webhook", webhook))
        return self._webhooks[webhook]

    def _secret_or_new(self, secret: str | None) -> str:
        if secret is None:
            return fresh_secret()
        check_secret(secret)
        return secret

    def _put(
        self,
        webhook: Webhook,
        secrets: tuple[SigningSecret, ...],
        transaction: Transaction | None = None,
        secret: str | None = None,
        also: Callable[[], None] = no_effects,
    ) -> WebhookReply:
        """Stores the webhook, and the reply to the request that changes it, if it follows from one; `secret` is in the
        reply. Calls `also` in the same transaction, last, as it changes the memory too."""
        reply = WebhookReply(webhook, secret)
        with (transaction or self._no_request)() as keep:
            self._endpoints.put(webhook, secrets)
            keep(reply)
            also()
        self._webhooks[webhook.id] = webhook, secrets
        return reply

    @contextmanager
    def _no_request(self) -> Iterator[Keep]:
        """The transaction of a change that follows from deliveries: there is no reply to keep."""
        with self._store.transaction():
            yield lambda _: None

    def _announce(self, hotel: str, event: Event, cause: str) -> None:
        """Publishes the event, together with what the current transaction stores. `cause` is the id of an event, or ""
        for a request."""
        self._publish(UnpublishedEvent(str(self._ids()), self._clock(), hotel, event, cause))

    def _follow(self, webhook: Webhook) -> None:
        request = SubscriptionRequest(_name(webhook), webhook.events, webhook.hotel, webhook.after)
        self._subscriptions[webhook.id] = self._subscribers.subscribe(request, self._handle(webhook.id), batch_events=1)

    def _handle(self, name: str) -> EventHandler:
        async def handle(entries: Sequence[LogEntry]) -> Effects:
            ((_, record),) = entries
            webhook, _ = self._known(name)
            if webhook.disabled_at is not None:  # its subscriber was resumed by hand
                raise Stalled("the webhook is disabled", webhook_pause_seconds_max)
            outcome = await self._post(webhook, record.id, body_of(webhook, entries[0]))
            if not outcome.delivered and self._known(name)[0].url != webhook.url:
                raise Stalled("the URL has changed", 0)  # the old one says nothing of the new one
            return self._settle(name, entries[0], outcome)

        return handle

    def _settle(self, name: str, entry: LogEntry, outcome: PostOutcome) -> Effects:
        """The effects of a delivery. Raises `NotAccepted` where the event is to be retried or is given up, `Stalled`
        where the webhook is disabled: it then begins with this event when it is enabled."""
        webhook, secrets = self._known(name)
        parked = self._subscriptions[name].parked(entry[1].id)
        attempt = 1 if parked is None else parked.attempts + 1
        if outcome.delivered:
            delivery = attempt_to_deliver(webhook, entry[1].id, type_of(entry), attempt, outcome, self._clock())
            return partial(self._keep_delivered, delivery, was_failing=webhook.failing_since is not None)
        failed = failed_attempt(webhook, parked, outcome, self._clock(), random())
        self._endpoints.note(
            attempt_to_deliver(webhook, entry[1].id, type_of(entry), attempt, outcome, self._clock(), failed.given_up)
        )
        if failed.webhook != webhook:
            self._put(failed.webhook, secrets)
        if webhook.disabled_at is None and outcome.gone:
            self._disable(failed.webhook, DisabledReason.GONE, "the endpoint answered 410 Gone", entry[1].id)
            raise Stalled(outcome.error, 0)
        if webhook.disabled_at is None and failed.is_to_be_disabled(self._clock()):
            reason = f"nothing was delivered for {webhook_failing_seconds_max // 86_400} days: {outcome.error}"
            self._disable(failed.webhook, DisabledReason.FAILING, reason, entry[1].id)
            raise Stalled(outcome.error, 0)
        if failed.is_new_dead_letter:
            refused = WebhookEventRefused(name, webhook.url, entry[1].id, type_of(entry), attempt, outcome.error)
            announce = partial(self._announce, entry[1].hotel, refused, entry[1].id)
            raise NotAccepted(outcome.error, failed.retry, failed.pause_seconds, announce)
        raise NotAccepted(outcome.error, failed.retry, failed.pause_seconds)

    def _keep_delivered(self, delivery: DeliveryAttempt, was_failing: bool) -> None:
        """Stores a delivery. The webhook may have been changed or removed since, while the database was locked."""
        if delivery.webhook not in self._webhooks:
            return
        self._endpoints.note(delivery)
        webhook, secrets = self._webhooks[delivery.webhook]
        if was_failing or webhook.failing_since is not None:
            self._put(msgspec.structs.replace(webhook, attempts=0, failing_since=None), secrets)

    def _disable(
        self, webhook: Webhook, code: DisabledReason, reason: str, cause: str, transaction: Transaction | None = None
    ) -> WebhookReply:
        event = WebhookDisabled(webhook.id, webhook.url, code, reason)
        webhook = msgspec.structs.replace(webhook, disabled_at=self._clock(), disabled_reason=reason)

        def pause() -> None:
            self._announce(webhook.hotel or ALL_HOTELS, event, cause)
            self._subscriptions[webhook.id].pause(True)

        reply = self._put(webhook, self._webhooks[webhook.id][1], transaction, also=pause)
        logger.warning("webhook %s to %s is disabled: %s", webhook.id, webhook.url, reason)
        return reply

    async def _attempt(
        self, webhook: Webhook, event: str, type_name: str, body: bytes, transaction: Transaction
    ) -> DeliveriesReply:
        if self._tests >= webhook_tests_at_once_max:
            raise Refused(Unavailable(f"{self._tests} webhooks are being tested or resent; try again"))
        self._tests += 1
        try:
            outcome = await self._post(webhook, event, body)
        finally:
            self._tests -= 1
        self._known(webhook.id)  # it may have been removed meanwhile
        delivery = attempt_to_deliver(webhook, event, type_name, 1, outcome, self._clock())
        with transaction() as keep:
            reply = DeliveriesReply((self._endpoints.note(delivery),))
            keep(reply)
        if outcome.delivered:
            self._subscribers.notify(_name(webhook))  # it is back: ends its pause
        return reply

    async def _post(self, webhook: Webhook, event: str, body: bytes) -> PostOutcome:
        at = self._clock()
        _, secrets = self._webhooks[webhook.id]
        valid = [one.secret for one in valid_secrets(secrets, at)]
        return await self._client.post(webhook.url, valid, event, at // _SECONDS, body, webhook.content_type)


def _name(webhook: Webhook) -> str:
    """The name of the webhook's subscriber."""
    return f"webhook-{webhook.id}"
