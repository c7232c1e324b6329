"""A file that cannot be opened is closed again. A watcher of SQLite connections (`support/sqlite_connections.py`) fails
a test that leaves one open."""

import gc
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.storage.sqlite.cursors import open_service
from innkeeper.storage.sqlite.inbox import SqliteInbox
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.read_model_file import FORM
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from support.recording_subscriber import GrowingLog
from support.sqlite_connections import WatchedConnection

OPENERS: dict[str, Callable[[Path], Any]] = {
    "journal": SqliteJournal,
    "service": open_service,
    "inbox": lambda path: SqliteInbox(path, {}),
    "read models": lambda path: SqliteReadModels(path, "reservations", GrowingLog()),
}


def not_a_database(path: Path, _: int) -> None:
    """A file that is no database."""
    path.write_bytes(b"not a database" * 1_000)


def without_tables(path: Path, version: int) -> None:
    """A database with a known version number and no tables."""
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("damage", [not_a_database, without_tables])
def test_a_file_that_cannot_be_opened_leaves_no_connection(
    damage: Callable[[Path, int], None], opener: str, tmp_path: Path
) -> None:
    damage(path := tmp_path / "spoilt.db", FORM if opener == "read models" else 1)
    if opener == "read models":
        OPENERS[opener](path).close()  # they are made anew
    else:
        with pytest.raises(JournalDamaged, match=re.escape(str(path))):
            OPENERS[opener](path)
    gc.collect()  # the failure refers to what was opened


def test_an_unclosed_connection_is_reported(tmp_path: Path) -> None:
    with pytest.warns(ResourceWarning, match="(?s)unclosed database, opened at.*test_opening_files"):
        WatchedConnection(tmp_path / "some.db").__del__()
