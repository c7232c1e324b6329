"""The timelines of a journal: from which event on each of them is, except the first, which has no name in event ids."""

import sqlite3
from bisect import bisect
from pathlib import Path
from typing import Final

from innkeeper.storage.sqlite.event_rows import damaged, rows_of
from innkeeper.storage.sqlite.set_hash import digest

_SHORT_ID_CHARACTERS: Final = 8


class Timelines:
    """The timelines of a journal, read once: none begins while the journal is open."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Reads them from the journal's file. Raises JournalDamaged."""
        self._firsts: list[int] = []
        self._names = [""]
        query = "SELECT position, timeline, checksum FROM timelines ORDER BY position"
        for *timeline, checksum in rows_of(path, db, query):
            if digest(timeline) != checksum:
                raise damaged(path, "the beginning of a timeline is not what was written")
            self._firsts.append(timeline[0])
            self._names.append(timeline[1])
        self.newest = self._names[-1]

    def at(self, position: int) -> str:
        """Returns the short id of the timeline of the event at this position; empty on the first one."""
        return self._names[bisect(self._firsts, position)] if self.newest else ""


def short_id(timeline: str) -> str:
    """Returns the beginning of a timeline's id, which event ids contain."""
    return timeline[:_SHORT_ID_CHARACTERS]


def begin_timeline(db: sqlite3.Connection, first: int, timeline: str) -> None:
    """Writes that the events from this position on are on this timeline."""
    row = (first, short_id(timeline))
    db.execute("INSERT OR REPLACE INTO timelines VALUES (?,?,?)", (*row, digest(row)))
