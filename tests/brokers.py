"""The brokers for tests: a real RabbitMQ, and a Kafka that speaks the real protocol."""

import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer
from demanded import demand

RABBITMQ = os.environ.get("INNKEEPER_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")
KAFKA = os.environ.get("INNKEEPER_TEST_KAFKA", "")


@pytest.fixture(scope="module")
def rabbitmq() -> str:
    """The URL of a RabbitMQ."""
    parts = urlsplit(RABBITMQ)
    try:
        socket.create_connection((parts.hostname, parts.port or 5672), timeout=5).close()
        present = True
    except OSError:
        present = False
    demand(present, "no RabbitMQ on this machine; on Debian: apt install rabbitmq-server (or INNKEEPER_TEST_RABBITMQ)")
    return RABBITMQ


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """The URL of a Kafka: librdkafka's own cluster for tests, which speaks the real protocol, or a real one."""
    if KAFKA:
        yield KAFKA
        return
    cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 3})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    yield "kafka://" + ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del cluster
