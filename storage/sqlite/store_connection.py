"""Connections to SQLite files whose errors name the file: each error of SQLite becomes a `JournalError`."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, damaged, unreadable

F = TypeVar("F", bound=Callable[..., Any])


def _with_clear_errors(method: F) -> F:
    def call(cursor: "StoreCursor", *arguments: Any) -> Any:
        try:
            return method(cursor, *arguments)
        except FILE_ERRORS as error:
            raise unreadable(cursor.connection.path, error, cursor.connection.remedy) from error

    return cast(F, call)


class StoreConnection(sqlite3.Connection):
    """A connection to the file at `path`; `remedy` says what to do where the file is damaged."""

    path: Path
    remedy: str

    def damaged(self, what: str) -> JournalDamaged:
        """Returns the error that the file is damaged."""
        return damaged(self.path, what, self.remedy)

    def cursor(self, *_: Any) -> "StoreCursor":  # type: ignore[override]
        """See `sqlite3.Connection`."""
        return super().cursor(StoreCursor)

    def execute(self, *arguments: Any) -> "StoreCursor":
        """See `sqlite3.Connection`."""
        return super().cursor(StoreCursor).execute(*arguments)

    def executemany(self, *arguments: Any) -> "StoreCursor":
        """See `sqlite3.Connection`."""
        return super().cursor(StoreCursor).executemany(*arguments)


class StoreCursor(sqlite3.Cursor):
    """A cursor of such a connection."""

    connection: StoreConnection

    execute = _with_clear_errors(sqlite3.Cursor.execute)
    executemany = _with_clear_errors(sqlite3.Cursor.executemany)
    fetchone = _with_clear_errors(sqlite3.Cursor.fetchone)
    fetchall = _with_clear_errors(sqlite3.Cursor.fetchall)
    __next__ = _with_clear_errors(sqlite3.Cursor.__next__)


def connect(path: Path, remedy: str, **settings: Any) -> StoreConnection:
    """Opens such a connection."""
    connection: StoreConnection = sqlite3.connect(path, factory=StoreConnection, **settings)
    connection.path, connection.remedy = path, remedy
    return connection
