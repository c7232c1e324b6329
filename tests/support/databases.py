"""The database servers for tests: a real PostgreSQL."""

from collections.abc import Iterator

import pytest
from support.postgres_node import postgres_node, programs
from support.required_tools import require


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of this test run's own."""
    require(programs() is not None, "no PostgreSQL server on this machine; on Debian: apt install postgresql")
    with postgres_node() as url:
        yield url
