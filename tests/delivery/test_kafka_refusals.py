"""An event that Kafka refuses parks its hotel; the others go on."""

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from support.installations import NAMES
from support.kafka_node import KafkaNode
from support.kafka_topics import ANSWER_SECONDS_MAX, read_topic
from support.publishing_subscriber import publishing_subscriber

TOO_LARGE = 2_000_000
EXPECTED = ["north:1", "south:1", "west:1", "north:2", "west:2", "opened-later:1"]


def published(servers: str) -> list[str]:
    return [message.event["id"] for message in read_topic(servers)]


def allow_messages_of(servers: str, size: int) -> None:
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, NAMES.events, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.incremental_alter_configs([topic]).values():
        done.result(ANSWER_SECONDS_MAX)


def test_an_event_above_the_limit_of_kafka_parks_its_hotel_alone(real_kafka: KafkaNode) -> None:
    async def check() -> None:
        async with publishing_subscriber(real_kafka.url) as publishing:
            for hotel, size in (
                ("north", 3), ("south", 3), ("west", 3), ("south", TOO_LARGE), ("south", 3), ("north", 3), ("west", 3)
            ):  # fmt: skip
                publishing.append(hotel, size)
            await publishing.publish()
            publishing.append("opened-later")
            await publishing.publish()
            (letter,) = publishing.subscriber.dead_letters()
            assert letter.event == "south:2"
            assert "raise max.message.bytes of the topic innkeeper.events" in letter.reason
            assert sorted(published(real_kafka.servers)) == sorted(EXPECTED)  # each once
            allow_messages_of(real_kafka.servers, 2 * TOO_LARGE)
            publishing.subscriber.redrive(letter.event)
            await publishing.publish()
            assert publishing.subscriber.dead_letters() == []
        found = published(real_kafka.servers)
        assert sorted(found) == sorted([*EXPECTED, "south:2", "south:3"])
        assert [event for event in found if event.startswith("south")] == ["south:1", "south:2", "south:3"]

    asyncio.run(check())


@pytest.mark.parametrize("size", [20_000, 900_000])
def test_events_up_to_the_limit_are_published_in_order(real_kafka: KafkaNode, size: int) -> None:
    async def check() -> None:
        async with publishing_subscriber(real_kafka.url) as publishing:
            for number in range(6):
                publishing.append("north", size if number % 2 else 3)
            await publishing.publish()

    asyncio.run(check())
    assert published(real_kafka.servers) == [f"north:{number}" for number in range(1, 7)]


def test_a_topic_that_takes_no_batch_gets_its_events_one_by_one(real_kafka: KafkaNode) -> None:
    async def check() -> None:
        async with publishing_subscriber(real_kafka.url) as publishing:
            publishing.append("north")
            await publishing.publish()
            allow_messages_of(real_kafka.servers, 1_500)
            for size in (400, 400, 400, 5_000, 400):
                publishing.append("north", size)
            publishing.append("south")
            await publishing.publish()
            assert [letter.event for letter in publishing.subscriber.dead_letters()] == ["north:5"]

    asyncio.run(check())
    found = [*dict.fromkeys(published(real_kafka.servers))]
    assert [event for event in found if event.startswith("north")] == ["north:1", "north:2", "north:3", "north:4"]
    assert "south:1" in found
