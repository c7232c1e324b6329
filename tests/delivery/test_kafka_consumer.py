"""Services consume events from a real Kafka, whichever partition of its topic an event is in."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from innkeeper.delivery.brokers.kafka_cluster import start
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.broker_checks import lag
from support.consumer_checks import (
    FAILURES,
    RECOVERY_SECONDS_MAX,
    FailingInbox,
    InboxWithFailingFetch,
    RemoteLog,
    assert_all_delivered,
    book_each,
    check_recovery,
    failing_after,
    log_entry,
    run_consumer,
    split_gateway,
)
from support.gateway import Gateway
from support.installations import NAMES
from support.kafka_node import PARTITIONS, KafkaNode
from support.kafka_topics import add_partitions, partitions_of, publish, read_topic
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

SOON_SECONDS = 60
ADDED_PARTITIONS_SECONDS = 30


@contextmanager
def isolated_inbox(folder: Path) -> Iterator[SqliteInbox]:
    """The inbox of a service that reaches the broker, but not the origin of the events."""
    origin = RemoteLog(1_000_000)
    origin.reachable = False
    inbox = SqliteInbox(folder / "inbox.db", {"billing": origin})
    try:
        yield inbox
    finally:
        inbox.close()


def consumer_of(kafka: str, inbox: SqliteInbox) -> KafkaConsumer:
    return KafkaConsumer(kafka, NAMES, "billing", inbox, lambda _: "billing")


def test_events_waiting_in_kafka_are_consumed_while_reservations_is_down(real_kafka: KafkaNode, tmp_path: Path) -> None:
    publish(real_kafka.servers, [log_entry(one) for one in range(1, 101)])
    assert len({message.partition for message in read_topic(real_kafka.servers)}) > 1
    with isolated_inbox(tmp_path) as inbox:
        log = inbox.logs["billing"]
        run_consumer(consumer_of(real_kafka.url, inbox), lambda: log.position == 100, SOON_SECONDS)
        assert log.read(0, 1_000) == [log_entry(one) for one in range(1, 101)]
        publish(real_kafka.servers, [log_entry(one) for one in range(101, 151)])
        run_consumer(consumer_of(real_kafka.url, inbox), lambda: log.position == 150, SOON_SECONDS)
        assert log.read(0, 1_000) == [log_entry(one) for one in range(1, 151)]


def test_a_service_that_starts_before_the_topic_exists_consumes_its_events(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    published_once: list[None] = []

    def all_consumed(inbox: SqliteInbox) -> bool:
        if not published_once and partitions_of(real_kafka.servers):
            publish(real_kafka.servers, [log_entry(one) for one in range(1, 31)])
            published_once.append(None)
        return inbox.logs["billing"].position == 30

    with isolated_inbox(tmp_path) as inbox:
        run_consumer(consumer_of(real_kafka.url, inbox), lambda: all_consumed(inbox), SOON_SECONDS)


@pytest.mark.slow
def test_added_partitions_are_consumed_and_each_hotel_keeps_its_order(real_kafka: KafkaNode, tmp_path: Path) -> None:
    publish(real_kafka.servers, [log_entry(one) for one in range(1, 61)])
    with isolated_inbox(tmp_path) as inbox:
        log = inbox.logs["billing"]
        steps: list[str] = []

        def all_consumed() -> bool:
            if log.position == 60 and not steps:
                add_partitions(real_kafka.servers, 5 * PARTITIONS)
                publish(real_kafka.servers, [log_entry(one) for one in range(61, 121)])
                steps.append("partitions added")
            return log.position == 120

        run_consumer(consumer_of(real_kafka.url, inbox), all_consumed, SOON_SECONDS + ADDED_PARTITIONS_SECONDS)
        assert log.read(0, 1_000) == [log_entry(one) for one in range(1, 121)]
    partitions_by_key: dict[str, set[int]] = {}
    for message in read_topic(real_kafka.servers):
        partitions_by_key.setdefault(message.key, set()).add(message.partition)
    assert max(map(len, partitions_by_key.values())) > 1  # a hotel's events are in two partitions now
    assert max(map(max, partitions_by_key.values())) >= PARTITIONS


def test_a_hotels_events_are_in_journal_order_whichever_partitions_they_are_in(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    publish(real_kafka.servers, [])
    for number in reversed(range(PARTITIONS)):  # the last partition first
        publish(real_kafka.servers, [log_entry(one) for one in range(1 + number, 61, PARTITIONS)], partition=number)
    with isolated_inbox(tmp_path) as inbox:
        log = inbox.logs["billing"]
        run_consumer(consumer_of(real_kafka.url, inbox), lambda: log.position == 60, SOON_SECONDS)
        assert log.read(0, 1_000) == [log_entry(one) for one in range(1, 61)]
        hotel_sequence = [found[1].hotel_seq for found in log.read(0, 1_000, "hotel-1")]
        assert hotel_sequence == sorted(hotel_sequence)


def waits(server: Gateway, subscriber: str) -> bool:
    """Whether a subscriber runs, and has events to handle."""
    found = server.get("/v1/subscribers").json["data"]
    return any(one["name"] == subscriber and one["lag"] for one in found)


def test_letters_from_events_in_kafka_wait_for_details_of_guests_while_reservations_is_stopped(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    with split_gateway(tmp_path, real_kafka.url) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        server.stop_part("notifications")
        booked = book_each(server, hotel, range(10))
        wait_until(lambda: lag(server, "broker-reservations") == 0, SOON_SECONDS)
        server.stop_part("reservations")
        server.start_part("notifications")
        wait_until(lambda: waits(server, "notifications"), SOON_SECONDS)
        assert [*(tmp_path / "mail").glob("*.eml")] == []
        server.start_part("reservations")
        wait_until(lambda: server.get(hotel).status == 200, SOON_SECONDS)
        assert_all_delivered(server, tmp_path, hotel, booked)


def test_services_get_every_event_through_kafka(kafka: str, tmp_path: Path) -> None:
    with split_gateway(tmp_path, kafka) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        booked = book_each(server, hotel, range(10))
        server.stop_part("billing")
        booked += book_each(server, hotel, range(10, 15))
        server.start_part("billing")
        assert_all_delivered(server, tmp_path, hotel, booked)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("disconnects", [True, False])
def test_a_kafka_consumer_recovers_from_any_error(
    real_kafka: KafkaNode, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    error: BaseException, disconnects: bool,
) -> None:  # fmt: skip
    if not disconnects:
        monkeypatch.setattr(
            AIOKafkaConsumer, "stop", failing_after(AIOKafkaConsumer.stop, RuntimeError("while closing"))
        )
    inbox = FailingInbox(tmp_path / "inbox.db", error)
    entries = [log_entry(one) for one in range(1, 31)]
    consumer = lambda inbox: consumer_of(real_kafka.url, inbox)  # noqa: E731
    check_recovery(consumer, inbox, lambda: publish(real_kafka.servers, entries), lambda: caplog.text)


def test_a_consumer_that_cannot_start_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    consumer = KafkaConsumer("kafka://127.0.0.1:9", NAMES, "billing", InboxWithFailingFetch(0), lambda _: "billing")
    run_consumer(consumer, lambda: "receives no events" in caplog.text)


@pytest.mark.parametrize("fault", [TcpProxy.disconnect, TcpProxy.drop_data])
def test_a_broken_or_silent_connection_to_kafka_is_replaced(
    real_kafka: KafkaNode, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 2)
    publish(real_kafka.servers, [log_entry(one) for one in range(1, 31)])
    with (
        tcp_proxy("127.0.0.1", real_kafka.distant_port, real_kafka.announced_port) as proxy,
        isolated_inbox(tmp_path) as inbox,
    ):
        steps: list[int] = []

        def all_consumed() -> bool:
            if inbox.logs["billing"].position == 30 and not steps:
                fault(proxy)
                steps.append(proxy.connections)
                publish(real_kafka.servers, [log_entry(one) for one in range(31, 61)])
                proxy.accept_connections()
            return inbox.logs["billing"].position == 60

        run_consumer(consumer_of(f"kafka://127.0.0.1:{proxy.port}", inbox), all_consumed, RECOVERY_SECONDS_MAX)
        assert proxy.connections > steps[0]


def test_consumed_events_do_not_wait_for_an_origin_that_hangs(real_kafka: KafkaNode, tmp_path: Path) -> None:
    released = threading.Event()

    class Hanging(RemoteLog):
        """A log that does not answer."""

        def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
            released.wait(4 * SOON_SECONDS)
            raise Refused(Unavailable("no answer"))

    publish(real_kafka.servers, [log_entry(one) for one in range(1, 31)])
    with closing(SqliteInbox(tmp_path / "inbox.db", {"billing": Hanging(1_000_000)})) as inbox:
        try:
            consumer = consumer_of(real_kafka.url, inbox)
            run_consumer(consumer, lambda: inbox.logs["billing"].position == 30 and not released.set(), SOON_SECONDS)
        finally:
            released.set()


@pytest.mark.slow
def test_a_consumer_continues_after_kafka_is_killed_and_restarted(
    real_kafka: KafkaNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(real_kafka.servers, [log_entry(one) for one in range(1, 31)])
    with isolated_inbox(tmp_path) as inbox:
        steps: list[str] = []

        def all_consumed() -> bool:
            if inbox.logs["billing"].position == 30 and not steps:
                steps.append("killed")
                real_kafka.kill()
            if "receives no events" in caplog.text and not real_kafka.is_running():
                real_kafka.start()
                publish(real_kafka.servers, [log_entry(one) for one in range(31, 61)])
            return inbox.logs["billing"].position == 60

        run_consumer(consumer_of(real_kafka.url, inbox), all_consumed, 3 * RECOVERY_SECONDS_MAX)
    assert caplog.text.count("receives no events") == 1
    assert caplog.text.count("receives events again") == 1


def test_messages_that_are_not_events_go_to_the_dead_letter_topic(real_kafka: KafkaNode, tmp_path: Path) -> None:
    producer = Producer({"bootstrap.servers": real_kafka.servers})
    for number in range(50):
        body = b"not an event" if number else None
        producer.produce(NAMES.events, body, key=f"hotel-{number}".encode(), headers=dict(NAMES.headers))
    assert producer.flush(SOON_SECONDS) == 0
    publish(real_kafka.servers, [log_entry(one) for one in range(1, 31)])
    with isolated_inbox(tmp_path) as inbox:
        log = inbox.logs["billing"]
        all_arrived = lambda: log.position == 30 and len(read_topic(real_kafka.servers, NAMES.dead_topic)) >= 50  # noqa: E731
        run_consumer(consumer_of(real_kafka.url, inbox), all_arrived, RECOVERY_SECONDS_MAX)
    dead = read_topic(real_kafka.servers, NAMES.dead_topic)
    assert sorted(message.key for message in dead) == sorted(f"hotel-{number}" for number in range(50))
    assert {message.headers["innkeeper-group"] for message in dead} == {b"innkeeper.111111111111.billing"}
    assert all(message.headers["innkeeper-reason"] for message in dead)


def test_a_consumer_group_that_cannot_commit_still_consumes_events(
    real_kafka: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_return(*_: object) -> None:
        await asyncio.Event().wait()  # as aiokafka does while the group has no coordinator

    monkeypatch.setattr(AIOKafkaConsumer, "commit", never_return)
    publish(real_kafka.servers, [log_entry(one) for one in range(1, 31)])
    with isolated_inbox(tmp_path) as inbox:
        run_consumer(consumer_of(real_kafka.url, inbox), lambda: inbox.logs["billing"].position == 30, SOON_SECONDS)
        publish(real_kafka.servers, [log_entry(one) for one in range(31, 61)])
        run_consumer(consumer_of(real_kafka.url, inbox), lambda: inbox.logs["billing"].position == 60, SOON_SECONDS)


def test_a_client_that_is_cancelled_while_it_starts_leaves_nothing_half_open() -> None:
    class Client:
        """Opens a connection, which only the end of its start would close."""

        is_open = False

        async def start(self) -> None:
            self.is_open = True
            await asyncio.sleep(0.05)
            self.is_open = False

    async def check() -> None:
        client = Client()
        starting = asyncio.create_task(start(client))
        await asyncio.sleep(0.01)
        starting.cancel()
        await asyncio.wait({starting})
        assert starting.cancelled()
        assert not client.is_open

    asyncio.run(check())
