"""Commands on a data directory. The work is passed in; they print its report."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from innkeeper.http.commands.command_line import CannotRun
from innkeeper.http.commands.progress import ShowBytes, byte_progress
from innkeeper.protocol.values.operator_error import EXIT_VIOLATED


class Report(Protocol):
    """What was done; a NamedTuple."""

    def _asdict(self) -> dict[str, Any]: ...


class Verification(Report, Protocol):
    """What was verified, with a message for each violation."""

    @property
    def violations(self) -> Sequence[str]:
        """The messages."""


def verify(work: Callable[[Path], Verification], options: SimpleNamespace) -> None:
    """Verify the promises over whole journals; prints a report."""
    done = work(options.data)
    _show(done)
    if done.violations:
        raise CannotRun(f"{len(done.violations)} violations", EXIT_VIOLATED)


def backup(work: Callable[[Path, Path, ShowBytes], Report], options: SimpleNamespace) -> None:
    """Back up a data directory, which may be in use; prints a report."""
    _show(work(options.data, options.destination, byte_progress))


def restore(work: Callable[[Path, Path, str, ShowBytes], Report], options: SimpleNamespace) -> None:
    """Restore a backup to a new data directory; prints a report."""
    _show(work(options.source, options.data, options.archive, byte_progress))


def accept_rollback(work: Callable[[Path, str], Report], options: SimpleNamespace) -> None:
    """Accept what journals have lost; prints a report."""
    _show(work(options.data, options.archive))


def _show(report: Report) -> None:
    print(json.dumps(report._asdict(), indent=2))
