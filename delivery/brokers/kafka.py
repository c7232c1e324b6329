"""The publisher and the consumer for Kafka. The publisher is a subscriber whose cursor moves when all replicas have the
events. The consumer keeps its offsets in the inbox, together with the events.

A hotel's events go to one partition of the topic, in order. After a failure some are produced again, with the same id.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from innkeeper.delivery.brokers.consumer import LogConsumer, MessageContent, reason_of
from innkeeper.protocol.codec.cloud_event import MEDIA_TYPE, cloud_event_json
from innkeeper.protocol.delivery.broker_names import (
    GROUP_HEADER,
    INSTALLATION_HEADER,
    REASON_HEADER,
    TIMELINE_HEADER,
    BrokerNames,
)
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects, Stalled, no_effects
from innkeeper.protocol.values import limits

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the subscriber and the consumer log each failure once

_LOOK_SECONDS = 10.0  # between looks for partitions that were added to the topic
_STOP_SECONDS_MAX = 300.0  # after that the cluster may have addresses that this producer does not know
_CONTENT_TYPE = {"content-type": f"{MEDIA_TYPE}; charset=utf-8"}


class KafkaPublisher:
    """Publishes to the topic `NAME.events` of the cluster at `kafka://host:port,host:port`; an event's key is its
    hotel.

    An idempotent producer resends what it has accepted until it is confirmed, also while it stops. A failed producer is
    therefore stopped before the next one is made, so that the cluster never gets events from two producers.
    """

    def __init__(self, url: str, names: BrokerNames) -> None:
        self._servers = urlsplit(url).netloc
        self._topic = names.events
        self._headers = [(name, text.encode()) for name, text in (_CONTENT_TYPE | names.headers).items()]
        self._producer: AIOKafkaProducer | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._stop_until = 0.0

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.ports.subscriptions.EventHandler`."""
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                producer = await self._open()
                sent = [
                    await producer.send(
                        self._topic, cloud_event_json(entry), key=entry[1].hotel.encode(), headers=self._headers
                    )
                    for entry in entries
                ]
                await asyncio.gather(*sent)
        except (KafkaError, OSError, TimeoutError) as error:
            self._discard()
            raise Stalled(f"Kafka at {self._servers} does not take events: {reason_of(error)}") from error
        return no_effects

    async def close(self) -> None:
        """Disconnects, and drops what is not confirmed within `broker_close_seconds_max`."""
        self._discard()
        stopping, self._stopping = self._stopping, None
        if stopping is not None:
            await asyncio.wait({stopping}, timeout=limits.broker_close_seconds_max)
            stopping.cancel()
            await asyncio.wait({stopping})

    async def _open(self) -> AIOKafkaProducer:
        if self._stopping is not None:
            timeout = self._stop_until - asyncio.get_running_loop().time()
            await asyncio.wait({self._stopping}, timeout=max(0.0, timeout))
            self._stopping = None
        if self._producer is None:
            self._producer = AIOKafkaProducer(**_client(self._servers), acks="all", enable_idempotence=True)
            await self._producer.start()
        return self._producer

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._stopping = asyncio.create_task(_stop(producer))
            self._stop_until = asyncio.get_running_loop().time() + _STOP_SECONDS_MAX


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        with suppress(KafkaError, OSError, TimeoutError):
            await producer.stop()
    finally:
        await producer.client.close()


def _client(servers: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": servers,
        "client_id": "innkeeper",
        "request_timeout_ms": round(limits.broker_seconds_max * 1_000),
    }


class KafkaConsumer(LogConsumer):
    """A consumer group for each service. The dead letters are in a topic of their own."""

    expected = (KafkaError, OSError)

    def connect(self) -> "_Connection":
        """See `LogConsumer`."""
        return _Connection(self)


class _Connection:
    """A consumer of all partitions of the topic: the group has no other member, and assigns the partitions itself.

    It requests the partitions from the cluster. aiokafka's consumer uses a cached copy of the metadata, which lacks a
    topic that has not been assigned yet and is refreshed only every five minutes."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._group = consumer.name
        self._inbox = consumer.inbox
        self._names = consumer.names
        self._handle = consumer.handle
        self._client = _client(urlsplit(consumer.url).netloc)
        self._look_at = 0.0
        self._resources = AsyncExitStack()
        self._dead_producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """See `consumer.Connection`."""
        self._admin = AIOKafkaAdminClient(**self._client)
        self._resources.push_async_callback(self._admin.close)
        await self._admin.start()
        self._consumer = AIOKafkaConsumer(
            **self._client, group_id=self._group, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._resources.push_async_callback(self._consumer.stop)
        await self._consumer.start()

    async def consume(self) -> None:
        """See `consumer.Connection`."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            await self._assign()
            await self._commit()
            self._look_at = now + (_LOOK_SECONDS if self._consumer.assignment() else limits.consumer_poll_seconds)
        if not self._consumer.assignment():  # the topic does not exist yet
            await asyncio.sleep(limits.consumer_poll_seconds)
            return
        found = await self._consumer.getmany(
            timeout_ms=round(limits.consumer_poll_seconds * 1_000), max_records=limits.subscriber_batch_events_max
        )
        if found:
            messages = [message for messages in found.values() for message in messages]
            places = {_place_name(partition): messages[-1].offset + 1 for partition, messages in found.items()}
            await self._handle(messages, _content_of, self._send_to_dead_letters, places)

    async def close(self) -> None:
        """See `consumer.Connection`."""
        await self._resources.aclose()

    async def _assign(self) -> None:
        """Assigns all partitions that the topic has now, each from the offset in the inbox."""
        (topic,) = await self._admin.describe_topics([self._names.events])
        partitions = {TopicPartition(self._names.events, partition["partition"]) for partition in topic["partitions"]}
        if partitions - self._consumer.assignment():
            self._consumer.assign(partitions)
            for partition in partitions:
                self._consumer.seek(partition, self._inbox.offset(_place_name(partition)) or 0)

    async def _commit(self) -> None:
        """Commits the offsets to the cluster, for monitoring only: consumption starts at the offsets in the inbox. It
        therefore does not wait for an unavailable coordinator, for which aiokafka would wait indefinitely."""
        places = {
            partition: place
            for partition in self._consumer.assignment()
            if (place := self._inbox.offset(_place_name(partition))) is not None
        }
        if places:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(limits.consumer_poll_seconds):
                    await self._consumer.commit(places)

    async def _send_to_dead_letters(self, message: ConsumerRecord, reason: str) -> None:
        """Sends the message to the dead-letter topic, with its own headers and the reason."""
        headers = [*message.headers, (REASON_HEADER, reason.encode()), (GROUP_HEADER, self._group.encode())]
        if self._dead_producer is None:
            self._dead_producer = AIOKafkaProducer(**self._client, acks="all")
            self._resources.push_async_callback(self._dead_producer.stop)
            await self._dead_producer.start()
        await self._dead_producer.send_and_wait(self._names.dead_topic, message.value, key=message.key, headers=headers)


def _place_name(partition: TopicPartition) -> str:
    return f"{partition.topic}:{partition.partition}"


def _content_of(message: ConsumerRecord) -> MessageContent:
    headers = dict(message.headers)
    names = (INSTALLATION_HEADER, TIMELINE_HEADER)
    installation, timeline = ((headers.get(name) or b"").decode(errors="replace") for name in names)
    return MessageContent(message.value or b"", installation, timeline)
