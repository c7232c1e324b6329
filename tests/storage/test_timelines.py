"""Events that were written after a timeline has begun have ids of their own."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.actors.partition.host import Host
from innkeeper.actors.reservations.router import hotel_type
from innkeeper.protocol.delivery.events import DisabledReason, WebhookDisabled
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.protocol.reservations.commands import OpenHotel
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.journal_records import recorded, write_and_sync
from support.partition_fixture import HOTEL, LOCATOR_KEY, NOON, hotel_request

FIRST, SECOND = "1f3a9c20" * 4, "77b0aa01" * 4


def begin(journal: SqliteJournal, timeline: str) -> None:
    """Begin a timeline."""
    journal.begin_timeline(timeline)
    journal.reopen()


def test_events_keep_the_timeline_on_which_they_were_written(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        write_and_sync(journal, recorded(1))
        begin(journal, FIRST)
        write_and_sync(journal, recorded(2), recorded(3))
        begin(journal, SECOND)
        write_and_sync(journal, recorded(4))
        ids = [record.id for _, record in journal.read()]
        assert ids == ["north:1", "north:2-1f3a9c20", "north:3-1f3a9c20", "north:4-77b0aa01"]
        assert journal.timeline == "77b0aa01"
    with closing(SqliteEventLog(tmp_path / "journal.db")) as log:
        assert [record.id for _, record in log.read(0, 9)] == ids


def test_a_timeline_on_which_nothing_was_written_is_replaced_by_the_next(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        begin(journal, FIRST)
        begin(journal, SECOND)
        write_and_sync(journal, recorded(1))
        assert [record.id for _, record in journal.read()] == ["north:1-77b0aa01"]


def test_the_beginning_of_a_timeline_that_was_altered_is_damage(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        begin(journal, FIRST)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        db.execute("UPDATE timelines SET position = 2")
    with pytest.raises(JournalDamaged, match="beginning of a timeline"):
        SqliteJournal(tmp_path / "journal.db")


def test_what_is_published_has_the_ids_that_are_read_later(tmp_path: Path) -> None:
    published: list[RecordedEvent] = []
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        begin(journal, FIRST)
        host = Host(journal, lambda: NOON, lambda: "a-command", hotel_type(LOCATOR_KEY))
        host.on_commit = lambda _, records: published.extend(records)
        host.handle([Envelope(OpenHotel(HOTEL, hotel_request()))])
        assert [record.id for record in published] == [record.id for _, record in journal.read()]
        assert published[0].id == f"{HOTEL}:1-1f3a9c20"
        host.close()


def test_what_a_service_publishes_has_the_ids_that_are_read_later(tmp_path: Path) -> None:
    published: list[RecordedEvent] = []
    journal = SqliteJournal(tmp_path / "journal.db")
    begin(journal, FIRST)

    async def publish() -> None:
        writer = EventWriter(journal, lambda: NOON)
        writer.subscribe(lambda _, records: published.extend(records))
        event = WebhookDisabled("w", "https://example.com/", DisabledReason.GONE, "gone")
        writer.publish(UnpublishedEvent("id", NOON, HOTEL, event, ""))
        await asyncio.sleep(0)
        assert [record for _, record in journal.read()] == published
        assert published[0].id == f"delivery:{HOTEL}:1-1f3a9c20"
        writer.close()

    asyncio.run(publish())
