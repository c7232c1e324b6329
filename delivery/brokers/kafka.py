"""Events on their way to Kafka and back: a subscriber that produces what it takes in, and whose cursor moves when all
replicas have it; and a feed whose offsets stand in its inbox, beside what it took in.

A hotel's events go to one partition of the topic, in order. After a failure some are produced again, with the same id.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from innkeeper.delivery.brokers.consumer import consume, reason_of
from innkeeper.protocol.codec.cloud_event import cloud_event_json, entry_of
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.inbox import Inbox, LogOf
from innkeeper.protocol.ports.subscriptions import Effects, Stalled
from innkeeper.protocol.values import limits

TOPIC = "innkeeper.events"
DEAD_TOPIC = "innkeeper.events.dead"
logger = logging.getLogger(__name__)
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the subscriber and the feed say once what they wait for

_LOOK_SECONDS = 10.0  # for partitions that were added to the topic
_STOP_SECONDS_MAX = 300.0  # then the cluster may have moved to addresses that this producer does not know
_HEADERS = [("content-type", b"application/cloudevents+json; charset=utf-8")]


class KafkaPublisher:
    """The topic `innkeeper.events` of the cluster at `kafka://host:port,host:port`; an event's key is its hotel.

    An idempotent producer sends what it once accepted again and again until it is confirmed, also while it stops. So a
    producer that failed is stopped first, and only then the next one is made: the cluster never gets events from two.
    """

    def __init__(self, url: str) -> None:
        self._servers = urlsplit(url).netloc
        self._producer: AIOKafkaProducer | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._stop_until = 0.0

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.subscribing.Handle`."""
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                producer = await self._open()
                sent = [
                    await producer.send(TOPIC, cloud_event_json(entry), key=entry[1].hotel.encode(), headers=_HEADERS)
                    for entry in entries
                ]
                await asyncio.gather(*sent)
        except (KafkaError, OSError, TimeoutError) as error:
            self._give_up()
            raise Stalled(f"Kafka at {self._servers} does not take events: {reason_of(error)}") from error
        return _acknowledged

    async def close(self) -> None:
        """Disconnect; what is not confirmed soon is given up."""
        self._give_up()
        stopping, self._stopping = self._stopping, None
        if stopping is not None:
            await asyncio.wait({stopping}, timeout=limits.broker_goodbye_seconds_max)
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

    def _give_up(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._stopping = asyncio.create_task(_stopped(producer))
            self._stop_until = asyncio.get_running_loop().time() + _STOP_SECONDS_MAX


async def _stopped(producer: AIOKafkaProducer) -> None:
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


def _acknowledged() -> None:
    """The cluster has it: that is the effect."""


class KafkaFeed:
    """A `protocol.feeding.Feed`: a consumer group of its own. A message that is no event of ours goes to the topic
    `innkeeper.events.dead` with the reason."""

    def __init__(self, url: str, name: str, inbox: Inbox, log_of: LogOf) -> None:
        self._servers = urlsplit(url).netloc
        self._group = f"innkeeper.{name}"
        self._inbox = inbox
        self._log_of = log_of

    async def run(self) -> None:
        """See `protocol.feeding.Feed`."""
        await consume(self._group, self._connection, self._inbox, (KafkaError, OSError))

    def _connection(self) -> "_Connection":
        return _Connection(self._servers, self._group, self._inbox, self._log_of)


class _Connection:
    """A consumer of all partitions of the topic: the group has no other member, and takes no part in the assignment.

    The partitions are asked of the cluster itself. aiokafka's consumer answers from a copy of the metadata that does
    not contain a topic which nobody has assigned yet, and is renewed only every five minutes."""

    def __init__(self, servers: str, group: str, inbox: Inbox, log_of: LogOf) -> None:
        self._group = group
        self._inbox = inbox
        self._log_of = log_of
        self._client = _client(servers)
        self._look_at = 0.0
        self._resources = AsyncExitStack()
        self._dead: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """See `consuming.Connection`."""
        self._admin = AIOKafkaAdminClient(**self._client)
        self._resources.push_async_callback(self._admin.close)
        await self._admin.start()
        self._consumer = AIOKafkaConsumer(
            **self._client, group_id=self._group, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._resources.push_async_callback(self._consumer.stop)
        await self._consumer.start()

    async def consume(self) -> None:
        """See `consuming.Connection`."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            await self._assign()
            await self._commit()
            self._look_at = now + (_LOOK_SECONDS if self._consumer.assignment() else limits.feed_look_seconds)
        if not self._consumer.assignment():  # the topic does not exist yet
            await asyncio.sleep(limits.feed_look_seconds)
            return
        found = await self._consumer.getmany(
            timeout_ms=round(limits.feed_look_seconds * 1_000), max_records=limits.subscriber_batch_events_max
        )
        entries: list[tuple[str, LogEntry]] = []
        places: dict[str, int] = {}
        for partition, messages in found.items():
            for message in messages:
                try:
                    entry = entry_of(message.value or b"")
                    entries.append((self._log_of(entry[1]), entry))
                except ValueError as error:
                    await self._dead_letter(message.value, message.key, str(error))
                places[_place(partition)] = message.offset + 1
        if places:
            await asyncio.to_thread(self._inbox.handle, entries, places)

    async def close(self) -> None:
        """See `consuming.Connection`."""
        await self._resources.aclose()

    async def _assign(self) -> None:
        """All partitions that the topic has by now, each from where the inbox says."""
        (topic,) = await self._admin.describe_topics([TOPIC])
        partitions = {TopicPartition(TOPIC, partition["partition"]) for partition in topic["partitions"]}
        if partitions - self._consumer.assignment():
            self._consumer.assign(partitions)
            for partition in partitions:
                self._consumer.seek(partition, self._inbox.place(_place(partition)) or 0)

    async def _commit(self) -> None:
        """Let those who watch the group see how far it has come. Nothing depends on it: it begins where its inbox says.
        So it does not wait for a coordinator that is away, for which aiokafka would wait without end."""
        places = {
            partition: place
            for partition in self._consumer.assignment()
            if (place := self._inbox.place(_place(partition))) is not None
        }
        if places:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(limits.feed_look_seconds):
                    await self._consumer.commit(places)

    async def _dead_letter(self, value: bytes | None, key: bytes | None, reason: str) -> None:
        """Send it to the dead letters, with the reason."""
        logger.warning("%s cannot take in a message: %s", self._group, reason)
        headers = [("innkeeper-reason", reason.encode()), ("innkeeper-group", self._group.encode())]
        async with asyncio.timeout(limits.broker_seconds_max):
            if self._dead is None:
                self._dead = AIOKafkaProducer(**self._client, acks="all")
                self._resources.push_async_callback(self._dead.stop)
                await self._dead.start()
            await self._dead.send_and_wait(DEAD_TOPIC, value, key=key, headers=headers)


def _place(partition: TopicPartition) -> str:
    return f"{partition.topic}:{partition.partition}"
