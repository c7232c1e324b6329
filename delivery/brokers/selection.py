"""Makes the publisher and the consumer for the broker at a URL."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from innkeeper.delivery.brokers.urls import FORMS, KafkaAddress, check_amqp_url, split_url
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.inbox import BrokerConsumer, Inbox
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import EventHandler, EventLog
from innkeeper.protocol.values import contexts
from innkeeper.protocol.values.installation import Installation

_RABBITMQ, _KAFKA = ("rabbitmq", "Rabbit", check_amqp_url), ("kafka", "Kafka", KafkaAddress.of)
_KINDS = {"amqp": _RABBITMQ, "amqps": _RABBITMQ, "kafka": _KAFKA, "kafkas": _KAFKA}


class Publisher(Protocol):
    """Sends events to a broker."""

    @property
    def handle(self) -> EventHandler:
        """Publishes events in order; returns when the broker has confirmed them."""

    async def close(self) -> None:
        """Disconnects."""


def check_url(url: str) -> None:
    """Raises ValueError for an unsupported URL of a broker, without a part of the URL."""
    _kind(url, "Publisher")


def publisher(url: str, installation: Installation) -> Publisher:
    """This installation's publisher for the broker at this URL. Raises ValueError for an unsupported URL."""
    made: Publisher = _kind(url, "Publisher")(url, BrokerNames(installation))
    return made


def open_inbox(url: str, storage: Storage, name: str, logs: Mapping[str, EventLog]) -> tuple[Inbox, BrokerConsumer]:
    """The inbox of the service `name` for events of these logs, and the consumer that fills it from the broker at this
    URL. Raises ValueError for an unsupported URL."""
    kind, installation = _kind(url, "Consumer"), storage.installation()

    def log_of(record: RecordedEvent) -> str:
        return contexts.log_of(record.event.context, record.hotel, installation.partitions)

    inbox = storage.inbox(name, logs)
    consumer: BrokerConsumer = kind(url, BrokerNames(installation), name, inbox, log_of)
    return inbox, consumer


def _kind(url: str, part: str) -> Any:
    scheme = split_url(url).scheme
    if scheme not in _KINDS:
        raise ValueError(FORMS)
    module, name, check = _KINDS[scheme]
    check(url)
    try:
        return getattr(import_module(f"innkeeper.delivery.brokers.{module}_{part.lower()}"), name + part)
    except ImportError as error:
        if (error.name or "").startswith("innkeeper"):
            raise
        raise ValueError(f"{error}; install it with: pip install 'innkeeper[{module}]'") from None
