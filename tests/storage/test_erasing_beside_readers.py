"""What a reader keeps in the file of a service is removed once the reader has ended, and rewriting the file is not
repeated until then, nor does the event loop wait for it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from innkeeper.protocol.ports.journal import JournalLocked
from innkeeper.protocol.ports.outbox import KeptBooking, OutboxChanges
from innkeeper.protocol.ports.service_store import NotificationStore
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
    return any(file.exists() and NAME in file.read_bytes() for file in files(folder))


def test_a_file_is_rewritten_once_and_its_log_is_cut_off_after_the_reader(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path)
    file, log = files(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        store.outbox.store(OutboxChanges(bookings={"b-1": KeptBooking("g-1", NAME)}))
        with reader(file):
            store.outbox.store(ERASING)
            assert store.is_erasing
            asyncio.run(store.finish_erasing())
            assert (store.is_erasing, has_name(tmp_path)) == (True, True)
            size = log.stat().st_size
            for number in range(3):
                asyncio.run(store.finish_erasing())
                assert (store.is_erasing, log.stat().st_size) == (True, size)
                if number:  # another guest is forgotten meanwhile: a few pages, and not the whole file again
                    store.outbox.store(ERASING)
                    size = log.stat().st_size
        asyncio.run(store.finish_erasing())
        assert (store.is_erasing, has_name(tmp_path)) == (False, False)


def test_a_store_that_was_closed_beside_a_reader_is_still_erasing_when_it_is_opened(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        store.outbox.store(OutboxChanges(bookings={"b-1": KeptBooking("g-1", NAME)}))
    with reader(files(tmp_path)[0]), storage.notification_store(NOTIFICATIONS, "mail") as store:
        store.outbox.store(ERASING)
        asyncio.run(store.finish_erasing())
        assert has_name(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        assert store.is_erasing
        asyncio.run(store.finish_erasing())
        assert (store.is_erasing, has_name(tmp_path)) == (False, False)


async def begun(erasing: "asyncio.Task[None]", store: NotificationStore) -> None:
    """Wait until the file is being rewritten, which locks it."""
    while not erasing.done():
        try:
            store.check_lock()
        except JournalLocked:
            return
        await asyncio.sleep(0)
    raise AssertionError("the file was rewritten before it was looked at")


async def erase_another(store: NotificationStore) -> int:
    """Erases another guest as soon as the file is no longer locked; how often it was."""
    for tries in range(1_000_000):
        try:
            store.outbox.store(OutboxChanges(bookings={"b-2": KeptBooking("g-2", b"")}, erased=("b-2",)))
        except JournalLocked:
            await asyncio.sleep(0)
        else:
            return tries
    raise AssertionError("the file stays locked")


def test_the_event_loop_goes_on_while_a_file_is_rewritten_and_who_is_erased_meanwhile_is_erased(tmp_path: Path) -> None:
    async def erase(store: NotificationStore) -> int:
        erasing = asyncio.create_task(store.finish_erasing())
        await begun(erasing, store)
        tries = await erase_another(store)
        await erasing
        assert store.is_erasing
        await store.finish_erasing()
        return tries

    storage = sqlite_storage(tmp_path)
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        others = {f"c-{number}": KeptBooking("g-3", b"x" * 10_000) for number in range(5_000)}
        named = {name: KeptBooking(f"g-{name[2:]}", NAME) for name in ("b-1", "b-2")}
        store.outbox.store(OutboxChanges(bookings={**others, **named}))
        store.outbox.store(ERASING)
        assert asyncio.run(erase(store)) > 0
        assert (store.is_erasing, has_name(tmp_path)) == (False, False)


def test_a_stop_ends_the_rewriting_of_a_file(tmp_path: Path) -> None:
    def version() -> int:
        """Each time that a file was rewritten to the end, this is another one."""
        with closing(sqlite3.connect(files(tmp_path)[0])) as db:
            return int(db.execute("PRAGMA schema_version").fetchone()[0])

    async def stop() -> int:
        with storage.notification_store(NOTIFICATIONS, "mail") as store:
            others = {f"c-{number}": KeptBooking("g-3", b"x" * 10_000) for number in range(5_000)}
            store.outbox.store(OutboxChanges(bookings={**others, "b-1": KeptBooking("g-1", NAME)}))
            store.outbox.store(ERASING)
            before = version()
            erasing = asyncio.create_task(store.finish_erasing())
            await begun(erasing, store)
            erasing.cancel()
        return before

    storage = sqlite_storage(tmp_path)
    assert asyncio.run(stop()) == version()
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        assert store.is_erasing
        asyncio.run(store.finish_erasing())
        assert (store.is_erasing, has_name(tmp_path)) == (False, False)
