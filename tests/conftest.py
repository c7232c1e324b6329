"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.brokers import MOCK_KAFKA, kafka, kafka_node, rabbitmq, real_kafka
from support.databases import postgres
from support.partition_fixture import PartitionFixture, partition_fixture
from support.sqlite_connections import watch_connections
from support.storages import storage
from support.worker_groups import check_groups, group_tests

watch_connections()

__all__ = ["kafka", "kafka_node", "partition", "postgres", "rabbitmq", "real_kafka", "storage"]

settings.register_profile("innkeeper", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("innkeeper")


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A partition with no hotels yet."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        yield opened


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the tests if several processes run them."""
    if _is_grouped(config):
        group_tests(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check that the groups are used."""
    if _is_grouped(session.config):
        check_groups(session.items)


def _is_grouped(config: pytest.Config) -> bool:
    return getattr(config.option, "loadgroup", False)  # pytest-xdist sets it in each of its processes


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the first process whether tests of this one ran against a mock of Kafka."""
    output: dict[str, Any] = getattr(session.config, "workeroutput", {})
    output["mock_kafka"] = session.config.stash.get(MOCK_KAFKA, False)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Read the report of a process that ends."""
    if getattr(node, "workeroutput", {}).get("mock_kafka"):
        node.config.stash[MOCK_KAFKA] = True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report that tests ran against a mock of Kafka."""
    if terminalreporter.config.stash.get(MOCK_KAFKA, False):
        terminalreporter.write_line("Kafka: librdkafka's mock cluster, because this machine has no Java or no Maven")
