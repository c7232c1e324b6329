"""The snapshots in a journal's file. They only shorten recovery: they are used where each is what was saved and fits
the hash chain, and none is missing; else the events have it all.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from innkeeper.protocol.ports.journal import Snapshot, SnapshotSet, SnapshotsUnusable
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, GENESIS
from innkeeper.storage.sqlite.set_hash import digest, sum_bytes

_PLACE = "hotel, sequence, position, hash, state_hash, checksum"


class SnapshotTable:
    """The table of snapshots of one journal. Each has the position and hash of the chain at which it was taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checksums: dict[str, int] | None = None  # of the rows in the table; None where it is not checked
        self._written: dict[str, int] = {}

    def describe(self, db: sqlite3.Connection) -> SnapshotSet:
        """See `Journal.snapshot_set`. States are not read, which may be large: each is checked when it is."""
        hotels: dict[str, int] = {}
        checksums: dict[str, int] = {}
        try:
            for place in db.execute(f"SELECT {_PLACE} FROM snapshots"):
                self._check(db, place)
                hotels[place[0]] = place[1]
                checksums[place[0]] = int.from_bytes(place[5], "big")
            found = db.execute("SELECT position, hash, snapshots, sum FROM snapshot_set").fetchone()
        except FILE_ERRORS as error:
            raise self._unusable(" ".join(str(error).split())) from error
        if found is None or not isinstance(found[0], int) or found[2:] != _summary(checksums):
            raise self._unusable("they are not those that were saved")
        self._check_place(db, *found[:2])
        self._checksums = checksums
        return SnapshotSet(hotels, found[0])

    def read(self, db: sqlite3.Connection, hotel: str | None) -> Iterator[Snapshot]:
        """See `Journal.snapshots`."""
        if hotel is None:
            self.describe(db)
        where, values = ("", ()) if hotel is None else (" WHERE hotel = ?", (hotel,))
        try:
            for *place, state in db.execute(f"SELECT {_PLACE}, state FROM snapshots{where}", values):
                self._check(db, place)
                if digest((state,)) != place[4]:
                    raise SnapshotsUnusable(
                        f"{self._path}: its snapshot of {place[0]} is ignored, as the events have it all: it is not"
                        " what was saved"
                    )
                yield Snapshot(place[0], place[1], state)
        except FILE_ERRORS as error:
            raise self._unusable(" ".join(str(error).split())) from error

    def save(self, db: sqlite3.Connection, head: tuple[int, bytes], snapshots: Iterable[Snapshot], until: int) -> None:
        """Writes these in the open transaction, and removes all others where they were not found to be good."""
        if self._checksums is None:
            db.execute("DELETE FROM snapshots")
        self._written = dict(self._checksums or {})
        for snapshot in snapshots:
            place = (snapshot.hotel, snapshot.hotel_seq, *head, digest((snapshot.state,)))
            checksum = digest(place)
            db.execute(
                f"INSERT OR REPLACE INTO snapshots ({_PLACE}, state) VALUES (?,?,?,?,?,?,?)",
                (*place, checksum, snapshot.state),
            )
            self._written[snapshot.hotel] = int.from_bytes(checksum, "big")
        found = db.execute("SELECT hash FROM events WHERE position = ?", (until,)).fetchone() or (GENESIS,)
        db.execute("DELETE FROM snapshot_set")
        db.execute(
            "INSERT INTO snapshot_set (position, hash, snapshots, sum) VALUES (?,?,?,?)",
            (until, found[0], *_summary(self._written)),
        )

    def saved(self) -> None:
        """The transaction of the last `save` is committed."""
        self._checksums = self._written

    def _check(self, db: sqlite3.Connection, place: Sequence[Any]) -> None:
        """Checks that a row is what was saved, but for its state, and that it fits the chain."""
        if digest(place[:5]) != place[5]:
            raise self._unusable("one is not what was saved")
        self._check_place(db, *place[2:4])

    def _check_place(self, db: sqlite3.Connection, position: int, chain_hash: bytes) -> None:
        """Checks that the chain has this hash at this position."""
        found = db.execute("SELECT hash FROM events WHERE position = ?", (position,)).fetchone()
        if chain_hash != ((found or (None,))[0] if position else GENESIS):
            raise self._unusable("one does not fit the events")

    def _unusable(self, what: str) -> SnapshotsUnusable:
        return SnapshotsUnusable(f"{self._path}: its snapshots are ignored, as the events have it all: {what}")


def _summary(checksums: Mapping[str, int]) -> tuple[int, bytes]:
    """The number and the sum of the checksums of all snapshots."""
    return len(checksums), sum_bytes(sum(checksums.values()))
