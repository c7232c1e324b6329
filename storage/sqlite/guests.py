"""The details of guests in a journal's file, which can be erased there without a trace.

A row is only ever added at the end, and overwritten with zeros in its place: rows that move leave copies in the free
space of pages. Its hash is the one in the events, so that details are read only as they were given. The sum of all
hashes reveals a row that has vanished; erasing changes no hash.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from innkeeper.protocol.values.guests import SALT_BYTES, Guest, GuestDetails, GuestKey, StoredGuest, new_guest
from innkeeper.storage.sqlite.event_rows import damaged, rows_of
from innkeeper.storage.sqlite.set_hash import SET_MODULUS

CREATE_GUESTS = """
CREATE TABLE guests (
    number INTEGER PRIMARY KEY, guest TEXT NOT NULL, version INTEGER NOT NULL, hotel TEXT NOT NULL, salt BLOB NOT NULL,
    details BLOB NOT NULL, hash BLOB NOT NULL, UNIQUE (guest, version)
) STRICT
"""
_COLUMNS = "guest, version, hotel, salt, details, hash"
INSERT_GUEST: Final = f"INSERT INTO guests ({_COLUMNS}) VALUES (?,?,?,?,?,?)"
_OF_KEYS = (
    f"SELECT {_COLUMNS} FROM json_each(?) AS wanted JOIN guests"
    " ON guest = json_extract(wanted.value, '$[0]') AND version = json_extract(wanted.value, '$[1]')"
)
_ALL = f"SELECT {_COLUMNS} FROM guests WHERE guest IN (SELECT value FROM json_each(?))"
_NEWEST = f"SELECT {_COLUMNS}, max(version) FROM guests WHERE guest IN (SELECT value FROM json_each(?)) GROUP BY guest"
_KEYS_PER_QUERY = 10_000
_ERASED = bytes(SALT_BYTES)

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(GuestDetails).decode


def erase_guests(db: sqlite3.Connection, guests: Collection[str]) -> None:
    """Erases all details of these guests in the open transaction."""
    found = db.execute(
        "SELECT number, length(details) FROM guests WHERE guest IN (SELECT value FROM json_each(?))",
        (json.dumps([*guests]),),
    ).fetchall()
    db.executemany(
        "UPDATE guests SET salt = ?, details = ? WHERE number = ?",
        [(_ERASED, bytes(length), number) for number, length in found],
    )


def find_guests(path: Path, db: sqlite3.Connection, keys: Sequence[GuestKey]) -> dict[GuestKey, GuestDetails]:
    """Returns these versions of details, without those that are erased. Raises JournalDamaged."""
    found: dict[GuestKey, GuestDetails] = {}
    missing = dict.fromkeys(keys)
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        wanted = json.dumps(keys[start : start + _KEYS_PER_QUERY])
        for row in rows_of(path, db, _OF_KEYS, (wanted,)):
            guest = _stored(path, row).guest
            missing.pop(guest.key, None)
            if guest.details is not None:
                found[guest.key] = guest.details
    for guest_id, version in missing:
        raise damaged(path, f"version {version} of guest {guest_id} is missing")
    return found


def newest_guests(path: Path, db: sqlite3.Connection, ids: Collection[str]) -> dict[str, StoredGuest]:
    """Returns the newest version of each of these guests that is known, by id. Raises JournalDamaged."""
    stored = (_stored(path, row[:6]) for row in rows_of(path, db, _NEWEST, (json.dumps([*ids]),)))
    return {one.guest.id: one for one in stored}


def guests_with_details(path: Path, db: sqlite3.Connection, ids: Collection[str]) -> set[str]:
    """Returns those of these guests of whom there are details in any version. Raises JournalDamaged."""
    stored = (_stored(path, row) for row in rows_of(path, db, _ALL, (json.dumps([*ids]),)))
    return {one.guest.id for one in stored if one.guest.details is not None}


class GuestCheck:
    """The check of all rows that were there at the start, in steps: each is what was written, and none is missing."""

    def __init__(self, path: Path, count: int, total: int) -> None:
        self._path = path
        self._count = count
        self._expected = total
        self._number = self._sum = 0

    def step(self, db: sqlite3.Connection, limit: int) -> bool:
        """Checks the next rows; returns whether there are more. Raises JournalDamaged."""
        query = f"SELECT {_COLUMNS}, number FROM guests WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
        for row in rows_of(self._path, db, query, (self._number, self._count, limit)):
            self._number += 1
            if row[6] != self._number:
                break
            self._sum += int.from_bytes(_stored(self._path, row[:6]).guest.hash, "big")
            limit -= 1
        if self._number < self._count and limit == 0:
            return True
        if (self._number, self._sum % SET_MODULUS) != (self._count, self._expected):
            raise damaged(self._path, "its guests are not those that were written")
        return False


def _stored(path: Path, row: Sequence[Any]) -> StoredGuest:
    guest_id, version, hotel, salt, packed, hash_ = row
    if salt == _ERASED and not any(packed):
        return StoredGuest(hotel, Guest(guest_id, version, hash_), salt)
    try:
        guest = new_guest(hotel, guest_id, version, _unpack(packed), salt)
        is_genuine = guest.hash == hash_
    except (msgspec.DecodeError, TypeError, ValueError, RecursionError):
        is_genuine = False
    if not is_genuine:
        raise damaged(path, f"version {version} of guest {guest_id} is not what was written")
    return StoredGuest(hotel, guest, salt)
