"""Messages that cannot go to the dead letters as they are: they are buried as their place, and consumption goes on."""

import asyncio
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from confluent_kafka import Producer
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.delivery.brokers.rabbitmq_consumer import RabbitConsumer
from innkeeper.delivery.brokers.rabbitmq_publisher import RabbitPublisher
from innkeeper.protocol.delivery.broker_names import PLACE_HEADER, REASON_HEADER, BrokerNames
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.installation import Installation
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RECOVERY_SECONDS_MAX, RemoteLog, log_entry, run_consumer
from support.installations import NAMES
from support.kafka_node import KafkaNode
from support.kafka_topics import ANSWER_SECONDS_MAX, Message, publish, read_topic
from support.rabbitmq_queues import delete_queues

OURS = BrokerNames(Installation("1" * 32, f"buried-{uuid.uuid4().hex[:8]}", "2" * 32, 1))
HEADERS = dict(NAMES.headers)
LIMIT = 1_048_588  # of a batch with one message, in Kafka
FOREIGN = "no event, and " + "a long text " * 1_000
MESSAGES: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "no key and no value": {"headers": HEADERS},
    "an empty value": {"headers": HEADERS, "value": b""},
    "no value": {"headers": HEADERS, "key": b"hotel-1"},
    "just under the limit": {"headers": HEADERS, "value": b"x" * (LIMIT - 250)},
    "a key just under the limit": {"headers": HEADERS, "key": b"x" * (LIMIT - 250)},
    "a header just under the limit": {"headers": HEADERS | {"long": "x" * (LIMIT - 250)}, "value": b"{}"},
    "a header without a value": {"headers": [*HEADERS.items(), ("empty", None)], "value": b"{}"},
    "a header twice": {"headers": [*HEADERS.items(), *HEADERS.items()], "value": b"{}"},
    "a long text": {"headers": HEADERS, "value": FOREIGN.encode()},
    "another installation with a long name": {"headers": HEADERS | {"innkeeper-installation": "x" * 9_000}},
}


def unreachable_inbox(folder: Path) -> SqliteInbox:
    origin = RemoteLog(1_000_000)
    origin.reachable = False
    return SqliteInbox(folder / "inbox.db", {"billing": origin})


def buried(servers: str, kafka_messages: list[dict[str, Any]], inbox: SqliteInbox) -> list[Message]:
    """Publish these messages and thirty events, consume them, and return what is buried."""
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 10_000_000})
    for message in kafka_messages:
        producer.produce(NAMES.events, partition=0, **message)
    assert producer.flush(ANSWER_SECONDS_MAX) == 0
    publish(servers, [log_entry(number) for number in range(1, 31)], partition=0)  # behind them
    log = inbox.logs["billing"]
    consumer = KafkaConsumer(f"kafka://{servers}", NAMES, "billing", inbox, lambda _: "billing")
    run_consumer(consumer, lambda: log.position == 30, RECOVERY_SECONDS_MAX)
    return read_topic(servers, NAMES.dead_topic)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_whatever_is_in_a_kafka_message_it_is_buried_and_consumption_goes_on(
    real_kafka: KafkaNode, tmp_path: Path, message: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    publish(real_kafka.servers, [])
    with closing(unreachable_inbox(tmp_path)) as inbox:
        (dead,) = buried(real_kafka.servers, [message], inbox)
    assert dead.headers[PLACE_HEADER] == f"{NAMES.events}:0:0".encode()
    assert 0 < len(dead.headers[REASON_HEADER]) <= 4 * limits.broker_reason_characters_max
    assert dead.value in (message.get("value") or b"", b"")
    assert max(len(record.getMessage()) for record in caplog.records) < 2 * limits.broker_reason_characters_max
    assert "receives no events" not in caplog.text


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_compressed_message_of_a_foreign_producer_does_not_stop_consumption(
    real_kafka: KafkaNode, tmp_path: Path, codec: str
) -> None:
    publish(real_kafka.servers, [])
    producer = Producer({"bootstrap.servers": real_kafka.servers, "compression.type": codec})
    producer.produce(NAMES.events, b"no event" * 1_000, partition=0, headers=HEADERS)
    assert producer.flush(ANSWER_SECONDS_MAX) == 0
    with closing(unreachable_inbox(tmp_path)) as inbox:
        assert len(buried(real_kafka.servers, [], inbox)) == 1


def test_a_rabbitmq_message_whose_headers_leave_no_room_is_buried_without_them(
    rabbitmq: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    headers: Any = dict(OURS.headers)
    found: list[Any] = []

    async def send() -> None:
        async with await aio_pika.connect(rabbitmq) as connection:
            exchange = await (await connection.channel()).get_exchange(OURS.events)
            for size in (130_000, 100_000, 10):
                message = aio_pika.Message(b"no event", headers=headers | {"long": "x" * size})
                await exchange.publish(message, "x.y")
        broker = RabbitPublisher(rabbitmq, OURS)
        await broker.handle([log_entry(number) for number in range(1, 31)])
        await broker.close()

    async def take() -> None:
        async with await aio_pika.connect(rabbitmq) as connection:
            queue = await (await connection.channel()).get_queue(f"{OURS.consumer('billing')}.dead")
            while message := await queue.get(no_ack=True, fail=False):
                found.append(message)

    async def is_consumed() -> bool:
        async with await aio_pika.connect(rabbitmq) as connection:
            try:
                queue = await (await connection.channel()).get_queue(OURS.consumer("billing"))
            except aio_pika.exceptions.ChannelNotFoundEntity:
                return False
            return bool(queue.declaration_result.consumer_count)

    with closing(unreachable_inbox(tmp_path)) as inbox:
        log = inbox.logs["billing"]
        consumer = RabbitConsumer(rabbitmq, OURS, "billing", inbox, lambda _: "billing")
        run_consumer(consumer, lambda: asyncio.run(is_consumed()))
        asyncio.run(send())
        run_consumer(consumer, lambda: log.position == 30)
        asyncio.run(take())
    asyncio.run(delete_queues(rabbitmq, [OURS]))
    assert [message.body for message in found] == [b"no event"] * 3
    assert all("x.y" in message.headers[PLACE_HEADER] for message in found)
    assert [("long" in message.headers) for message in found] == [False, False, True]
    assert "receives no events" not in caplog.text
