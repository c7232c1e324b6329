"""The archive: every event as a JSON file of its own, under any URL that fsspec knows.

A file's name follows from its event, so writing it again changes nothing: what was archived twice is there once.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import fsspec
from fsspec.implementations.local import LocalFileSystem
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Effects, Stalled
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.values.instants import instant

_SYNCS_AT_ONCE = 8
_UNFINISHED = ".part"


class Archive:
    """A place for files: a folder, or `s3://…`, `gs://…`, `memory://…` and whatever else fsspec has a driver for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._files, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.subscribing.Handle`."""
        files = {f"{self._root}/{file_name(record)}": cloud_event_json((seq, record)) for seq, record in entries}
        try:
            await asyncio.to_thread(self._write, files)
        except Exception as error:  # each driver has its own kinds
            raise Stalled(f"{self._url} cannot be written: {error}") from error
        return _kept

    def _write(self, files: dict[str, bytes]) -> None:
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe(files)
            return
        for path, body in files.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + _UNFINISHED, "wb") as file:
                file.write(body)
            os.replace(path + _UNFINISHED, path)  # who reads the archive finds whole files
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as threads:  # they share the file system's own commits
            deque(threads.map(sync, files), maxlen=0)


def file_name(record: RecordedEvent) -> str:
    """`bookings/{booking}/{yyyy}/{mm}/{dd}/{id}.json`, by the day (UTC) of the event; `hotels/{hotel}/…` where it is of
    no booking."""
    event = record.event
    subject = f"bookings/{event.booking}" if isinstance(event, BookingEvent) else f"hotels/{record.hotel}"
    return f"{subject}/{instant(record.at):%Y/%m/%d}/{record.id}.json"


def sync(path: str) -> None:
    """Wait until a file, as it was written, is on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _kept() -> None:
    """The files are the effects."""
