"""A database in memory: tables that are dictionaries, and transactions that undo what was written in them."""

from collections import UserDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ABSENT: Any = object()


class MemoryDatabase:
    """The tables of one store, by name. They outlive the store that has opened them. For one thread at a time."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._written: list[tuple[Table, Any, Any]] = []
        self._depth = 0

    def table(self, name: str) -> "Table":
        """Returns the table of this name, which is empty at first."""
        return self._tables.setdefault(name, Table(self))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Opens a transaction, or one within another: where its body raises, nothing was written in it."""
        start = len(self._written)
        self._depth += 1
        try:
            yield
        except BaseException:
            for table, key, was in reversed(self._written[start:]):
                table.restore(key, was)
            del self._written[start:]
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._written.clear()

    def write(self, table: "Table", key: Any, was: Any) -> None:
        """Records what stood at this key before it was written, for as long as a transaction is open."""
        if self._depth:
            self._written.append((table, key, was))


class Table(UserDict[Any, Any]):
    """A dictionary that takes part in the transactions of its database. Its values are not changed in place."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__()
        self._database = database

    def __setitem__(self, key: Any, value: Any) -> None:
        self._database.write(self, key, self.data.get(key, _ABSENT))
        self.data[key] = value

    def __delitem__(self, key: Any) -> None:
        self._database.write(self, key, self.data[key])
        del self.data[key]

    def restore(self, key: Any, was: Any) -> None:
        """Undoes what was written at this key."""
        if was is _ABSENT:
            self.data.pop(key, None)
        else:
            self.data[key] = was
