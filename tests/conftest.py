"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import kafka, rabbitmq
from connections import watch_connections
from hypothesis import HealthCheck, settings
from reception import Reception, reception

watch_connections()

__all__ = ["desk", "kafka", "rabbitmq"]

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Reception]:
    """A partition with no hotels yet."""
    with reception(tmp_path / "journal.db") as opened:
        yield opened
