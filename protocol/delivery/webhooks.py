"""Webhooks: who wishes to be told of which events at which URL, what can be done about it, and what came of it.

Instants are microseconds since 1970 UTC.
"""

from typing import Annotated, ClassVar, Protocol

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS
from innkeeper.protocol.values.text import Line, Slug
from msgspec import UNSET, Meta, UnsetType

Url = Annotated[str, Meta(min_length=1, max_length=limits.webhook_url_characters_max)]
EventTypes = Annotated[tuple[Line, ...], Meta(min_length=1, max_length=limits.webhook_event_types_max)]
Secret = Annotated[str, Meta(max_length=limits.name_characters_max)]


def _check_types(types: tuple[str, ...]) -> None:
    for one in types:
        if not wire.is_known_type(one):
            raise invalid("events", "unknown", f"no event is of type {one!r}; such as innkeeper.booking.* is")


class WebhookPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new webhook: where, which events, of which hotel (all where none is said), signed with which secret (a new one
    where none is said)."""

    url: Url
    events: EventTypes
    hotel: Slug | None = None
    secret: Secret | None = None

    def __post_init__(self) -> None:
        _check_types(self.events)


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different."""

    url: Url | UnsetType = UNSET
    events: EventTypes | UnsetType = UNSET
    hotel: Slug | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.events, tuple):
            _check_types(self.events)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. `attempts` counts those of the event that it is to get next; `failing_since` is None while all is
    well. One that is disabled gets nothing, and misses nothing once it is enabled again."""

    id: str
    url: str
    events: tuple[str, ...]
    hotel: str | None
    after: Positions
    created_at: int
    created_by: str
    attempts: int = 0
    failing_since: int | None = None
    disabled_at: int | None = None
    disabled_reason: str = ""


class SigningSecret(msgspec.Struct, frozen=True):
    """A secret, and until when it signs beside a newer one; None for the newest."""

    secret: str
    until: int | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to tell an endpoint of an event. `status` is what it answered, None where it did not; `error` says
    why it does not count. After one that is `given_up` the event is not tried again by itself."""

    number: int = 0
    webhook: str
    event: str
    type: str
    at: int
    attempt: int
    status: int | None
    error: str
    milliseconds: int
    excerpt: str
    given_up: bool = False


class WebhookPinged(Event, frozen=True):
    """A test; it stands in no log."""

    name: ClassVar[str] = "webhook.pinged"
    webhook: str


class WebhookMessage(ServiceMessage, frozen=True):
    """The base of what can be asked and said about webhooks."""

    service: ClassVar[str] = DELIVERY


class AddWebhook(WebhookMessage, frozen=True):
    """From now on tell this endpoint."""

    plan: WebhookPlan
    by: str


class ListWebhooks(WebhookMessage, frozen=True):
    """All of them."""


class AboutWebhook(WebhookMessage, frozen=True):
    """The base of what is about one webhook."""

    webhook: str


class ShowWebhook(AboutWebhook, frozen=True):
    """One of them."""


class ChangeWebhook(AboutWebhook, frozen=True):
    """Another URL, other events, another hotel; it goes on where it was."""

    change: WebhookChange


class RemoveWebhook(AboutWebhook, frozen=True):
    """Tell it nothing more, and forget it."""


class EnableWebhook(AboutWebhook, frozen=True):
    """Let it get nothing, or go on where it was."""

    enabled: bool


class RotateSecret(AboutWebhook, frozen=True):
    """Sign with a new secret; for a while also with the one before, so that the other side can change over."""

    secret: str | None = None


class PingWebhook(AboutWebhook, frozen=True):
    """Send a test event now."""


class ResendEvent(AboutWebhook, frozen=True):
    """Send this event again now, out of its order."""

    event: str


class ReplayFrom(AboutWebhook, frozen=True):
    """Send everything behind this position of a log again, in order."""

    after: int
    log: str = RESERVATIONS


class ListDeliveries(AboutWebhook, frozen=True):
    """The attempts, newest first; only those that failed, if said."""

    limit: int
    before: int | None = None
    failed: bool = False


class WebhookReply(Reply, frozen=True):
    """A webhook; the secret only where it is new."""

    webhook: Webhook
    secret: str | None = None


class WebhooksReply(Reply, frozen=True):
    """All webhooks, in the order in which they were made."""

    webhooks: tuple[Webhook, ...]


class DeliveriesReply(Reply, frozen=True):
    """Some attempts, newest first, and whether there are older ones."""

    deliveries: tuple[Delivery, ...]
    more: bool = False


class Endpoints(Protocol):
    """Where webhooks, their secrets and their attempts are remembered. What changes together is written together by
    whoever opens a transaction around it."""

    def all(self) -> list[tuple[Webhook, tuple[SigningSecret, ...]]]:
        """Every webhook with its secrets, newest first, in the order in which they were made."""

    def put(self, webhook: Webhook, secrets: tuple[SigningSecret, ...]) -> None:
        """Keep it as it is now."""

    def remove(self, webhook: str) -> None:
        """Forget it and its attempts."""

    def note(self, delivery: Delivery) -> Delivery:
        """Keep an attempt, and give it its number; old ones may go."""

    def deliveries(self, asked: ListDeliveries) -> DeliveriesReply:
        """Some attempts."""
