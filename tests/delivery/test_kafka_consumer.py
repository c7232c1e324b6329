"""Services that are fed by a real Kafka: what waits in its topic comes in by itself, whichever partition it is in."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from innkeeper.delivery.brokers.kafka import KafkaConsumer
from innkeeper.protocol.delivery.broker_names import DEAD_LETTER_TOPIC, TOPIC
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.broker_checks import lag
from support.consumer_checks import (
    BACK_SECONDS_MAX,
    FAILURES,
    Failing,
    Origin,
    Stumbling,
    after,
    books,
    entry,
    everything_is_there,
    fed,
    split,
    survives,
)
from support.kafka_node import PARTITIONS, KafkaNode
from support.kafka_topics import grow, partitions_of, publish, published
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

SOON_SECONDS = 15
ADDED_PARTITIONS_SECONDS = 30


@contextmanager
def alone(folder: Path) -> Iterator[SqliteInbox]:
    """The inbox of a service that can reach nobody but the broker."""
    origin = Origin(1_000_000)
    origin.reached = False
    inbox = SqliteInbox(folder / "inbox.db", {"billing": origin})
    try:
        yield inbox
    finally:
        inbox.close()


def feed_of(kafka: str, inbox: SqliteInbox) -> KafkaConsumer:
    return KafkaConsumer(kafka, "billing", inbox, lambda _: "billing")


def test_what_waits_in_kafka_is_taken_in_soon_although_reservations_is_away(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    publish(real_kafka.servers, [entry(one) for one in range(1, 101)])
    assert len({message.partition for message in published(real_kafka.servers)}) > 1
    with alone(tmp_path) as inbox:
        log = inbox.logs["billing"]
        fed(feed_of(real_kafka.url, inbox), lambda: log.position == 100, SOON_SECONDS)
        assert log.read(0, 1_000) == [entry(one) for one in range(1, 101)]
        publish(real_kafka.servers, [entry(one) for one in range(101, 151)])
        fed(feed_of(real_kafka.url, inbox), lambda: log.position == 150, SOON_SECONDS)
        assert log.read(0, 1_000) == [entry(one) for one in range(1, 151)]


def test_a_service_that_starts_before_the_topic_exists_takes_in_what_comes(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    begun: list[None] = []

    def comes(inbox: SqliteInbox) -> bool:
        if not begun and partitions_of(real_kafka.servers):
            publish(real_kafka.servers, [entry(one) for one in range(1, 31)])
            begun.append(None)
        return inbox.logs["billing"].position == 30

    with alone(tmp_path) as inbox:
        fed(feed_of(real_kafka.url, inbox), lambda: comes(inbox), SOON_SECONDS)


def test_partitions_that_are_added_are_consumed_and_a_hotel_keeps_its_order(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    publish(real_kafka.servers, [entry(one) for one in range(1, 61)])
    with alone(tmp_path) as inbox:
        log = inbox.logs["billing"]
        steps: list[str] = []

        def moved() -> bool:
            if log.position == 60 and not steps:
                grow(real_kafka.servers, 5 * PARTITIONS)
                publish(real_kafka.servers, [entry(one) for one in range(61, 121)])
                steps.append("moved")
            return log.position == 120

        fed(feed_of(real_kafka.url, inbox), moved, SOON_SECONDS + ADDED_PARTITIONS_SECONDS)
        assert log.read(0, 1_000) == [entry(one) for one in range(1, 121)]
    places: dict[str, set[int]] = {}
    for message in published(real_kafka.servers):
        places.setdefault(message.key, set()).add(message.partition)
    assert max(map(len, places.values())) > 1  # a hotel's events are in two partitions now
    assert max(map(max, places.values())) >= PARTITIONS


def test_a_hotels_events_are_ordered_by_the_journal_wherever_kafka_keeps_them(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    publish(real_kafka.servers, [])
    for number in reversed(range(PARTITIONS)):  # the last come first
        publish(real_kafka.servers, [entry(one) for one in range(1 + number, 61, PARTITIONS)], partition=number)
    with alone(tmp_path) as inbox:
        log = inbox.logs["billing"]
        fed(feed_of(real_kafka.url, inbox), lambda: log.position == 60, SOON_SECONDS)
        assert log.read(0, 1_000) == [entry(one) for one in range(1, 61)]
        of_one = [found[1].hotel_seq for found in log.read(0, 1_000, "hotel-1")]
        assert of_one == sorted(of_one)


def test_letters_are_written_from_what_waits_in_kafka_while_reservations_is_stopped(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    with split(tmp_path, real_kafka.url) as front:
        hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        front.end_part("notifications")
        booked = books(front, hotel, range(10))
        wait_until(lambda: lag(front, "broker-reservations") == 0, SOON_SECONDS)
        front.end_part("reservations")
        front.start_part("notifications")
        wait_until(lambda: len([*(tmp_path / "mail").glob("*.eml")]) == len(booked), SOON_SECONDS)
        front.start_part("reservations")
        wait_until(lambda: front.get(hotel).status == 200, SOON_SECONDS)
        everything_is_there(front, tmp_path, hotel, booked)


def test_services_hear_through_kafka(kafka: str, tmp_path: Path) -> None:
    with split(tmp_path, kafka) as front:
        hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        booked = books(front, hotel, range(10))
        front.end_part("billing")
        booked += books(front, hotel, range(10, 15))
        front.start_part("billing")
        everything_is_there(front, tmp_path, hotel, booked)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("disconnects", [True, False])
def test_a_feed_from_kafka_outlives_whatever_fails(
    real_kafka: KafkaNode, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    error: BaseException, disconnects: bool,
) -> None:  # fmt: skip
    if not disconnects:
        monkeypatch.setattr(AIOKafkaConsumer, "stop", after(AIOKafkaConsumer.stop, RuntimeError("while closing")))
    inbox = Failing(tmp_path / "inbox.db", error)
    entries = [entry(one) for one in range(1, 31)]
    feed = lambda inbox: feed_of(real_kafka.url, inbox)  # noqa: E731
    survives(feed, inbox, lambda: publish(real_kafka.servers, entries), lambda: caplog.text)


def test_a_feed_that_cannot_even_begin_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    feed = KafkaConsumer("kafka://127.0.0.1:none", "billing", Stumbling(0), lambda _: "billing")
    fed(feed, lambda: "receives no events" in caplog.text)


@pytest.mark.parametrize("fault", [TcpProxy.cut, TcpProxy.go_silent])
def test_a_connection_to_kafka_that_breaks_or_falls_silent_is_replaced(
    real_kafka: KafkaNode, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 2)
    publish(real_kafka.servers, [entry(one) for one in range(1, 31)])
    with tcp_proxy("127.0.0.1", real_kafka.distant_port, real_kafka.announced_port) as laid, alone(tmp_path) as inbox:
        steps: list[int] = []

        def again() -> bool:
            if inbox.logs["billing"].position == 30 and not steps:
                fault(laid)
                steps.append(laid.connections)
                publish(real_kafka.servers, [entry(one) for one in range(31, 61)])
                laid.mend()
            return inbox.logs["billing"].position == 60

        fed(feed_of(f"kafka://127.0.0.1:{laid.port}", inbox), again, BACK_SECONDS_MAX)
        assert laid.connections > steps[0]


def test_events_do_not_wait_for_a_part_that_hangs(real_kafka: KafkaNode, tmp_path: Path) -> None:
    released = threading.Event()

    class Hanging(Origin):
        """A log whose process does not answer."""

        def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
            released.wait(4 * SOON_SECONDS)
            raise Refused(Unavailable("no answer"))

    publish(real_kafka.servers, [entry(one) for one in range(1, 31)])
    with closing(SqliteInbox(tmp_path / "inbox.db", {"billing": Hanging(1_000_000)})) as inbox:
        try:
            feed = feed_of(real_kafka.url, inbox)
            fed(feed, lambda: inbox.logs["billing"].position == 30 and not released.set(), SOON_SECONDS)
        finally:
            released.set()


def test_a_feed_outlives_a_kafka_that_is_killed(
    real_kafka: KafkaNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(real_kafka.servers, [entry(one) for one in range(1, 31)])
    with alone(tmp_path) as inbox:
        steps: list[str] = []

        def again() -> bool:
            if inbox.logs["billing"].position == 30 and not steps:
                steps.append("killed")
                real_kafka.kill()
            if "receives no events" in caplog.text and not real_kafka.is_running():
                real_kafka.start()
                publish(real_kafka.servers, [entry(one) for one in range(31, 61)])
            return inbox.logs["billing"].position == 60

        fed(feed_of(real_kafka.url, inbox), again, 3 * BACK_SECONDS_MAX)
    assert caplog.text.count("receives no events") == 1
    assert caplog.text.count("receives events again") == 1


def test_what_is_no_event_goes_to_the_dead_letters_of_kafka(real_kafka: KafkaNode, tmp_path: Path) -> None:
    producer = Producer({"bootstrap.servers": real_kafka.servers})
    for number in range(50):
        producer.produce(TOPIC, b"not an event" if number else None, key=f"hotel-{number}".encode())
    assert producer.flush(SOON_SECONDS) == 0
    publish(real_kafka.servers, [entry(one) for one in range(1, 31)])
    with alone(tmp_path) as inbox:
        log = inbox.logs["billing"]
        all_there = lambda: log.position == 30 and len(published(real_kafka.servers, DEAD_LETTER_TOPIC)) >= 50  # noqa: E731
        fed(feed_of(real_kafka.url, inbox), all_there, BACK_SECONDS_MAX)
    dead = published(real_kafka.servers, DEAD_LETTER_TOPIC)
    assert sorted(message.key for message in dead) == sorted(f"hotel-{number}" for number in range(50))
    assert {message.headers["innkeeper-group"] for message in dead} == {b"innkeeper.billing"}
    assert all(message.headers["innkeeper-reason"] for message in dead)


def test_a_group_that_cannot_commit_holds_nothing_up(
    real_kafka: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()  # as aiokafka does while the group has no coordinator

    monkeypatch.setattr(AIOKafkaConsumer, "commit", never)
    publish(real_kafka.servers, [entry(one) for one in range(1, 31)])
    with alone(tmp_path) as inbox:
        fed(feed_of(real_kafka.url, inbox), lambda: inbox.logs["billing"].position == 30, SOON_SECONDS)
        publish(real_kafka.servers, [entry(one) for one in range(31, 61)])
        fed(feed_of(real_kafka.url, inbox), lambda: inbox.logs["billing"].position == 60, SOON_SECONDS)
