"""The rows of subscribers' cursors, in the database of their service in memory."""

from contextlib import AbstractContextManager

from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.stored_cursor import ParkedHotel


class MemoryCursorRows:
    """Implements `storage.stored_cursor.CursorRows` in memory."""

    def __init__(self, database: MemoryDatabase, subscriber: str, log: str) -> None:
        self._database = database
        self._cursors = database.table("cursors")
        self._parked = database.table("parked")
        self._key = (subscriber, log)

    def transaction(self) -> AbstractContextManager[object]:
        """See `CursorRows`."""
        return self._database.transaction()

    def open(self, position: int) -> tuple[int, bytes | None, bool]:
        """See `CursorRows`."""
        position, log_hash, paused = self._cursors.setdefault(self._key, (position, None, False))
        return position, log_hash, paused

    def save_position(self, position: int, log_hash: bytes | None) -> None:
        """See `CursorRows`."""
        self._cursors[self._key] = (position, log_hash, self._cursors[self._key][2])

    def save_paused(self, paused: bool) -> None:
        """See `CursorRows`."""
        self._cursors[self._key] = (*self._cursors[self._key][:2], paused)

    def parked(self) -> list[ParkedHotel]:
        """See `CursorRows`."""
        return [hotel for (*key, _), hotel in self._parked.items() if tuple(key) == self._key]

    def park(self, hotel: ParkedHotel) -> None:
        """See `CursorRows`."""
        self._parked[*self._key, hotel.hotel] = hotel

    def unpark(self, hotel: str | None = None) -> None:
        """See `CursorRows`."""
        for parked in self.parked() if hotel is None else ():
            del self._parked[*self._key, parked.hotel]
        if hotel is not None:
            self._parked.pop((*self._key, hotel), None)

    def delete(self) -> None:
        """See `CursorRows`."""
        with self.transaction():
            self._cursors.pop(self._key, None)
            self.unpark()
