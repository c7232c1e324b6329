"""The publisher and the consumer for RabbitMQ. The publisher is a subscriber whose cursor moves when the broker has
confirmed the events. The consumer acknowledges messages when its inbox has them on disk.

An event is published at least once, in the order of its log. Its `message_id` is the event's id, the same each time, so
that consumers can drop duplicates. A connection that fails is closed, and the next attempt makes a new one.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import aiormq
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.connection import Connection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq import Channel, spec
from innkeeper.delivery.brokers.consumer import LogConsumer, MessageContent, reason_of
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import MEDIA_TYPE, cloud_event_json
from innkeeper.protocol.delivery.broker_names import INSTALLATION_HEADER, REASON_HEADER, TIMELINE_HEADER, BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects, Stalled, no_effects
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.instants import instant
from yarl import URL

_LOST = (AMQPError, OSError, TimeoutError, RuntimeError, StopAsyncIteration)
aiormq.Connection.FRAME_BUFFER_SIZE = limits.subscriber_batch_events_max  # a batch is sent without a pause
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the subscriber logs the reason of a stall once


class RabbitPublisher:
    """Publishes to a durable topic exchange at `amqp://user:password@host:port/vhost` (`amqps://` for TLS). The routing
    key of an event is `{hotel}.{type}`, so that a queue can be bound to a hotel, to a type, or to both."""

    def __init__(self, url: str, names: BrokerNames) -> None:
        self._url = url
        self._names = names
        self._name = urlsplit(url).hostname or "the broker"  # without the password
        self._connection: Connection | None = None
        self._channel: Channel | None = None

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.ports.subscriptions.EventHandler`."""
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                channel = await self._open()
                await asyncio.gather(*(_publish(channel, self._names, entry) for entry in entries))
        except _LOST as error:
            await self.close()
            raise Stalled(f"RabbitMQ at {self._name} does not take events: {_reason(error)}") from error
        return no_effects

    async def close(self) -> None:
        """Disconnects."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await _close(connection)

    async def _open(self) -> Channel:
        if self._channel is None or self._channel.is_closed:
            await self.close()
            self._connection = _connection(self._url)
            try:
                self._channel = await self._declare(self._connection)
            except _LOST:
                raise
            except Exception as error:  # whatever the client raises, it is not about an event
                raise ConnectionError(repr(error)) from error
        return self._channel

    async def _declare(self, connection: Connection) -> Channel:
        await connection.connect()
        channel = await connection.channel()
        await channel.declare_exchange(self._names.events, aio_pika.ExchangeType.TOPIC, durable=True)
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, Channel)
        return underlay


def _connection(url: str) -> Connection:
    return Connection(URL(url), client_properties={"connection_name": "innkeeper"})


async def _close(connection: Connection) -> None:
    with suppress(Exception):
        async with asyncio.timeout(1):  # a dead broker does not answer
            await connection.close()
    with suppress(Exception):
        await connection.close()  # the second call only marks it as closed, so that its garbage collection need not


async def _publish(channel: Channel, names: BrokerNames, entry: LogEntry) -> None:
    """Publishes an event and waits for its confirmation, but not for the socket, which would cost a wait for each
    message."""
    _, record = entry
    type_name = wire.event_type(record.event)
    properties = spec.Basic.Properties(
        content_type=MEDIA_TYPE,
        content_encoding="utf-8",
        headers={**names.headers},
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=record.id,
        correlation_id=record.correlation or None,
        timestamp=instant(record.at),
        message_type=type_name,
        app_id="innkeeper",
    )
    await channel.basic_publish(
        cloud_event_json(entry),
        exchange=names.events,
        routing_key=f"{record.hotel}.{type_name}",
        properties=properties,
        mandatory=False,  # no queue needs to be bound
        wait=False,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ChannelInvalidStateError | RuntimeError | StopAsyncIteration):
        return "the connection was lost"
    return reason_of(error)


class RabbitConsumer(LogConsumer):
    """A quorum queue for each service, which holds all events since it was first declared. The dead letters have an
    exchange of their own, to which the broker sends messages that were delivered too often."""

    expected = _LOST

    def connect(self) -> "_Connection":
        """See `LogConsumer`."""
        return _Connection(self)


class _Connection:
    """A connection that consumes the queue."""

    def __init__(self, consumer: RabbitConsumer) -> None:
        self._queue_name = consumer.name
        self._names = consumer.names
        self._handle = consumer.handle
        self._connection = _connection(consumer.url)
        self._arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()

    async def open(self) -> None:
        """See `consumer.Connection`."""
        await self._connection.connect()
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=2 * limits.subscriber_batch_events_max)
        self._dead_exchange = await channel.declare_exchange(
            self._names.dead_exchange, aio_pika.ExchangeType.TOPIC, durable=True
        )
        exchange = await channel.declare_exchange(self._names.events, aio_pika.ExchangeType.TOPIC, durable=True)
        dead = await channel.declare_queue(f"{self._queue_name}.dead", durable=True, arguments=_QUORUM)
        await dead.bind(self._dead_exchange, self._queue_name)
        arguments = _QUORUM | {
            "x-dead-letter-exchange": self._names.dead_exchange,
            "x-dead-letter-routing-key": self._queue_name,
            "x-delivery-limit": limits.consumer_deliveries_max,
        }
        queue = await channel.declare_queue(self._queue_name, durable=True, arguments=arguments)
        await queue.bind(exchange, "#")
        channel.close_callbacks.add(lambda *_: self._arrived.put_nowait(None))  # no more messages arrive
        await queue.consume(self._arrived.put)

    async def consume(self) -> None:
        """See `consumer.Connection`."""
        messages: list[AbstractIncomingMessage] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.consumer_poll_seconds):
                messages.append(_received(await self._arrived.get()))
        while messages and not self._arrived.empty() and len(messages) < limits.subscriber_batch_events_max:
            messages.append(_received(self._arrived.get_nowait()))
        if messages:
            await self._handle(messages, _content_of, self._send_to_dead_letters, {})
            async with asyncio.timeout(limits.broker_seconds_max):
                await messages[-1].ack(multiple=True)

    async def close(self) -> None:
        """See `consumer.Connection`."""
        await _close(self._connection)

    async def _send_to_dead_letters(self, message: AbstractIncomingMessage, reason: str) -> None:
        """Sends the message to the dead letters, with the reason; it is acknowledged with the rest of its batch."""
        headers = {**message.headers, REASON_HEADER: reason}
        dead = aio_pika.Message(
            message.body,
            headers=headers,
            content_type=message.content_type,
            message_id=message.message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._dead_exchange.publish(dead, self._queue_name)


_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


def _received(message: AbstractIncomingMessage | None) -> AbstractIncomingMessage:
    if message is None:
        raise ConnectionError("the connection was lost")
    return message


def _content_of(message: AbstractIncomingMessage) -> MessageContent:
    installation, timeline = (str(message.headers.get(name) or "") for name in (INSTALLATION_HEADER, TIMELINE_HEADER))
    return MessageContent(message.body, installation, timeline)
