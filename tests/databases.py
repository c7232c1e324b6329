"""The database servers for tests: a real PostgreSQL."""

from collections.abc import Iterator

import pytest
from demanded import demand
from support.postgres_node import postgres_node, programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of this test run's own."""
    demand(programs() is not None, "no PostgreSQL server on this machine; on Debian: apt install postgresql")
    with postgres_node() as url:
        yield url
