"""The store of webhooks: endpoints with their secrets, and the latest attempts to deliver an event to them."""

from typing import Protocol

from innkeeper.protocol.delivery.webhooks import (
    DeliveriesReply,
    DeliveryAttempt,
    ListDeliveries,
    SigningSecret,
    Webhook,
)


class WebhookStore(Protocol):
    """Stores webhooks, their secrets and the attempts. `put` and `remove` write all or nothing."""

    def all(self) -> list[tuple[Webhook, tuple[SigningSecret, ...]]]:
        """Returns the webhooks in the order in which they were made, each with its secrets, newest secret first."""

    def put(self, webhook: Webhook, secrets: tuple[SigningSecret, ...]) -> None:
        """Stores the webhook and its secrets."""

    def remove(self, webhook: str) -> None:
        """Removes the webhook and its attempts."""

    def note(self, delivery: DeliveryAttempt) -> DeliveryAttempt:
        """Stores an attempt and returns it with its number; may delete old attempts."""

    def deliveries(self, request: ListDeliveries) -> DeliveriesReply:
        """Returns a page of attempts."""
