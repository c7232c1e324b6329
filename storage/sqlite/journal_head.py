"""The head of a journal in a small file beside it: how far the journal has come.

A journal cannot say itself that its newest events are lost, or that it is an older copy. Its head outside says so at
the next start. It may be behind the journal, by about a second after a crash, and is never ahead of it.
"""

import logging
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
from innkeeper.protocol.ports.journal import JournalRolledBack, JournalUnavailable, rolled_back
from innkeeper.storage.new_files import replace_file, sync_folder
from innkeeper.storage.sqlite.stamps import made_file

logger = logging.getLogger(__name__)

ACCEPT: Final = "go on with the journal as it is with `innkeeper accept-rollback`"
_ENDING: Final = ".head"
_SECONDS = 1.0  # between two writings, while there are commits

HashesAt = Callable[[list[int]], list[tuple[int, bytes]]]
"""Returns the hashes of the journal's chain at those of these positions that it has, newest first, each with its
position."""


class JournalHead(msgspec.Struct, frozen=True):
    """How far a journal has come: the epoch of its writer, and the chain's hashes at its last position and at some
    earlier ones, newest first. The earlier ones show where another journal has parted from this one."""

    epoch: int
    marks: tuple[tuple[int, bytes], ...]


class _Content(msgspec.Struct, frozen=True):
    head: JournalHead
    checksum: str


class HeadFile:
    """The file of a journal's head."""

    def __init__(self, journal: Path, accepts: bool = False) -> None:
        """`journal` is the file of the journal. It is accepted as it is, whatever the head says, where `accepts`."""
        self.path = journal.with_suffix(_ENDING)
        self._journal = journal
        self._accepts = accepts
        self.due_at = 0.0  # when to note it again, while there are commits; of the monotonic clock
        self._noted = -1

    def read(self) -> JournalHead | None:
        """Returns the head; None where there is no file. Raises JournalRolledBack where it cannot be read."""
        try:
            content = msgspec.json.decode(self.path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, OSError) as error:
            raise self._unreadable(str(error)) from error
        if content.checksum != _checksum(content.head):
            raise self._unreadable("its checksum is wrong")
        return content.head

    def write(self, head: JournalHead) -> None:
        """Replaces the file by one with this head, as a whole. That the first one is there is on disk at the end: a
        journal with events is refused without. Raises OSError."""
        is_first = not self.path.exists()
        replace_file(self.path, msgspec.json.encode(_Content(head, _checksum(head))) + b"\n")
        if is_first:
            sync_folder(self.path.parent)

    def check(self, epoch: int, end: int, hashes_at: HashesAt) -> None:
        """Checks that the journal, which ends at this position and was opened so often, has all that its head has seen.
        Raises JournalRolledBack."""
        if self._accepts:
            return
        head = self.read()
        if head is None:
            if end == 0:  # it is new
                return
            raise JournalRolledBack(
                f"{self.path} is missing, which says how far {self._journal.name} has come; restore both from the same"
                f" backup, or {ACCEPT}"
            )
        position = head.marks[0][0]
        if hashes_at([position]) != [head.marks[0]]:
            raise rolled_back(self._journal, position, end, self.path.name)
        if epoch < head.epoch:
            raise JournalRolledBack(
                f"{self._journal} is an older copy: it was opened {epoch} times, and {self.path.name} is of opening"
                f" {head.epoch}; restore the newer journal, or {ACCEPT}"
            )

    def note(self, epoch: int, end: int, hashes_at: HashesAt) -> None:
        """Writes down how far the journal has come, where that is not done yet. A disk that fails is only reported."""
        if self._noted == end:
            return
        self.due_at, self._noted = monotonic() + _SECONDS, end
        try:
            self.write(JournalHead(epoch, tuple(hashes_at(marked_positions(end)))))
        except (OSError, JournalUnavailable) as error:  # the events are on disk all the same
            logger.warning("%s cannot be written (%s), and stays behind the journal", self.path, error)

    def _unreadable(self, reason: str) -> JournalRolledBack:
        return JournalRolledBack(
            f"{self.path} is damaged ({reason}); restore it and {self._journal.name} from the same backup, or {ACCEPT}"
        )


def is_lost(journal: Path) -> bool:
    """Returns whether the file of a journal is missing that was there before."""
    return not journal.exists() and (HeadFile(journal).path.exists() or made_file(journal).exists())


def marked_positions(position: int) -> list[int]:
    """Returns the positions whose hashes a head at this position has: the distance between two doubles, to the
    beginning."""
    positions, distance = [position], 1
    while distance < position:
        positions.append(position - distance)
        distance *= 2
    return [*positions, 0] if position else positions


def _checksum(head: JournalHead) -> str:
    return blake2b(msgspec.json.encode(head), digest_size=8).hexdigest()
