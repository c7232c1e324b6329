"""Installations that share a broker never mix, whatever their names: each service gets exactly its own events."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import aio_pika
import msgspec
import pytest
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.delivery.brokers.rabbitmq_consumer import RabbitConsumer
from innkeeper.delivery.brokers.selection import publisher
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.delivery.broker_names import REASON_HEADER, BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.installation import Installation
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.broker_checks import pinned_entry
from support.consumer_checks import (
    RECOVERY_SECONDS_MAX,
    InboxWithFailingFetch,
    RemoteLog,
    assert_all_delivered,
    book_each,
    log_entry,
    run_consumer,
    split_gateway,
)
from support.gateway import Gateway
from support.installations import names_in
from support.kafka_topics import publish, read_topic
from support.rabbitmq_queues import delete_queues
from support.waiting import wait_until

SUFFIX = uuid.uuid4().hex[:8]  # a broker may be shared with other runs of these tests
NORTH, SOUTH, WEST = (f"{name}-{SUFFIX}" for name in ("north", "south", "west"))
NAMES_OF_FOLDERS = {"first": NORTH, "second": NORTH, "third": SOUTH, "fourth": WEST}
INSTALLATION = Installation("1" * 32, WEST, "2" * 32, 1)
NAMES = BrokerNames(INSTALLATION)
OTHER = BrokerNames(msgspec.structs.replace(INSTALLATION, id="3" * 32))
RESTORED = BrokerNames(msgspec.structs.replace(INSTALLATION, timeline="4" * 32))
RABBITMQ = pytest.param("rabbitmq", marks=pytest.mark.xdist_group("rabbitmq"))


class DeadLetter(NamedTuple):
    """A message that a consumer has sent to the dead letters."""

    body: bytes
    reason: str


class Broker(NamedTuple):
    """A real broker, behind what the tests do with it. `dead_letters` are those of billing."""

    url: str
    consumer: Callable[..., Any]
    send: Callable[[BrokerNames | None, list[LogEntry]], None]
    dead_letters: Callable[[BrokerNames], list[DeadLetter]]


@pytest.fixture(params=[RABBITMQ, "real_kafka"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """RabbitMQ, and Kafka, without queues and topics of an earlier test."""
    found: Any = request.getfixturevalue(request.param)
    if request.param == "real_kafka":
        yield Broker(
            found.url,
            KafkaConsumer,
            lambda names, entries: publish(found.servers, entries, names=names or NAMES, has_headers=names is not None),
            lambda names: _dead_in_topic(found.servers, names),
        )
        return
    yield Broker(
        found,
        RabbitConsumer,
        lambda names, entries: asyncio.run(_send(found, names, entries)),
        lambda names: asyncio.run(_dead_in_queue(found, names)),
    )
    asyncio.run(delete_queues(found, [NAMES, *names_in(tmp_path)]))
    asyncio.run(_delete_exchanges(found))


async def _delete_exchanges(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for name in (NORTH, SOUTH, WEST):
            await channel.exchange_delete(f"{name}.events")
            await channel.exchange_delete(f"{name}.dead")


def _dead_in_topic(servers: str, names: BrokerNames) -> list[DeadLetter]:
    found = read_topic(servers, names.dead_topic)
    group = names.consumer("billing").encode()
    return [
        DeadLetter(message.value, message.headers[REASON_HEADER].decode())
        for message in found
        if message.headers["innkeeper-group"] == group
    ]


async def _send(url: str, names: BrokerNames | None, entries: list[LogEntry]) -> None:
    async with await aio_pika.connect(url) as connection:
        exchange = await (await connection.channel()).get_exchange((names or NAMES).events)
        for entry in entries:
            headers: Any = {**names.headers} if names else {}
            await exchange.publish(aio_pika.Message(cloud_event_json(entry), headers=headers), "x.y")


async def _dead_in_queue(url: str, names: BrokerNames) -> list[DeadLetter]:
    found = []
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(f"{names.consumer('billing')}.dead")
        while message := await queue.get(fail=False):  # without an acknowledgement: it stays there
            found.append(DeadLetter(message.body, str(message.headers[REASON_HEADER])))
    return found


def isolated_inbox(stack: ExitStack, path: Path) -> SqliteInbox:
    """An inbox whose origin cannot be reached."""
    origin = RemoteLog(1_000_000)
    origin.reachable = False
    inbox = SqliteInbox(path, {"billing": origin})
    stack.callback(inbox.close)
    return inbox


def consumer_of(broker: Broker, names: BrokerNames, inbox: Any) -> Any:
    return broker.consumer(broker.url, names, "billing", inbox, lambda _: "billing")


def bind_queues(broker: Broker, *all_names: BrokerNames) -> None:
    """Create the queues, so that no message that is sent next is lost."""
    for names in all_names:
        inbox = InboxWithFailingFetch(0)
        run_consumer(consumer_of(broker, names, inbox), lambda inbox=inbox: inbox.fetch_attempts > 1)  # type: ignore[misc]


def other_entry(position: int) -> LogEntry:
    """Another event at the same position, with the same number of the same hotel."""
    _, record = log_entry(position)
    return position, msgspec.structs.replace(record, by="eve", event=BookingPinned("b-other", "999"))


def test_a_service_gets_exactly_its_own_events_from_a_shared_broker(broker: Broker, tmp_path: Path) -> None:
    """Each installation has a journal of its own, whose positions begin at 1."""
    with ExitStack() as stack:
        servers: dict[str, Gateway] = {}
        for folder, name in NAMES_OF_FOLDERS.items():
            DataDirectory(tmp_path / folder).installation(name)
            servers[folder] = stack.enter_context(split_gateway(tmp_path / folder, broker.url))
        booked: dict[str, tuple[str, list[dict[str, Any]]]] = {}
        for number, (folder, server) in enumerate(servers.items()):
            hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
            booked[folder] = hotel, book_each(server, hotel, range(3 + number))
        for folder, server in servers.items():
            assert_all_delivered(server, tmp_path / folder, *booked[folder])
            assert not [one for one in server.get("/v1/subscribers").json["data"] if one["stalled"]]
            (names,) = names_in(tmp_path / folder)
            shares_name = names.installation.name == NORTH
            if shares_name:
                wait_until(lambda names=names: bool(broker.dead_letters(names)), RECOVERY_SECONDS_MAX)  # type: ignore[misc]
                for letter in broker.dead_letters(names):
                    assert "is of the installation" in letter.reason
                    assert booked[folder][0].rpartition("/")[2] not in json.loads(letter.body)["source"]


def test_a_message_of_another_installation_or_of_none_is_dead_lettered(broker: Broker, tmp_path: Path) -> None:
    with ExitStack() as stack:
        inbox = isolated_inbox(stack, tmp_path / "inbox.db")
        bind_queues(broker, NAMES)
        broker.send(OTHER, [other_entry(1)])
        broker.send(None, [other_entry(2)])
        broker.send(NAMES, [log_entry(1), log_entry(2)])
        run_consumer(
            consumer_of(broker, NAMES, inbox),
            lambda: inbox.logs["billing"].position == 2 and len(broker.dead_letters(NAMES)) == 2,
        )
        assert inbox.logs["billing"].read(0, 10) == [log_entry(1), log_entry(2)]
        assert not inbox.fault
    found = sorted(broker.dead_letters(NAMES), key=lambda letter: letter.reason)
    assert [letter.body for letter in found] == [cloud_event_json(other_entry(2)), cloud_event_json(other_entry(1))]
    assert "no header innkeeper-installation" in found[0].reason
    assert f"is of the installation {OTHER.installation.id}, not of {INSTALLATION.id}" in found[1].reason


def test_what_a_broker_holds_from_before_a_restore_is_dead_lettered(broker: Broker, tmp_path: Path) -> None:
    with ExitStack() as stack:
        inbox = isolated_inbox(stack, tmp_path / "inbox.db")
        bind_queues(broker, RESTORED)
        broker.send(NAMES, [other_entry(2), other_entry(3)])
        broker.send(RESTORED, [log_entry(1), log_entry(2)])
        run_consumer(
            consumer_of(broker, RESTORED, inbox),
            lambda: inbox.logs["billing"].position == 2 and len(broker.dead_letters(RESTORED)) == 2,
        )
        assert inbox.logs["billing"].read(0, 10) == [log_entry(1), log_entry(2)]
        assert not inbox.fault
    assert all("is of the timeline 2222" in letter.reason for letter in broker.dead_letters(RESTORED))


def test_another_event_at_the_same_position_is_dead_lettered_and_reported(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        inbox = isolated_inbox(stack, tmp_path / "inbox.db")
        bind_queues(broker, NAMES)
        broker.send(NAMES, [log_entry(1), log_entry(2), log_entry(2), other_entry(2), log_entry(3)])
        run_consumer(
            consumer_of(broker, NAMES, inbox),
            lambda: inbox.logs["billing"].position == 3 and len(broker.dead_letters(NAMES)) == 1,
        )
        assert inbox.logs["billing"].read(0, 10) == [log_entry(one) for one in (1, 2, 3)]
        assert "position 2 of billing" in inbox.fault
    (letter,) = broker.dead_letters(NAMES)
    assert letter.body == cloud_event_json(other_entry(2))
    assert "got another event" in letter.reason
    assert "got another event" in caplog.text
    with ExitStack() as stack:
        assert isolated_inbox(stack, tmp_path / "inbox.db").fault in letter.reason  # also after a restart


def test_a_conflict_stalls_the_subscribers_of_the_service_visibly(broker: Broker, tmp_path: Path) -> None:
    with split_gateway(tmp_path, broker.url) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        assert_all_delivered(server, tmp_path, hotel, book_each(server, hotel, range(3)))
        (names,) = names_in(tmp_path)
        first = next(event for event in server.all_events() if event["position"] == 1)
        broker.send(names, [pinned_entry(first["source"].rpartition("/")[2], 1)])

        def stalled() -> set[str]:
            listed = server.get("/v1/subscribers").json["data"]
            return {one["name"] for one in listed if "got another event" in (one["stalled"] or "")}

        wait_until(lambda: stalled() >= {"billing", "notifications", "archive"}, RECOVERY_SECONDS_MAX)

        def dead_lettered() -> bool:
            return any("got another event" in letter.reason for letter in broker.dead_letters(names))

        wait_until(dead_lettered, RECOVERY_SECONDS_MAX)
        if broker.consumer is RabbitConsumer:  # Kafka still has both events
            server.stop_part("billing")
            for file in tmp_path.glob("billing-inbox.db*"):
                file.unlink()
            server.start_part("billing")
            wait_until(lambda: "billing" not in stalled(), RECOVERY_SECONDS_MAX)
            booked = server.book(hotel, 9)
            wait_until(lambda: server.get(f"{hotel}/bookings/{booked['id']}/folio").status == 200, RECOVERY_SECONDS_MAX)


def test_a_publisher_puts_its_installation_and_timeline_into_each_message(broker: Broker, tmp_path: Path) -> None:
    async def send() -> None:
        opened = publisher(broker.url, INSTALLATION)
        await opened.handle([log_entry(1)])
        await opened.close()

    with ExitStack() as stack:
        bind_queues(broker, NAMES)
        asyncio.run(send())
        inbox = isolated_inbox(stack, tmp_path / "inbox.db")
        run_consumer(consumer_of(broker, NAMES, inbox), lambda: inbox.logs["billing"].position == 1)
