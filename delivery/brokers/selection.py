"""Makes the publisher and the consumer for the broker at a URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from innkeeper.protocol.ports.inbox import BrokerConsumer, Inbox, LogOf
from innkeeper.protocol.ports.subscriptions import EventHandler

_KINDS = {"amqp": ("rabbitmq", "Rabbit"), "amqps": ("rabbitmq", "Rabbit"), "kafka": ("kafka", "Kafka")}


class Publisher(Protocol):
    """Sends events to a broker."""

    @property
    def handle(self) -> EventHandler:
        """Publishes events in order; returns when the broker has confirmed them."""

    async def close(self) -> None:
        """Disconnects."""


def publisher(url: str) -> Publisher:
    """The publisher for the broker at this URL. Raises ValueError for an unsupported URL."""
    made: Publisher = _kind(url, "Publisher")(url)
    return made


@asynccontextmanager
async def open_publisher(url: str) -> AsyncIterator[EventHandler]:
    """The event handler that publishes to the broker at this URL; disconnects at the end."""
    opened = publisher(url)
    try:
        yield opened.handle
    finally:
        await opened.close()


def broker_consumer(url: str, name: str, inbox: Inbox, log_of: LogOf) -> BrokerConsumer:
    """The consumer that writes events from this broker to the inbox of the service `name`. Raises ValueError for an
    unsupported URL."""
    made: BrokerConsumer = _kind(url, "Consumer")(url, name, inbox, log_of)
    return made


def _kind(url: str, part: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in _KINDS or not parts.hostname:
        raise ValueError(f"a broker's URL begins with amqp://, amqps:// or kafka://, not {parts.scheme or url!r}")
    module, name = _KINDS[parts.scheme]
    try:
        return getattr(import_module(f"innkeeper.delivery.brokers.{module}"), name + part)
    except ImportError as error:
        if (error.name or "").startswith("innkeeper"):
            raise
        raise ValueError(f"{error}; install it with: pip install 'innkeeper[{module}]'") from None
