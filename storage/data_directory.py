"""The data directory: the paths of its files, and the locks of the processes that use it."""

import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import Final, NamedTuple, TextIO

from innkeeper.protocol.values.contexts import (
    BILLING,
    DELIVERY,
    RESERVATIONS,
    context_of,
    partition_number,
    rank_of,
    reservations_logs,
)
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.operator_error import EXIT_FAILED, EXIT_IN_USE, OperatorError
from innkeeper.storage.installation_file import find_installation, make_installation
from innkeeper.storage.new_files import sync_folder

logger = logging.getLogger(__name__)

INBOX_ENDING: Final = "-inbox.db"
_PRIVATE = 0o700
_OF_OTHERS = 0o077
_LOCK_RETRY_SECONDS = 0.02
_SOCKET_PATH_BYTES_MAX = 100


class DataUnusable(OperatorError):
    """The data directory cannot be used."""


class DataInUse(DataUnusable):
    """Another process has locked the data directory."""

    exit_code = EXIT_IN_USE


class DataUnwritable(DataUnusable):
    """The data directory cannot be written: its disk is full, or fails."""

    exit_code = EXIT_FAILED


class DataDirectory(NamedTuple):
    """The files of one installation."""

    path: Path

    @contextmanager
    def lock(self, *parts: str, patience_seconds: float = 0) -> Iterator[None]:
        """Locks the whole directory, or only these parts of it. Waits at most `patience_seconds` for the process that
        holds the lock. Raises DataUnusable."""
        with ExitStack() as locks:
            self._create()
            until = monotonic() + patience_seconds
            self._lock("lock", fcntl.LOCK_SH if parts else fcntl.LOCK_EX, locks, until)
            for part in sorted(parts):
                file = self._lock(f"{part}.lock", fcntl.LOCK_EX, locks, until)
                with suppress(OSError):  # it is for people
                    file.truncate(0)
                    os.write(file.fileno(), f"{os.getpid()}\n".encode())
            yield

    @contextmanager
    def lock_shared(self) -> Iterator[None]:
        """Locks no part, but prevents a lock of the whole directory meanwhile. Raises DataUnusable."""
        with ExitStack() as locks:
            self._create()
            self._lock("lock", fcntl.LOCK_SH, locks, monotonic())
            yield

    def _create(self) -> None:
        try:
            made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            self._narrow()
        except OSError as error:
            raise DataUnusable(f"{self.path} cannot be used: {error.strerror}; choose another with --data") from None
        try:
            for folder in made:
                sync_folder(folder.parent)
        except OSError as error:
            raise DataUnwritable(f"{self.path} cannot be written: {error.strerror}") from None

    def _narrow(self) -> None:
        """Takes the permissions of other users from a directory that existed. A directory with the sticky bit, such as
        /tmp, is shared on purpose and stays as it is: it is refused."""
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & stat.S_ISVTX:
            raise DataUnusable(f"{self.path} is shared by all users; choose another with --data")
        if mode & _OF_OTHERS:
            try:
                self.path.chmod(_PRIVATE)
            except OSError as error:
                raise DataUnusable(
                    f"{self.path} is open to other users ({mode:03o}) and cannot be closed to them: {error.strerror};"
                    " choose another with --data"
                ) from None
            logger.warning("%s was open to other users (%03o); it is its owner's alone now", self.path, mode)

    def _lock(self, name: str, kind: int, locks: ExitStack, until: float) -> TextIO:
        try:
            file = locks.enter_context((self.path / name).open("a"))
        except OSError as error:
            raise DataUnusable(f"{self.path} cannot be used: {error.strerror}; choose another with --data") from None
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                if monotonic() >= until:
                    break
                sleep(_LOCK_RETRY_SECONDS)
        reason = f"{self.path} is in use by another Innkeeper; stop it, or choose another with --data"
        raise DataInUse(reason)

    @property
    def is_made(self) -> bool:
        """Whether it is the data directory of an installation. Changes nothing. Raises DataRefused."""
        return find_installation(self.path) is not None

    def installation(self, name: str | None = None, partitions: int | None = None) -> Installation:
        """Returns the installation whose data directory it is. A new directory is made, with this name and number of
        partitions. Raises DataRefused, and DataUnusable where another name or number is set."""
        found = find_installation(self.path)
        if found is None:
            self._create()
            try:
                found = make_installation(self.path, name, partitions)
            except OSError as error:
                raise DataUnwritable(f"{self.path} cannot be written: {error.strerror}") from None
        if name not in (None, found.name):
            raise DataUnusable(
                f"{self.path} belongs to the installation {found.name!r}, not to {name!r}; choose another with --data"
            )
        if partitions not in (None, found.partitions):
            raise DataUnusable(
                f"{self.path} was made with --partitions {found.partitions}, which cannot be changed to {partitions}"
            )
        return found

    def journal(self, log: str) -> Path:
        """Returns the path of the journal of this log."""
        if context_of(log) == RESERVATIONS:
            return self._partition_journal(partition_number(log))
        return self.path / f"{log}-0.db"

    def _partition_journal(self, partition: int) -> Path:
        return self.path / f"partition-{partition}.db"

    @property
    def locator_key(self) -> Path:
        """The key from which the locators of bookings follow."""
        return self.path / "locator.key"

    def journals(self) -> dict[str, Path]:
        """Returns the paths of the journals that there are, by the names of their logs: effects before causes."""
        paths = {log: self.journal(log) for log in sorted(self.logs(), key=rank_of, reverse=True)}
        return {log: path for log, path in paths.items() if path.exists()}

    def logs(self) -> list[str]:
        """Returns the names of all logs of the installation, whether they have a journal yet or not."""
        return [*reservations_logs(self.installation().partitions), BILLING, DELIVERY] if self.is_made else []

    def databases(self) -> Iterator[Path]:
        """Yields the paths of all databases, each before those that it follows: services and read models, inboxes,
        journals. Each kind is looked up when it is its turn, so that no cause is missed that appears meanwhile."""
        found = set(self.path.glob("*.db")) - {self.journal(log) for log in self.logs()}
        inboxes = {path for path in found if path.name.endswith(INBOX_ENDING)}
        yield from sorted(found - inboxes)
        yield from sorted(self.path.glob(f"*{INBOX_ENDING}"))
        yield from self.journals().values()

    def views(self, log: str) -> Path:
        """Returns the path of the read models of this log of reservations."""
        return self.path / f"views-{partition_number(log)}.db"

    def service(self, name: str) -> Path:
        """Returns the path of the database of this service."""
        return self.path / f"{name}.db"

    def inbox(self, name: str) -> Path:
        """Returns the path of the inbox of this service."""
        return self.path / f"{name}{INBOX_ENDING}"

    def socket(self, part: str) -> Path:
        """Returns the path of a part's socket; it is in the temporary folder where it would be too long here."""
        sockets = (self.path / "sockets").absolute()
        if len(bytes(sockets / "reservations-00.sock")) > _SOCKET_PATH_BYTES_MAX:
            sockets = Path(tempfile.gettempdir()) / f"innkeeper-{blake2b(bytes(sockets), digest_size=8).hexdigest()}"
            sockets.mkdir(mode=0o700, exist_ok=True)
            if sockets.is_symlink() or sockets.stat().st_uid != os.getuid():
                raise DataUnusable(f"{sockets} belongs to another user; choose a shorter path for --data")
        return sockets / f"{part}.sock"

    def settings(self) -> list[Path]:
        """Returns the paths of what is in no database and is made once or by hand: keys, secrets, templates."""
        files = (*self.path.glob("*.key"), *self.path.glob("*.secret"), *self.templates.rglob("*"))
        return sorted(path for path in files if path.is_file())

    @property
    def archive(self) -> Path:
        """The archive of all events, unless another place is configured."""
        return self.path / "archive"

    @property
    def mail(self) -> Path:
        """The folder of letters, where no mail server is configured."""
        return self.path / "mail"

    @property
    def templates(self) -> Path:
        """The hotels' own templates of letters."""
        return self.path / "templates"

    @property
    def provider_secret(self) -> Path:
        """The secret of the simulated payment provider."""
        return self.path / "simulated-provider.secret"
