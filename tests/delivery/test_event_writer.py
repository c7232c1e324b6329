"""The event writer publishes events that are on disk, in order, also after a failed write."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.protocol.delivery.events import DisabledReason, WebhookDisabled, WebhookEnabled
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.values.guests import StoredGuest
from innkeeper.storage.sqlite.journal import SqliteJournal

DISABLED = WebhookDisabled("one", "https://example.com/", DisabledReason.GONE, "gone")
ENABLED = WebhookEnabled("one", "https://example.com/")


class FailingJournal(SqliteJournal):
    """A journal that fails once, before or after a commit."""

    fails = ""

    def write(
        self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply], guests: Sequence[StoredGuest] = ()
    ) -> int:
        position = super().write(records, replies)
        self._fail("before the commit")
        return position

    def sync(self) -> None:
        super().sync()
        self._fail("after the commit")

    def _fail(self, when: str) -> None:
        if self.fails == when:
            self.fails = ""
            raise OSError(when)


@pytest.mark.parametrize("fails", ["before the commit", "after the commit"])
def test_the_writer_publishes_once_and_without_a_gap_after_a_failed_write(tmp_path: Path, fails: str) -> None:
    journal = FailingJournal(tmp_path / "delivery-0.db")
    published: list[int] = []

    async def publish() -> None:
        writer = EventWriter(journal, lambda: 1)
        writer.subscribe(lambda _, records: published.extend(record.hotel_seq for record in records))
        writer.publish(UnpublishedEvent("first", 1, "_all", DISABLED, "seaside:7"))
        journal.fails = fails
        with pytest.raises(OSError, match=fails):
            writer.publish(UnpublishedEvent("second", 1, "_all", ENABLED, ""))
        writer.publish(UnpublishedEvent("second", 1, "_all", ENABLED, ""))
        writer.publish(UnpublishedEvent("third", 1, "_all", DISABLED, ""))
        await asyncio.sleep(0)
        assert [record.hotel_seq for _, record in journal.read()] == [1, 2, 3]
        assert writer.position == published[-1] == 3
        writer.close()

    asyncio.run(publish())
