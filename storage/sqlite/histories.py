"""Compares what the files of a data directory have seen of each journal with what the journals are.

A journal that was rolled back or replaced looks complete by itself. Its head, and those who have followed it, say that
it had more, or other events.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from innkeeper.protocol.ports.journal import JournalRolledBack, what_is_missing
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values.contexts import RESERVATIONS, context_of
from innkeeper.storage.data_directory import INBOX_ENDING, DataDirectory
from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.sqlite.changes_file import missing_changes, read_changes
from innkeeper.storage.sqlite.cursors import read_cursors
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.event_rows import FILE_ERRORS, unreadable
from innkeeper.storage.sqlite.inbox import read_inbox
from innkeeper.storage.sqlite.journal_head import HeadFile, is_lost
from innkeeper.storage.sqlite.read_models import read_follower
from innkeeper.storage.sqlite.stamps import made_file

_NOT_READ = (*FILE_ERRORS, TypeError, ValueError)
"""What is raised where a file cannot be read, or has other values than were written."""

Logs = Mapping[str, EventLog]
"""The journals that there are, by the names of their logs."""


class Witness(NamedTuple):
    """Something in a file that has seen a position of a log: whether it `agrees` with the journal there. `subscriber`
    is set where it is a cursor."""

    file: Path
    log: str
    position: int
    agrees: bool
    subscriber: str = ""

    @property
    def who(self) -> str:
        """The cursor or file."""
        return f"{self.subscriber} ({self.file.name})" if self.subscriber else self.file.name

    def message(self, logs: Logs) -> str:
        """Describes what it has seen and the journal does not have."""
        end = logs[self.log].position if self.log in logs else 0
        return what_is_missing(self.log, self.position, end, self.who)


@contextmanager
def opened_logs(data: DataDirectory) -> Iterator[Logs]:
    """Opens all journals to read. Nobody else uses the directory."""
    with ExitStack() as opened:
        logs = {}
        for log, path in data.journals().items():
            db = opened.enter_context(closing(sqlite3.connect(path)))  # one that may write opens the write-ahead log
            try:
                db.execute("PRAGMA schema_version").fetchone()
            except FILE_ERRORS as error:
                raise unreadable(path, error) from error
            logs[log] = opened.enter_context(closing(SqliteEventLog(path)))
        yield logs


def witnesses(data: DataDirectory, logs: Logs) -> Iterator[Witness]:
    """Yields what the files of a directory have seen, of each file and cursor the newest position first. Nobody else
    uses the directory."""
    for log in data.logs():
        head = HeadFile(data.journal(log))
        for position, mark in _marks(head):
            yield Witness(head.path, log, position, _has(logs, log, position, mark))
    services = _services(data)
    views = {data.views(log): log for log in data.logs() if context_of(log) == RESERVATIONS}
    for path in data.databases():
        try:
            if path in views:
                yield Witness(path, views[path], *_agreeing(logs, views[path], *read_follower(path)))
            elif path.name.endswith(INBOX_ENDING):
                for log in data.logs():
                    yield from _inbox(path, log, logs)
            elif path in services:
                for subscriber, log, position, chain_hash in read_cursors(path):
                    yield Witness(path, log, *_agreeing(logs, log, position, chain_hash), subscriber)
        except _NOT_READ as error:
            raise DataRefused(f"{path} is not complete ({error}); restore it from a backup") from error


def head_faults(data: DataDirectory, logs: Logs) -> Iterator[str]:
    """Yields a message for each journal that is missing although it was made, or whose head is missing or damaged."""
    for log in data.logs():
        head = HeadFile(path := data.journal(log))
        if is_lost(path):
            yield f"{path.name} is missing, but was there before"
        try:
            if head.read() is None and log in logs and logs[log].position:
                yield f"{head.path.name} is missing"
        except JournalRolledBack:
            yield f"{head.path.name} is damaged"


def differences(data: DataDirectory, logs: Logs) -> list[str]:
    """Returns a message for each file and cursor that has seen what its journal does not have."""
    messages: dict[tuple[Path, str, str], str] = {}
    for each in witnesses(data, logs):
        if not each.agrees:
            messages.setdefault((each.file, each.log, each.subscriber), each.message(logs))
    return [*messages.values()]


def older_copies(data: DataDirectory) -> dict[Path, str]:
    """Returns a message for the database of each service that is an older copy of itself, or has lost changes."""
    found = {}
    for path in _services(data):
        try:
            found[path] = missing_changes(path, read_changes(path), made_file(path))
        except _NOT_READ as error:
            raise DataRefused(f"{path} is not complete ({error}); restore it from a backup") from error
    return {path: fault for path, fault in found.items() if fault}


def _services(data: DataDirectory) -> list[Path]:
    others = {data.journal(log) for log in data.logs()} | {
        data.views(log) for log in data.logs() if context_of(log) == RESERVATIONS
    }
    return [path for path in data.databases() if path not in others and not path.name.endswith(INBOX_ENDING)]


def fork_of(log: str, found: list[Witness], end: int) -> int:
    """Returns the last position of a journal, which ends at `end`, that is known to be as those who have followed it
    have seen it. A journal that nobody contradicts is the beginning of what they have seen."""
    seen = [each for each in found if each.log == log and each.position <= end]
    other = min((each.position for each in seen if not each.agrees), default=end + 1)
    if other > end:
        return end
    return max((each.position for each in seen if each.agrees and each.position < other), default=0)


def _marks(head: HeadFile) -> tuple[tuple[int, bytes], ...]:
    """What a head says, as far as it can be read."""
    with suppress(JournalRolledBack):
        if (known := head.read()) is not None:
            return known.marks
    return ()


def _inbox(path: Path, log: str, logs: Logs) -> Iterator[Witness]:
    """What an inbox has of a log, down to the first event that the journal has too."""
    for entry in read_inbox(path, log):
        agrees = log in logs and logs[log].read(entry[0] - 1, 1) == [entry]
        yield Witness(path, log, entry[0], agrees)
        if agrees:
            break


def _agreeing(logs: Logs, log: str, position: int, chain_hash: bytes | None) -> tuple[int, bool]:
    return position, position == 0 or _has(logs, log, position, chain_hash)


def _has(logs: Logs, log: str, position: int, chain_hash: bytes | None) -> bool:
    """Whether a journal has this position, and this hash there where it is known."""
    if log not in logs:
        return position == 0
    found = logs[log].hash_at(position)
    return bool(found) and chain_hash in (None, found)
