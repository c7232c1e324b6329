"""Read models over a damaged log say so once, and go on when it is restored."""

from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.sqlite import read_models
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from support.recording_subscriber import GrowingLog
from support.waiting import wait_until


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


def test_read_models_of_a_damaged_log_say_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(read_models, "_POLL_SECONDS", 0.01)
    log = DamagedLog()
    with SqliteReadModels(tmp_path / "views.db", RESERVATIONS, log) as views:
        wait_until(lambda: log.reads > 3, 10)
        with pytest.raises(JournalDamaged, match="event 1"):
            views.catch_up(1)
    assert ["event 1 cannot be decoded" in record.getMessage() for record in caplog.records] == [True]
    assert "Traceback" not in caplog.text
