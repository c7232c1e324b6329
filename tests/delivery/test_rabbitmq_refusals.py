"""RabbitMQ refuses an event, a user or a right, or does not answer: it is said in one line, and what else can be
published is. The RabbitMQ is one of these tests' own."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from time import monotonic

import aio_pika
import pytest
from innkeeper.delivery.brokers.rabbitmq_consumer import RabbitConsumer
from innkeeper.delivery.brokers.selection import publisher
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.broker_checks import pinned_entry
from support.consumer_checks import RECOVERY_SECONDS_MAX, InboxWithFailingFetch, RemoteLog, log_entry, run_consumer
from support.installations import INSTALLATION, NAMES
from support.publishing_subscriber import PublishingSubscriber, publishing_subscriber
from support.rabbitmq_node import MESSAGE_BYTES_MAX, PASSWORD, RabbitNode, rabbitmq_node, server_program
from support.required_tools import require
from support.waiting import until

AWAY_SECONDS = int(os.environ.get("INNKEEPER_BROKER_AWAY_SECONDS", "0"))
EXPECTED = ["north:1", "south:1", "west:1", "north:2", "west:2", "opened-later:1"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    require(server_program() is not None, "no RabbitMQ to start; on Debian: apt install rabbitmq-server")
    with rabbitmq_node(tmp_path_factory.mktemp("rabbitmq")) as started:
        yield started


async def bind_queue(node: RabbitNode) -> aio_pika.abc.AbstractConnection:
    """Connect, with an empty queue `copy` that is bound to all events."""
    connection = await aio_pika.connect(node.url())
    channel = await connection.channel()
    await channel.declare_exchange(NAMES.events, aio_pika.ExchangeType.TOPIC, durable=True)
    await channel.queue_delete("copy")
    await (await channel.declare_queue("copy", durable=True)).bind(NAMES.events, "#")
    return connection


async def take(connection: aio_pika.abc.AbstractConnection) -> list[str]:
    """Take the ids of all messages out of that queue."""
    queue = await (await connection.channel()).get_queue("copy")
    found = []
    while message := await queue.get(no_ack=True, fail=False):
        found.append(str(message.message_id))
    return found


def test_an_event_above_the_limit_of_rabbitmq_parks_its_hotel_alone(node: RabbitNode) -> None:
    async def check() -> None:
        connection = await bind_queue(node)
        async with connection, publishing_subscriber(node.url()) as publishing:
            for hotel, size in (
                ("north", 3), ("south", 3), ("west", 3), ("south", 2 * MESSAGE_BYTES_MAX), ("south", 3), ("north", 3),
                ("west", 3),
            ):  # fmt: skip
                publishing.append(hotel, size)
            await publishing.publish()
            publishing.append("opened-later")
            await publishing.publish()
            (letter,) = publishing.subscriber.dead_letters()
            assert letter.event == "south:2"
            assert "raise max_message_size" in letter.reason
            assert await take(connection) == EXPECTED
            publishing.subscriber.redrive(letter.event, drop=True)
            await publishing.publish()
            assert await take(connection) == ["south:3"]

    asyncio.run(check())


def test_a_hotel_about_which_the_user_may_not_publish_is_parked_alone(node: RabbitNode) -> None:
    async def check() -> None:
        connection = await bind_queue(node)
        async with connection, publishing_subscriber(node.url("only-north")) as publishing:
            for hotel in ("north", "south", "north", "south", "north"):
                publishing.append(hotel)
            await publishing.publish()
            (letter,) = publishing.subscriber.dead_letters()
            assert letter.event == "south:1"
            assert "set_topic_permissions" in letter.reason
            assert [*dict.fromkeys(await take(connection))] == ["north:1", "north:2", "north:3"]

    asyncio.run(check())


REFUSALS = {
    "a wrong password": (("guest", "wr0ng p@ss"), "the password of the user guest is wrong"),
    "an unknown user": (("nobody",), "the password of the user nobody is wrong, or there is no such user"),
    "an unknown vhost": (("guest", PASSWORD, "no/where"), "there is no vhost no/where"),
    "a vhost without rights": (("no-vhost",), "the user no-vhost has no rights in it"),
    "no right to configure": (
        ("no-configure",),
        "a right is missing: .* 'no-configure'; rabbitmqctl set",
    ),
}


def published_to(url: str) -> str:
    """Publish an event; the reason why it cannot be."""

    async def publish() -> None:
        broker = publisher(url, INSTALLATION)
        try:
            await broker.handle([pinned_entry("hotel", 1)])
        finally:
            await broker.close()

    with pytest.raises(Stalled) as refused:
        asyncio.run(publish())
    return str(refused.value)


@pytest.mark.parametrize(("user", "text"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_rabbitmq_refuses_is_said_in_one_line(
    node: RabbitNode, user: tuple[str, ...], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = node.url(*user)
    reason = published_to(url)
    run_consumer(
        consumer := RabbitConsumer(url, NAMES, "billing", InboxWithFailingFetch(0), str), lambda: consumer.fault != ""
    )
    pattern = re.compile(text)
    for said in (reason, consumer.fault, caplog.text):
        assert pattern.search(said)
        assert "wr0ng" not in said
        assert "s3cret" not in said
    assert "\n" not in reason + consumer.fault
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("user", ["no-write", "no-read"])
def test_a_consumer_without_a_right_says_so(node: RabbitNode, user: str, caplog: pytest.LogCaptureFixture) -> None:
    consumer = RabbitConsumer(node.url(user), NAMES, "billing", InboxWithFailingFetch(0), str)
    run_consumer(consumer, lambda: consumer.fault != "")
    assert f"for user '{user}'; rabbitmqctl set_permissions -p / {user} '^innkeeper[.]'" in consumer.fault
    assert "Traceback" not in caplog.text


def test_a_publisher_that_may_not_write_says_so_and_parks_no_hotel(node: RabbitNode) -> None:
    assert "a right is missing" in published_to(node.url("no-write"))


def test_an_unknown_host_and_a_port_without_tls_are_said() -> None:
    assert "the host no-such-host.invalid is unknown" in published_to("amqp://guest:guest@no-such-host.invalid/")


def test_a_port_without_tls_is_said(node: RabbitNode) -> None:
    assert "TLS fails" in published_to(node.url().replace("amqp://", "amqps://"))
    assert "a file that the URL names cannot be read" in published_to(
        node.url().replace("amqp://", "amqps://") + "?cafile=/nowhere.pem"
    )


def test_a_rabbitmq_that_hangs_stalls_and_all_events_follow_in_order(
    node: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 2)

    async def check() -> None:
        connection = await bind_queue(node)
        async with connection, publishing_subscriber(node.url()) as publishing:
            publishing.append("north")
            await publishing.publish()
            node.stop_process()
            try:
                for _ in range(600):
                    publishing.append("north")
                began = monotonic()
                for attempt in count(1):
                    with pytest.raises(Stalled, match="no answer in 2 s"):
                        await publishing.publish()
                    if attempt >= 2 and monotonic() - began > AWAY_SECONDS:
                        break
            finally:
                node.continue_process()
            await publish_until_done(publishing)
            assert [*dict.fromkeys(await take(connection))] == [f"north:{number}" for number in range(1, 602)]

    asyncio.run(check())


async def publish_until_done(publishing: PublishingSubscriber) -> None:
    """Publish as a subscription does: again until the broker takes the events."""
    async with asyncio.timeout(RECOVERY_SECONDS_MAX):
        while True:
            with suppress(Stalled):
                await publishing.publish()
                return
            await asyncio.sleep(0.2)


def test_a_consumer_says_that_rabbitmq_hangs_fetches_meanwhile_and_goes_on_afterwards(
    node: RabbitNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 3)
    monkeypatch.setattr(limits, "consumer_look_seconds", 1)
    origin = RemoteLog(0)

    async def publish(first: int, last: int) -> None:
        broker = publisher(node.url(), INSTALLATION)
        await broker.handle([log_entry(number) for number in range(first, last + 1)])
        await broker.close()

    async def check(inbox: SqliteInbox) -> None:
        log = inbox.logs["billing"]
        consumer = RabbitConsumer(node.url(), NAMES, "billing", inbox, lambda _: "billing")
        running = asyncio.create_task(consumer.run())
        try:
            await publish(1, 10)
            origin.position = 10
            await until(lambda: log.position == 10)
            node.stop_process()
            try:
                await until(lambda: "no answer" in consumer.fault)
                await asyncio.sleep(AWAY_SECONDS)
                origin.position = 20
                await until(lambda: log.position == 20)
            finally:
                node.continue_process()
            origin.reachable = False
            await until(lambda: consumer.fault == "")
            await publish(21, 30)
            await until(lambda: log.position == 30)
        finally:
            running.cancel()
            await asyncio.wait({running})

    with closing(SqliteInbox(tmp_path / "inbox.db", {"billing": origin})) as inbox:
        asyncio.run(check(inbox))


def test_the_rights_that_the_documentation_names_are_enough(node: RabbitNode, tmp_path: Path) -> None:
    url = node.url("clerk")

    async def publish() -> None:
        broker = publisher(url, INSTALLATION)
        await broker.handle([log_entry(number) for number in range(1, 11)])
        await broker.close()

    origin = RemoteLog(1_000)
    origin.reachable = False
    with closing(SqliteInbox(tmp_path / "inbox.db", {"archive": origin})) as inbox:
        log = inbox.logs["archive"]
        consumer = RabbitConsumer(url, NAMES, "archive", inbox, lambda _: "archive")

        async def check() -> None:
            running = asyncio.create_task(consumer.run())
            try:
                while not log.position:  # the queue has only what is published after it is bound
                    await publish()
                    await asyncio.sleep(0.5)
                await until(lambda: log.position == 10)
            finally:
                running.cancel()
                await asyncio.wait({running})

        asyncio.run(check())
