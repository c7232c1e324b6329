"""Copies of SQLite files while another process writes them, and checks of such copies."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.sqlite.checked_tables import check_file
from innkeeper.storage.sqlite.event_log import open_to_read
from innkeeper.storage.sqlite.histories import differences, opened_logs
from innkeeper.storage.sqlite.stamps import check_stamp

_PAGES_PER_STEP = 1_000


def copy_database(source: Path, copy: Path, progress: Callable[[int], None]) -> None:
    """Copies the file as it is at one moment, with what is in its write-ahead log, while its writer continues. Calls
    `progress` with the bytes of each step. `copy` is not synced. Raises sqlite3.Error."""
    with closing(open_to_read(source)) as db, closing(sqlite3.connect(copy, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")  # without it, each commit of the writer would make the copy begin anew
        page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
        db.execute("PRAGMA schema_version").fetchone()
        copied = 0

        def report(_: int, left: int, pages: int) -> None:
            nonlocal copied
            progress((pages - left - copied) * page_bytes)
            copied = pages - left

        db.backup(target, pages=_PAGES_PER_STEP, progress=report)


def check_database(path: Path, installation: str) -> None:
    """Checks whose database it is, and the pages of the file, which nobody else uses; of a service's also all rows.
    Raises DataRefused and JournalError."""
    try:
        with _alone(path) as db:
            found = [text for (text,) in db.execute("PRAGMA quick_check")]
            check_stamp(path, installation)
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise DataRefused(f"{path.name} is damaged ({found[0]}); use an older backup")
    check_file(path, "use an older backup")


def check_positions(data: DataDirectory) -> dict[str, int]:
    """Returns the position of each journal in a folder that nobody else uses. Raises DataRefused where somebody has
    seen more of a journal than there is: the files are not of one backup."""
    with opened_logs(data) as logs:
        if found := differences(data, logs):
            raise DataRefused(f"{found[0]}: they are not of one backup")
        return {log: journal.position for log, journal in logs.items()}


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a file that nobody else uses. As it may write, it removes the `-wal` and `-shm` files at the end, which a
    connection that only reads would leave."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA schema_version").fetchone()
        yield db
