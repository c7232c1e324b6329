"""Events on their way to Kafka and back: a subscriber that produces what it takes in, and whose cursor moves when all
replicas have it; and a feed whose offsets stand in its inbox, beside what it took in.

A hotel's events go to one partition of the topic, in order. After a failure some are produced again, with the same id.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from innkeeper.protocol import limits
from innkeeper.protocol.cloud_event import cloud_event_json, entry_of
from innkeeper.protocol.feeding import Inbox, LogOf
from innkeeper.protocol.record import Entry
from innkeeper.protocol.subscribing import Keep, Stalled

TOPIC = "innkeeper.events"
DEAD_TOPIC = "innkeeper.events.dead"
logger = logging.getLogger(__name__)

_LOOK_SECONDS = 30.0  # for partitions that were added to the topic
_HEADERS = [("content-type", b"application/cloudevents+json; charset=utf-8")]


class KafkaPublisher:
    """The topic `innkeeper.events` of the cluster at `kafka://host:port,host:port`; an event's key is its hotel."""

    def __init__(self, url: str) -> None:
        self._servers = urlsplit(url).netloc
        self._producer: AIOKafkaProducer | None = None

    async def take_in(self, entries: Sequence[Entry]) -> Keep:
        """See `protocol.subscribing.Handle`."""
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                producer = await self._open()
                sent = [
                    await producer.send(
                        TOPIC, cloud_event_json(entry), key=entry[1].hotel.encode(), headers=_HEADERS,
                        timestamp_ms=entry[1].at // 1_000,
                    )
                    for entry in entries
                ]  # fmt: skip
                await asyncio.gather(*sent)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise Stalled(f"Kafka at {self._servers} does not take events: {_reason(error)}") from error
        return _acknowledged

    async def close(self) -> None:
        """Hang up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(limits.broker_goodbye_seconds_max):  # it would wait for one that has died
                    await producer.stop()

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers, client_id="innkeeper", acks="all", enable_idempotence=True
            )  # fmt: skip
            self._producer = producer
            await producer.start()
        return self._producer


def _reason(error: Exception) -> str:
    return str(error) or f"no answer in {limits.broker_seconds_max} s"


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
        self._look_at = 0.0

    async def run(self) -> None:
        """See `protocol.feeding.Feed`."""
        failed = False
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._servers, client_id="innkeeper", group_id=self._group,
                enable_auto_commit=False, auto_offset_reset="earliest",
            )  # fmt: skip
            try:
                async with asyncio.timeout(limits.broker_seconds_max):
                    await consumer.start()
                self._look_at = 0.0
                while True:
                    await self._consume(consumer)
                    if failed:
                        logger.warning("%s is fed again", self._group)
                    failed = False
            except Exception as error:  # whatever it is: whoever stops listening here is not told of it any more
                if not failed:
                    unknown = not isinstance(error, (KafkaError, OSError, TimeoutError, Stalled))
                    logger.warning("%s gets no events now: %s", self._group, _reason(error), exc_info=unknown)
                failed = True
            finally:
                with suppress(Exception):
                    async with asyncio.timeout(limits.broker_goodbye_seconds_max):
                        await consumer.stop()
            await asyncio.sleep(limits.feed_retry_seconds)

    async def _consume(self, consumer: AIOKafkaConsumer) -> None:
        """What the cluster left out, and what arrives within a while."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            await self._assign(consumer)
            self._look_at = now + (_LOOK_SECONDS if consumer.assignment() else limits.feed_look_seconds)
        await asyncio.to_thread(self._inbox.fetch_missing)
        if not consumer.assignment():  # nothing was ever published there
            await asyncio.sleep(limits.feed_look_seconds)
            return
        found = await consumer.getmany(
            timeout_ms=round(limits.feed_look_seconds * 1_000), max_records=limits.subscriber_portion_events_max
        )
        entries: list[tuple[str, Entry]] = []
        places: dict[str, int] = {}
        for partition, messages in found.items():
            for message in messages:
                try:
                    entry = entry_of(message.value or b"")
                    entries.append((self._log_of(entry[1]), entry))
                except ValueError as error:
                    await self._bury(message.value, message.key, str(error))
                places[_place(partition)] = message.offset + 1
        if places:
            await asyncio.to_thread(self._inbox.take_in, entries, places)
            await consumer.commit()  # only for those who watch the group: it goes on where its inbox says

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        """All partitions of the topic that there are by now, each where the inbox says: the group is this consumer
        alone."""
        await consumer.topics()
        partitions = {TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC) or ()}
        if partitions != consumer.assignment():
            consumer.assign(partitions)
            for partition in partitions:
                consumer.seek(partition, self._inbox.place(_place(partition)) or 0)

    async def _bury(self, value: bytes | None, key: bytes | None, reason: str) -> None:
        """Among the dead letters, with the reason."""
        logger.warning("%s cannot take in a message: %s", self._group, reason)
        producer = AIOKafkaProducer(bootstrap_servers=self._servers, client_id="innkeeper", acks="all")
        await producer.start()
        try:
            headers = [("innkeeper-reason", reason.encode()), ("innkeeper-group", self._group.encode())]
            await producer.send_and_wait(DEAD_TOPIC, value, key=key, headers=headers)
        finally:
            await producer.stop()


def _place(partition: TopicPartition) -> str:
    return f"{partition.topic}:{partition.partition}"
