"""The head of a journal, which stands outside of its file."""

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import JournalDamaged, JournalError, JournalRolledBack, JournalUnavailable
from innkeeper.protocol.reservations.events import WaitlistLeft
from innkeeper.protocol.reservations.reasons import WaitlistReason
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite import journal as sqlite_journal
from innkeeper.storage.sqlite import journal_head
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.journal_head import HeadFile, marked_positions
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.bit_flips import flipped_bits
from support.journal_records import recorded, write_and_sync
from support.recording_subscriber import GrowingLog

JOINED = WaitlistLeft("w-1", WaitlistReason.LAPSED)  # an event that the read models ignore


@pytest.fixture
def open_journal(tmp_path: Path) -> Callable[[], SqliteJournal]:
    """Opens the journal of a data directory."""
    storage = SqliteStorage(DataDirectory(tmp_path))
    storage.installation()
    return lambda: storage.journal("reservations")


def head_of(journal: SqliteJournal) -> tuple[int, int]:
    """The epoch and the position in the head of a journal."""
    head = HeadFile(journal.path).read()
    assert head is not None
    return head.epoch, head.marks[0][0]


@pytest.mark.parametrize("end", [0, 1, 2, 3, 8, 9, 1_000_000])
def test_a_head_has_few_marks_of_which_the_first_is_the_end_and_the_last_the_beginning(end: int) -> None:
    marks = marked_positions(end)
    assert (marks[0], marks[-1], len({*marks})) == (end, 0, len(marks))
    assert marks == sorted(marks, reverse=True)
    assert len(marks) <= end.bit_length() + 2


def test_the_name_of_the_first_head_is_on_disk_before_there_are_events(
    open_journal: Callable[[], SqliteJournal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bool] = []  # whether the head had its name, at each sync of the folder
    fsync = os.fsync

    def noted(file: int) -> None:
        if os.readlink(f"/proc/self/fd/{file}") == str(tmp_path.resolve()):
            heads.append((tmp_path / "partition-0.head").exists())
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    open_journal().close()
    assert heads[-1]


def test_the_head_is_noted_at_the_start_after_a_while_and_at_the_end(
    open_journal: Callable[[], SqliteJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    for module in (sqlite_journal, journal_head):
        monkeypatch.setattr(module, "monotonic", lambda: now)
    with closing(open_journal()) as journal:
        write_and_sync(journal, recorded(1))
        assert head_of(journal) == (1, 0)
        now += 1.1
        write_and_sync(journal, recorded(2))
        assert head_of(journal) == (1, 2)
        write_and_sync(journal, recorded(3))
        assert head_of(journal) == (1, 2)
        journal.note_head()
        assert head_of(journal) == (1, 3)
        write_and_sync(journal, recorded(4))
    assert head_of(journal) == (1, 4)
    with closing(open_journal()) as journal:
        assert head_of(journal) == (2, 4)


def test_a_superseded_writer_leaves_the_head_to_its_successor(open_journal: Callable[[], SqliteJournal]) -> None:
    first, second = open_journal(), open_journal()
    write_and_sync(second, recorded(1))
    second.note_head()
    first.close()
    assert head_of(second) == (2, 1)
    second.close()


def test_a_head_that_cannot_be_written_stops_no_commit(
    open_journal: Callable[[], SqliteJournal], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_head, "_SECONDS", 0.0)
    with closing(open_journal()) as journal:
        head = HeadFile(journal.path).path
        head.unlink()
        head.mkdir()
        with caplog.at_level(logging.WARNING):
            assert write_and_sync(journal, recorded(1)) == 1
        assert "partition-0.head cannot be written" in caplog.text
        head.rmdir()


class UnreadableMarks(SqliteJournal):
    """A real journal, of which `error` says why the events that the head marks cannot be read."""

    error: JournalError | None = None

    def _hashes_at(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        if self.error is not None:
            raise self.error
        return super()._hashes_at(positions)


def test_marks_that_cannot_be_read_stop_no_commit_and_no_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_head, "_SECONDS", 0.0)
    path = tmp_path / "journal.db"
    with closing(UnreadableMarks(path, HeadFile(path))) as journal:
        journal.error = JournalUnavailable("an old page cannot be read", "disk I/O error")
        assert write_and_sync(journal, recorded(1)) == 1
        assert "journal.head cannot be written (an old page cannot be read)" in caplog.text
        journal.error = None
        assert write_and_sync(journal, recorded(2)) == 2
        assert head_of(journal) == (1, 2)
        journal.error = JournalUnavailable("an old page cannot be read", "disk I/O error")
        assert write_and_sync(journal, recorded(3)) == 3
    with closing(SqliteJournal(path, HeadFile(path))) as journal:
        assert journal.position() == 3


def test_a_journal_whose_head_is_found_damaged_at_the_end_is_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = UnreadableMarks(path, HeadFile(path))
    write_and_sync(journal, recorded(1))
    journal.error = JournalDamaged("event 1 is missing")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as reader:  # it keeps the write-ahead log
        reader.execute("SELECT count(*) FROM events").fetchone()
        with pytest.raises(JournalDamaged):
            journal.close()
        assert path.with_name("journal.db-wal").stat().st_size == 0


def test_a_journal_that_was_opened_before_its_head_was_written_is_opened(
    open_journal: Callable[[], SqliteJournal],
) -> None:
    with closing(open_journal()) as journal:
        pass
    HeadFile(journal.path).path.unlink()
    with closing(open_journal()) as journal:
        write_and_sync(journal, recorded(1))
    HeadFile(journal.path).path.unlink()
    with pytest.raises(JournalRolledBack, match=r"partition-0\.head is missing"):
        open_journal()


def test_a_head_with_any_flipped_bit_is_refused_or_the_same(open_journal: Callable[[], SqliteJournal]) -> None:
    with closing(open_journal()) as journal:
        write_and_sync(journal, recorded(1))
    head = HeadFile(journal.path)
    expected, messages = head.read(), list[str]()
    for damaged in [*flipped_bits(head.path.read_bytes()), b'{"a":' * 100_000]:
        head.path.write_bytes(damaged)
        try:
            assert head.read() == expected  # a bit of base64 that says nothing
        except JournalRolledBack as refused:
            messages.append(str(refused))
    assert len(messages) > 8 * 100
    assert all("partition-0.head is damaged" in message for message in messages)


@pytest.mark.parametrize("later", [0, 1, 2, 3])
def test_read_models_of_a_journal_that_was_rolled_back_are_refused(later: int, tmp_path: Path) -> None:
    def follow(log: GrowingLog) -> None:
        with closing(SqliteReadModels(tmp_path / "views-0.db", "reservations", log)) as views:
            while views.follow():
                pass

    log, other = GrowingLog(), GrowingLog()
    log.append("north", JOINED)
    log.append("north", JOINED)
    follow(log)
    follow(log)
    for _ in range(later):
        other.append("south", JOINED)
    with pytest.raises(JournalRolledBack, match=r"views-0\.db has seen event 2 of reservations"):
        follow(other)
