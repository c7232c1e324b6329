"""Which broker events go to."""

from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit

from innkeeper.protocol.subscribing import Handle

_KINDS = {
    "amqp": ("rabbitmq", "RabbitPublisher"),
    "amqps": ("rabbitmq", "RabbitPublisher"),
    "kafka": ("kafka", "KafkaPublisher"),
}


class Publisher(Protocol):
    """A way to a broker."""

    @property
    def take_in(self) -> Handle:
        """Publish events, in order; done when the broker has them."""

    async def close(self) -> None:
        """Hang up."""


def publisher(url: str) -> Publisher:
    """The way to this broker; raises ValueError where there is none."""
    parts = urlsplit(url)
    if parts.scheme not in _KINDS or not parts.hostname:
        raise ValueError(f"a broker is amqp://…, amqps://… or kafka://…, not {parts.scheme or url!r}")
    module, kind = _KINDS[parts.scheme]
    try:
        made: Publisher = getattr(import_module(f"innkeeper.delivery.{module}"), kind)(url)
    except ImportError as error:
        raise ValueError(f"{error}; install it with: pip install 'innkeeper[{module}]'") from None
    return made
