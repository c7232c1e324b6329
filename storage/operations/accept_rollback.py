"""Accepts that journals have lost events, or have others than before, and makes everybody go on with them as they are.

Those who have seen more are set back to the last position that is known to be common. What they do with the events that
they get again, or in the place of others, is theirs: an event tells each hotel's subscribers that a timeline begins.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from innkeeper.protocol.ports.archive import NOTHING_ARCHIVED, ReadArchive
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.storage.data_directory import INBOX_ENDING, DataDirectory
from innkeeper.storage.operations.new_folder import WritingFailed
from innkeeper.storage.operations.timelines import begin_timeline, write_heads
from innkeeper.storage.sqlite.changes_file import accept_changes
from innkeeper.storage.sqlite.cursors import read_cursors, set_cursor_back
from innkeeper.storage.sqlite.event_rows import GENESIS
from innkeeper.storage.sqlite.histories import (
    Logs,
    Witness,
    differences,
    fork_of,
    head_faults,
    older_copies,
    opened_logs,
    witnesses,
)
from innkeeper.storage.sqlite.inbox import remove_from_inbox
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.journal_head import HeadFile, is_lost
from innkeeper.storage.sqlite.stamps import made_file, stamp


class NothingLost(OperatorError):
    """Every journal has all that anybody has seen of it."""


class AcceptedRollback(NamedTuple):
    """What was accepted: the new timeline, where the journals end now, what they do not have, who was set back, a
    message for each booking or folio without the other, and how many guests were forgotten again."""

    folder: str
    timeline: str
    positions: dict[str, int]
    missing: list[str]
    set_back: list[str]
    lost: list[str]
    guests_forgotten: int


def accept_rollback(read_archive: ReadArchive, clock: Callable[[], int], path: Path, archive: str) -> AcceptedRollback:
    """Begins a new timeline from the journals of the data directory at `path` as they are. What the archive at a URL,
    or by default in the directory, knows of what is lost is heeded: guests are forgotten again, and no number of a
    document is given twice. Where the disk is full or fails in the middle, the same command begins again. Raises
    OperatorError."""
    try:
        return _accept(read_archive, clock, path, archive)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise WritingFailed(f"{path} cannot be written: {reason}; give the same command again when it can") from error


def _accept(read_archive: ReadArchive, clock: Callable[[], int], path: Path, archive: str) -> AcceptedRollback:
    data = DataDirectory(path)
    has_archive = archive or data.archive.is_dir()
    archived = read_archive(archive or str(data.archive)) if has_archive else NOTHING_ARCHIVED
    if not data.is_made:
        raise NothingLost(f"{path} has no installation; give the data directory with --data")
    with data.lock():
        with opened_logs(data) as logs:
            found = [*witnesses(data, logs)]
            older = older_copies(data)
            faults = [*head_faults(data, logs), *older.values(), *differences(data, logs)]
            forks = {log: fork_of(log, found, logs[log].position if log in logs else 0) for log in data.logs()}
        if not faults:
            raise NothingLost(f"every journal in {path} has all that was seen of it; there is nothing to accept")
        lost = {each.log for each in found if not each.agrees} | _make_lost_journals(data)
        begun = begin_timeline(data, clock, "accept-rollback", forks, archived)
        done = _set_back(data, found, forks)
        if BILLING in lost:
            done += _follow_from_the_beginning(data)
        for database in older:
            accept_changes(database, made_file(database))
        write_heads(data)
    return AcceptedRollback(
        str(path), begun.timeline, begun.positions, faults, done, begun.lost, begun.guests_forgotten
    )


def _make_lost_journals(data: DataDirectory) -> set[str]:
    """Makes an empty journal in the place of each that is missing; returns the names of their logs."""
    lost = {log: path for log in data.logs() if is_lost(path := data.journal(log))}
    for path in lost.values():
        made_file(path).unlink(missing_ok=True)
        SqliteJournal(stamp(path, data.installation().id)).close()
    return {*lost}


def _set_back(data: DataDirectory, found: list[Witness], forks: Mapping[str, int]) -> list[str]:
    """Sets everybody back who has seen what the journals do not have; returns a message for each."""
    heads = {HeadFile(path).path for path in data.journals().values()}
    ahead = {(each.file, each.log, each.subscriber): each for each in found if not each.agrees}
    with opened_logs(data) as logs:
        return [
            f"{each.who}: {each.log} again after event {_set_one_back(data, logs, each, forks)}"
            for each in ahead.values()
            if each.file not in heads
        ]


def _set_one_back(data: DataDirectory, logs: Logs, each: Witness, forks: Mapping[str, int]) -> int:
    """Sets a file or cursor back to the fork, or makes read models begin anew; returns the position."""
    fork, log = forks[each.log], logs[each.log]
    if each.subscriber:

        def has(hotel: str, number: int) -> bool:
            last = log.read(0, 1, hotel, number - 1)
            return bool(last) and last[0][0] <= fork

        set_cursor_back(each.file, each.subscriber, each.log, fork, log.hash_at(fork) or GENESIS, has)
    elif each.file.name.endswith(INBOX_ENDING):
        remove_from_inbox(each.file, each.log, fork)
    elif each.file == data.views(each.log):
        for ending in ("", "-wal", "-shm"):
            each.file.with_name(f"{each.file.name}{ending}").unlink(missing_ok=True)
        return 0
    return fork


def _follow_from_the_beginning(data: DataDirectory) -> list[str]:
    """Makes billing follow the hotels from their first event where its own journal has lost events; it ignores those
    that its ledgers have applied. Returns a message for each log."""
    done = []
    path = data.service(BILLING)
    for subscriber, log, position, _ in read_cursors(path) if path.exists() else ():
        if subscriber == BILLING and position:
            set_cursor_back(path, subscriber, log, 0, GENESIS, lambda *_: False)
            done.append(f"{subscriber} ({path.name}) follows {log} from the beginning, as its own journal lost events")
    return done
