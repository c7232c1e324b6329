"""What happened on the way out of the house. What concerns no hotel alone is told of `ALL_HOTELS`."""

from typing import ClassVar, Final

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.values.contexts import DELIVERY

ALL_HOTELS: Final = "_all"
"""No hotel can have this name."""


class WebhookEvent(Event, frozen=True):
    """The base of all events about a webhook."""

    context: ClassVar[str] = DELIVERY
    webhook: str
    url: str


class WebhookDisabled(WebhookEvent, frozen=True):
    """Nothing is sent to it any more, until somebody enables it again; then it misses nothing."""

    name: ClassVar[str] = "webhook.disabled"
    reason: str


class WebhookEnabled(WebhookEvent, frozen=True):
    """It goes on where it was."""

    name: ClassVar[str] = "webhook.enabled"


DELIVERY_EVENTS: tuple[type[Event], ...] = (WebhookDisabled, WebhookEnabled)
