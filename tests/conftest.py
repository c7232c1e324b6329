"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.brokers import MOCK_KAFKA, kafka, kafka_node, rabbitmq, real_kafka
from support.databases import postgres
from support.partition_fixture import PartitionFixture, partition_fixture
from support.sqlite_connections import watch_connections

watch_connections()

__all__ = ["desk", "kafka", "kafka_node", "postgres", "rabbitmq", "real_kafka"]

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A partition with no hotels yet."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what these tests did not run against."""
    if terminalreporter.config.stash.get(MOCK_KAFKA, False):
        terminalreporter.write_line("Kafka: librdkafka's mock cluster, because this machine has no Java or no Maven")
