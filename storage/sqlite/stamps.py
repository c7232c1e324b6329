"""The stamp of each SQLite file: the id of the installation to which it belongs.

A database that was copied from another installation looks like one of our own: its positions continue, its cursors are
plausible, and what follows from it is wrong. So each file is made with its stamp, and no file is opened without.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.new_files import publish_once, sync_folder
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, unavailable, unreadable

MADE_FOLDER: Final = "made"
"""In it each database has a file that says that it was made; that of a service says how many changes the database has
had, see `storage.sqlite.changes_file`. So a database that is lost is not taken for one that never was, and one that is
put back, with all that is named like it, is not taken for the newest: every letter would be sent again."""
RESTORE: Final = "restore it from the backup of this installation"
MAKE_AGAIN: Final = "delete it, and it is made again from the logs"


def stamp(path: Path, installation: str, remedy: str = RESTORE) -> Path:
    """Makes the file with the id of this installation where there is none; checks the id in it otherwise. Returns the
    path. Raises DataRefused, with the remedy, for a file of another installation, and for one that has gone and cannot
    be made again from others; and JournalError for a file that cannot be read."""
    made = made_file(path)
    if not path.exists():
        if remedy == RESTORE and made.exists():
            without = f"delete {MADE_FOLDER}/{made.name} to go on without it"
            raise DataRefused(f"{path} is missing, but was there before; {RESTORE}, or {without}")
        try:
            _make(path, installation)
        except OSError as error:
            raise unavailable(path, error.strerror or str(error)) from error
        except FILE_ERRORS as error:
            raise unreadable(path, error, remedy) from error
    check_stamp(path, installation, remedy)
    if remedy == RESTORE and not made.exists():
        made.parent.mkdir(mode=0o700, exist_ok=True)
        made.touch(mode=0o600)
        sync_folder(made.parent)
    return path


def made_file(path: Path) -> Path:
    """Returns the path of the file that says that this one was made."""
    return path.parent / MADE_FOLDER / path.stem


def check_stamp(path: Path, installation: str, remedy: str = RESTORE) -> Path:
    """Checks the id in a file that exists; see `stamp`. Changes nothing, but completes what a loss of power has
    interrupted."""
    try:
        _roll_back(path)
        # Without a checkpoint when it closes: another connection may write, see `storage.sqlite.journal`.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
            has_stamp = db.execute("SELECT 1 FROM pragma_table_info('installation')").fetchone() is not None
            found = db.execute("SELECT id FROM installation").fetchone() if has_stamp else None
    except FILE_ERRORS as error:
        raise unreadable(path, error, remedy) from error
    if found is None or not isinstance(found[0], str):
        raise DataRefused(f"{path} does not say to which installation it belongs; {remedy}")
    if found[0] != installation:
        raise DataRefused(f"{path} belongs to another installation ({found[0]:.12}, not {installation:.12}); {remedy}")
    return path


def _roll_back(path: Path) -> None:
    """Rolls back the migration that a crash has interrupted: it has left a rollback journal, without which a connection
    that only reads cannot read the file."""
    if path.with_name(f"{path.name}-journal").exists():
        with closing(sqlite3.connect(path, timeout=10)) as db:
            db.execute("PRAGMA schema_version").fetchone()


def _make(path: Path, installation: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)  # of a process that was killed while it made the file
    with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = MEMORY")  # the file is synced before it gets its name
        db.execute("BEGIN")
        db.execute("CREATE TABLE installation (id TEXT NOT NULL) STRICT")
        db.execute("INSERT INTO installation VALUES (?)", (installation,))
        db.execute("COMMIT")
    publish_once(fresh, path)
