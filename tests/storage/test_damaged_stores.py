"""The databases of services: one flipped bit is refused with one line, or changes nothing. Whatever changes a row keeps
up what reveals the damage."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from innkeeper.protocol.delivery.events import WebhookEnabled
from innkeeper.protocol.delivery.webhooks import DeliveryAttempt, ListDeliveries, SigningSecret, Webhook
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.journal import (
    JournalDamaged,
    JournalLocked,
    JournalRolledBack,
    JournalUnavailable,
    StoredReply,
)
from innkeeper.protocol.ports.outbox import AddressReport, KeptBooking, OutboxChanges
from innkeeper.protocol.ports.payment_operations import PaymentOperation
from innkeeper.protocol.ports.service_store import ServiceStore
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Cursor, HandlingFailure, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, NOTIFICATIONS, RESERVATIONS
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.bit_flips import check_flips
from support.consumer_checks import RemoteLog, log_entry
from support.example_notices import notice
from support.recording_subscriber import GrowingLog

HOTELS = ("north", "south", "west")
KEYS = tuple(f"front desk:{number}" for number in range(20))
ENTRIES = 60
IDS = tuple(f"b-{number}" for number in range(60))


class Services:
    """The databases of the services of one data directory, with something in every table."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDirectory(folder)
        self.storage = SqliteStorage(self.data)
        self.storage.installation()
        self._log = GrowingLog()
        for number in range(30):
            self._log.append(HOTELS[number % 3], BookingPinned("b", str(number)))

    def fill(self) -> None:
        """Write to each table, change and remove rows."""
        with self.storage.notification_store(NOTIFICATIONS, "mail") as store:
            self._follow(store)
            outbox = store.outbox
            for hotel in HOTELS * 2:
                bookings = {id_: KeptBooking(f"g-{id_}", id_.encode() * 20) for id_ in IDS}
                outbox.store(OutboxChanges(hotels={hotel: hotel.encode() * 20}, bookings=bookings))
            notices = [notice(id=id_, due_at=number) for number, id_ in enumerate(IDS)]
            outbox.store(OutboxChanges(notices=notices))
            outbox.store(OutboxChanges(withdrawn=IDS[:3]))
            outbox.mark_sent([IDS[3]])
            outbox.mark_failed(IDS[4], "away", 5, 9)
            for id_ in IDS[5:8]:
                report = AddressReport(id_, HOTELS[0], "g-1", "b", "ann@example.com", "confirmation", "550")
                outbox.mark_failed(id_, "refused", 5, None, report)
            outbox.remove_report(outbox.reports(1)[0][0])
            outbox.pause(True)
        with self.storage.delivery_store(DELIVERY) as store:
            self._follow(store)
            for number in range(6):
                webhook = Webhook(
                    id=str(number), url="https://a.example", events=("innkeeper.*",), hotel=None, after={},
                    created_at=1, created_by="ann",
                )  # fmt: skip
                for secret in ("old", "new"):
                    store.webhooks.put(webhook, (SigningSecret(secret),))
                for _ in range(30):
                    attempt = DeliveryAttempt(
                        webhook=str(number), event="e", type="t", at=1, attempt=1, status=200, error="", milliseconds=3,
                        excerpt="x" * 50,
                    )  # fmt: skip
                    store.webhooks.note(attempt)
                event = WebhookEnabled(str(number), "https://a.example")
                store.event_outbox.add(UnpublishedEvent(str(number), 1, "_all", event, "cause"))
            store.webhooks.remove("0")
            store.event_outbox.remove("0")
            operations = store.payment_operations
            operations.add([PaymentOperation(id_, HOTELS[0], 1, "t", id_) for id_ in IDS])
            operations.mark_done(IDS[0])
            operations.mark_failed(IDS[1], "away", 5, 9)
            operations.mark_failed(IDS[2], "refused", 5, None)
            operations.pause(True)
        with self.storage.service_store(BILLING) as store:
            self._follow(store)
        with closing(self.storage.inbox(BILLING, {RESERVATIONS: RemoteLog(99)})) as inbox:
            for number in range(1, ENTRIES):
                inbox.handle([(RESERVATIONS, log_entry(number))], {"topic:0": number})
            inbox.trim({RESERVATIONS: 5}, before=2**60)

    def _follow(self, store: ServiceStore) -> None:
        cursor = self._cursor(store)
        for _ in range(12):
            batch = cursor.batch(0, 1, cursor.end)
            assert batch is not None
            if batch.until == 7:
                cursor.park(batch, HandlingFailure(batch.entries[0], "cannot", "trace"), 0)
            else:
                cursor.move(batch, lambda: None)
        for key in KEYS:
            store.keep_reply(StoredReply(key, b"fingerprint", b"reply" * 9, 1))
        store.remove_replies(2, 3)

    def _cursor(self, store: ServiceStore) -> Cursor:
        return store.open_cursor(SubscriptionRequest("clerk", EVERY_EVENT), RESERVATIONS, self._log)

    def _followed(self, store: ServiceStore) -> list[object]:
        cursor = self._cursor(store)
        return [cursor.state(), cursor.dead_letters(), [store.kept_reply(key) for key in KEYS]]

    def notifications(self) -> list[object]:
        """All that notifications reads."""
        with self.storage.notification_store(NOTIFICATIONS, "mail") as store:
            outbox = store.outbox
            due = [outbox.due(at, 100) for at in (3, 8, 99)]
            known = [outbox.hotels(HOTELS), outbox.bookings(IDS), outbox.count(99), outbox.paused]
            more = [outbox.next_due_at(), outbox.dead_letters(), outbox.reports(9)]
            return [*self._followed(store), due, known, *more]

    def delivery(self) -> list[object]:
        """All that delivery reads."""
        with self.storage.delivery_store(DELIVERY) as store:
            attempts = [store.webhooks.deliveries(ListDeliveries(str(number), 50)) for number in range(6)]
            operations = store.payment_operations
            asked = [operations.due(99, 100), operations.dead_letters(), operations.paused]
            return [*self._followed(store), store.webhooks.all(), attempts, asked, store.event_outbox.oldest(99)]

    def billing(self) -> list[object]:
        """All that billing reads."""
        with self.storage.service_store(BILLING) as store:
            return self._followed(store)

    def inbox(self) -> list[object]:
        """All that billing reads of its inbox."""
        with closing(self.storage.inbox(BILLING, {RESERVATIONS: RemoteLog(99)})) as inbox:
            log = inbox.logs[RESERVATIONS]
            hotels = [log.read(5, 100, hotel, 2) for hotel in ("hotel-0", "hotel-1", "hotel-2")]
            return [inbox.offset("topic:0"), inbox.fault, log.position, log.read(0, 100), hotels]


FILES: dict[str, Callable[[Services], list[object]]] = {
    "notifications.db": Services.notifications,
    "delivery.db": Services.delivery,
    "billing.db": Services.billing,
    "billing-inbox.db": Services.inbox,
}


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """Databases with something in every table."""
    services = Services(tmp_path / "data")
    services.fill()
    return services


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_never_served(name: str, services: Services, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "innkeeper")
    assert check_flips(services.data.path / name, lambda: FILES[name](services), caplog)["refused"] > 0


@pytest.mark.parametrize("name", FILES)
def test_a_lost_row_of_any_table_is_refused(name: str, services: Services) -> None:
    path = services.data.path / name
    original = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = {table for (table,) in db.execute(found)} - {"installation", "row_sets", "conflicts"}
    for table in sorted(tables):
        with closing(sqlite3.connect(path)) as db, db:
            sets = db.execute("SELECT sum, rows, name FROM row_sets").fetchall()
            newest = f"checksum = (SELECT max(checksum) FROM {table})"
            assert db.execute(f"DELETE FROM {table} WHERE {newest}").rowcount == 1, f"{table} is empty"
            db.executemany("UPDATE row_sets SET sum = ?, rows = ? WHERE name = ?", sets)
        with pytest.raises(JournalDamaged, match=f"{name}: the rows of {table} are not those that were written"):
            FILES[name](services)
        path.write_bytes(original)


def change_row(path: Path, table: str, id_: str) -> None:
    """Change the body of a row as a damaged disk does: its checksum stays as it is."""
    with closing(sqlite3.connect(path)) as db, db:
        ((checksum,),) = db.execute(f"SELECT checksum FROM {table} WHERE id = ?", (id_,))
        db.create_function("row_checksum", -1, lambda *_: checksum, deterministic=True)
        db.execute(f"UPDATE {table} SET body = x'00' WHERE id = ?", (id_,))


def test_a_row_that_is_damaged_under_a_running_service_is_refused(services: Services) -> None:
    path = services.data.path / "notifications.db"
    with services.storage.notification_store(NOTIFICATIONS, "mail") as store:
        change_row(path, "hotels", "north")
        change_row(path, "notices", IDS[9])
        with pytest.raises(JournalDamaged, match=r"notifications.db: a row is not what was written"):
            store.outbox.hotels(["north"])
        with pytest.raises(JournalDamaged, match=r"notifications.db: .*not what was written"):
            store.outbox.mark_failed(IDS[9], "away", 5, 9)  # which would give it a new checksum
        assert store.outbox.hotels(["south"])


def test_errors_of_a_store_name_its_file(services: Services) -> None:
    path = services.data.path / "billing.db"
    with ExitStack() as locks, services.storage.service_store(BILLING) as store:
        other = locks.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalLocked, match=r"billing.db is locked by another process") as locked:
            store.keep_reply(StoredReply("new", b"", b""))
        assert locked.value.reason == "locked by another process"
        with pytest.raises(JournalLocked):
            store.check_lock()
        with pytest.raises(JournalUnavailable), store.transaction():
            store.remove_replies(9, 9)
        other.execute("ROLLBACK")
        store.check_lock()
        store.keep_reply(StoredReply("new", b"", b""))


@pytest.mark.parametrize("content", [b"2\x8a", b"r\n"])
def test_a_damaged_number_of_changes_is_refused(content: bytes, services: Services) -> None:
    (services.data.path / "made/billing").write_bytes(content)
    with pytest.raises(JournalRolledBack, match=r"made/billing, which says how many changes .* is damaged"):
        services.storage.service_store(BILLING)


@pytest.mark.parametrize("ending", ["commit", "statement"])
def test_a_transaction_that_was_lost_with_its_write_ahead_log_is_noticed(ending: str, services: Services) -> None:
    path = services.data.path / "billing.db"
    with services.storage.service_store(BILLING) as store:
        reply = StoredReply("new", b"", b"")
        if ending == "commit":
            with store.transaction():
                store.keep_reply(reply)
        else:
            store.keep_reply(reply)
        at_the_kill = path.read_bytes()
        assert path.with_name("billing.db-wal").stat().st_size
    path.write_bytes(at_the_kill)
    assert any("billing.db is an older copy, or has lost" in fault for fault in services.storage.differences())
    with pytest.raises(JournalRolledBack, match=r"billing.db is an older copy, or has lost its newest changes"):
        services.storage.service_store(BILLING)


def test_a_number_of_changes_that_stayed_behind_harms_nobody(services: Services) -> None:
    file = services.data.path / "made/billing"
    was = file.read_bytes()
    with services.storage.service_store(BILLING) as store:
        store.keep_reply(StoredReply("new", b"", b""))
    file.write_bytes(was)
    with services.storage.service_store(BILLING) as store:
        assert store.kept_reply("new")
        store.remove_replies(9, 99)
    assert int(file.read_bytes()) > int(was)


def test_verify_refuses_a_service_whose_numbers_are_damaged(services: Services) -> None:
    path = services.data.path / "billing.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'row_sets'")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE row_sets SET changes = NULL")
    with pytest.raises(DataRefused, match=r"billing.db is not complete"):
        services.storage.differences()


def test_verify_checks_the_rows_of_services(services: Services) -> None:
    services.storage.differences()
    change_row(services.data.path / "notifications.db", "hotels", "north")
    with pytest.raises(JournalDamaged, match=r"notifications.db: .*not what was written"):
        services.storage.differences()
