"""The archive as a file per event, in a folder or at any URL that fsspec has a driver for.

The name of a file is derived from its event, so that an event that is archived twice is stored once.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from innkeeper.delivery.archive.synced_files import write_files
from innkeeper.protocol.billing.events import CreditNoteIssued, DepositInvoiceIssued, InvoiceIssued
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Effects, Stalled, no_effects
from innkeeper.protocol.reservations.events import BookingEvent, GuestForgotten
from innkeeper.protocol.values.instants import instant

FORGOTTEN_GUESTS, INVOICES, CREDIT_NOTES = "forgotten-guests", "invoices", "credit-notes"


class EventFiles:
    """Writes a JSON file for each event with `write`, which gets the files' contents by their names; the archive is
    called `url` in messages."""

    def __init__(self, url: str, write: Callable[[dict[str, bytes]], None]) -> None:
        self._url = url
        self._write = write

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.ports.subscriptions.EventHandler`."""
        files = {file_name(record): cloud_event_json((position, record)) for position, record in entries}
        try:
            await asyncio.to_thread(self._write, files)
        except Exception as error:  # each driver raises exceptions of its own
            raise Stalled(f"{self._url} cannot be written: {error}") from error
        return no_effects


def in_folder(folder: Path) -> EventFiles:
    """The archive in a folder."""
    return EventFiles(
        str(folder), lambda files: write_files({f"{folder}/{name}": body for name, body in files.items()})
    )


def in_file_system(url: str, files: Any, root: str) -> EventFiles:
    """The archive at a URL: under `root` in a file system of fsspec."""
    return EventFiles(url, lambda new: files.pipe({f"{root}/{name}": body for name, body in new.items()}))


def file_name(record: RecordedEvent) -> str:
    """`bookings/{booking}/{yyyy}/{mm}/{dd}/{id}.json`, by the day (UTC) of the event; `hotels/{hotel}/…` for an event
    that belongs to no booking; and what `name_to_find` returns."""
    event = record.event
    if (name := name_to_find(record)) is not None:
        return name
    subject = f"bookings/{event.booking}" if isinstance(event, BookingEvent) else f"hotels/{record.hotel}"
    return f"{subject}/{instant(record.at):%Y/%m/%d}/{record.id}.json"


def name_to_find(record: RecordedEvent) -> str | None:
    """The file of an event that is to be found when a backup is restored, in both forms of the archive:
    `forgotten-guests/{hotel}/{guest}/{id}.json`, `invoices/{hotel}/{series}/{number}/{id}.json`, and the
    same for `credit-notes`; None for other events."""
    match record.event:
        case GuestForgotten(guest=guest):
            folder, what = FORGOTTEN_GUESTS, quote(guest, safe="")
        case InvoiceIssued(number=number, series=series) | DepositInvoiceIssued(number=number, series=series):
            folder, what = INVOICES, f"{series}/{quote(number, safe='')}"
        case CreditNoteIssued(number=number, series=series):
            folder, what = CREDIT_NOTES, f"{series}/{quote(number, safe='')}"
        case _:
            return None
    return f"{folder}/{record.hotel}/{what}/{record.id}.json"
