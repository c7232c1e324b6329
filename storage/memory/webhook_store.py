"""Webhooks in the delivery service's database in memory, beside their cursors."""

from itertools import islice

import msgspec
from innkeeper.protocol.delivery.webhooks import (
    DeliveriesReply,
    DeliveryAttempt,
    ListDeliveries,
    SigningSecret,
    Webhook,
)
from innkeeper.protocol.values.limits import webhook_deliveries_kept_max
from innkeeper.storage.memory.database import MemoryDatabase


class MemoryWebhookStore:
    """Implements `protocol.ports.webhook_store.WebhookStore` in memory."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._webhooks = database.table("webhooks")
        self._deliveries = database.table("deliveries")  # tuples of attempts, oldest first, by webhook
        self._last = database.table("last delivery")

    def all(self) -> list[tuple[Webhook, tuple[SigningSecret, ...]]]:
        """See `WebhookStore`."""
        return [self._webhooks[id_] for id_ in sorted(self._webhooks)]

    def put(self, webhook: Webhook, secrets: tuple[SigningSecret, ...]) -> None:
        """See `WebhookStore`."""
        self._webhooks[webhook.id] = webhook, secrets

    def remove(self, webhook: str) -> None:
        """See `WebhookStore`."""
        with self._database.transaction():
            self._webhooks.pop(webhook, None)
            self._deliveries.pop(webhook, None)

    def note(self, delivery: DeliveryAttempt) -> DeliveryAttempt:
        """See `WebhookStore`."""
        with self._database.transaction():
            number = self._last["number"] = self._last.get("number", 0) + 1
            noted = msgspec.structs.replace(delivery, number=number)
            kept = self._deliveries.get(delivery.webhook, ())
            self._deliveries[delivery.webhook] = (*kept[1 - webhook_deliveries_kept_max :], noted)
        return noted

    def deliveries(self, request: ListDeliveries) -> DeliveriesReply:
        """See `WebhookStore`."""
        found = (
            one
            for one in reversed(self._deliveries.get(request.webhook, ()))
            if (request.before is None or one.number < request.before) and (one.error or not request.failed)
        )
        page = [*islice(found, request.limit + 1)]
        return DeliveriesReply(tuple(page[: request.limit]), len(page) > request.limit)
