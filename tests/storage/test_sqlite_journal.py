"""The journal in SQLite keeps its events in a hash chain that reveals every change; its files are migrated. What every
journal does is in `test_journal_contract.py`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import JournalDamaged, JournalError
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.schema import MIGRATIONS, migrate
from support.journal_records import recorded, write_and_sync


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the journal."""
    return tmp_path / "journal.db"


CHANGES = (
    "UPDATE events SET by = 'eve' WHERE seq = 2",
    "UPDATE events SET at = at + 1 WHERE seq = 2",
    "UPDATE events SET hotel_seq = 9 WHERE seq = 5",
    "UPDATE events SET correlation = 'x', cause = 'equestcommand-2' WHERE seq = 2",
    "UPDATE events SET hash = zeroblob(16) WHERE seq = 3",
    "DELETE FROM events WHERE seq = 1",
    "DELETE FROM events WHERE seq = 3",
    "DELETE FROM events WHERE seq = 5",
    "UPDATE writer SET seq = seq - 1",
    "UPDATE writer SET hash = zeroblob(16)",
)


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_a_written_event_is_detected(path: Path, change: str) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, *(recorded(seq) for seq in range(1, 6)))
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    with pytest.raises(JournalDamaged, match="restore"):
        SqliteJournal(path)


def test_a_change_far_from_the_end_is_detected_by_a_full_check(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, *(recorded(seq) for seq in range(1, 3_000)))
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET by = 'eve' WHERE seq = 2")
    db.close()
    journal = SqliteJournal(path)
    with pytest.raises(JournalDamaged, match="event 2 "):
        list(journal.verified())
    journal.close()


def test_a_file_is_migrated_to_the_newest_schema_once(path: Path) -> None:
    def second(db: object) -> None:
        db.execute("ALTER TABLE snapshots ADD COLUMN taken_at INTEGER")  # type: ignore[attr-defined]

    journal = SqliteJournal(path)
    write_and_sync(journal, recorded(1))
    journal.close()
    newer: tuple[Callable[..., None], ...] = (*MIGRATIONS, second)
    migrate(path, newer)
    migrate(path, newer)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(newer),)
        assert db.execute("SELECT count(*) FROM events").fetchone() == (1,)
    db.close()
    with pytest.raises(JournalError, match="newer Innkeeper"):
        migrate(path)


def test_a_failed_migration_leaves_the_file_unchanged(path: Path) -> None:
    def broken(db: object) -> None:
        db.execute("CREATE TABLE half (done INTEGER)")  # type: ignore[attr-defined]
        raise RuntimeError("the power fails here")

    migrate(path)
    with pytest.raises(RuntimeError):
        migrate(path, (*MIGRATIONS, broken))
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchone() is None
    db.close()


def test_a_fenced_writer_that_closes_does_not_checkpoint(tmp_path: Path) -> None:
    fenced = SqliteJournal(tmp_path / "partition-0.db")
    with closing(SqliteJournal(tmp_path / "partition-0.db")) as journal:
        write_and_sync(journal, recorded(1))
        log = tmp_path / "partition-0.db-wal"
        size = log.stat().st_size
        assert size
        fenced.close()
        assert log.stat().st_size == size
    assert not log.exists()
