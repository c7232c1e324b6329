"""The journal keeps its events in a hash chain that reveals every change, and allows one writer at a time."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import JournalDamaged, JournalError, JournalFenced, Snapshot, StoredReply
from innkeeper.protocol.reservations.booking import GuestDetails
from innkeeper.protocol.reservations.events import HoldExpired, NoteChanged
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.schema import MIGRATIONS, migrate


def recorded(seq: int, hotel: str = "north") -> RecordedEvent:
    """An event with this number."""
    return RecordedEvent(hotel, seq, 1_000 + seq, "ann", "request", f"command-{seq}", HoldExpired(f"booking-{seq}"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the journal."""
    return tmp_path / "journal.db"


def write_and_sync(journal: SqliteJournal, *records: RecordedEvent, replies: tuple[StoredReply, ...] = ()) -> int:
    """Write and sync."""
    position = journal.write(records, replies)
    journal.sync()
    return position


def test_synced_events_are_read_in_order_after_reopening(path: Path) -> None:
    journal = SqliteJournal(path)
    records = [recorded(1), recorded(1, "south"), recorded(2)]
    assert write_and_sync(journal, *records) == 3
    noted = RecordedEvent(
        "north", 3, 5, "bob", "r", "c", NoteChanged("b", "g", GuestDetails("Ann", None, None, "late"))
    )
    assert write_and_sync(journal, noted) == 4
    journal.close()
    journal = SqliteJournal(path)
    assert [record for _, record in journal.read()] == [*records, noted]
    assert [record for _, record in journal.read(hotel="north", after_hotel_seq=1)] == [recorded(2), noted]
    assert [position for position, _ in journal.read(after=2)] == [3, 4]
    assert journal.hotels() == {"north", "south"}
    assert len(list(journal.checked())) == 4
    journal.close()


def test_events_written_but_not_synced_are_gone_after_reopening(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, recorded(1))
    journal.write([recorded(2)], [StoredReply("key", b"f", b"r")])
    assert journal.position() == 1
    assert journal.replies(["key"]) == {}
    journal.reopen()
    assert journal.position() == 1
    assert write_and_sync(journal, recorded(2)) == 2
    journal.close()


def test_a_reply_is_stored_with_its_events(path: Path) -> None:
    journal = SqliteJournal(path)
    kept = StoredReply("key", b"fingerprint", b"reply")
    write_and_sync(journal, recorded(1), replies=(kept,))
    assert journal.replies(["key", "other"]) == {"key": kept}
    with pytest.raises(sqlite3.IntegrityError):
        journal.write([recorded(2)], [kept])
    journal.reopen()
    assert journal.position() == 1
    journal.close()


def test_the_newest_snapshot_of_a_hotel_is_kept(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.save_snapshots([Snapshot("north", 1, b"one"), Snapshot("south", 1, b"two")])
    journal.save_snapshots([Snapshot("north", 5, b"three")])
    assert list(journal.snapshots("north")) == [Snapshot("north", 5, b"three")]
    assert len(list(journal.snapshots())) == 2
    journal.close()


def test_a_superseded_writer_is_fenced(path: Path) -> None:
    stalled = SqliteJournal(path)
    write_and_sync(stalled, recorded(1))
    newer = SqliteJournal(path)
    with pytest.raises(JournalFenced):
        stalled.write([recorded(2)], [])
    assert write_and_sync(newer, recorded(2)) == 2
    with pytest.raises(JournalFenced):
        stalled.write([], [StoredReply("key", b"f", b"r")])
    stalled.close()
    newer.close()


def test_a_second_event_with_the_same_number_is_refused(path: Path) -> None:
    journal = SqliteJournal(path)
    write_and_sync(journal, recorded(1))
    with pytest.raises(sqlite3.IntegrityError):
        journal.write([recorded(1)], [])
    journal.close()


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
        list(journal.checked())
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
