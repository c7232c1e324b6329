"""An installation of several processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation
from support.partitioned_hotels import PARTITIONS


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation with two gateways and four partitions."""
    started = Installation(tmp_path / "data", "--partitions", str(PARTITIONS), "--workers", "2")
    yield started
    started.close()
