"""A Kafka that accepts connections and does not answer: nothing is lost, and all follows in order when it goes on."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic

import pytest
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RECOVERY_SECONDS_MAX, RemoteLog, log_entry
from support.installations import NAMES
from support.kafka_node import KafkaNode
from support.kafka_topics import publish, read_topic
from support.publishing_subscriber import publishing_subscriber
from support.waiting import until

AWAY_SECONDS = int(os.environ.get("INNKEEPER_BROKER_AWAY_SECONDS", "0"))
TASKS_MAX = 40  # of the connections that are given up; with each attempt there would be more


@contextmanager
def stopped(node: KafkaNode) -> Iterator[None]:
    """The Kafka is stopped within the block."""
    node.stop_process()
    try:
        yield
    finally:
        node.continue_process()


@pytest.mark.slow
def test_a_kafka_that_hangs_stalls_the_publisher_and_all_events_follow_in_order(
    real_kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 3)

    async def check() -> None:
        async with publishing_subscriber(real_kafka.url) as publishing:
            publishing.append("north")
            await publishing.publish()
            with stopped(real_kafka):
                for _ in range(600):
                    publishing.append("north")
                began = monotonic()
                for attempt in count(1):
                    with pytest.raises(Stalled, match="no answer in 3 s"):
                        await publishing.publish()
                    if attempt >= 2 and monotonic() - began > AWAY_SECONDS:
                        break
                assert len(asyncio.all_tasks()) < TASKS_MAX
            async with asyncio.timeout(RECOVERY_SECONDS_MAX):
                while publishing.subscriber.state().lag:
                    with suppress(Stalled):
                        await publishing.publish()

    asyncio.run(check())
    ids = [message.event["id"] for message in read_topic(real_kafka.servers)]
    assert [*dict.fromkeys(ids)] == [f"north:{number}" for number in range(1, 602)]


@pytest.mark.slow
def test_a_consumer_says_that_kafka_hangs_fetches_meanwhile_and_goes_on_afterwards(
    real_kafka: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 3)
    monkeypatch.setattr(limits, "consumer_look_seconds", 1)
    publish(real_kafka.servers, [log_entry(number) for number in range(1, 31)])
    origin = RemoteLog(30)
    with closing(SqliteInbox(tmp_path / "inbox.db", {"billing": origin})) as inbox:
        log = inbox.logs["billing"]
        consumer = KafkaConsumer(real_kafka.url, NAMES, "billing", inbox, lambda _: "billing")

        async def check() -> None:
            running = asyncio.create_task(consumer.run())
            try:
                await until(lambda: all(inbox.offset(f"{NAMES.events}:{partition}") for partition in used))
                with stopped(real_kafka):
                    await until(lambda: "no answer" in consumer.fault)
                    await asyncio.sleep(AWAY_SECONDS)
                    assert len(asyncio.all_tasks()) < TASKS_MAX
                    origin.position = 40
                    await until(lambda: log.position == 40)
                origin.reachable = False
                await until(lambda: consumer.fault == "")
                await asyncio.to_thread(publish, real_kafka.servers, [log_entry(number) for number in range(41, 61)])
                await until(lambda: log.position == 60)
            finally:
                running.cancel()
                await asyncio.wait({running})

        used = {message.partition for message in read_topic(real_kafka.servers)}
        asyncio.run(check())
