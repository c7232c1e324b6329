"""A file that cannot be opened is closed again. A watcher of SQLite connections (`support/sqlite_connections.py`) fails
a test that leaves one open."""

import gc
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import Damaged
from innkeeper.storage.sqlite.cursors import open_service
from innkeeper.storage.sqlite.inbox import SqliteInbox
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.read_models import FORM, SqliteReadModels
from support.sqlite_connections import WatchedConnection


def read_models(path: Path) -> SqliteReadModels:
    """Read models of an empty journal."""
    journal = path.with_name("journal.db")
    SqliteJournal(journal).close()
    return SqliteReadModels(path, journal, "reservations")


OPENERS: dict[str, Callable[[Path], object]] = {
    "journal": SqliteJournal,
    "service": open_service,
    "inbox": lambda path: SqliteInbox(path, {}),
    "read models": read_models,
}


def not_a_database(path: Path) -> None:
    """Some other file."""
    path.write_bytes(b"not a database" * 1_000)


def without_tables(path: Path) -> None:
    """A database of the newest form, or so it says, with nothing in it."""
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {FORM}")
    db.close()


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("spoil", [not_a_database, without_tables])
def test_a_file_that_cannot_be_opened_leaves_no_connection(
    spoil: Callable[[Path], None], opener: str, tmp_path: Path
) -> None:
    spoil(path := tmp_path / "spoilt.db")
    try:
        opened = OPENERS[opener](path)
    except (sqlite3.DatabaseError, Damaged):
        pass
    else:
        assert (spoil, opener) in {(without_tables, "service")}, "only its cursors will miss their tables"
        opened.close()  # type: ignore[attr-defined]
    gc.collect()  # the failure refers to what was opened


def test_a_connection_that_is_left_open_is_noticed(tmp_path: Path) -> None:
    with pytest.warns(ResourceWarning, match="(?s)unclosed database, opened at.*test_opening_files"):
        WatchedConnection(tmp_path / "some.db").__del__()
