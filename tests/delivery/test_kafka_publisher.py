"""Events are published to a real Kafka that is killed, cut off or silent; librdkafka reads them back."""

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
from innkeeper.delivery.brokers.selection import Publisher, publisher
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from support.broker_checks import (
    assert_each_once_in_order,
    book_nights,
    book_until,
    hotel,
    is_broker_caught_up,
    pinned_entry,
    stall_reason,
)
from support.gateway import Gateway, gateway
from support.installations import INSTALLATION, NAMES, names_in
from support.kafka_node import PARTITIONS, KafkaNode
from support.kafka_topics import Message, read_topic
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

__all__ = ["hotel"]
AWAY_SECONDS = int(os.environ.get("INNKEEPER_BROKER_AWAY_SECONDS", "15"))
HOTELS = [f"hotel-{number}" for number in range(24)]
BACK_SECONDS_MAX = 120


def consumed(url: str, hotel: str, number: int) -> list[Any]:
    """This many messages about the hotel, read from the topic."""

    async def consume() -> list[Any]:
        consumer = AIOKafkaConsumer(
            NAMES.events, bootstrap_servers=urlsplit(url).netloc, auto_offset_reset="earliest", enable_auto_commit=False
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


def test_events_are_published_to_kafka_in_order(kafka: str, hotel: str, tmp_path: Path) -> None:
    with gateway(tmp_path, broker=kafka) as server:
        server.open_hotel({"DBL": 50}, id=hotel)
        book_nights(server, hotel, range(1, 20))
        events = server.all_events()
        wait_until(lambda: is_broker_caught_up(server), 60)
        messages = consumed(kafka, hotel, len(events))
        assert len({message.partition for message in messages}) == 1  # one partition keeps their order
        headers = {name: text.decode() for name, text in messages[0].headers}
        assert headers.pop("content-type").startswith("application/cloudevents+json")
        assert headers == names_in(tmp_path)[0].headers
        assert_each_once_in_order([json.loads(message.value) for message in messages], server)


def test_the_publisher_stalls_while_kafka_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 1)

    async def publish() -> None:
        broker = publisher("kafka://127.0.0.1:9", INSTALLATION)
        try:
            await broker.handle([pinned_entry("hotel", 1)])
        finally:
            await broker.close()

    with pytest.raises(Stalled, match=r"Kafka at 127\.0\.0\.1:9 does not take events"):
        asyncio.run(publish())


def assert_in_order(messages: list[Message], server: Gateway) -> None:
    """Check that each hotel is in one partition and that its messages, without duplicates, are its log, in order."""
    logged: dict[str, list[dict[str, Any]]] = {}
    for event in server.all_events():
        logged.setdefault(event["source"], []).append(event)
    received: dict[str, dict[str, dict[str, Any]]] = {}
    partitions_by_key: dict[str, set[int]] = {}
    for message in messages:
        event = message.event
        assert received.setdefault(event["source"], {}).setdefault(event["id"], event) == event
        partitions_by_key.setdefault(message.key, set()).add(message.partition)
    assert {source: [*events.values()] for source, events in received.items()} == logged
    assert all(len(partitions) == 1 for partitions in partitions_by_key.values())


@pytest.mark.slow
def test_killing_kafka_under_load_loses_no_event_and_delays_no_booking(
    real_kafka: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 5)
    with gateway(tmp_path, broker=real_kafka.url) as server:
        for hotel in HOTELS:
            server.open_hotel({"DBL": 100}, id=hotel)
        done, durations = threading.Event(), list[float]()
        load = threading.Thread(target=book_until, args=(server, HOTELS, done, durations))
        load.start()
        try:
            wait_until(lambda: len(durations) > 100, 60)
            real_kafka.kill()
            before, killed = len(durations), monotonic()
            wait_until(lambda: stall_reason(server) != "", 2 * limits.broker_seconds_max)
            sleep(max(0.0, AWAY_SECONDS - (monotonic() - killed)))
            wait_until(lambda: len(durations) > before + 10 * AWAY_SECONDS, 60)  # of at most 50 a second
            during_outage = len(durations) - before
            real_kafka.start()
        finally:
            done.set()
            load.join()
        started = monotonic()
        server.all_events()
        wait_until(lambda: is_broker_caught_up(server), BACK_SECONDS_MAX)
        caught_up = monotonic() - started
        messages = read_topic(real_kafka.servers)
        assert_in_order(messages, server)
        assert {message.partition for message in messages} == set(range(PARTITIONS))
        assert max(durations) < 5
        duplicates = len(messages) - len({message.event["id"] for message in messages})
        print(
            f"{len(durations)} bookings, {during_outage} of them while Kafka was down; the slowest took"
            f" {max(durations):.2f} s; {len(messages)} messages in {PARTITIONS} partitions, {duplicates} of them"
            f" duplicates; caught up {caught_up:.1f} s after its restart"
        )


@pytest.mark.parametrize("fault", [TcpProxy.disconnect, TcpProxy.drop_data])
def test_a_broken_connection_to_kafka_loses_no_event_and_delays_no_booking(
    real_kafka: KafkaNode, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 2)
    with (
        tcp_proxy("127.0.0.1", real_kafka.distant_port, real_kafka.announced_port) as proxy,
        gateway(tmp_path, broker=f"kafka://127.0.0.1:{proxy.port}") as server,
    ):
        for hotel in HOTELS[:6]:
            server.open_hotel({"DBL": 50}, id=hotel)
            book_nights(server, hotel, range(1, 4))
        wait_until(lambda: is_broker_caught_up(server), BACK_SECONDS_MAX)
        before = proxy.connections
        fault(proxy)
        for hotel in HOTELS[:6]:
            book_nights(server, hotel, range(4, 8))
        wait_until(lambda: stall_reason(server) != "", BACK_SECONDS_MAX)
        assert "Kafka at 127.0.0.1" in stall_reason(server)
        proxy.accept_connections()
        for hotel in HOTELS[:6]:
            book_nights(server, hotel, range(8, 10))
        server.all_events()
        wait_until(lambda: is_broker_caught_up(server), BACK_SECONDS_MAX)
        assert proxy.connections > before
        assert_in_order(read_topic(real_kafka.servers), server)


@pytest.mark.slow
def test_events_are_published_once_a_kafka_that_was_down_at_the_start_is_up(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    real_kafka.kill()
    with gateway(tmp_path, broker=real_kafka.url) as server:
        server.open_hotel({"DBL": 50}, id=HOTELS[0])
        book_nights(server, HOTELS[0], range(1, 5))
        wait_until(lambda: stall_reason(server) != "", 2 * limits.broker_seconds_max)
        server.restart()
        book_nights(server, HOTELS[0], range(5, 10))
        real_kafka.start()
        server.all_events()
        wait_until(lambda: is_broker_caught_up(server), BACK_SECONDS_MAX)
        assert_in_order(read_topic(real_kafka.servers), server)


async def publish_until_accepted(broker: Publisher, number: int) -> None:
    """Publish this event as a subscription does: again until the broker accepts it."""
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while True:
            with suppress(Stalled):
                await broker.handle([pinned_entry("hotel", number)])
                return
            await asyncio.sleep(0.2)


def test_a_publisher_that_fails_repeatedly_leaves_no_task_running(
    real_kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 1)
    monkeypatch.setattr(limits, "broker_close_seconds_max", 1)

    async def publish(proxy: TcpProxy) -> int:
        broker = publisher(f"kafka://127.0.0.1:{proxy.port}", INSTALLATION)
        await publish_until_accepted(broker, 1)
        for _ in range(5):
            proxy.drop_data()
            with pytest.raises(Stalled, match="no answer in 1 s"):
                await broker.handle([pinned_entry("hotel", 2)])
            await publish_until_accepted(broker, 3)
        await broker.close()
        return len(asyncio.all_tasks())

    with tcp_proxy("127.0.0.1", real_kafka.distant_port, real_kafka.announced_port) as proxy:
        assert asyncio.run(publish(proxy)) == 1


def test_kafka_keeps_an_old_event_as_long_as_a_new_one(real_kafka: KafkaNode) -> None:
    """Retention counts from a message's timestamp: with the event's own time, an event that is published late would be
    removed before a service that was down could read it."""

    async def publish() -> None:
        broker = publisher(real_kafka.url, INSTALLATION)
        await broker.handle([pinned_entry("hotel", 1)])
        await broker.close()

    asyncio.run(publish())
    (message,) = read_topic(real_kafka.servers)
    assert message.event["time"].startswith("1970")
    assert time() - message.milliseconds / 1_000 < 3_600
