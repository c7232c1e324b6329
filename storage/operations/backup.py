"""Backs up a data directory while it is used, as files that are consistent with each other.

Each database is copied as it is at one moment, services before the journals that they follow. So no service of the copy
has seen an event that the copy does not have, and what it has not seen it reads from the journals after a restore.
Keys come last: one is made before anything is sealed with it, and never changes.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, OperatorError
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import FILE_NAME
from innkeeper.storage.operations.new_folder import (
    FolderUnusable,
    WritingFailed,
    check_apart,
    check_space,
    new_folder,
)
from innkeeper.storage.sqlite.copying import check_database, check_positions, copy_database

CONTENTS: Final = "backup.json"
"""The file that lists the other files of a backup."""
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

ShowBytes = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a display of a step for so many bytes, which is called with the bytes that are done since its last call."""


class BackupDamaged(OperatorError):
    """A file is damaged, missing, or not of this backup."""

    exit_code = EXIT_DAMAGED


class FileContent(msgspec.Struct, frozen=True):
    """The size of a file, and the hash of its content."""

    bytes: int
    blake2b: str


class BackupContents(msgspec.Struct, frozen=True):
    """What a backup holds: whose it is, the position of each journal, and all files by their paths."""

    installation: str
    timeline: str
    positions: dict[str, int]
    files: dict[str, FileContent]


class BackupReport(NamedTuple):
    """What was backed up or restored: the folder, how many files and bytes, the position of each journal, and
    how many guests were forgotten again."""

    folder: str
    installation: str
    timeline: str
    files: int
    bytes: int
    positions: dict[str, int]
    guests_forgotten: int


def back_up(path: Path, destination: Path, show: ShowBytes) -> BackupReport:
    """Backs up the data directory at `path` to a folder that is missing or empty. Raises OperatorError."""
    data = DataDirectory(path)
    if not data.is_made:
        raise FolderUnusable(f"{path} has no installation; give the data directory with --data")
    check_apart(destination, path)
    with new_folder(destination, CONTENTS) as fresh:
        needed = sum(file.stat().st_size for file in (*path.glob("*.db*"), *data.settings()))
        check_space(destination, needed)
        with show("backing up", needed) as progress:
            _copy_all(data, fresh, progress)
        contents = _describe(fresh, data.installation())
        (fresh / CONTENTS).write_bytes(msgspec.json.format(msgspec.json.encode(contents)) + b"\n")
    return report(destination, contents)


def report(folder: Path, contents: BackupContents, guests_forgotten: int = 0) -> BackupReport:
    """Returns the report on what was backed up or restored to a folder."""
    size = sum(file.bytes for file in contents.files.values())
    return BackupReport(
        str(folder), contents.installation, contents.timeline, len(contents.files), size, contents.positions,
        guests_forgotten,
    )  # fmt: skip


def content_of(path: Path) -> FileContent:
    """Returns the size and the hash of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return FileContent(path.stat().st_size, digest)


def _copy_all(data: DataDirectory, fresh: Path, progress: Callable[[int], None]) -> None:
    shutil.copyfile(data.path / FILE_NAME, fresh / FILE_NAME)
    for database in data.databases():
        try:
            copy_database(database, fresh / database.name, progress)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") in _DAMAGED:
                raise BackupDamaged(f"{database} is damaged ({error}); restore it from an older backup") from error
            raise WritingFailed(f"{database} cannot be copied to {fresh.parent}: {error}") from error
    for file in data.settings():
        copy = fresh / file.relative_to(data.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _describe(fresh: Path, installation: Installation) -> BackupContents:
    """Checks the copies, and returns what they are."""
    data = DataDirectory(fresh)
    for database in data.databases():
        check_database(database, installation.id)
    positions = check_positions(data)
    files = {str(file.relative_to(fresh)): content_of(file) for file in sorted(fresh.rglob("*")) if file.is_file()}
    return BackupContents(installation.id, installation.timeline, positions, files)
