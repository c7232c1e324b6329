"""The data directory: where everything lies, and whose it is while a process runs."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class DataUnusable(Exception):
    """It cannot be used; why, and what to do about it."""


class DataInUse(DataUnusable):
    """Another process has it."""


class DataDirectory(NamedTuple):
    """The files of one Innkeeper, each under its name."""

    path: Path

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Nobody else may use it meanwhile. Raises DataUnusable."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / "lock").open("a")
        except OSError as error:
            raise DataUnusable(f"{self.path} cannot be used: {error.strerror}; choose another with --data") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                reason = f"{self.path} is in use by another Innkeeper; stop it, or choose another with --data"
                raise DataInUse(reason) from None
            yield

    @property
    def journal(self) -> Path:
        """The journal of the one partition."""
        return self.path / "partition-0.db"

    @property
    def views(self) -> Path:
        """Its read models."""
        return self.path / "views-0.db"

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
