"""The archive as JSON-lines segments in a folder, for each log one of its own: `{log}/{first position}.jsonl`."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from innkeeper.delivery.archive.event_files import name_to_find
from innkeeper.delivery.archive.segmented_log import SegmentedLog
from innkeeper.delivery.archive.synced_files import make_folder, sync, write_files
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Effects, Stalled, no_effects


class SegmentArchive:
    """Appends each event as a line, a CloudEvent in JSON, to the open segment of its log, whose name `log_of` returns.
    What is to be found when a backup is restored has a file besides, see `name_to_find`."""

    def __init__(self, folder: Path, log_of: Callable[[RecordedEvent], str]) -> None:
        self._folder = folder
        self._log_of = log_of
        self._logs: dict[str, SegmentedLog] = {}
        self._logs_of: dict[tuple[str, str], SegmentedLog] = {}  # by context and hotel

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.ports.subscriptions.EventHandler`."""
        try:
            await asyncio.to_thread(self._append, entries)
        except OSError as error:
            raise Stalled(f"{self._folder} cannot be written: {error}") from error
        return no_effects

    def _append(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            if (name := name_to_find(entry[1])) is not None:
                path = self._folder / name
                make_folder(path.parent)
                write_files({str(path): cloud_event_json(entry)})
                sync(path.parent)
        _, first = entries[0]
        if (key := (first.event.context, first.hotel)) not in self._logs_of:
            log = self._log_of(first)
            self._logs_of[key] = self._logs.setdefault(log, SegmentedLog(self._folder / log))
        self._logs_of[key].append(entries)
