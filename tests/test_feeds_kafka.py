"""Services that are fed by a real Kafka: what waits in its topic comes in by itself, whichever partition it is in."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from innkeeper.delivery.kafka import KafkaFeed
from innkeeper.storage.inbox import Inbox
from patience import wait_until
from support.kafka_node import PARTITIONS, KafkaNode
from support.kafka_topics import grow, partitions_of, publish, published
from test_brokers import lag
from test_feeds import Origin, books, entry, everything_is_there, fed, split

SOON_SECONDS = 15
ADDED_PARTITIONS_SECONDS = 30


@contextmanager
def alone(folder: Path) -> Iterator[Inbox]:
    """The inbox of a service that can reach nobody but the broker."""
    origin = Origin(1_000_000)
    origin.reached = False
    inbox = Inbox(folder / "inbox.db", {"billing": origin})
    try:
        yield inbox
    finally:
        inbox.close()


def feed_of(kafka: str, inbox: Inbox) -> KafkaFeed:
    return KafkaFeed(kafka, "billing", inbox, lambda _: "billing")


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

    def comes(inbox: Inbox) -> bool:
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
