"""All events go to a broker: a real RabbitMQ, with connections that are cut and fall silent. Kafka is in
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
from innkeeper.delivery.brokers.brokers import publisher
from innkeeper.protocol.delivery.broker_names import EXCHANGE
from innkeeper.protocol.values import limits
from support.broker_checks import book_until, books, heard_all, lag, once_in_order, pinned, stalled
from support.gateway import gateway
from support.paths import ROOT
from support.required_tools import require
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

AWAY_SECONDS = int(os.environ.get("INNKEEPER_BROKER_AWAY_SECONDS", "3"))


class Queue:
    """A queue of a RabbitMQ that hears of one hotel, and all that came to it."""

    def __init__(self, url: str, hotel: str) -> None:
        self._url = url
        self._hotel = hotel
        self.name = f"test-{hotel}"
        self.messages: list[aio_pika.abc.AbstractIncomingMessage] = []

    def bind(self) -> None:
        asyncio.run(self._with(lambda _: asyncio.sleep(0)))

    def take(self) -> list[dict[str, Any]]:
        """All events that came so far."""
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
            await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            queue = await channel.declare_queue(self.name, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind(EXCHANGE, f"{self._hotel}.#")
            await work(queue)


@contextmanager
def queue_for(url: str, hotel: str) -> Iterator[Queue]:
    queue = Queue(url, hotel)
    queue.bind()
    try:
        yield queue
    finally:
        queue.remove()


def test_events_come_to_rabbitmq_as_they_happened(rabbitmq: str, hotel: str, tmp_path: Path) -> None:
    with queue_for(rabbitmq, hotel) as queue, gateway(tmp_path, broker=rabbitmq) as front:
        front.open({"DBL": 50}, id=hotel)
        books(front, hotel, range(1, 20))
        front.everything()
        wait_until(lambda: heard_all(front), 20)
        told = queue.take()
        assert len({event["id"] for event in told}) == len(told)
        once_in_order(told, front)
        for message, event in zip(queue.messages, told, strict=True):
            assert message.message_id == event["id"]
            assert message.routing_key == f"{hotel}.{event['type']}"
            assert message.type == event["type"]
            assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
            assert message.content_type == "application/cloudevents+json"


@pytest.mark.parametrize("fault", [TcpProxy.cut, TcpProxy.go_silent])
def test_a_broken_connection_loses_nothing_and_delays_no_booking(
    rabbitmq: str, hotel: str, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 1)
    parts = urlsplit(rabbitmq)
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as laid, queue_for(rabbitmq, hotel) as queue:
        url = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{laid.port}{parts.path}"
        with gateway(tmp_path, broker=url) as front:
            front.open({"DBL": 50}, id=hotel)
            books(front, hotel, range(1, 10))
            wait_until(lambda: heard_all(front), 20)
            fault(laid)
            books(front, hotel, range(10, 20))
            wait_until(lambda: stalled(front) != "", 20)
            assert "RabbitMQ at 127.0.0.1" in stalled(front)
            assert "guest" not in stalled(front)
            laid.mend()
            books(front, hotel, range(20, 25))
            front.everything()
            wait_until(lambda: heard_all(front), 30)
            assert laid.connections > 1
            once_in_order(queue.take(), front)


@pytest.fixture
def rabbitmqctl(rabbitmq: str) -> Iterator[Callable[[str], None]]:
    """The way to stop and start the RabbitMQ itself; it runs again at the end."""

    def control(command: str) -> None:
        subprocess.run(["rabbitmqctl", "-q", command], check=True, capture_output=True, timeout=120)

    path = shutil.which("rabbitmqctl")
    may = path is not None and subprocess.run([path, "-q", "ping"], capture_output=True, timeout=60).returncode == 0
    require(may, "this RabbitMQ cannot be stopped from here: rabbitmqctl needs to be root on its machine")
    try:
        yield control
    finally:
        control("start_app")


@pytest.mark.slow
def test_a_broker_that_stops_under_load_loses_nothing_and_delays_no_booking(
    rabbitmq: str, rabbitmqctl: Callable[[str], None], hotel: str, tmp_path: Path
) -> None:
    with queue_for(rabbitmq, hotel) as queue, gateway(tmp_path, broker=rabbitmq) as front:
        front.open({"DBL": 5_000}, id=hotel)
        done, took = threading.Event(), list[float]()
        load = threading.Thread(target=book_until, args=(front, [hotel], done, took))
        load.start()
        try:
            wait_until(lambda: len(took) > 20, 20)
            rabbitmqctl("stop_app")
            wait_until(lambda: stalled(front) != "", 60)
            before = len(took)
            sleep(AWAY_SECONDS)
            assert len(took) > before + 10 * AWAY_SECONDS  # of 50 a second
            rabbitmqctl("start_app")
        finally:
            done.set()
            load.join()
        front.everything()
        wait_until(lambda: heard_all(front), 120)
        once_in_order(queue.take(), front)
        assert max(took) < 5


def test_a_broker_that_is_away_at_the_start_is_waited_for(rabbitmq: str, hotel: str, tmp_path: Path) -> None:
    parts = urlsplit(rabbitmq)
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as laid, queue_for(rabbitmq, hotel) as queue:
        laid.cut()
        with gateway(tmp_path, broker=f"amqp://guest:guest@127.0.0.1:{laid.port}/") as front:
            front.open({"DBL": 50}, id=hotel)
            books(front, hotel, range(1, 5))
            assert lag(front) > 0
            front.restart()
            books(front, hotel, range(5, 10))
            laid.mend()
            front.everything()
            wait_until(lambda: heard_all(front), 30)
            once_in_order(queue.take(), front)


def test_what_was_not_known_to_be_confirmed_comes_again_under_the_same_id(rabbitmq: str, hotel: str) -> None:
    async def publish_twice() -> None:
        for _ in range(2):  # as when the process dies between the confirmation and the move of the cursor
            broker = publisher(rabbitmq)
            await broker.handle([pinned(hotel, number) for number in (1, 2)])
            await broker.close()

    with queue_for(rabbitmq, hotel) as queue:
        asyncio.run(publish_twice())
        assert [event["id"] for event in queue.take()] == [f"{hotel}:1", f"{hotel}:2"] * 2
        assert [message.message_id for message in queue.messages] == [f"{hotel}:1", f"{hotel}:2"] * 2


@pytest.mark.parametrize("url", ["redis://127.0.0.1/", "amqp://", "127.0.0.1:5672", "kafka:///topic", "amqp://[::1/"])
def test_a_broker_that_cannot_be_is_said_at_once(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "run.py", "demo", "--data", str(tmp_path / "data"), "--port", "0", "--broker", url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "see --broker" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()
