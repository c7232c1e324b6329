"""The publisher for RabbitMQ: a subscriber whose cursor moves when the broker has confirmed the events.

An event is published at least once, in the order of its log. Its `message_id` is the event's id, the same each time, so
that consumers can drop duplicates. A connection that fails is closed, and the next attempt makes a new one.
"""

import asyncio

import aio_pika
from aio_pika.connection import Connection
from aiormq import Channel, spec
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed
from innkeeper.delivery.brokers import rabbitmq_connection as rabbitmq
from innkeeper.delivery.brokers.consumer import reason_of
from innkeeper.delivery.brokers.publishing import BatchPublisher, Confirmation
from innkeeper.delivery.brokers.urls import check_amqp_url, split_url
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import MEDIA_TYPE
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.values.instants import instant


class RabbitPublisher(BatchPublisher):
    """Publishes to a durable topic exchange at `amqp://user:password@host:port/vhost` (`amqps://` for TLS). The routing
    key of an event is `{hotel}.{type}`, so that a queue can be bound to a hotel, to a type, or to both."""

    lost = rabbitmq.LOST

    def __init__(self, url: str, names: BrokerNames) -> None:
        check_amqp_url(url)
        self._url = url
        self._names = names
        self._name = split_url(url).hostname
        self._connection: Connection | None = None
        self._channel: Channel | None = None

    async def close(self) -> None:
        """Disconnects."""
        await self._discard()

    async def _discard(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await rabbitmq.close(connection)

    async def _open(self) -> None:
        if self._channel is None or self._channel.is_closed:
            await self._discard()
            self._connection = rabbitmq.connection_to(self._url)
            try:
                self._channel = await self._declare(self._connection)
            except rabbitmq.LOST:
                raise
            except Exception as error:  # whatever the client raises, it is not about an event
                raise ConnectionError(repr(error)) from error

    async def _declare(self, connection: Connection) -> Channel:
        await connection.connect()
        channel = await connection.channel()
        await channel.declare_exchange(self._names.events, aio_pika.ExchangeType.TOPIC, durable=True)
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, Channel)
        return underlay

    async def _send(self, entry: LogEntry, body: bytes) -> Confirmation:
        """Does not wait for the socket, which would cost a wait for each message."""
        assert self._channel is not None
        _, record = entry
        type_name = wire.event_type(record.event)
        properties = spec.Basic.Properties(
            content_type=MEDIA_TYPE,
            content_encoding="utf-8",
            headers={**self._names.headers},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=record.id,
            correlation_id=record.correlation or None,
            timestamp=instant(record.at),
            message_type=type_name,
            app_id="innkeeper",
        )
        published = self._channel.basic_publish(
            body,
            exchange=self._names.events,
            routing_key=f"{record.hotel}.{type_name}",
            properties=properties,
            mandatory=False,  # no queue needs to be bound
            wait=False,
        )
        return asyncio.ensure_future(published)

    def _refusal(self, error: Exception) -> str:
        if isinstance(error, ChannelPreconditionFailed):  # the exchange is declared: what else a message needs is size
            return (
                f"RabbitMQ at {self._name} refuses the event: {reason_of(error)}; raise max_message_size, and retry the"
                " dead letter"
            )
        if isinstance(error, ChannelAccessRefused) and " to topic '" in str(error):  # AMQP has one code for all rights
            return (
                f"RabbitMQ at {self._name} refuses the event: {reason_of(error)}; see rabbitmqctl"
                " set_topic_permissions, and retry the dead letter"
            )
        return ""

    async def _reason(self, error: Exception) -> str:
        return f"RabbitMQ at {self._name} does not take events: {rabbitmq.reason(error, self._url, self._names)}"
