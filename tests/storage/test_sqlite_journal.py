"""The journal in SQLite keeps its events in a hash chain that reveals every change; its files are migrated. What every
journal does is in `test_journal_contract.py`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import (
    JournalDamaged,
    JournalError,
    JournalTooNew,
    Snapshot,
    SnapshotSet,
    SnapshotsUnusable,
    StoredReply,
)
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.journal import SqliteJournal, link
from innkeeper.storage.sqlite.schema import MIGRATIONS, migrate
from support.journal_records import naming, recorded, stored_guest, write_and_sync


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the journal."""
    return tmp_path / "journal.db"


CHANGES = (
    "UPDATE events SET by = 'eve' WHERE position = 2",
    "UPDATE events SET at = at + 1 WHERE position = 2",
    "UPDATE events SET sequence = 9 WHERE position = 5",
    "UPDATE events SET correlation = 'x', causation = 'equestcommand-2' WHERE position = 2",
    "UPDATE events SET hash = zeroblob(16) WHERE position = 3",
    "DELETE FROM events WHERE position = 1",
    "DELETE FROM events WHERE position = 3",
    "DELETE FROM events WHERE position = 5",
    "UPDATE writer SET position = position - 1",
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


REPLY_CHANGES = (
    "UPDATE replies SET reply = x'00' WHERE key = 'key-2'",
    "UPDATE replies SET fingerprint = x'00' WHERE key = 'key-2'",
    "UPDATE replies SET at = at + 1 WHERE key = 'key-2'",
    "UPDATE replies SET key = 'other' WHERE key = 'key-2'",
    "UPDATE replies SET checksum = zeroblob(16) WHERE key = 'key-2'",
    "DELETE FROM replies WHERE key = 'key-2'",
    "DELETE FROM replies",
    "INSERT INTO replies SELECT 'other', fingerprint, reply, at, checksum FROM replies WHERE key = 'key-2'",
    "UPDATE writer SET replies = replies + 1",
    "UPDATE writer SET replies_sum = zeroblob(16)",
)


@pytest.mark.parametrize("change", REPLY_CHANGES)
def test_any_change_of_the_kept_replies_is_detected(path: Path, change: str) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, replies=tuple(StoredReply(f"key-{n}", b"print", b"reply", n) for n in range(5)))
    journal.remove_replies(1, "", 9)
    journal.close()
    SqliteJournal(path).close()
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    with pytest.raises(JournalDamaged, match=r"journal.db: .*repl.*restore"):
        SqliteJournal(path)


def test_a_kept_reply_is_checked_when_it_is_read(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, replies=(StoredReply("one", b"print", b"reply", 1), StoredReply("two", b"", b"", 2)))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE replies SET reply = x'00' WHERE key = 'one'")
    db.close()
    with pytest.raises(JournalDamaged, match="kept reply"):
        journal.replies(["one"])
    with pytest.raises(JournalDamaged, match="kept reply"):
        journal.remove_replies(9, "", 9)
    assert journal.replies(["two"])
    journal.close()


SNAPSHOT_CHANGES = (
    "UPDATE snapshots SET sequence = 1 WHERE hotel = 'north'",
    "UPDATE snapshots SET hotel = 'west' WHERE hotel = 'north'",
    "UPDATE snapshots SET position = 2 WHERE hotel = 'north'",
    "UPDATE snapshots SET hash = zeroblob(16) WHERE hotel = 'north'",
    "UPDATE snapshots SET checksum = zeroblob(16) WHERE hotel = 'north'",
    "DELETE FROM snapshots WHERE hotel = 'north'",
    "UPDATE snapshot_set SET position = 2",
    "UPDATE snapshot_set SET position = 99",
    "UPDATE snapshot_set SET hash = zeroblob(16)",
    "UPDATE snapshot_set SET snapshots = 1",
    "UPDATE snapshot_set SET sum = zeroblob(16)",
    "DELETE FROM snapshot_set",
    "UPDATE events SET hash = zeroblob(16) WHERE position = 3",
)


@pytest.mark.parametrize("change", SNAPSHOT_CHANGES)
def test_snapshots_that_are_not_what_was_saved_are_unusable_until_new_ones_are_saved(path: Path, change: str) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, recorded(1), recorded(1, "south"), recorded(2))
    journal.save_snapshots([Snapshot("north", 2, b"north"), Snapshot("south", 1, b"south")], until=3)
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    with pytest.raises(SnapshotsUnusable, match=r"journal.db: its snapshots are ignored"):
        (journal.snapshot_set().until, [*journal.snapshots()])
    journal.close()
    if "UPDATE events" in change:
        return
    again = SqliteJournal(path)
    with pytest.raises(SnapshotsUnusable):
        (again.snapshot_set().until, [*again.snapshots()])
    again.save_snapshots([Snapshot("north", 2, b"new")], until=3)
    assert (again.snapshot_set().until, [*again.snapshots()]) == (3, [Snapshot("north", 2, b"new")])
    again.close()


def test_an_altered_state_of_a_snapshot_is_noticed_when_it_is_read(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, recorded(1), recorded(1, "south"))
    journal.save_snapshots([Snapshot("north", 1, b"north"), Snapshot("south", 1, b"south")], until=2)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE snapshots SET state = x'00' WHERE hotel = 'north'")
    db.close()
    assert journal.snapshot_set() == SnapshotSet({"north": 1, "south": 1}, 2)
    assert [*journal.snapshots("south")] == [Snapshot("south", 1, b"south")]
    with pytest.raises(SnapshotsUnusable):
        [*journal.snapshots("north")]
    journal.save_snapshots([Snapshot("north", 1, b"new")], until=2)
    assert [*journal.snapshots()] == [Snapshot("south", 1, b"south"), Snapshot("north", 1, b"new")]
    journal.close()


def test_an_altered_event_is_not_read_for_its_hotel_either(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, *(recorded(seq, hotel) for seq in range(1, 5) for hotel in ("north", "south")))
    assert [record.hotel_seq for _, record in journal.read(hotel="south", after_hotel_seq=2)] == [3, 4]
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET body = (SELECT body FROM events WHERE position = 2) WHERE position = 4")
        db.execute("DELETE FROM events WHERE position = 5")
    db.close()
    with pytest.raises(JournalDamaged, match=r"event 4 is not what was written"):
        [*journal.read(hotel="south")]
    with pytest.raises(JournalDamaged, match=r"event 3 of north is missing"):
        [*journal.read(hotel="north")]
    journal.close()


def rewrite_event(path: Path, change: str) -> None:
    """Change the last event, and make the hash chain fit it."""
    with sqlite3.connect(path) as db:
        db.execute(f"{change} WHERE position = (SELECT max(position) FROM events)")
        before, row = db.execute("SELECT * FROM events ORDER BY position DESC LIMIT 2").fetchall()[::-1]
        new_hash = link(before[9], row)
        db.execute("UPDATE events SET hash = ? WHERE position = ?", (new_hash, row[0]))
        db.execute("UPDATE writer SET hash = ?", (new_hash,))
    db.close()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            "UPDATE events SET type = 'innkeeper.booking.upgraded.v1'",
            JournalTooNew,
            "event 3 .*upgraded.*newer.*upgrade",
        ),
        ("UPDATE events SET type = 'innkeeper.hold.expired.v9'", JournalTooNew, "event 3 .*v9.*newer Innkeeper"),
        ("UPDATE events SET body = x'c1'", JournalDamaged, "event 3 cannot be decoded.*restore"),
        ("UPDATE events SET body = x'80'", JournalDamaged, "event 3 cannot be decoded.*restore"),
    ],
)
def test_an_event_that_cannot_be_decoded_is_reported_with_its_position(
    path: Path, change: str, error: type[JournalError], message: str
) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, *(recorded(seq) for seq in range(1, 4)))
    journal.close()
    rewrite_event(path, change)
    journal, log = SqliteJournal(path), SqliteEventLog(path)
    for read in (lambda: [*journal.read()], lambda: [*journal.read(hotel="north")], lambda: log.read(0, 9)):
        with pytest.raises(error, match=f"journal.db: {message}"):
            read()
    assert len(log.read(0, 2)) == 2
    log.close()
    journal.close()


def test_the_tables_have_the_columns_that_are_documented(path: Path) -> None:
    migrate(path)
    with sqlite3.connect(path) as db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(events)")]
    db.close()
    assert " ".join(columns) == "position hotel sequence at type body by correlation causation hash"


def test_a_change_far_from_the_end_is_detected_by_a_full_check(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, *(recorded(seq) for seq in range(1, 3_000)))
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET by = 'eve' WHERE position = 2")
    db.close()
    journal = SqliteJournal(path)
    with pytest.raises(JournalDamaged, match="event 2 "):
        list(journal.read())
    with pytest.raises(JournalDamaged, match="event 2 "):
        journal.check(1, 1_000)
    journal.check(2_000, 2_999)
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
        write_and_sync(journal, recorded(1))  # it cuts off the log of the process before
        write_and_sync(journal, recorded(2))
        log = tmp_path / "partition-0.db-wal"
        size = log.stat().st_size
        assert size
        fenced.close()
        assert log.stat().st_size == size
    assert not log.exists()


@pytest.mark.parametrize("check", [lambda journal: journal.check(0, 1), lambda journal: journal.check_guests(9)])
def test_a_check_that_cannot_open_the_file_finds_no_damage(
    tmp_path: Path, check: Callable[[SqliteJournal], object]
) -> None:
    path, one = tmp_path / "journal.db", stored_guest(1)
    with closing(SqliteJournal(path)) as journal:
        write_and_sync(journal, naming(1, one.guest), guests=(one,))
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(JournalError) as raised:
            check(journal)
        (tmp_path / "elsewhere.db").rename(path)
    assert not isinstance(raised.value, JournalDamaged)
