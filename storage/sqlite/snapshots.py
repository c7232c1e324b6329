"""The snapshots in a journal's file. They only shorten recovery: they are used where each is what was saved and fits
the hash chain, and none is missing; else the events have it all.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from innkeeper.protocol.ports.journal import Snapshot, SnapshotsUnusable
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, GENESIS
from innkeeper.storage.sqlite.set_hash import digest, sum_bytes

_COLUMNS = "hotel, sequence, position, hash, checksum, state"


class SnapshotTable:
    """The table of snapshots of one journal. Each has the position and hash of the chain at which it was taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checksums: dict[str, int] | None = None  # of the rows in the table; None where it is not checked
        self._written: dict[str, int] = {}

    def read(self, db: sqlite3.Connection, hotel: str | None) -> Iterator[Snapshot]:
        """See `Journal.snapshots`."""
        query = f"SELECT {_COLUMNS} FROM snapshots"
        checksums: dict[str, int] = {}
        try:
            for row in db.execute(query) if hotel is None else db.execute(f"{query} WHERE hotel = ?", (hotel,)):
                name, sequence, position, chain_hash, checksum, state = row
                if digest((name, sequence, position, chain_hash, state)) != checksum:
                    raise self._unusable("one is not what was saved")
                self._check_place(db, position, chain_hash)
                checksums[name] = int.from_bytes(checksum, "big")
                yield Snapshot(name, sequence, state)
            saved = db.execute("SELECT snapshots, sum FROM snapshot_set").fetchone()
        except FILE_ERRORS as error:
            raise self._unusable(" ".join(str(error).split())) from error
        if hotel is None:
            if (len(checksums), sum_bytes(sum(checksums.values()))) != saved:
                raise self._unusable("they are not those that were saved")
            self._checksums = checksums

    def until(self, db: sqlite3.Connection) -> int:
        """See `Journal.snapshots_until`."""
        try:
            found = db.execute("SELECT position, hash FROM snapshot_set").fetchone()
        except FILE_ERRORS as error:
            raise self._unusable(" ".join(str(error).split())) from error
        if found is None or not isinstance(found[0], int):
            raise self._unusable("they are not those that were saved")
        self._check_place(db, *found)
        return int(found[0])

    def save(self, db: sqlite3.Connection, head: tuple[int, bytes], snapshots: Iterable[Snapshot], until: int) -> None:
        """Writes these in the open transaction, and removes all others where they were not found to be good."""
        if self._checksums is None:
            db.execute("DELETE FROM snapshots")
        self._written = dict(self._checksums or {})
        for snapshot in snapshots:
            checksum = digest((snapshot.hotel, snapshot.hotel_seq, *head, snapshot.state))
            db.execute(
                f"INSERT OR REPLACE INTO snapshots ({_COLUMNS}) VALUES (?,?,?,?,?,?)",
                (snapshot.hotel, snapshot.hotel_seq, *head, checksum, snapshot.state),
            )
            self._written[snapshot.hotel] = int.from_bytes(checksum, "big")
        found = db.execute("SELECT hash FROM events WHERE position = ?", (until,)).fetchone() or (GENESIS,)
        db.execute("DELETE FROM snapshot_set")
        db.execute(
            "INSERT INTO snapshot_set (position, hash, snapshots, sum) VALUES (?,?,?,?)",
            (until, found[0], len(self._written), sum_bytes(sum(self._written.values()))),
        )

    def saved(self) -> None:
        """The transaction of the last `save` is committed."""
        self._checksums = self._written

    def _check_place(self, db: sqlite3.Connection, position: int, chain_hash: bytes) -> None:
        """Checks that the chain has this hash at this position."""
        found = db.execute("SELECT hash FROM events WHERE position = ?", (position,)).fetchone()
        if chain_hash != ((found or (None,))[0] if position else GENESIS):
            raise self._unusable("one does not fit the events")

    def _unusable(self, what: str) -> SnapshotsUnusable:
        return SnapshotsUnusable(f"{self._path}: its snapshots are ignored, as the events have it all: {what}")
