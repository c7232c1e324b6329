"""The data directory: the paths of its files, and the locks of the processes that use it."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple, TextIO

from innkeeper.protocol.values.contexts import RESERVATIONS, context_of, partition_number
from innkeeper.protocol.values.operator_error import EXIT_IN_USE, OperatorError

_LOCK_RETRY_SECONDS = 0.02
_SOCKET_PATH_BYTES_MAX = 100


class DataUnusable(OperatorError):
    """The data directory cannot be used."""


class DataInUse(DataUnusable):
    """Another process has locked the data directory."""

    exit_code = EXIT_IN_USE


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
                file.truncate(0)
                file.write(f"{os.getpid()}\n")  # for people
                file.flush()
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
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataUnusable(f"{self.path} cannot be used: {error.strerror}; choose another with --data") from None

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
        """Whether the number of partitions is set."""
        return (self.path / "partitions").exists()

    def partitions(self, wanted: int | None = None) -> int:
        """Returns the number of partitions, which is set to `wanted` where the directory is new. Raises DataUnusable
        where another number is set: hotels would be looked for in the wrong partitions."""
        self._create()
        file = self.path / "partitions"
        if not file.exists():
            fresh = file.with_name(f"partitions.{os.getpid()}")
            if self._partition_journal(1).exists():
                raise DataUnusable(f"{file} is missing; restore it: it holds the number of partitions")
            with fresh.open("w") as new_file:
                new_file.write(f"{1 if self._partition_journal(0).exists() else wanted or 1}\n")
                new_file.flush()
                os.fsync(new_file.fileno())
            try:
                os.link(fresh, file)
            except FileExistsError:
                pass  # another process set it first
            finally:
                fresh.unlink()
        number = int(file.read_text())
        if wanted is not None and wanted != number:
            reason = f"{self.path} was made with --partitions {number}, which cannot be changed to {wanted}"
            raise DataUnusable(reason)
        return number

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

    def views(self, log: str) -> Path:
        """Returns the path of the read models of this log of reservations."""
        return self.path / f"views-{partition_number(log)}.db"

    def service(self, name: str) -> Path:
        """Returns the path of the database of this service."""
        return self.path / f"{name}.db"

    def inbox(self, name: str) -> Path:
        """Returns the path of the inbox of this service."""
        return self.path / f"{name}-inbox.db"

    def socket(self, part: str) -> Path:
        """Returns the path of a part's socket; it is in the temporary folder where it would be too long here."""
        sockets = (self.path / "sockets").absolute()
        if len(bytes(sockets / "reservations-00.sock")) > _SOCKET_PATH_BYTES_MAX:
            sockets = Path(tempfile.gettempdir()) / f"innkeeper-{blake2b(bytes(sockets), digest_size=8).hexdigest()}"
            sockets.mkdir(mode=0o700, exist_ok=True)
            if sockets.is_symlink() or sockets.stat().st_uid != os.getuid():
                raise DataUnusable(f"{sockets} belongs to another user; choose a shorter path for --data")
        return sockets / f"{part}.sock"

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
