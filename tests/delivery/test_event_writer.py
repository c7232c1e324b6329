"""What delivery publishes is on disk and in order, whatever the disk did before."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.protocol.delivery.events import WebhookDisabled, WebhookEnabled
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.storage.sqlite.journal import SqliteJournal

DISABLED = WebhookDisabled("one", "https://example.com/", "gone")
ENABLED = WebhookEnabled("one", "https://example.com/")


class FullDisk(SqliteJournal):
    """Fails once, in the middle of a transaction or after it was written."""

    fails = ""

    def write(self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply]) -> int:
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


@pytest.mark.parametrize(("fails", "kept"), [("before the commit", [1, 2]), ("after the commit", [1, 2, 3])])
def test_after_a_failure_it_goes_on_without_a_gap(tmp_path: Path, fails: str, kept: list[int]) -> None:
    journal = FullDisk(tmp_path / "delivery-0.db")
    told: list[int] = []

    async def publish() -> None:
        bulletin = EventWriter(journal, lambda: 1)
        bulletin.subscribe(lambda _, records: told.extend(record.hotel_seq for record in records))
        bulletin.publish("_all", DISABLED)
        journal.fails = fails
        with pytest.raises(OSError, match=fails):
            bulletin.publish("_all", ENABLED)
        bulletin.publish("_all", ENABLED)
        await asyncio.sleep(0)
        assert [record.hotel_seq for _, record in journal.checked()] == kept
        assert bulletin.position == told[-1] == kept[-1]
        bulletin.close()

    asyncio.run(publish())
