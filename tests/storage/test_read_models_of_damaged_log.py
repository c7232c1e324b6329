"""Read models follow their log; over a damaged one they say so once, and go on when it is restored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.partition.clock import clock
from innkeeper.actors.reservations.read_model_task import ReadModelTask
from innkeeper.actors.subscriptions import background_task
from innkeeper.actors.subscriptions.load_meter import LoadMeter
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.protocol.reservations.events import WaitlistLeft
from innkeeper.protocol.reservations.reasons import WaitlistReason
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from support.recording_subscriber import GrowingLog


class DamagedLog(GrowingLog):
    """A log that cannot be read."""

    reads = 0

    @property
    def position(self) -> int:
        """See `EventLog`."""
        return 1

    def read(self, *_: int, **__: Any) -> list[LogEntry]:
        """See `EventLog`."""
        self.reads += 1
        raise JournalDamaged("journal.db: event 1 cannot be decoded; restore the file from a backup")


@asynccontextmanager
async def following(views: SqliteReadModels) -> AsyncIterator[ReadModelTask]:
    """The task of these read models, which runs meanwhile."""
    task = ReadModelTask(RESERVATIONS, views, clock, LoadMeter())
    running = asyncio.create_task(task.run())
    async with asyncio.timeout(10):
        yield task
        task.stop()
        await running


def test_read_models_of_a_damaged_log_say_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background_task, "subscriber_retry_seconds", 0.001)
    log = DamagedLog()

    async def follow(views: SqliteReadModels) -> None:
        async with following(views):
            while log.reads < 4:  # noqa: ASYNC110 (a thread reads)
                await asyncio.sleep(0.001)

    with closing(SqliteReadModels(tmp_path / "views.db", RESERVATIONS, log)) as views:
        asyncio.run(follow(views))
        with pytest.raises(JournalDamaged, match="event 1"):
            views.follow()
    assert ["event 1 cannot be decoded" in record.getMessage() for record in caplog.records] == [True]
    assert "Traceback" not in caplog.text


def test_read_models_follow_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadModelTask, "gather_seconds", 0.001)
    log = GrowingLog()

    async def follow(views: SqliteReadModels) -> None:
        async with following(views) as task:
            for number in range(5):
                log.append("north", WaitlistLeft(str(number), WaitlistReason.WITHDRAWN))
                task.notify_of_events()
                while views._position < log.position:  # noqa: ASYNC110 (a thread reads)
                    await asyncio.sleep(0.001)

    with closing(SqliteReadModels(tmp_path / "views.db", RESERVATIONS, log)) as views:
        asyncio.run(follow(views))
