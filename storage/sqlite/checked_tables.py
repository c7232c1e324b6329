"""The tables of services, whose damage is noticed: nothing of them can be derived from a journal again.

Each row has a checksum, a generated column that SQLite computes whenever it writes the row. Triggers keep up, in the
same transaction, how many rows each table has and the sum of their checksums, which reveals a row that has vanished,
and how many changes it has had (see `changes_file`). So no statement that changes a row can forget any of it, and a
connection without the function cannot change one.
"""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import sqlite_utils
from innkeeper.protocol.values.limits import lock_seconds_max
from innkeeper.storage.sqlite.schema import Migration, apply_migrations, closed_on_failure
from innkeeper.storage.sqlite.set_hash import pack
from innkeeper.storage.sqlite.store_connection import StoreConnection, connect

NO_ROWID: Final = "STRICT, WITHOUT ROWID"

_CHECKSUM_MASK: Final = 2**62 - 1  # SQLite's integers have 64 bits with a sign: a sum of two of these is one
_STAMP = "installation"
_SETS = "row_sets"


class CheckedDatabase(sqlite_utils.Database):
    """A database of such tables, with a connection whose errors name the file."""

    conn: StoreConnection

    @contextmanager
    def atomic(self) -> Generator["CheckedDatabase"]:
        """Opens a transaction. Within one that is open, this is a part of it: where it raises, nothing of the whole is
        stored. The savepoint that it would otherwise be takes half of the time of what is written in it, as SQLite
        copies each page before."""
        if not self.conn.in_transaction:
            with super().atomic():
                yield self
            return
        try:
            yield self
        except BaseException:
            self.rollback()
            raise


def row_checksum(*row: object) -> int:
    """Returns the checksum of a row, over all of its columns."""
    return int.from_bytes(blake2b(pack(row), digest_size=8).digest(), "big") & _CHECKSUM_MASK


def create_table(
    db: sqlite_utils.Database, name: str, columns: Mapping[str, str], key: str = "", options: str = "STRICT"
) -> None:
    """Creates a table of these columns, each with its type and constraints; a part of a migration of `open_checked`.
    `key` is the primary key where it has several columns."""
    of_row, of_old_row = ", ".join(columns), ", ".join(f"old.{column}" for column in columns)
    described = [f"{column} {kind}" for column, kind in columns.items()]
    described.append(f"checksum INTEGER AS (row_checksum({of_row})) STORED")
    if key:
        described.append(f"PRIMARY KEY ({key})")
    of_table = f"changes = changes + 1 WHERE name = '{name}'"
    add = f"UPDATE {_SETS} SET rows = rows + 1, sum = (sum + new.checksum) & {_CHECKSUM_MASK}, {of_table}"
    remove = f"UPDATE {_SETS} SET rows = rows - 1, sum = (sum - old.checksum) & {_CHECKSUM_MASK}, {of_table}"
    refuse = (
        f"SELECT RAISE(ABORT, 'a row of {name} is not what was written')"
        f" WHERE old.checksum IS NOT row_checksum({of_old_row})"
    )
    for statement in (
        f"CREATE TABLE {name} ({', '.join(described)}) {options}",
        f"CREATE TRIGGER {name}_added AFTER INSERT ON {name} BEGIN {add}; END",
        f"CREATE TRIGGER {name}_removed AFTER DELETE ON {name} BEGIN {remove}; END",
        f"CREATE TRIGGER {name}_changed AFTER UPDATE ON {name} BEGIN {refuse}; {remove}; {add}; END",
    ):
        db.execute(statement)
    db.execute(f"INSERT INTO {_SETS} VALUES (?, 0, 0, 0)", (name,))


def _create_sets(db: sqlite_utils.Database) -> None:
    numbers = ", ".join(f"{name} INTEGER NOT NULL" for name in ("rows", "sum", "changes"))
    db.execute(f"CREATE TABLE {_SETS} (name TEXT PRIMARY KEY, {numbers}) STRICT")


def open_checked(path: Path, remedy: str, *migrations: Migration) -> CheckedDatabase:
    """Opens a file for its only writer, migrates it, and checks all of it. Usable in any thread, but in one at a time.
    Raises JournalDamaged, which says to use the remedy, and JournalError."""
    steps = (_create_sets, *migrations)
    db = connect_checked(path, remedy)
    with closed_on_failure(db):
        apply_migrations(path, db, steps)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        check_schema(db.conn, *steps)
        check_tables(db.conn)
    return db


def connect_checked(path: Path, remedy: str) -> CheckedDatabase:
    """Opens a file for its only writer, unchecked. Raises JournalError."""
    db = CheckedDatabase(connect(path, remedy, timeout=lock_seconds_max, isolation_level=None, check_same_thread=False))
    with closed_on_failure(db):
        _prepare(db.conn)
    return db


def _prepare(connection: sqlite3.Connection) -> None:
    connection.create_function("row_checksum", -1, row_checksum, deterministic=True)
    connection.execute("PRAGMA recursive_triggers = ON")  # without it, a row that is replaced would not be removed


def checked_rows(
    db: CheckedDatabase, query: str, values: Sequence[object] | Mapping[str, object] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yields the rows that a query finds, which selects all columns of one table; each without its checksum. Raises
    JournalDamaged where one is not what was written."""
    for row in db.conn.execute(query, values):
        if row_checksum(*row[:-1]) != row[-1]:
            raise db.conn.damaged("a row is not what was written")
        yield row[:-1]


def check_file(path: Path, remedy: str) -> None:
    """Checks all rows of a file, if it is the database of a service, or an inbox. Nobody else uses it. Raises
    JournalDamaged, which says to use the remedy."""
    with closing(connect(path, remedy)) as db:
        if db.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (_SETS,)).fetchone()[0]:
            check_tables(db)


def changes_of(db: sqlite3.Connection) -> int:
    """Returns how many rows were added, changed and removed in the database of a service since it was made."""
    return int(db.execute(f"SELECT sum(changes) FROM {_SETS}").fetchone()[0])


def check_tables(db: StoreConnection) -> None:
    """Checks all pages, indexes and rows of a file. Raises JournalDamaged."""
    ((found,),) = db.execute("PRAGMA integrity_check(1)")
    if found != "ok":
        raise db.damaged(" ".join(found.split()))
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    names = {name for (name,) in db.execute(tables)} - {_STAMP, _SETS}
    sets = {name: (rows, total) for name, rows, total in db.execute(f"SELECT name, rows, sum FROM {_SETS}")}
    if names != sets.keys():
        raise db.damaged("its tables are not those that were made")
    for name in sorted(names):
        rows = total = 0
        for row in db.execute(f"SELECT * FROM {name}"):
            if row_checksum(*row[:-1]) != row[-1]:
                raise db.damaged(f"a row of {name} is not what was written")
            rows += 1
            total += row[-1]
        if (rows, total & _CHECKSUM_MASK) != sets[name]:
            raise db.damaged(f"the rows of {name} are not those that were written")


def check_schema(db: StoreConnection, *migrations: Migration) -> None:
    """Checks that the tables, indexes and triggers are as these migrations make them. Raises JournalDamaged."""
    with closing(sqlite_utils.Database(memory=True)) as fresh:
        _prepare(fresh.conn)
        for migrate_step in migrations:
            migrate_step(fresh)
        if _schema(db) != _schema(fresh.conn):
            raise db.damaged("its schema is not the one that was made")


def _schema(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """The schema without the stamp, which the file has from the beginning."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name <> ?"
    return set(db.execute(query, (_STAMP,)).fetchall())
