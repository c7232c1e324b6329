"""Webhooks: the messages about them, their endpoints and secrets, and the attempts to deliver events to them.

Instants are microseconds since 1970 UTC.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS
from innkeeper.protocol.values.text import UNPADDED, Line, Slug
from msgspec import UNSET, Meta, UnsetType

Url = Annotated[str, Meta(min_length=1, max_length=limits.webhook_url_characters_max, pattern=UNPADDED)]
EventTypes = Annotated[tuple[Line, ...], Meta(min_length=1, max_length=limits.webhook_event_types_max)]
Secret = Annotated[str, Meta(max_length=limits.name_characters_max, pattern=UNPADDED)]


class ContentType(StrEnum):
    """How the body of a webhook is announced. It is the same CloudEvent in both: JSON, which every receiver parses, or
    the media type of CloudEvents 1.0, HTTP binding, section 3.2 (structured mode)."""

    JSON = "application/json"
    CLOUD_EVENTS = "application/cloudevents+json"


def check_event_types(types: tuple[str, ...], field: str = "events") -> None:
    """Refuses types of which there is no event."""
    for one in types:
        if not wire.matches_any_type(one):
            raise invalid(field, "unknown", f"there is no event type {one!r}; GET /asyncapi.json lists the types")


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new webhook: its URL, types of events, hotel (all hotels where None), the `Content-Type` of its requests, and
    secret for signatures (a generated one where None). Only with `guest_details`, events contain names and contact data
    of guests."""

    url: Url
    events: EventTypes
    hotel: Slug | None = None
    guest_details: bool = False
    content_type: ContentType = ContentType.JSON
    secret: Secret | None = None

    def __post_init__(self) -> None:
        check_event_types(self.events)


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a webhook; fields that are not set stay as they are."""

    url: Url | UnsetType = UNSET
    events: EventTypes | UnsetType = UNSET
    hotel: Slug | UnsetType | None = UNSET
    guest_details: bool | UnsetType = UNSET
    content_type: ContentType | UnsetType = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.events, tuple):
            check_event_types(self.events)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook. `failing_since` is when an attempt failed after which nothing was accepted, None where something was;
    `attempts` counts those that failed since then. An event that it refuses although it accepts others is not counted
    there. A disabled webhook gets no events; once it is enabled again, it gets all that it missed."""

    id: str
    url: str
    events: tuple[str, ...]
    hotel: str | None
    after: Positions
    created_at: int
    created_by: str
    guest_details: bool = False
    content_type: ContentType = ContentType.JSON
    attempts: int = 0
    failing_since: int | None = None
    disabled_at: int | None = None
    disabled_reason: str = ""


class SigningSecret(msgspec.Struct, frozen=True):
    """A secret, and until when it is used beside a newer one; None for the newest."""

    secret: str
    until: int | None = None


class DeliveryAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver an event to a webhook. `status` is the HTTP status of the response, None without one;
    `error` is the reason of a failure. An event that is `given_up` is not retried automatically."""

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
    """A test event; no log contains it."""

    name: ClassVar[str] = "webhook.pinged"
    webhook: str


class WebhookMessage(ServiceMessage, frozen=True):
    """The base of all messages about webhooks."""

    service: ClassVar[str] = DELIVERY


class AddWebhook(WebhookMessage, frozen=True):
    """Add a webhook, which gets the events from now on."""

    name: ClassVar[str] = "webhook.add"
    request: WebhookRequest
    by: str


class ListWebhooks(WebhookMessage, frozen=True):
    """List all webhooks."""

    name: ClassVar[str] = "webhooks.list"
    changes: ClassVar[bool] = False


class AddressedWebhookMessage(WebhookMessage, frozen=True):
    """The base of the messages about one webhook."""

    webhook: str


class ShowWebhook(AddressedWebhookMessage, frozen=True):
    """Return one webhook."""

    name: ClassVar[str] = "webhook.show"
    changes: ClassVar[bool] = False


class ChangeWebhook(AddressedWebhookMessage, frozen=True):
    """Change URL, types of events or hotel of a webhook; its position in the logs stays."""

    name: ClassVar[str] = "webhook.change"
    change: WebhookChange


class RemoveWebhook(AddressedWebhookMessage, frozen=True):
    """Remove a webhook with its secrets and attempts."""

    name: ClassVar[str] = "webhook.remove"


class EnableWebhook(AddressedWebhookMessage, frozen=True):
    """Enable a webhook, which resumes where it was, or disable it."""

    name: ClassVar[str] = "webhook.enable"
    enabled: bool


class RotateSecret(AddressedWebhookMessage, frozen=True):
    """Sign with a new secret, and for a while also with the previous one, so that the receiver can switch."""

    name: ClassVar[str] = "webhook.rotate_secret"
    secret: str | None = None


class PingWebhook(AddressedWebhookMessage, frozen=True):
    """Send a test event now."""

    name: ClassVar[str] = "webhook.ping"


class ResendEvent(AddressedWebhookMessage, frozen=True):
    """Send this event again now, outside the order."""

    name: ClassVar[str] = "webhook.resend_event"
    event: str


class ReplayFrom(AddressedWebhookMessage, frozen=True):
    """Send all events after this position of a log again, in order."""

    name: ClassVar[str] = "webhook.replay_events"
    after: int
    log: str = RESERVATIONS


class ListDeliveries(AddressedWebhookMessage, frozen=True):
    """List the attempts, newest first, before number `before`; only failed ones where `failed`."""

    name: ClassVar[str] = "deliveries.list"
    changes: ClassVar[bool] = False
    limit: int
    before: int | None = None
    failed: bool = False


class WebhookReply(Reply, frozen=True):
    """A webhook, with its secret where that is new."""

    name: ClassVar[str] = "webhook.reply"
    webhook: Webhook
    secret: str | None = None


class WebhooksReply(Reply, frozen=True):
    """All webhooks, in the order in which they were made."""

    name: ClassVar[str] = "webhooks.reply"
    webhooks: tuple[Webhook, ...]


class DeliveriesReply(Reply, frozen=True):
    """Some attempts, newest first, and whether there are older ones."""

    name: ClassVar[str] = "deliveries.reply"
    deliveries: tuple[DeliveryAttempt, ...]
    more: bool = False
