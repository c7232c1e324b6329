"""Read models whose file is damaged, at rest or under the running server, are made anew from the journal: no list is
ever wrong, and nothing is refused."""

import errno
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import JournalDamaged, JournalLocked, JournalUnavailable
from innkeeper.protocol.ports.views import BookingSearch
from innkeeper.protocol.reservations.commands import BookRoom, CancelBooking
from innkeeper.protocol.reservations.requests import Contact
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite import read_models
from innkeeper.storage.sqlite.read_model_step import ReadModelStep
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from innkeeper.storage.sqlite.storage import SqliteStorage
from msgspec.structs import replace
from support.bit_flips import check_flips
from support.partition_fixture import TODAY, PartitionFixture, night, request

HOTELS = ("lakeside", "seaside")
GUESTS = ("Ann Lee", "Béa Müller", "Cian O'Neil", "Dora Silva")


class Installation:
    """A partition with its read models in a data directory."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDirectory(folder)
        self.storage = SqliteStorage(self.data)
        self.storage.installation()
        self.path = self.data.views(RESERVATIONS)
        self.bookings: dict[str, list[str]] = {hotel: [] for hotel in HOTELS}
        self._opened = ExitStack()
        self.partition = PartitionFixture(self.storage.journal(RESERVATIONS))
        self._opened.callback(self.partition.host.close)
        self.log = self._opened.enter_context(self.storage.event_log(RESERVATIONS))
        for hotel in HOTELS:
            self.partition.open_hotel({"DBL": 9}, hotel)

    def book(self, times: int = 1) -> None:
        """Book in each hotel, and cancel every fifth booking."""
        for number in range(times):
            for hotel in HOTELS:
                guest = Contact(f"{GUESTS[number % 4]} {number}")
                made = self.partition.booking_after(BookRoom(hotel, replace(request(1 + number // 9), guest=guest)))
                self.bookings[hotel].append(made.id)
                if number % 5 == 0:
                    self.partition.booking_after(CancelBooking(hotel, made.id))

    @property
    def end(self) -> dict[str, int]:
        """The end of the log."""
        return {RESERVATIONS: self.partition.host.journal.position()}

    def views(self) -> AbstractContextManager[SqliteReadModels]:
        """Opens the read models."""
        return self.storage.views(RESERVATIONS, self.log)

    def contents(self) -> list[object]:
        """All that is read from the read models, opened for it."""
        with self.views() as views:
            return self.read(views)

    def read(self, views: SqliteReadModels) -> list[object]:
        """All that is read from these read models."""
        read: list[object] = [views.hotels(self.end, 9, None)]
        for hotel in HOTELS:
            read.append(views.chart(self.end, hotel, TODAY, night(30)))
            searches = (
                BookingSearch(hotel), BookingSearch(hotel, text="ann"), BookingSearch(hotel, text="mull"),
                BookingSearch(hotel, arrival_from=night(2), arrival_to=night(3)),
            )  # fmt: skip
            read += [views.bookings(self.end, search, 200, None) for search in searches]
            read += [views.booking(self.end, hotel, booking) for booking in self.bookings[hotel]]
            read += [views.history(self.end, hotel, booking) for booking in self.bookings[hotel]]
        return read

    def close(self) -> None:
        """Close the journal."""
        self._opened.close()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """Two hotels with some bookings."""
    installation = Installation(tmp_path / "data")
    installation.book(60)
    yield installation
    installation.close()


def test_a_flipped_bit_is_never_served(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "innkeeper")
    outcomes = check_flips(installation.path, installation.contents, caplog)
    assert outcomes["rebuilt"] > 0


DAMAGE: dict[str, Callable[[Path], None]] = {}


def damage(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Add a kind of damage."""
    DAMAGE[change.__name__] = change
    return change


def execute(path: Path, statement: str) -> None:
    """Change the file."""
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(statement).rowcount


@damage
def a_lost_booking(path: Path) -> None:
    execute(path, "DELETE FROM bookings WHERE number = (SELECT max(number) FROM bookings)")


@damage
def an_altered_booking(path: Path) -> None:
    execute(path, "UPDATE bookings SET status = 'held' WHERE status = 'cancelled'")


@damage
def a_lost_history(path: Path) -> None:
    execute(path, "DELETE FROM history WHERE position = (SELECT max(position) FROM history)")


@damage
def another_position(path: Path) -> None:
    execute(path, "UPDATE follower SET position = position + 1")


@damage
def lost_words(path: Path) -> None:
    execute(path, "DELETE FROM guests_data WHERE id = (SELECT max(id) FROM guests_data)")


@damage
def no_database(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)


@damage
def a_cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8_192])


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_at_rest_is_said_once_and_mended(
    name: str, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "innkeeper")
    undamaged = installation.contents()
    DAMAGE[name](installation.path)
    assert installation.contents() == undamaged
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{installation.path}: ")
    assert said.endswith("it is made anew from the log")
    assert installation.contents() == undamaged
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["an_altered_booking", "no_database", "a_cut_file"])
def test_damage_under_a_running_server_is_mended_when_it_is_read(
    name: str, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "innkeeper")
    installation.contents()
    with installation.views() as views:
        undamaged = installation.read(views)
        views._file.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        views._file.db.execute("PRAGMA shrink_memory")  # type: ignore[union-attr]
        DAMAGE[name](installation.path)
        assert installation.read(views) == undamaged
        installation.book()
        installation.read(views)
    assert len(caplog.records) <= 1  # what SQLite has in memory still serves where the file is gone
    assert "Traceback" not in caplog.text


def test_a_booking_that_is_damaged_before_it_changes_is_mended(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    with installation.views() as views:
        installation.read(views)
        execute(installation.path, "UPDATE bookings SET body = x'00'")
        cancelled = installation.partition.booking_after(
            CancelBooking("lakeside", installation.bookings["lakeside"][1])
        )
        assert views.booking(installation.end, "lakeside", cancelled.id) == cancelled
    assert ["a row is not what was written" in record.getMessage() for record in caplog.records] == [True]


def test_read_models_are_checked_although_nobody_reads_them(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    undamaged = installation.contents()
    a_lost_booking(installation.path)
    with installation.views() as views:
        while views.follow():
            pass
        assert caplog.records
        assert views._position == installation.end[RESERVATIONS]
        assert installation.read(views) == undamaged


def test_a_fault_that_is_not_the_files_does_not_make_it_anew_again_and_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a fault of the program")

    with installation.views() as views:
        with monkeypatch.context() as patched:
            patched.setattr(ReadModelStep, "handle", fail)
            for _ in range(2):
                with pytest.raises(KeyError):
                    installation.read(views)
        assert len(caplog.records) == 1
        assert installation.read(views) == installation.contents()


def test_a_damaged_file_on_a_read_only_disk_waits_until_it_can_be_made_anew(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    undamaged = installation.contents()
    with installation.views() as views:
        an_altered_booking(installation.path)
        with monkeypatch.context() as read_only:
            read_only.setattr(read_models, "remove", fail)
            for _ in range(2):
                with pytest.raises((JournalDamaged, JournalUnavailable), match=r"views-0.db"):
                    installation.read(views)
        assert installation.read(views) == undamaged
    assert len(caplog.records) == 1


def test_a_locked_file_is_not_made_anew(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    with installation.views() as views, closing(sqlite3.connect(installation.path)) as other:
        undamaged = installation.read(views)
        installation.book()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalLocked, match=r"views-0.db is locked by another process"):
            installation.read(views)
        other.execute("ROLLBACK")
        assert installation.read(views) != undamaged
    assert not caplog.records


def test_a_file_of_an_older_copy_follows_the_log_from_there(installation: Installation, tmp_path: Path) -> None:
    installation.contents()
    shutil.copy(installation.path, tmp_path / "older.db")
    installation.book(3)
    newest = installation.contents()
    shutil.copy(tmp_path / "older.db", installation.path)
    assert installation.contents() == newest
