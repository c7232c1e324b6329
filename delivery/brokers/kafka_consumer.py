"""The consumer for Kafka: a member of the group of its service. Its offsets are in the inbox, together with the events.

The group gives each partition to one member, and those of a member that dies or leaves to the others. A member resumes
where the inbox or the group is further, so that none takes again what another has committed.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
    errors,
)
from aiokafka.admin import AIOKafkaAdminClient
from innkeeper.delivery.brokers.consumer import LogConsumer, MessageContent
from innkeeper.delivery.brokers.kafka_cluster import KafkaCluster, start
from innkeeper.protocol.delivery.broker_names import (
    GROUP_HEADER,
    INSTALLATION_HEADER,
    PLACE_HEADER,
    REASON_HEADER,
    TIMELINE_HEADER,
    BrokerNames,
)
from innkeeper.protocol.ports.inbox import Inbox, LogOf
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)


class KafkaConsumer(LogConsumer):
    """A consumer group for each service. The dead letters are in a topic of their own."""

    expected = (errors.KafkaError, OSError)

    def __init__(self, url: str, names: BrokerNames, service: str, inbox: Inbox, log_of: LogOf) -> None:
        super().__init__(url, names, service, inbox, log_of)
        self.cluster = KafkaCluster(url)
        self.closing: set[asyncio.Task[None]] = set()

    def connect(self) -> "_Connection":
        """See `LogConsumer`."""
        return _Connection(self)

    async def reason(self, error: BaseException) -> str:
        """See `LogConsumer`."""
        return f"Kafka at {self.cluster.servers}: {await self.cluster.reason(error, self.names.events)}"


class _Connection(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of the group.

    It looks at the topic in the cluster itself. aiokafka's consumer uses a cached copy of the metadata, which lacks a
    topic that has not been assigned yet, and does not show that one was deleted."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._group = consumer.name
        self._inbox = consumer.inbox
        self._names = consumer.names
        self._handle = consumer.handle
        self._cluster = consumer.cluster
        self._closing = consumer.closing
        self._look_at = 0.0
        self._starts: dict[TopicPartition, int]
        self._leave_partitions()
        self._handling = asyncio.Lock()
        self._resources = AsyncExitStack()
        self._dead_producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """See `consumer.Connection`."""
        settings = self._cluster.settings()
        self._admin = AIOKafkaAdminClient(**settings)
        self._resources.push_async_callback(self._admin.close)
        await start(self._admin)
        topic = self._names.events
        self._is_new = not await self._cluster.ensure_topic(self._admin, topic)
        if self._is_new and any(log.position for log in self._inbox.logs.values()):
            self._say_deleted()
        self._consumer = AIOKafkaConsumer(
            **settings,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=round(limits.consumer_look_seconds * 1_000),
            session_timeout_ms=round(limits.consumer_session_seconds * 1_000),
            heartbeat_interval_ms=round(limits.consumer_session_seconds * 300),
            rebalance_timeout_ms=round(limits.consumer_session_seconds * 2_000),
        )
        self._resources.push_async_callback(_stop, self._consumer)
        await start(self._consumer)
        self._consumer.subscribe([topic], listener=self)

    async def consume(self) -> None:
        """See `consumer.Connection`."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            await self._look()
            await self._commit()
            self._look_at = now + limits.consumer_look_seconds
        while not await self._take():
            pass

    async def _take(self) -> bool:
        """Handles what arrives. Returns whether it could: aiokafka may have fetched it before the partitions' start."""
        assignment = self._starts
        found = await self._arrived()
        async with self._handling:
            found = {partition: of for partition, of in found.items() if partition in self._starts}
            if assignment is not self._starts:
                self._seek(found)
                return False
            if found:
                messages = [message for of in found.values() for message in of]
                places = {_place_name(partition): of[-1].offset + 1 for partition, of in found.items()}
                await self._handle(messages, _content_of, self._send_to_dead_letters, places)
            return True

    async def _arrived(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What arrives within `consumer_poll_seconds`. Raises where the group cannot be joined."""
        while True:
            found: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                timeout_ms=round(limits.consumer_poll_seconds * 1_000), max_records=limits.subscriber_batch_events_max
            )
            if self._joined:
                return found
            if asyncio.get_running_loop().time() > self._join_until:
                raise TimeoutError(f"the group {self._group} cannot be joined: its coordinator does not answer")

    async def close(self) -> None:
        """See `consumer.Connection`. A client that is cancelled while it leaves its group would keep its tasks and
        sockets, so it goes on beside the next connection, until its requests time out."""
        closing = asyncio.create_task(self._leave())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(closing)

    async def _leave(self) -> None:
        async with self._resources:
            await self._commit()

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """Commits what is handled of the partitions that another member may get."""
        async with self._handling:
            await self._commit()
            self._leave_partitions()

    def _leave_partitions(self) -> None:
        """Takes nothing until partitions are assigned, for which it waits as long as for an answer."""
        self._starts = {}
        self._joined = False
        self._join_until = asyncio.get_running_loop().time() + limits.broker_seconds_max

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Resumes these partitions where the inbox or the group is further; at the beginning of a new topic."""
        async with self._handling:
            starts = {}
            for partition in assigned:
                place = _place_name(partition)
                if self._is_new:
                    await asyncio.to_thread(self._inbox.handle, (), {place: 0})
                committed = await self._consumer.committed(partition) or 0
                starts[partition] = max(self._inbox.offset(place) or 0, committed)
            self._starts = starts
            self._seek(starts)
            self._is_new = False
            self._joined = True

    def _seek(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._consumer.seek(partition, self._starts[partition])

    async def _look(self) -> None:
        """Raises where the topic was deleted, or where the cluster does not answer. One that was deleted and made anew
        ends before the offset to resume at: it is consumed from its beginning."""
        async with asyncio.timeout(limits.broker_seconds_max):
            (topic,) = await self._admin.describe_topics([self._names.events])
            error = errors.for_code(topic["error_code"])
            if error is errors.UnknownTopicOrPartitionError:
                raise error(self._names.events)
            async with self._handling:
                if not self._starts:
                    return
                ends = await self._consumer.end_offsets([*self._starts])
                anew = [one for one, end in ends.items() if end < (self._inbox.offset(_place_name(one)) or 0)]
                if anew:
                    self._say_deleted()
                    await asyncio.to_thread(self._inbox.handle, (), dict.fromkeys(map(_place_name, anew), 0))
                    self._starts |= dict.fromkeys(anew, 0)
                    self._seek(anew)

    def _say_deleted(self) -> None:
        logger.warning("the topic %s was deleted, or is new; missed events are fetched", self._names.events)

    async def _commit(self) -> None:
        """Commits how far it is to the group, for other members and for monitoring. It does not wait for an unavailable
        coordinator, for which aiokafka would wait indefinitely."""
        places = {
            partition: max(start, self._inbox.offset(_place_name(partition)) or 0)
            for partition, start in self._starts.items()
        }
        if places:
            with suppress(errors.KafkaError, TimeoutError):
                async with asyncio.timeout(limits.consumer_poll_seconds):
                    await self._consumer.commit(places)

    async def _send_to_dead_letters(self, message: ConsumerRecord, reason: str) -> None:
        """Sends the message to the dead-letter topic, with its own headers, the reason and its place. One that is too
        large with these, or is refused as it is, is buried as its place alone."""
        if self._dead_producer is None:
            self._dead_producer = AIOKafkaProducer(
                **self._cluster.settings(), acks="all", max_request_size=limits.broker_request_bytes_max
            )
            self._resources.push_async_callback(self._dead_producer.stop)
            await start(self._dead_producer)
        place = f"{message.topic}:{message.partition}:{message.offset}"
        added = [(REASON_HEADER, reason.encode()), (GROUP_HEADER, self._group.encode()), (PLACE_HEADER, place.encode())]
        send, topic = self._dead_producer.send_and_wait, self._names.dead_topic
        try:
            value = b"" if message.value is None and message.key is None else message.value
            await send(topic, value, key=message.key, headers=[*message.headers, *added])
        except (*_TOO_LARGE, TypeError, ValueError) as error:
            logger.warning("%s buries the message at %s as its place alone: %s", self._group, place, error)
            await send(topic, b"", headers=added)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    finally:
        await consumer._client.close()  # which `stop` does not where the process ends meanwhile


def _place_name(partition: TopicPartition) -> str:
    return f"{partition.topic}:{partition.partition}"


def _content_of(message: ConsumerRecord) -> MessageContent:
    headers = dict(message.headers)
    names = (INSTALLATION_HEADER, TIMELINE_HEADER)
    installation, timeline = ((headers.get(name) or b"").decode(errors="replace") for name in names)
    return MessageContent(message.value or b"", installation, timeline)
