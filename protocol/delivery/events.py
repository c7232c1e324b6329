"""The events of delivery. Those that concern no single hotel are of the hotel `_all`."""

from enum import StrEnum
from typing import ClassVar, Final

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.values.contexts import DELIVERY

ALL_HOTELS: Final = "_all"
"""No hotel can have this name."""


class DisabledReason(StrEnum):
    """Why a webhook was disabled: somebody did it, its endpoint answered that it is gone, or it has failed for days."""

    BY_HAND = "by_hand"
    GONE = "gone"
    FAILING = "failing"


class WebhookEvent(Event, frozen=True):
    """The base of all events about a webhook."""

    context: ClassVar[str] = DELIVERY
    webhook: str
    url: str


class WebhookDisabled(WebhookEvent, frozen=True):
    """A webhook was disabled: it gets no events until it is enabled again, and then all that it missed. `reason` says
    why in words."""

    name: ClassVar[str] = "webhook.disabled"
    reason_code: DisabledReason
    reason: str


class WebhookEnabled(WebhookEvent, frozen=True):
    """A webhook was enabled again: it gets the events after the last one that it got."""

    name: ClassVar[str] = "webhook.enabled"


class WebhookEventRefused(WebhookEvent, frozen=True):
    """An event became a dead letter: the webhook's endpoint refused it at each of so many attempts, for days, although
    it accepts others. Later events of its hotel wait until it is redriven or dropped. `event` is its id, `reason` says
    in words how the endpoint answered last."""

    name: ClassVar[str] = "webhook.event_refused"
    event: str
    event_type: str
    attempts: int
    reason: str


DELIVERY_EVENTS: tuple[type[Event], ...] = (WebhookDisabled, WebhookEnabled, WebhookEventRefused)
