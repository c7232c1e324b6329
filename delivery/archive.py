"""The archive: each event as a JSON file, under any URL that fsspec supports.

The name of a file is derived from its event, so that an event that is archived twice is stored once.
"""

import asyncio
import os
import re
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from urllib.parse import quote

import fsspec
from fsspec.implementations.local import LocalFileSystem
from innkeeper.protocol.billing.events import CreditNoteIssued, InvoiceIssued
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.archive import Archived, DocumentNumbers
from innkeeper.protocol.ports.subscriptions import Effects, Stalled, no_effects
from innkeeper.protocol.reservations.events import BookingEvent, GuestForgotten
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.operator_error import OperatorError

_SYNCS_AT_ONCE = 8
_UNFINISHED = ".part"
_FORGOTTEN, _INVOICES, _CREDIT_NOTES = "forgotten-guests", "invoices", "credit-notes"


class ArchiveUnreadable(OperatorError):
    """An archive cannot be read."""


class Archive:
    """Writes to a folder, or to `s3://…`, `gs://…`, `memory://…` or any other URL that fsspec has a driver for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._files, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.ports.subscriptions.EventHandler`."""
        files = {f"{self._root}/{file_name(record)}": cloud_event_json((seq, record)) for seq, record in entries}
        try:
            await asyncio.to_thread(self._write, files)
        except Exception as error:  # each driver raises exceptions of its own
            raise Stalled(f"{self._url} cannot be written: {error}") from error
        return no_effects

    def _write(self, files: dict[str, bytes]) -> None:
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe(files)
            return
        for path, body in files.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + _UNFINISHED, "wb") as file:
                file.write(body)
            os.replace(path + _UNFINISHED, path)  # a reader of the archive sees only complete files
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as threads:  # concurrent syncs share the file system's commits
            deque(threads.map(sync, files), maxlen=0)


def read_archive(url: str) -> Archived:
    """Reads what an archive at this URL knows and a restored journal may not. Raises ArchiveUnreadable."""
    try:
        files, root = fsspec.core.url_to_fs(url)
        if not files.isdir(root):
            raise ArchiveUnreadable(f"{url} is no archive: give its folder or URL with --archive")

        def names(folder: str) -> list[tuple[str, str]]:
            """What a folder has: each hotel, and the id or number."""
            found = map(PurePosixPath, files.glob(f"{root.rstrip('/')}/{folder}/*/*/*.json"))
            return [(path.parts[-3], path.parts[-2]) for path in found]

        forgotten = {guest for _, guest in names(_FORGOTTEN)}
        invoices, credit_notes = _highest(names(_INVOICES)), _highest(names(_CREDIT_NOTES))
        hotels = invoices.keys() | credit_notes.keys()
        numbers = {hotel: DocumentNumbers(invoices.get(hotel, 0), credit_notes.get(hotel, 0)) for hotel in hotels}
        return Archived(forgotten, numbers)
    except OperatorError:
        raise
    except Exception as error:  # each driver raises exceptions of its own
        raise ArchiveUnreadable(f"{url} cannot be read: {error}") from error


def file_name(record: RecordedEvent) -> str:
    """`bookings/{booking}/{yyyy}/{mm}/{dd}/{id}.json`, by the day (UTC) of the event; `hotels/{hotel}/…` for an event
    that belongs to no booking. What is to be found when a backup is restored has a folder of its own:
    `forgotten-guests/{hotel}/{guest}/{id}.json`, `invoices/{hotel}/{number}/{id}.json`, and the same for
    `credit-notes`."""
    event = record.event
    if isinstance(event, GuestForgotten):
        return f"{_FORGOTTEN}/{record.hotel}/{event.guest}/{record.id}.json"
    if isinstance(event, InvoiceIssued | CreditNoteIssued):
        folder = _INVOICES if isinstance(event, InvoiceIssued) else _CREDIT_NOTES
        return f"{folder}/{record.hotel}/{quote(event.number, safe='')}/{record.id}.json"
    subject = f"bookings/{event.booking}" if isinstance(event, BookingEvent) else f"hotels/{record.hotel}"
    return f"{subject}/{instant(record.at):%Y/%m/%d}/{record.id}.json"


def _highest(documents: list[tuple[str, str]]) -> dict[str, int]:
    """The highest number of each hotel; a prefix does not end in a digit."""
    highest: dict[str, int] = {}
    for hotel, name in documents:
        if digits := re.search(r"[0-9]+$", name):
            highest[hotel] = max(highest.get(hotel, 0), int(digits[0]))
    return highest


def sync(path: str) -> None:
    """Wait until the content of a file is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
