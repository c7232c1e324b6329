"""Events on their way to RabbitMQ: a subscriber that publishes what it takes in, and whose cursor moves when the broker
has confirmed it.

So an event is published at least once, in the order of its log. Its `message_id` is the event's id, the same each time:
who consumes does each once. A connection that fails is given up whole, and made anew for the next attempt.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import aio_pika
from aio_pika.connection import Connection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq import Channel
from innkeeper.protocol import limits, wire
from innkeeper.protocol.cloud_event import cloud_event_json
from innkeeper.protocol.instants import instant
from innkeeper.protocol.record import Entry
from innkeeper.protocol.subscribing import Keep, Stalled
from yarl import URL

EXCHANGE = "innkeeper.events"
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the subscriber says what it is stalled by, once


class RabbitPublisher:
    """A durable topic exchange at `amqp://user:password@host:port/vhost` (`amqps://` for TLS). The routing key of an
    event is `{hotel}.{type}`, so that a queue can be bound to a hotel, to a type, or to both."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = urlsplit(url).hostname or "the broker"  # without the password
        self._connection: Connection | None = None
        self._channel: Channel | None = None

    async def take_in(self, entries: Sequence[Entry]) -> Keep:
        """See `protocol.subscribing.Handle`."""
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                channel = await self._open()
                await asyncio.gather(*(_publish(channel, entry) for entry in entries))
        except (AMQPError, OSError, TimeoutError, ssl.SSLError, RuntimeError) as error:
            await self.close()
            raise Stalled(f"RabbitMQ at {self._name} does not take events: {_reason(error)}") from error
        return _confirmed

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(AMQPError, OSError, TimeoutError, RuntimeError):
                async with asyncio.timeout(1):  # one that has died does not answer
                    await connection.close()
            await connection.close()  # then it only notes that it is closed, and needs no closing when it is collected

    async def _open(self) -> Channel:
        if self._channel is None or self._channel.is_closed:
            await self.close()
            self._connection = Connection(URL(self._url), client_properties={"connection_name": "innkeeper"})
            await self._connection.connect()
            channel = await self._connection.channel()
            await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            underlay = await channel.get_underlay_channel()
            assert isinstance(underlay, Channel)
            self._channel = underlay
        return self._channel


async def _publish(channel: Channel, entry: Entry) -> None:
    """Send it without waiting for the socket, which would be waited for again for each message; then wait for the
    confirmation."""
    _, record = entry
    kind = wire.event_type(record.event)
    message = aio_pika.Message(
        cloud_event_json(entry),
        content_type="application/cloudevents+json",
        content_encoding="utf-8",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=record.id,
        correlation_id=record.correlation,
        timestamp=instant(record.at),
        type=kind,
        app_id="innkeeper",
    )
    await channel.basic_publish(
        message.body,
        exchange=EXCHANGE,
        routing_key=f"{record.hotel}.{kind}",
        properties=message.properties,
        mandatory=False,  # nobody need listen
        wait=False,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {limits.broker_seconds_max} s"
    if isinstance(error, ChannelInvalidStateError | RuntimeError):
        return "the connection was lost"
    return str(error)


def _confirmed() -> None:
    """The broker has it: that is the effect."""
