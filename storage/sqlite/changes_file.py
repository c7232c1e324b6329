"""How many changes the database of a service has had, in the file that says that it was made.

A database cannot say itself that its newest transactions are lost, or that it is an older copy, and every letter since
then would be sent again. So each row that is added, changed or removed counts (see `checked_tables`), and the number is
written down after each sync of the database: in place, and without a sync of its own. A loss of power can leave an
older number, never a newer one.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from innkeeper.protocol.ports.journal import JournalRolledBack
from innkeeper.storage.new_files import replace_file
from innkeeper.storage.sqlite.checked_tables import changes_of

_FILE_MODE = 0o600
_TEXT = b"%020d\n"


class ChangesFile:
    """The file of one open database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, database: Path, db: sqlite3.Connection) -> None:
        """Raises JournalRolledBack where the database has had fewer changes than the file says."""
        if fault := missing_changes(database, changes_of(db), self._path):
            raise JournalRolledBack(
                f"{fault}: restore the newer one, or go on with it as it is with `innkeeper accept-rollback`"
            )

    def note(self, changes: int) -> None:
        """Writes down that so many changes are on disk. A file that cannot be written keeps an older
        number, which does no harm."""
        with suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, _FILE_MODE)
            try:
                os.write(file, _TEXT % changes)
            finally:
                os.close(file)


def missing_changes(database: Path, changes: int, file: Path) -> str:
    """Describes what a database, which has had so many changes, lacks of what the file says, or that the file cannot
    say it; empty where it lacks nothing."""
    text = file.read_bytes().strip() if file.exists() else b""
    if text and not text.isdigit():
        return f"{file.parent.name}/{file.name}, which says how many changes {database.name} has had, is damaged"
    newest = int(text or b"0")
    if newest <= changes:
        return ""
    return f"{database.name} is an older copy, or has lost its newest changes: it has had {changes} of {newest}"


def read_changes(database: Path) -> int:
    """Returns how many changes the database of a service has had. The file is used by nobody else."""
    with closing(sqlite3.connect(database)) as db:
        return changes_of(db)


def accept_changes(database: Path, file: Path) -> None:
    """Replaces the file by one with the number of changes that the database has had. To be called under the
    lock of their folder. Raises OSError."""
    replace_file(file, _TEXT % read_changes(database))
