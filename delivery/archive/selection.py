"""Opens the archive in its form, and reads from one what a restored journal may not know."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from innkeeper.delivery.archive import event_files
from innkeeper.delivery.archive.event_files import CREDIT_NOTES, FORGOTTEN_GUESTS, INVOICES
from innkeeper.delivery.archive.segments import SegmentArchive
from innkeeper.protocol.billing.folio import DocumentKind, IssuedNumbers
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.archive import Archived
from innkeeper.protocol.ports.subscriptions import Effects, EventHandler, no_effects
from innkeeper.protocol.values.operator_error import OperatorError

EVENTS: Final = "events"
_SEGMENTS: Final = "segments"


class ArchiveUnreadable(OperatorError):
    """An archive cannot be read."""


def check_archive(url: str, form: str) -> None:
    """Raises ValueError where no archive can be written at this URL, in this form or at all."""
    if url and folder_of(url) is None:
        _file_system(url)
        if form == _SEGMENTS:
            raise ValueError(
                f"nothing can be appended to files at {url}, only --archive-form {EVENTS} is possible there"
            )


def open_archive(url: str, form: str, log_of: Callable[[RecordedEvent], str]) -> EventHandler:
    """The handler of an archive in a folder, or at a URL that fsspec has a driver for; `log_of` returns the name of the
    log of an event. A folder gets segments unless another form is chosen. Raises ValueError."""
    folder = folder_of(url)
    if folder is None:
        return event_files.in_file_system(url, *_file_system(url)).handle
    return event_files.in_folder(folder).handle if form == EVENTS else SegmentArchive(folder, log_of).handle


async def archive_nothing(_: Sequence[LogEntry]) -> Effects:
    """Handles events where nothing is archived. See `protocol.ports.subscriptions.EventHandler`."""
    return no_effects


def read_archive(url: str) -> Archived:
    """Reads what an archive at this URL knows and a restored journal may not. Raises ArchiveUnreadable."""
    try:
        folder = folder_of(url)
        files: Any
        files, root = (None, "") if folder is not None else _file_system(url)
        is_archive = folder.is_dir() if folder is not None else files.isdir(root)

        def names(kind: str, parts: int) -> list[tuple[str, ...]]:
            """What there is of a kind: the parts of the names of its files, the first of which is the hotel."""
            pattern = f"{kind}{'/*' * parts}/*.json"
            found = folder.glob(pattern) if folder is not None else map(PurePosixPath, files.glob(f"{root}/{pattern}"))
            return [path.parts[-1 - parts : -1] for path in found]

        forgotten = {guest for _, guest in names(FORGOTTEN_GUESTS, 2)}
        issued = [
            (kind, document)
            for kind, folder_name in ((DocumentKind.INVOICE, INVOICES), (DocumentKind.CREDIT_NOTE, CREDIT_NOTES))
            for document in names(folder_name, 3)
        ]
    except Exception as error:  # each driver raises exceptions of its own
        raise ArchiveUnreadable(f"{url} cannot be read: {error}") from error
    if not is_archive:
        raise ArchiveUnreadable(f"{url} is no archive: give its folder or URL with --archive")
    return Archived(forgotten, _highest(issued))


def _highest(issued: list[tuple[DocumentKind, tuple[str, ...]]]) -> dict[str, tuple[IssuedNumbers, ...]]:
    """The highest number of each series of each hotel; a prefix does not end in a digit."""
    highest: dict[tuple[str, DocumentKind, int], int] = {}
    for kind, (hotel, series, name) in issued:
        if series.isdecimal() and (digits := re.search(r"[0-9]+$", name)):
            key = hotel, kind, int(series)
            highest[key] = max(highest.get(key, 0), int(digits[0]))
    of_hotel: dict[str, tuple[IssuedNumbers, ...]] = {}
    for (hotel, kind, year), number in sorted(highest.items()):
        of_hotel[hotel] = (*of_hotel.get(hotel, ()), IssuedNumbers(kind, year, number))
    return of_hotel


def folder_of(url: str) -> Path | None:
    """The folder that a path or URL names; None where it names no folder of this machine."""
    scheme, separator, path = url.partition("://")
    if separator and scheme not in ("file", "local"):
        return None
    return Path(path if separator else url).expanduser()


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of fsspec for this URL, and the path in it. Raises ValueError, which says what to install."""
    scheme = urlsplit(url).scheme
    try:
        files, root = import_module("fsspec").core.url_to_fs(url)
    except ImportError as error:
        if scheme in ("s3", "s3a"):
            raise ValueError(f"{url} needs s3fs; install it with: pip install 'innkeeper[s3]'") from None
        raise ValueError(f"{url} needs fsspec and its driver for {scheme}://: {error}") from None
    except Exception as error:  # each driver raises exceptions of its own
        raise ValueError(f"{url}: {error}") from error
    return files, root.rstrip("/")
