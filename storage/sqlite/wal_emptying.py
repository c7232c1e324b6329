"""Empties write-ahead logs: they have old pages, with what was erased in the file. A process that has read the file
since before then, such as a backup, keeps these pages there; so it is tried again until that process has ended."""

import logging
import sqlite3
from pathlib import Path

from innkeeper.protocol.values.repeated_messages import RepeatedMessages
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, unreadable

logger = logging.getLogger(__name__)

NOWHERE, ANYWHERE, IN_WAL = range(3)
"""Where something is left of what was erased: nowhere, anywhere in the file, or in its write-ahead log alone."""


class WalEmptying:
    """Empties the write-ahead log of one file, and logs why it cannot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_blocked = False
        self._logged = RepeatedMessages()

    def empty(self, db: sqlite3.Connection) -> bool:
        """Copies all of the log into the file, on the connection that writes to it, and cuts the log off. Returns
        whether that was possible. Raises JournalError."""
        try:
            is_blocked = bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        except FILE_ERRORS as error:
            raise unreadable(self._path, error) from error
        # Not the first time: a reader of this program ends in a moment.
        if is_blocked and self.is_blocked and self._logged.is_due(self._path):
            logger.warning("%s may have details of forgotten guests until its readers have ended", self._path)
        self.is_blocked = is_blocked
        return not is_blocked

    def is_in_vain(self, db: sqlite3.Connection) -> bool:
        """Whether a reader is still in the way. A file that is rewritten meanwhile is in the log as a whole, each time
        anew: so wait for its end first. Raises JournalError."""
        return self.is_blocked and not self.empty(db)
