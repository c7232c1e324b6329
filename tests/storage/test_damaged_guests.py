"""Damage of the details of guests is noticed, in their table as elsewhere."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.journal_records import naming, stored_guest, write_and_sync


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM guests WHERE number = 1", "missing"),
        ("UPDATE guests SET version = 7 WHERE number = 1", "missing"),
        ("UPDATE guests SET details = x'81a46e616d65a3426f62' WHERE number = 1", "not what was written"),
        ("UPDATE guests SET salt = zeroblob(16) WHERE number = 1", "not what was written"),
        ("UPDATE guests SET hash = zeroblob(16) WHERE number = 1", "not what was written"),
    ],
)
def test_a_missing_or_altered_guest_is_damage(tmp_path: Path, statement: str, what: str) -> None:
    path, one = tmp_path / "journal.db", stored_guest(1)
    with closing(SqliteJournal(path)) as journal:
        write_and_sync(journal, naming(1, one.guest), guests=(one, stored_guest(2)))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    with closing(SqliteJournal(path)) as damaged:
        with pytest.raises(JournalDamaged, match=what):
            damaged.guests([one.guest.key])
        with pytest.raises(JournalDamaged):
            damaged.check_guests(9)
