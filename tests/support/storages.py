"""The storage engines. Every contract in tests/storage runs on each: a new engine is one more entry here."""

from collections.abc import Callable
from pathlib import Path

import pytest
from innkeeper.protocol.ports.storage import Storage
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.memory.storage import MemoryStorage
from innkeeper.storage.sqlite.storage import SqliteStorage


def sqlite_storage(folder: Path) -> Storage:
    """Storage in SQLite files of this folder."""
    opened = SqliteStorage(DataDirectory(folder / "data"))
    opened.installation()
    return opened


ENGINES: dict[str, Callable[[Path], Storage]] = {"sqlite": sqlite_storage, "memory": lambda _: MemoryStorage()}
"""Makes the storage of an engine, which may use this folder."""


@pytest.fixture(params=ENGINES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each engine."""
    return ENGINES[request.param](tmp_path)
