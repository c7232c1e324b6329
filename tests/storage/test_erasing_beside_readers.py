"""What a reader keeps in the file of a service is removed once the reader has ended, and rewriting the file is not
repeated until then."""

from pathlib import Path

from innkeeper.protocol.ports.outbox import KeptBooking, OutboxChanges
from innkeeper.protocol.values.contexts import NOTIFICATIONS
from support.database_readers import reader
from support.storages import sqlite_storage

NAME = b"quuxington"
ERASING = OutboxChanges(bookings={"b-1": KeptBooking("g-1", b"")}, erased=("b-1",))


def files(folder: Path) -> tuple[Path, Path]:
    """The file of notifications, and its write-ahead log."""
    file = folder / "data" / "notifications.db"
    return file, file.with_name(f"{file.name}-wal")


def has_name(folder: Path) -> bool:
    return any(NAME in file.read_bytes() for file in files(folder))


def test_a_file_is_rewritten_once_and_its_log_is_cut_off_after_the_reader(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path)
    file, log = files(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        store.outbox.store(OutboxChanges(bookings={"b-1": KeptBooking("g-1", NAME)}))
        with reader(file):
            store.outbox.store(ERASING)
            assert store.is_erasing
            store.finish_erasing()
            assert (store.is_erasing, has_name(tmp_path)) == (True, True)
            size = log.stat().st_size
            for number in range(3):
                store.finish_erasing()
                assert (store.is_erasing, log.stat().st_size) == (True, size)
                if number:  # another guest is forgotten meanwhile: a few pages, and not the whole file again
                    store.outbox.store(ERASING)
                    size = log.stat().st_size
        store.finish_erasing()
        assert (store.is_erasing, has_name(tmp_path)) == (False, False)


def test_a_store_that_was_closed_beside_a_reader_is_still_erasing_when_it_is_opened(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        store.outbox.store(OutboxChanges(bookings={"b-1": KeptBooking("g-1", NAME)}))
    with reader(files(tmp_path)[0]), storage.notification_store(NOTIFICATIONS, "mail") as store:
        store.outbox.store(ERASING)
        store.finish_erasing()
        assert has_name(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        assert store.is_erasing
        store.finish_erasing()
        assert (store.is_erasing, has_name(tmp_path)) == (False, False)
