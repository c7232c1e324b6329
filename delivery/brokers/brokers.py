"""Which broker events go to."""

from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from innkeeper.protocol.ports.inbox import BrokerConsumer, Inbox, LogOf
from innkeeper.protocol.ports.subscriptions import EventHandler

_KINDS = {"amqp": ("rabbitmq", "Rabbit"), "amqps": ("rabbitmq", "Rabbit"), "kafka": ("kafka", "Kafka")}


class Publisher(Protocol):
    """A way to a broker."""

    @property
    def handle(self) -> EventHandler:
        """Publish events, in order; done when the broker has them."""

    async def close(self) -> None:
        """Hang up."""


def publisher(url: str) -> Publisher:
    """The way to this broker; raises ValueError where there is none."""
    made: Publisher = _kind(url, "Publisher")(url)
    return made


def feed(url: str, name: str, inbox: Inbox, log_of: LogOf) -> BrokerConsumer:
    """The way from this broker into the inbox of the service of this name; raises ValueError where there is none."""
    made: BrokerConsumer = _kind(url, "BrokerConsumer")(url, name, inbox, log_of)
    return made


def _kind(url: str, part: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in _KINDS or not parts.hostname:
        raise ValueError(f"a broker is amqp://…, amqps://… or kafka://…, not {parts.scheme or url!r}")
    module, name = _KINDS[parts.scheme]
    try:
        return getattr(import_module(f"innkeeper.delivery.{module}"), name + part)
    except ImportError as error:
        raise ValueError(f"{error}; install it with: pip install 'innkeeper[{module}]'") from None
