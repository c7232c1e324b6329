"""Reading a journal's events beside its writer: what one hotel had after a position, and many readers at once."""

import random
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.event_rows import read_rows
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.journal_records import recorded, write_and_sync

EVENTS = 2_000
STEPS_MAX = 1_500  # of SQLite's virtual machine; each look-up takes about 20, and each event that is skipped about 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a journal."""
    return tmp_path / "journal.db"


def write(path: Path, hotels: list[str]) -> None:
    """Write a journal with the next event of each of these hotels."""
    sequences = dict.fromkeys(hotels, 0)
    records = []
    for hotel in hotels:
        sequences[hotel] += 1
        records.append(recorded(sequences[hotel], hotel))
    with closing(SqliteJournal(path)) as journal:
        write_and_sync(journal, *records)


def test_a_hotel_has_after_a_position_what_all_have_after_it(path: Path) -> None:
    rng = random.Random(7)
    hotels = [rng.choice(["north", "south", "west"]) for _ in range(60)]
    write(path, hotels)
    with closing(SqliteEventLog(path)) as log:
        everything = log.read(0, 100)

        def expected(after: int, hotel: str, sequence: int) -> list[LogEntry]:
            return [
                entry
                for entry in everything
                if entry[0] > after and entry[1].hotel == hotel and entry[1].hotel_seq > sequence
            ]

        for after in range(63):
            for hotel in ("north", "south", "west", "east"):
                for sequence in (0, 1, 7, 40):
                    assert log.read(after, 100, hotel, sequence) == expected(after, hotel, sequence)


@pytest.mark.parametrize("after", [0, EVENTS // 2, EVENTS - 3, EVENTS])
def test_the_next_events_of_a_hotel_are_found_without_a_look_at_its_history(path: Path, after: int) -> None:
    write(path, ["north"] * EVENTS)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    with closing(sqlite3.connect(path)) as db:
        db.set_progress_handler(count, 1)
        found = [row[0] for row, _ in zip(read_rows(path, db, after, "north"), range(2), strict=False)]
    assert found == [*range(after + 1, min(after + 2, EVENTS) + 1)]
    assert steps < STEPS_MAX


class SlowReads:
    """Reads of rows that wait, once they have begun, until they may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        monkeypatch.setattr("innkeeper.storage.sqlite.event_log.read_rows", self._read)

    def _read(self, *arguments: Any) -> Iterator[Any]:
        for row in read_rows(*arguments):
            self.begun.set()
            assert self.may_go_on.wait(10)
            yield row


def test_nobody_waits_for_a_long_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, ["north"] * 3)
    slow = SlowReads(monkeypatch)
    with closing(SqliteEventLog(path)) as log, ThreadPoolExecutor(2) as threads:
        page = threads.submit(log.read, 0, 9, "north")
        assert slow.begun.wait(10)
        try:
            assert threads.submit(lambda: (log.position, len(log.hash_at(3)))).result(5) == (3, 16)
        finally:
            slow.may_go_on.set()
        assert [position for position, _ in page.result()] == [1, 2, 3]


def test_a_log_that_is_closed_during_a_read_finishes_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, ["north"] * 3)
    slow = SlowReads(monkeypatch)
    log = SqliteEventLog(path)
    with ThreadPoolExecutor(2) as threads:
        page = threads.submit(log.read, 0, 9)
        assert slow.begun.wait(10)
        closed = threads.submit(log.close)
        slow.may_go_on.set()
        assert len(page.result()) == 3
        closed.result()
    with pytest.raises(sqlite3.ProgrammingError):
        log.read(0, 9)
