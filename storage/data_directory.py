"""The data directory: where everything lies, and whose it is while a process runs."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple, TextIO

_LOOK_SECONDS = 0.02
_SOCKET_PATH_BYTES_MAX = 100


class DataUnusable(Exception):
    """It cannot be used; why, and what to do about it."""


class DataInUse(DataUnusable):
    """Another process has it."""


class DataDirectory(NamedTuple):
    """The files of one Innkeeper, each under its name."""

    path: Path

    @contextmanager
    def lock(self, *parts: str, patience_seconds: float = 0) -> Iterator[None]:
        """Nobody else may use it meanwhile; where parts of it are named, nobody else these parts. Who uses it now may
        take so long to end. Raises DataUnusable."""
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
        """For who owns no part of it: nobody has it as a whole meanwhile. Raises DataUnusable."""
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
                sleep(_LOOK_SECONDS)
        reason = f"{self.path} is in use by another Innkeeper; stop it, or choose another with --data"
        raise DataInUse(reason)

    @property
    def is_made(self) -> bool:
        """Is it said over how many partitions its hotels are spread?"""
        return (self.path / "partitions").exists()

    def partitions(self, wanted: int | None = None) -> int:
        """Over how many partitions its hotels are spread: as it was made, and as `wanted` where it is made now. Raises
        DataUnusable where that is another number: every hotel would be looked for in the wrong place."""
        self._create()
        file = self.path / "partitions"
        if not file.exists():
            fresh = file.with_name(f"partitions.{os.getpid()}")
            if self.journal(1).exists():
                raise DataUnusable(f"{file} is missing; restore it: it holds the number of partitions")
            with fresh.open("w") as made_now:
                made_now.write(f"{1 if self.journal(0).exists() else wanted or 1}\n")
                made_now.flush()
                os.fsync(made_now.fileno())
            try:
                os.link(fresh, file)
            except FileExistsError:
                pass  # another process was faster
            finally:
                fresh.unlink()
        made = int(file.read_text())
        if wanted is not None and wanted != made:
            reason = f"{self.path} was made with --partitions {made}, which cannot be changed; {wanted} was asked for"
            raise DataUnusable(reason)
        return made

    def journal(self, partition: int) -> Path:
        """The journal of a partition of reservations."""
        return self.path / f"partition-{partition}.db"

    def views(self, partition: int) -> Path:
        """Its read models."""
        return self.path / f"views-{partition}.db"

    @property
    def billing(self) -> Path:
        """The journal of billing."""
        return self.path / "billing-0.db"

    @property
    def delivery_log(self) -> Path:
        """The log of what delivery did by itself."""
        return self.path / "delivery-0.db"

    def service(self, name: str) -> Path:
        """What the service of this name keeps for itself."""
        return self.path / f"{name}.db"

    def inbox(self, name: str) -> Path:
        """What the service of this name got from a broker."""
        return self.path / f"{name}-inbox.db"

    def door(self, part: str) -> Path:
        """The door to a part, for the other processes; elsewhere where its path would be too long for a socket."""
        doors = (self.path / "doors").absolute()
        if len(bytes(doors / "reservations-00.sock")) > _SOCKET_PATH_BYTES_MAX:
            doors = Path(tempfile.gettempdir()) / f"innkeeper-{blake2b(bytes(doors), digest_size=8).hexdigest()}"
            doors.mkdir(mode=0o700, exist_ok=True)
            if doors.is_symlink() or doors.stat().st_uid != os.getuid():
                raise DataUnusable(f"{doors} belongs to somebody else; choose a shorter path for --data")
        return doors / f"{part}.sock"

    @property
    def archive(self) -> Path:
        """The archive of all events, unless it is kept elsewhere."""
        return self.path / "archive"

    @property
    def mail(self) -> Path:
        """Letters, where no mail server takes them."""
        return self.path / "mail"

    @property
    def templates(self) -> Path:
        """The hotels' own templates of letters."""
        return self.path / "templates"

    @property
    def provider_secret(self) -> Path:
        """What the simulated payment provider signs with."""
        return self.path / "simulated-provider.secret"
