"""Accepting what a journal has lost: who has seen more goes on after the last event that is known to be common."""

import os
import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.inbox import InboxConflict
from innkeeper.protocol.ports.service_store import ServiceStore
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Cursor,
    EventLog,
    HandlingFailure,
    SubscriptionRequest,
    no_effects,
)
from innkeeper.protocol.reservations.events import TimelineBegun
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import find_installation, write_new_timeline
from innkeeper.storage.operations.accept_rollback import AcceptedRollback, NothingLost, accept_rollback
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.journal_records import recorded, write_and_sync

JOURNAL = ("partition-0.db", "partition-0.head")


@pytest.fixture
def storage(tmp_path: Path) -> SqliteStorage:
    """A data directory with a journal of three events, of which a copy was kept after two."""
    made = SqliteStorage(DataDirectory(tmp_path / "data"))
    made.installation()
    for records in ([recorded(1), recorded(1, "south")], [recorded(2)]):
        with closing(made.journal(RESERVATIONS)) as journal:
            write_and_sync(journal, *records)
        if not (tmp_path / "older.db").exists():
            shutil.copy(tmp_path / "data/partition-0.db", tmp_path / "older.db")
    return made


def lose_the_third_event(folder: Path) -> None:
    """Replace the journal by the older copy."""
    shutil.copy(folder / "older.db", folder / "data/partition-0.db")


def accept(folder: Path) -> AcceptedRollback:
    """Accept the loss."""
    return accept_rollback(lambda _: (), lambda: 5_000_000, folder / "data", "")


def opened(store: ServiceStore, log: EventLog) -> Cursor:
    """The cursor of a subscriber."""
    return store.open_cursor(SubscriptionRequest("clerk", EVERY_EVENT), RESERVATIONS, log)


def follow(storage: SqliteStorage, park: int = 0) -> None:
    """Handle all events; park the hotel of the event at this position, if any."""
    with storage.service_store("office") as store, storage.event_log(RESERVATIONS) as log:
        cursor = opened(store, log)
        while batch := cursor.batch(0, 1, cursor.end):
            if batch.until == park:
                cursor.park(batch, HandlingFailure(batch.entries[0], "cannot", "trace"), 0)
            else:
                cursor.move(batch, no_effects)


def test_nothing_is_changed_where_nothing_was_lost(storage: SqliteStorage, tmp_path: Path) -> None:
    follow(storage)
    before = storage.installation()
    with pytest.raises(NothingLost, match="nothing to accept"):
        accept(tmp_path)
    assert (storage.installation(), storage.differences()) == (before, [])


def test_a_subscriber_gets_the_events_after_the_fork(storage: SqliteStorage, tmp_path: Path) -> None:
    follow(storage)
    lose_the_third_event(tmp_path)
    assert len(storage.differences()) == 2
    done = accept(tmp_path)
    assert done.set_back == ["clerk (office.db): reservations again after event 2"]
    assert done.positions == {RESERVATIONS: 4}
    assert storage.differences() == []
    with storage.service_store("office") as store, storage.event_log(RESERVATIONS) as log:
        cursor = opened(store, log)
        cursor.check()
        batch = cursor.batch(0, 9, cursor.end)
        assert batch is not None
        short = storage.installation().timeline[:8]
        assert [record.id for _, record in batch.entries] == [f"north:2-{short}", f"south:2-{short}"]
        assert {type(record.event) for _, record in batch.entries} == {TimelineBegun}


@pytest.mark.parametrize(("park", "parked"), [(1, ["north"]), (2, ["south"]), (3, [])])
def test_a_hotel_is_parked_as_long_as_its_event_is_there(
    park: int, parked: list[str], storage: SqliteStorage, tmp_path: Path
) -> None:
    follow(storage, park)
    lose_the_third_event(tmp_path)
    accept(tmp_path)
    with storage.service_store("office") as store, storage.event_log(RESERVATIONS) as log:
        assert [letter.hotel for letter in opened(store, log).dead_letters()] == parked


def test_an_inbox_loses_what_its_log_has_lost(storage: SqliteStorage, tmp_path: Path) -> None:
    with storage.event_log(RESERVATIONS) as log, closing(storage.inbox("office", {RESERVATIONS: log})) as inbox:
        inbox.handle([(RESERVATIONS, entry) for entry in log.read(0, 9)], {"topic": 7})
    lose_the_third_event(tmp_path)
    with (
        storage.event_log(RESERVATIONS) as log,
        closing(storage.inbox("office", {RESERVATIONS: log})) as inbox,
        pytest.raises(InboxConflict),
    ):
        inbox.fetch_missing()
    assert accept(tmp_path).set_back == ["office-inbox.db: reservations again after event 2"]
    with storage.event_log(RESERVATIONS) as log, closing(storage.inbox("office", {RESERVATIONS: log})) as inbox:
        assert (inbox.fault, inbox.logs[RESERVATIONS].position, inbox.offset("topic")) == ("", 2, 7)
        inbox.fetch_missing()
        assert inbox.logs[RESERVATIONS].read(0, 9) == log.read(0, 9)


def test_an_interrupted_acceptance_is_repeated(
    storage: SqliteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(storage)
    lose_the_third_event(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("innkeeper.storage.operations.accept_rollback.write_heads", _fail)
        with pytest.raises(OperatorError, match="full; give the same command again"):
            accept(tmp_path)
    assert accept(tmp_path).positions == {RESERVATIONS: 6}
    with closing(storage.journal(RESERVATIONS)) as journal:
        assert journal.position() == 6
    assert storage.differences() == []


def test_a_full_disk_leaves_the_directory_as_it_was(
    storage: SqliteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_full_disk(folder: Path, installation: Installation) -> Installation:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            return write_new_timeline(folder, installation)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    follow(storage)
    lose_the_third_event(tmp_path)
    before = storage.installation()
    with monkeypatch.context() as patched:
        patched.setattr("innkeeper.storage.operations.timelines.write_new_timeline", on_full_disk)
        with pytest.raises(OperatorError, match="give the same command again"):
            accept(tmp_path)
    assert find_installation(tmp_path / "data") == before
    assert not any(name.startswith("installation.json.") for name in os.listdir(tmp_path / "data"))
    assert accept(tmp_path).positions == {RESERVATIONS: 4}


def test_the_older_copy_of_a_service_is_accepted(storage: SqliteStorage, tmp_path: Path) -> None:
    follow(storage)
    database, made = tmp_path / "data/office.db", tmp_path / "data/made/office"
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    noted = int(made.read_text())
    made.write_text(f"{noted + 5}\n")
    assert accept(tmp_path).folder == str(tmp_path / "data")
    assert int(made.read_text()) == noted
    assert storage.differences() == []


def _fail(_: object) -> None:
    raise OSError("the disk is full")
