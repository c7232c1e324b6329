"""The brokers for tests: a real RabbitMQ, and a real Kafka.

Where this machine has no Java or no Maven, librdkafka's mock cluster stands in for Kafka, and the test run says so at
its end; it keeps no data on disk and cannot remove topics.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer
from support.installations import names_in
from support.kafka_node import KafkaNode, missing_tools
from support.kafka_topics import remove_topics
from support.rabbitmq_queues import delete_queues
from support.required_tools import DEMAND_ALL, require

RABBITMQ = os.environ.get("INNKEEPER_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")
KAFKA = os.environ.get("INNKEEPER_TEST_KAFKA", "")
MOCK_KAFKA = pytest.StashKey[bool]()


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a RabbitMQ. The queues of the installations that tests have made are deleted at the end."""
    parts = urlsplit(RABBITMQ)
    try:
        socket.create_connection((parts.hostname, parts.port or 5672), timeout=5).close()
        present = True
    except OSError:
        present = False
    require(present, "no RabbitMQ on this machine; on Debian: apt install rabbitmq-server (or INNKEEPER_TEST_RABBITMQ)")
    yield RABBITMQ
    asyncio.run(delete_queues(RABBITMQ, names_in(tmp_path_factory.getbasetemp())))


@pytest.fixture(scope="session")
def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A real Kafka of this test run's own, which may be killed and started again."""
    missing = missing_tools()
    require(
        not missing, f"no Kafka: {' and '.join(missing)} missing; on Debian: apt install default-jre-headless maven"
    )
    node = KafkaNode(tmp_path_factory.mktemp("kafka"))
    node.start()
    try:
        yield node
    finally:
        node.kill()


@pytest.fixture
def real_kafka(kafka_node: KafkaNode) -> KafkaNode:
    """That Kafka, running, without topics of ours."""
    if not kafka_node.is_running():
        kafka_node.start()
    remove_topics(kafka_node.servers)
    return kafka_node


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a Kafka without topics of ours."""
    if KAFKA:
        remove_topics(urlsplit(KAFKA).netloc)
        yield KAFKA
    elif missing_tools() and not DEMAND_ALL:
        request.config.stash[MOCK_KAFKA] = True
        cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 3})
        brokers = cluster.list_topics(timeout=10).brokers.values()
        yield "kafka://" + ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        del cluster
    else:
        node: KafkaNode = request.getfixturevalue("real_kafka")
        yield node.url
