"""Events are published to a real RabbitMQ that stops, or whose connections are cut or fall silent. Kafka is in
`delivery/test_kafka_publisher.py`."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from innkeeper.delivery.brokers.selection import publisher
from innkeeper.protocol.values import limits
from support.broker_checks import (
    assert_each_once_in_order,
    book_nights,
    book_until,
    hotel,
    is_broker_caught_up,
    lag,
    pinned_entry,
    stall_reason,
)
from support.gateway import gateway
from support.installations import INSTALLATION, NAMES, names_in
from support.paths import ROOT
from support.required_tools import require
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

__all__ = ["hotel"]

AWAY_SECONDS = int(os.environ.get("INNKEEPER_BROKER_AWAY_SECONDS", "3"))


class Queue:
    """A queue that is bound to the events of one hotel, and the messages that were taken from it."""

    def __init__(self, url: str, hotel: str) -> None:
        self._url = url
        self._hotel = hotel
        self.name = f"test-{hotel}"
        self.messages: list[aio_pika.abc.AbstractIncomingMessage] = []

    def bind(self) -> None:
        asyncio.run(self._with(lambda _: asyncio.sleep(0)))

    def take(self) -> list[dict[str, Any]]:
        """All events that have arrived."""
        asyncio.run(self._with(self._take))
        return [json.loads(message.body) for message in self.messages]

    def remove(self) -> None:
        asyncio.run(self._with(lambda queue: queue.delete(if_empty=False, if_unused=False)))

    async def _take(self, queue: aio_pika.abc.AbstractQueue) -> None:
        while message := await queue.get(no_ack=True, fail=False):
            self.messages.append(message)

    async def _with(self, work: Callable[[aio_pika.abc.AbstractQueue], Any]) -> None:
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            await channel.declare_exchange(NAMES.events, aio_pika.ExchangeType.TOPIC, durable=True)
            queue = await channel.declare_queue(self.name, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind(NAMES.events, f"{self._hotel}.#")
            await work(queue)


@contextmanager
def queue_for(url: str, hotel: str) -> Iterator[Queue]:
    queue = Queue(url, hotel)
    queue.bind()
    try:
        yield queue
    finally:
        queue.remove()


def test_events_are_published_to_rabbitmq_in_order(rabbitmq: str, hotel: str, tmp_path: Path) -> None:
    with queue_for(rabbitmq, hotel) as queue, gateway(tmp_path, broker=rabbitmq) as server:
        server.open_hotel({"DBL": 50}, id=hotel)
        book_nights(server, hotel, range(1, 20))
        server.all_events()
        wait_until(lambda: is_broker_caught_up(server), 60)
        events = queue.take()
        assert len({event["id"] for event in events}) == len(events)
        assert_each_once_in_order(events, server)
        for message, event in zip(queue.messages, events, strict=True):
            assert message.message_id == event["id"]
            assert message.routing_key == f"{hotel}.{event['type']}"
            assert message.type == event["type"]
            assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
            assert message.content_type == "application/cloudevents+json"
            assert message.headers.items() >= names_in(tmp_path)[0].headers.items()


@pytest.mark.parametrize("fault", [TcpProxy.disconnect, TcpProxy.drop_data])
def test_a_broken_connection_to_rabbitmq_loses_no_event_and_delays_no_booking(
    rabbitmq: str, hotel: str, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 1)
    parts = urlsplit(rabbitmq)
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as proxy, queue_for(rabbitmq, hotel) as queue:
        url = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}"
        with gateway(tmp_path, broker=url) as server:
            server.open_hotel({"DBL": 50}, id=hotel)
            book_nights(server, hotel, range(1, 10))
            wait_until(lambda: is_broker_caught_up(server), 60)
            fault(proxy)
            book_nights(server, hotel, range(10, 20))
            wait_until(lambda: stall_reason(server) != "", 60)
            assert "RabbitMQ at 127.0.0.1" in stall_reason(server)
            assert "guest" not in stall_reason(server)
            proxy.accept_connections()
            book_nights(server, hotel, range(20, 25))
            server.all_events()
            wait_until(lambda: is_broker_caught_up(server), 60)
            assert proxy.connections > 1
            assert_each_once_in_order(queue.take(), server)


@pytest.fixture
def rabbitmqctl(rabbitmq: str) -> Iterator[Callable[[str], None]]:
    """A function that stops and starts the RabbitMQ; it runs again at the end."""

    def control(command: str) -> None:
        subprocess.run(["rabbitmqctl", "-q", command], check=True, capture_output=True, timeout=120)

    path = shutil.which("rabbitmqctl")
    allowed = path is not None and subprocess.run([path, "-q", "ping"], capture_output=True, timeout=60).returncode == 0
    require(allowed, "this RabbitMQ cannot be stopped from here: rabbitmqctl needs to be root on its machine")
    try:
        yield control
    finally:
        control("start_app")


@pytest.mark.slow
def test_stopping_rabbitmq_under_load_loses_no_event_and_delays_no_booking(
    rabbitmq: str, rabbitmqctl: Callable[[str], None], hotel: str, tmp_path: Path
) -> None:
    with queue_for(rabbitmq, hotel) as queue, gateway(tmp_path, broker=rabbitmq) as server:
        server.open_hotel({"DBL": 5_000}, id=hotel)
        done, durations = threading.Event(), list[float]()
        load = threading.Thread(target=book_until, args=(server, [hotel], done, durations))
        load.start()
        try:
            wait_until(lambda: len(durations) > 20, 60)
            rabbitmqctl("stop_app")
            wait_until(lambda: stall_reason(server) != "", 60)
            before = len(durations)
            sleep(AWAY_SECONDS)
            wait_until(lambda: len(durations) > before + 10 * AWAY_SECONDS, 60)  # of 50 a second
            rabbitmqctl("start_app")
        finally:
            done.set()
            load.join()
        server.all_events()
        wait_until(lambda: is_broker_caught_up(server), 120)
        assert_each_once_in_order(queue.take(), server)
        assert max(durations) < 5


def test_events_are_published_once_a_broker_that_was_down_at_the_start_is_up(
    rabbitmq: str, hotel: str, tmp_path: Path
) -> None:
    parts = urlsplit(rabbitmq)
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as proxy, queue_for(rabbitmq, hotel) as queue:
        proxy.disconnect()
        url = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}"
        with gateway(tmp_path, broker=url) as server:
            server.open_hotel({"DBL": 50}, id=hotel)
            book_nights(server, hotel, range(1, 5))
            assert lag(server) > 0
            server.restart()
            book_nights(server, hotel, range(5, 10))
            proxy.accept_connections()
            server.all_events()
            wait_until(lambda: is_broker_caught_up(server), 60)
            assert_each_once_in_order(queue.take(), server)


def test_an_event_that_is_published_again_has_the_same_id(rabbitmq: str, hotel: str) -> None:
    async def publish_twice() -> None:
        for _ in range(2):  # as when the process dies between the confirmation and the move of the cursor
            broker = publisher(rabbitmq, INSTALLATION)
            await broker.handle([pinned_entry(hotel, number) for number in (1, 2)])
            await broker.close()

    with queue_for(rabbitmq, hotel) as queue:
        asyncio.run(publish_twice())
        assert [event["id"] for event in queue.take()] == [f"{hotel}:1", f"{hotel}:2"] * 2
        assert [message.message_id for message in queue.messages] == [f"{hotel}:1", f"{hotel}:2"] * 2


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1/", "amqp://", "127.0.0.1:5672", "kafka:///topic", "amqp://[::1/", "kafka://a:/s3cret@b"]
)
def test_a_malformed_broker_url_is_a_usage_error(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "run.py", "demo", "--data", str(tmp_path / "data"), "--port", "0", "--broker", url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "see --broker" in ended.stderr
    assert "s3cret" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()
