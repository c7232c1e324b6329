"""Operations on the topics of Kafka with librdkafka, a client that shares no code with that of Innkeeper."""

import json
import uuid
from time import monotonic, sleep
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry
from support.installations import NAMES
from support.waiting import wait_until

ANSWER_SECONDS_MAX = 60


class Message(NamedTuple):
    """A message in a topic."""

    partition: int
    offset: int
    key: str
    value: bytes
    headers: dict[str, bytes]
    milliseconds: int

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        event: dict[str, Any] = json.loads(self.value)
        return event


def remove_topics(servers: str) -> None:
    """Remove the topics of Innkeeper with all their messages."""
    admin = AdminClient({"bootstrap.servers": servers})

    def ours() -> list[str]:
        topics = admin.list_topics(timeout=ANSWER_SECONDS_MAX).topics
        return [topic for topic in topics if topic.endswith((".events", ".events.dead"))]

    if existing := ours():
        for removed in admin.delete_topics(existing, operation_timeout=ANSWER_SECONDS_MAX).values():
            removed.result(ANSWER_SECONDS_MAX)
        wait_until(lambda: not ours(), ANSWER_SECONDS_MAX)


def partitions_of(servers: str, topic: str = NAMES.events) -> list[int]:
    """The partitions that a topic has; none where there is no such topic."""
    found = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=ANSWER_SECONDS_MAX).topics
    return sorted(found[topic].partitions) if topic in found else []


def add_partitions(servers: str, partitions: int, topic: str = NAMES.events) -> None:
    """Increase the number of partitions of a topic to this number."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(ANSWER_SECONDS_MAX)
    wait_until(lambda: len(partitions_of(servers, topic)) == partitions, ANSWER_SECONDS_MAX)


def publish(
    servers: str,
    entries: list[LogEntry],
    partition: int | None = None,
    names: BrokerNames = NAMES,
    has_headers: bool = True,
) -> None:
    """Publish these events in order, as an installation does; to this partition instead of the one of the hotel. With
    `has_headers` they say of which installation they are."""
    producer = Producer(
        {"bootstrap.servers": servers, "enable.idempotence": True, "topic.metadata.refresh.interval.ms": 500}
    )
    arguments: dict[str, Any] = {} if partition is None else {"partition": partition}
    arguments["headers"] = dict(names.headers) if has_headers else {}
    for entry in entries:
        producer.produce(names.events, cloud_event_json(entry), key=entry[1].hotel.encode(), **arguments)
    assert producer.flush(ANSWER_SECONDS_MAX) == 0


def read_topic(servers: str, topic: str = NAMES.events) -> list[Message]:
    """All messages of a topic up to the current end of each partition, in the order of each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"test-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    try:
        partitions_from_start = [TopicPartition(topic, number, 0) for number in partitions_of(servers, topic)]
        ends = {topic_partition.partition: _end(consumer, topic_partition) for topic_partition in partitions_from_start}
        consumer.assign(partitions_from_start)
        found: list[Message] = []
        until = monotonic() + ANSWER_SECONDS_MAX
        while len(found) < sum(ends.values()):
            assert monotonic() < until, f"{len(found)} of {ends} messages came"
            for message in consumer.consume(1_000, timeout=0.2):
                if message.error() is not None and message.error().retriable():
                    continue
                assert message.error() is None, message.error()
                if message.offset() < ends[message.partition()]:
                    found.append(
                        Message(
                            message.partition(), message.offset(), (message.key() or b"").decode(),
                            message.value() or b"", dict(message.headers() or []), message.timestamp()[1],
                        )
                    )  # fmt: skip
        return found
    finally:
        consumer.close()


def _end(consumer: Consumer, topic_partition: TopicPartition) -> int:
    """The current end of a partition. Only an error tells a client that a topic was created again."""
    until = monotonic() + ANSWER_SECONDS_MAX
    while True:
        try:
            _, end = consumer.get_watermark_offsets(topic_partition, ANSWER_SECONDS_MAX)
        except KafkaException as error:
            is_stale = error.args[0].retriable() or error.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION
            if not is_stale or monotonic() > until:
                raise
            sleep(0.1)
        else:
            return int(end)
