"""The consumer for RabbitMQ, which acknowledges messages when its inbox has them on disk."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity
from innkeeper.delivery.brokers import rabbitmq_connection as rabbitmq
from innkeeper.delivery.brokers.consumer import LogConsumer, MessageContent, reason_of
from innkeeper.delivery.brokers.urls import check_amqp_url, split_url
from innkeeper.protocol.delivery.broker_names import (
    INSTALLATION_HEADER,
    PLACE_HEADER,
    REASON_HEADER,
    TIMELINE_HEADER,
    BrokerNames,
)
from innkeeper.protocol.ports.inbox import Inbox, LogOf
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
_ANEW = "it is declared anew, and missed events are fetched"


class RabbitConsumer(LogConsumer):
    """A quorum queue for each service, which holds all events since it was first declared. The dead letters have an
    exchange of their own, to which the broker sends messages that were delivered too often."""

    expected = rabbitmq.LOST

    def __init__(self, url: str, names: BrokerNames, service: str, inbox: Inbox, log_of: LogOf) -> None:
        check_amqp_url(url)
        super().__init__(url, names, service, inbox, log_of)

    def connect(self) -> "_Connection":
        """See `LogConsumer`."""
        return _Connection(self)

    async def reason(self, error: BaseException) -> str:
        """See `LogConsumer`."""
        return f"RabbitMQ at {split_url(self.url).hostname}: {rabbitmq.reason(error, self.url, self.names)}"


class _Connection:
    """A connection that consumes the queue."""

    def __init__(self, consumer: RabbitConsumer) -> None:
        self._queue_name = consumer.name
        self._dead_name = f"{consumer.name}.dead"
        self._names = consumer.names
        self._handle = consumer.handle
        self._had_events = any(log.position for log in consumer.inbox.logs.values())
        self._connection = rabbitmq.connection_to(consumer.url)
        self._arrived: asyncio.Queue[AbstractIncomingMessage | str] = asyncio.Queue()
        self._dead_channel: AbstractChannel | None = None
        self._look_at = 0.0

    async def open(self) -> None:
        """See `consumer.Connection`."""
        await self._connection.connect()
        if self._had_events and not await self._is_declared(self._queue_name):
            logger.warning("the queue %s was deleted, or never declared; %s", self._queue_name, _ANEW)
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=2 * limits.subscriber_batch_events_max)
        dead_exchange = await channel.declare_exchange(
            self._names.dead_exchange, aio_pika.ExchangeType.TOPIC, durable=True
        )
        exchange = await channel.declare_exchange(self._names.events, aio_pika.ExchangeType.TOPIC, durable=True)
        dead = await channel.declare_queue(self._dead_name, durable=True, arguments=_QUORUM)
        await dead.bind(dead_exchange, self._queue_name)
        arguments = _QUORUM | {
            "x-dead-letter-exchange": self._names.dead_exchange,
            "x-dead-letter-routing-key": self._queue_name,
            "x-delivery-limit": limits.consumer_deliveries_max,
        }
        queue = await channel.declare_queue(self._queue_name, durable=True, arguments=arguments)
        await queue.bind(exchange, "#")
        channel.close_callbacks.add(lambda *_: self._arrived.put_nowait("the connection was lost"))
        underlay: Any = await channel.get_underlay_channel()
        deleted = f"the queue {self._queue_name} was deleted; {_ANEW}"
        underlay.on_consumer_cancel_callbacks.add(lambda _: self._arrived.put_nowait(deleted))
        await queue.consume(self._arrived.put)
        self._look_at = asyncio.get_running_loop().time() + limits.consumer_look_seconds

    async def consume(self) -> None:
        """See `consumer.Connection`."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            await self._look()
            self._look_at = now + limits.consumer_look_seconds
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
        await rabbitmq.close(self._connection)

    async def _is_declared(self, queue: str) -> bool:
        channel = await self._connection.channel()
        try:
            await channel.get_queue(queue)
        except ChannelNotFoundEntity:
            return False
        await channel.close()
        return True

    async def _look(self) -> None:
        """Raises where an exchange or a queue was deleted, or where the broker does not answer. Binds the queues again:
        an exchange that was deleted and declared again has no bindings, and nothing else shows that."""
        async with asyncio.timeout(limits.broker_seconds_max):
            channel = await self._connection.channel()
            try:
                for exchange, queue, key in (
                    (self._names.events, self._queue_name, "#"),
                    (self._names.dead_exchange, self._dead_name, self._queue_name),
                ):
                    await (await channel.get_queue(queue)).bind(await channel.get_exchange(exchange), key)
            except ChannelNotFoundEntity as error:
                raise ConnectionError(
                    f"{reason_of(error)}: it was deleted; {_ANEW}, and queues of your own are to be bound again"
                ) from error
            await channel.close()

    async def _send_to_dead_letters(self, message: AbstractIncomingMessage, reason: str) -> None:
        """Sends the message to the dead letters, with the reason; it is acknowledged with the rest of its batch. One
        that the broker refuses with these is buried as where it came from and how large it is."""
        headers: Any = {**message.headers} if _is_small(message.headers) else {}
        place = f"{message.exchange} {message.routing_key}, {len(message.body)} bytes"
        added: Any = {REASON_HEADER: reason, PLACE_HEADER: place}
        whole = aio_pika.Message(
            message.body,
            headers=headers | added,
            content_type=message.content_type,
            message_id=message.message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        try:
            await self._bury(whole)
        except AMQPError as error:
            if self._connection.is_closed:
                raise
            logger.warning("%s buries a message as its place alone (%s): %s", self._queue_name, place, reason_of(error))
            await self._bury(aio_pika.Message(b"", headers=added, delivery_mode=aio_pika.DeliveryMode.PERSISTENT))

    async def _bury(self, message: aio_pika.Message) -> None:
        """Publishes in a channel of its own, since the broker closes the channel of a message that it refuses."""
        if self._dead_channel is None or self._dead_channel.is_closed:
            self._dead_channel = await self._connection.channel()
        exchange = await self._dead_channel.get_exchange(self._names.dead_exchange, ensure=False)
        await exchange.publish(message, self._queue_name)


def _is_small(headers: Any) -> bool:
    """Whether the headers and those that are added fit into one frame."""
    return len(repr(headers)) <= limits.broker_header_characters_max


def _received(message: AbstractIncomingMessage | str) -> AbstractIncomingMessage:
    if isinstance(message, str):
        raise ConnectionError(message)
    return message


def _content_of(message: AbstractIncomingMessage) -> MessageContent:
    installation, timeline = (str(message.headers.get(name) or "") for name in (INSTALLATION_HEADER, TIMELINE_HEADER))
    return MessageContent(message.body, installation, timeline)
