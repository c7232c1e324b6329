"""A queue, exchange or topic that somebody deletes is declared anew, which is said, and what was missed is fetched."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.delivery.brokers.rabbitmq_consumer import RabbitConsumer
from innkeeper.delivery.brokers.selection import Publisher, publisher
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.installation import Installation
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RECOVERY_SECONDS_MAX, RemoteLog, log_entry, run_consumer
from support.installations import INSTALLATION
from support.kafka_node import KafkaNode
from support.kafka_topics import partitions_of, read_topic, remove_topics
from support.rabbitmq_queues import delete_queues

RABBITMQ = pytest.param("rabbitmq", marks=pytest.mark.xdist_group("rabbitmq"))
OF_THIS_RUN = Installation("1" * 32, f"deleted-{uuid.uuid4().hex[:8]}", "2" * 32, 1)  # others use this RabbitMQ too
OURS = BrokerNames(OF_THIS_RUN)


class Broker:
    """A broker, with what the tests do to it."""

    def __init__(
        self, url: str, installation: Installation, consumer: Any, delete: Callable[[], None],
        is_declared: Callable[[], bool],
    ) -> None:  # fmt: skip
        names = BrokerNames(installation)
        self.publisher = lambda: publisher(url, installation)
        self.consumer = lambda inbox: consumer(url, names, "billing", inbox, lambda _: "billing")
        self.delete = delete
        self.is_declared = is_declared

    def publish(self, first: int, last: int) -> None:
        """Publish these events."""

        async def run() -> None:
            sender = self.publisher()
            try:
                await publish_until_taken(sender, first, last)
            finally:
                await sender.close()

        asyncio.run(run())


async def publish_until_taken(sender: Publisher, first: int, last: int) -> None:
    """Publish these events as a subscriber does: again until the broker has them."""
    async with asyncio.timeout(RECOVERY_SECONDS_MAX):
        while True:
            with suppress(Stalled):
                await sender.handle([log_entry(number) for number in range(first, last + 1)])
                return
            await asyncio.sleep(0.2)


@pytest.fixture(params=[RABBITMQ, "real_kafka"])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """RabbitMQ, whose queue of billing is deleted, and Kafka, whose topic is."""
    monkeypatch.setattr(limits, "consumer_look_seconds", 1)
    found: Any = request.getfixturevalue(request.param)
    if request.param == "real_kafka":
        servers = found.servers
        is_declared = lambda: bool(partitions_of(servers))  # noqa: E731
        yield Broker(found.url, INSTALLATION, KafkaConsumer, lambda: remove_topics(servers), is_declared)
        return
    delete = lambda: asyncio.run(delete_queues(found, [OURS]))  # noqa: E731
    yield Broker(found, OF_THIS_RUN, RabbitConsumer, delete, lambda: asyncio.run(is_consumed(found)))
    asyncio.run(delete_queues(found, [OURS]))
    asyncio.run(delete_exchanges(found))


async def is_consumed(url: str) -> bool:
    """Whether billing's queue has a consumer; it is bound by then."""
    async with await aio_pika.connect(url) as connection:
        try:
            queue = await (await connection.channel()).get_queue(OURS.consumer("billing"))
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        return bool(queue.declaration_result.consumer_count)


async def delete_exchanges(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for exchange in (OURS.events, OURS.dead_exchange):
            await channel.exchange_delete(exchange)


def inbox_of(folder: Path, origin: RemoteLog) -> SqliteInbox:
    return SqliteInbox(folder / "inbox.db", {"billing": origin})


def unreachable_log() -> RemoteLog:
    log = RemoteLog(1_000_000)
    log.reachable = False
    return log


def test_what_is_deleted_while_it_is_consumed_is_consumed_again(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(inbox_of(tmp_path, unreachable_log())) as inbox:
        log = inbox.logs["billing"]
        steps = iter(
            [
                (broker.is_declared, lambda: broker.publish(1, 10)),
                (lambda: log.position == 10, broker.delete),
                (lambda: is_said(caplog) and broker.is_declared(), lambda: broker.publish(11, 20)),
                (lambda: log.position == 20, lambda: None),
            ]
        )
        awaited, do = next(steps)

        def all_consumed() -> bool:
            nonlocal awaited, do
            if not awaited():
                return False
            do()
            awaited, do = next(steps, (awaited, do))
            return log.position == 20

        run_consumer(broker.consumer(inbox), all_consumed, RECOVERY_SECONDS_MAX)


def test_what_was_in_it_when_it_was_deleted_is_fetched(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = unreachable_log()
    with closing(inbox_of(tmp_path, origin)) as inbox:
        log = inbox.logs["billing"]
        run_consumer(broker.consumer(inbox), broker.is_declared)
        broker.publish(1, 10)
        run_consumer(broker.consumer(inbox), lambda: log.position == 10)
        broker.publish(11, 20)
        broker.delete()
        origin.reachable, origin.position = True, 20
        run_consumer(broker.consumer(inbox), lambda: log.position == 20 and is_said(caplog))
        assert log.read(0, 100) == [log_entry(number) for number in range(1, 21)]


def is_said(caplog: pytest.LogCaptureFixture) -> bool:
    return "was deleted" in caplog.text


@pytest.mark.slow
def test_a_publisher_goes_on_when_its_topic_is_deleted(real_kafka: KafkaNode, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        sender = publisher(real_kafka.url, INSTALLATION)
        try:
            await publish_until_taken(sender, 1, 30)
            await asyncio.to_thread(remove_topics, real_kafka.servers)
            await publish_until_taken(sender, 31, 60)
        finally:
            await sender.close()

    asyncio.run(check())
    assert is_said(caplog)
    assert {message.event["position"] for message in read_topic(real_kafka.servers)} >= {*range(31, 61)}


def test_a_publisher_goes_on_when_its_exchange_is_deleted(rabbitmq: str) -> None:
    async def check() -> None:
        sender = publisher(rabbitmq, OF_THIS_RUN)
        try:
            await publish_until_taken(sender, 1, 10)
            await delete_exchanges(rabbitmq)
            with pytest.raises(Stalled, match=r"something was deleted, and is declared anew: .*no exchange"):
                await sender.handle([log_entry(11)])
            await publish_until_taken(sender, 11, 20)
        finally:
            await sender.close()
            await delete_exchanges(rabbitmq)

    asyncio.run(check())


def test_a_queue_is_bound_again_when_its_exchange_was_deleted(
    rabbitmq: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "consumer_look_seconds", 0.5)

    async def is_bound() -> bool:
        async with await aio_pika.connect(rabbitmq) as connection:
            channel = await connection.channel()
            try:
                exchange = await channel.get_exchange(OURS.events)
                await exchange.publish(aio_pika.Message(b"probe"), "x.y")  # fails where it reaches no queue
            except (aio_pika.exceptions.AMQPError, aio_pika.exceptions.DeliveryError):
                return False
            return True

    steps: list[str] = []

    def bound_again() -> bool:
        if not asyncio.run(is_bound()):
            return False
        if not steps:
            steps.append("deleted")
            asyncio.run(delete_exchanges(rabbitmq))
            return False
        return is_said(caplog)

    with closing(inbox_of(tmp_path, unreachable_log())) as inbox:
        run_consumer(RabbitConsumer(rabbitmq, OURS, "billing", inbox, lambda _: "billing"), bound_again)
    asyncio.run(delete_queues(rabbitmq, [OURS]))
    asyncio.run(delete_exchanges(rabbitmq))
