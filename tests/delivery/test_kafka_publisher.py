"""All events go to a real Kafka, which is killed, cut off and falls silent; librdkafka reads what came there."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer
from innkeeper.delivery.brokers.brokers import Publisher, publisher
from innkeeper.protocol.delivery.broker_names import TOPIC
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from support.broker_checks import book_until, books, heard_all, hotel, once_in_order, pinned, stalled
from support.gateway import Gateway, gateway
from support.kafka_node import PARTITIONS, KafkaNode
from support.kafka_topics import Message, published
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

__all__ = ["hotel"]
AWAY_SECONDS = int(os.environ.get("INNKEEPER_BROKER_AWAY_SECONDS", "15"))
HOTELS = [f"hotel-{number}" for number in range(24)]
BACK_SECONDS_MAX = 120


def consumed(url: str, hotel: str, number: int) -> list[Any]:
    """So many messages of the topic that are about the hotel."""

    async def consume() -> list[Any]:
        consumer = AIOKafkaConsumer(
            TOPIC, bootstrap_servers=urlsplit(url).netloc, auto_offset_reset="earliest", enable_auto_commit=False
        )  # fmt: skip
        await consumer.start()
        try:
            found: list[Any] = []
            async with asyncio.timeout(30):
                while len(found) < number:
                    found += [message async for message in _some(consumer) if message.key == hotel.encode()]
            return found
        finally:
            await consumer.stop()

    async def _some(consumer: AIOKafkaConsumer) -> Any:
        for messages in (await consumer.getmany(timeout_ms=500)).values():
            for message in messages:
                yield message

    return asyncio.run(consume())


def test_events_come_to_kafka_as_they_happened(kafka: str, hotel: str, tmp_path: Path) -> None:
    with gateway(tmp_path, broker=kafka) as front:
        front.open({"DBL": 50}, id=hotel)
        books(front, hotel, range(1, 20))
        everything = front.everything()
        wait_until(lambda: heard_all(front), 30)
        messages = consumed(kafka, hotel, len(everything))
        assert len({message.partition for message in messages}) == 1  # so they have an order
        assert dict(messages[0].headers)["content-type"].startswith(b"application/cloudevents+json")
        once_in_order([json.loads(message.value) for message in messages], front)


def test_a_kafka_that_is_away_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 1)

    async def publish() -> None:
        broker = publisher("kafka://127.0.0.1:9")
        try:
            await broker.handle([pinned("hotel", 1)])
        finally:
            await broker.close()

    with pytest.raises(Stalled, match=r"Kafka at 127\.0\.0\.1:9 does not take events"):
        asyncio.run(publish())


def in_order(messages: list[Message], front: Gateway) -> None:
    """Each hotel is in one partition, and there, without what came twice, is what the log says, in its order."""
    said: dict[str, list[dict[str, Any]]] = {}
    for event in front.everything():
        said.setdefault(event["source"], []).append(event)
    came: dict[str, dict[str, dict[str, Any]]] = {}
    places: dict[str, set[int]] = {}
    for message in messages:
        event = message.event
        assert came.setdefault(event["source"], {}).setdefault(event["id"], event) == event
        places.setdefault(message.key, set()).add(message.partition)
    assert {source: [*events.values()] for source, events in came.items()} == said
    assert all(len(partitions) == 1 for partitions in places.values())


def test_a_kafka_that_is_killed_under_load_loses_nothing_and_delays_no_booking(
    real_kafka: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 5)
    with gateway(tmp_path, broker=real_kafka.url) as front:
        for hotel in HOTELS:
            front.open({"DBL": 100}, id=hotel)
        done, took = threading.Event(), list[float]()
        load = threading.Thread(target=book_until, args=(front, HOTELS, done, took))
        load.start()
        try:
            wait_until(lambda: len(took) > 100, 60)
            real_kafka.kill()
            before, killed = len(took), monotonic()
            wait_until(lambda: stalled(front) != "", 2 * limits.broker_seconds_max)
            sleep(max(0.0, AWAY_SECONDS - (monotonic() - killed)))
            meanwhile = len(took) - before
            real_kafka.start()
        finally:
            done.set()
            load.join()
        started = monotonic()
        front.everything()
        wait_until(lambda: heard_all(front), BACK_SECONDS_MAX)
        caught_up = monotonic() - started
        messages = published(real_kafka.servers)
        in_order(messages, front)
        assert {message.partition for message in messages} == set(range(PARTITIONS))
        assert meanwhile > 10 * AWAY_SECONDS  # of at most 50 a second
        assert max(took) < 5
        twice = len(messages) - len({message.event["id"] for message in messages})
        print(
            f"{len(took)} bookings, {meanwhile} of them while Kafka was away; the slowest took {max(took):.2f} s;"
            f" {len(messages)} messages in {PARTITIONS} partitions, {twice} of them again; caught up {caught_up:.1f} s"
            " after it was back"
        )


@pytest.mark.parametrize("fault", [TcpProxy.cut, TcpProxy.go_silent])
def test_a_broken_connection_to_kafka_loses_nothing_and_delays_no_booking(
    real_kafka: KafkaNode, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 2)
    with (
        tcp_proxy("127.0.0.1", real_kafka.distant_port, real_kafka.announced_port) as laid,
        gateway(tmp_path, broker=f"kafka://127.0.0.1:{laid.port}") as front,
    ):
        for hotel in HOTELS[:6]:
            front.open({"DBL": 50}, id=hotel)
            books(front, hotel, range(1, 4))
        wait_until(lambda: heard_all(front), BACK_SECONDS_MAX)
        before = laid.connections
        fault(laid)
        for hotel in HOTELS[:6]:
            books(front, hotel, range(4, 8))
        wait_until(lambda: stalled(front) != "", BACK_SECONDS_MAX)
        assert "Kafka at 127.0.0.1" in stalled(front)
        laid.mend()
        for hotel in HOTELS[:6]:
            books(front, hotel, range(8, 10))
        front.everything()
        wait_until(lambda: heard_all(front), BACK_SECONDS_MAX)
        assert laid.connections > before
        in_order(published(real_kafka.servers), front)


def test_a_kafka_that_is_away_at_the_start_is_waited_for(real_kafka: KafkaNode, tmp_path: Path) -> None:
    real_kafka.kill()
    with gateway(tmp_path, broker=real_kafka.url) as front:
        front.open({"DBL": 50}, id=HOTELS[0])
        books(front, HOTELS[0], range(1, 5))
        wait_until(lambda: stalled(front) != "", 2 * limits.broker_seconds_max)
        front.restart()
        books(front, HOTELS[0], range(5, 10))
        real_kafka.start()
        front.everything()
        wait_until(lambda: heard_all(front), BACK_SECONDS_MAX)
        in_order(published(real_kafka.servers), front)


async def taken_in(broker: Publisher, number: int) -> None:
    """Publish this event, as a subscriber does: again where the broker takes nothing now."""
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while True:
            with suppress(Stalled):
                await broker.handle([pinned("hotel", number)])
                return
            await asyncio.sleep(0.2)


def test_a_publisher_that_fails_again_and_again_leaves_nothing_running(
    real_kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 1)
    monkeypatch.setattr(limits, "broker_close_seconds_max", 1)

    async def publish(laid: TcpProxy) -> int:
        broker = publisher(f"kafka://127.0.0.1:{laid.port}")
        await taken_in(broker, 1)
        for _ in range(5):
            laid.go_silent()
            with pytest.raises(Stalled, match="no answer in 1 s"):
                await broker.handle([pinned("hotel", 2)])
            await taken_in(broker, 3)
        await broker.close()
        return len(asyncio.all_tasks())

    with tcp_proxy("127.0.0.1", real_kafka.distant_port, real_kafka.announced_port) as laid:
        assert asyncio.run(publish(laid)) == 1


def test_kafka_keeps_an_old_event_as_long_as_a_new_one(real_kafka: KafkaNode) -> None:
    """Retention counts from a message's timestamp: with that of the event, what is published late would be removed
    before a service that is away could read it."""

    async def publish() -> None:
        broker = publisher(real_kafka.url)
        await broker.handle([pinned("hotel", 1)])
        await broker.close()

    asyncio.run(publish())
    (message,) = published(real_kafka.servers)
    assert message.event["time"].startswith("1970")
    assert time() - message.milliseconds / 1_000 < 3_600
