"""Restores a backup to a new data directory, checks all of it, and begins a new timeline."""

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec
from innkeeper.protocol.ports.archive import NOTHING_ARCHIVED, ReadArchive
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values.operator_error import EXIT_VIOLATED, OperatorError
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import FILE_NAME, find_installation
from innkeeper.storage.operations.backup import (
    CONTENTS,
    BackupContents,
    BackupDamaged,
    BackupReport,
    ShowBytes,
    content_of,
    report,
)
from innkeeper.storage.operations.new_folder import FolderUnusable, check_apart, check_space, new_folder
from innkeeper.storage.operations.timelines import begin_timeline, write_heads
from innkeeper.storage.operations.verify import VerificationReport
from innkeeper.storage.sqlite.copying import check_database, check_positions
from innkeeper.storage.sqlite.storage import SqliteStorage

Verify = Callable[[Storage], VerificationReport]
"""Verifies the promises over all journals."""
_SHOWN_VIOLATIONS = 10


class BackupViolated(OperatorError):
    """What was backed up violates a promise."""

    exit_code = EXIT_VIOLATED


def restore(
    verify: Verify,
    read_archive: ReadArchive,
    clock: Callable[[], int],
    source: Path,
    path: Path,
    archive: str,
    show: ShowBytes,
) -> BackupReport:
    """Restores the backup in the folder `source` to a data directory at `path`, which is missing or empty. What the
    archive at a URL (empty where there is none) knows is heeded: guests who were forgotten since the backup are
    forgotten again, and no number of a document is given twice. Raises OperatorError,
    after which nothing is left at `path`."""
    archived = read_archive(archive) if archive else NOTHING_ARCHIVED
    contents = _contents(source)
    check_apart(path, source)
    with new_folder(path, FILE_NAME) as fresh:
        size = sum(file.bytes for file in contents.files.values())
        check_space(path, size)
        with show("restoring", size) as progress:
            for name in contents.files:
                _restore_file(source, fresh, name, contents)
                progress(contents.files[name].bytes)
        contents = _checked(fresh, source, contents)
        begun = begin_timeline(DataDirectory(fresh), clock, "restore", archived=archived)
        write_heads(DataDirectory(fresh))
        contents = msgspec.structs.replace(contents, timeline=begun.timeline, positions=begun.positions)
        if violations := verify(SqliteStorage(DataDirectory(fresh))).violations:
            shown = "\n".join(violations[:_SHOWN_VIOLATIONS])
            raise BackupViolated(f"{source} has {len(violations)} violations, and is not restored:\n{shown}")
    return report(path, contents, begun.guests_forgotten)


def _contents(source: Path) -> BackupContents:
    file = source / CONTENTS
    try:
        contents = msgspec.json.decode(file.read_bytes(), type=BackupContents)
    except FileNotFoundError:
        raise FolderUnusable(f"{source} is no complete backup: {CONTENTS} is missing in it") from None
    except OSError as error:
        raise FolderUnusable(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BackupDamaged(f"{file} is damaged ({error}); use another backup") from None
    for name in contents.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BackupDamaged(f"{file} names a file outside the backup: {name}")
    return contents


def _restore_file(source: Path, fresh: Path, name: str, contents: BackupContents) -> None:
    copy = fresh / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source / name, copy)
    except FileNotFoundError:
        raise BackupDamaged(f"{source / name} is missing; use another backup") from None
    if content_of(copy) != contents.files[name]:
        raise BackupDamaged(f"{source / name} is not what was backed up; use another backup")


def _checked(fresh: Path, source: Path, contents: BackupContents) -> BackupContents:
    """Checks the restored files; returns the contents."""
    installation = find_installation(fresh)
    if installation is None or installation.id != contents.installation:
        raise BackupDamaged(f"{source / CONTENTS} and {FILE_NAME} are of two installations; use another backup")
    data = DataDirectory(fresh)
    for database in data.databases():
        check_database(database, installation.id)
    if check_positions(data) != contents.positions:
        raise BackupDamaged(f"the journals in {source} do not end where {CONTENTS} says; use another backup")
    return contents
