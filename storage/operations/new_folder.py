"""A new folder that exists as a whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from innkeeper.protocol.values.operator_error import EXIT_FAILED, OperatorError
from innkeeper.storage.new_files import sync_folder

_OF_THE_FILE_SYSTEM = "lost+found"


class FolderUnusable(OperatorError):
    """The folder cannot be made: there is something, or it is in the wrong place."""


class WritingFailed(OperatorError):
    """The disk is full or fails. Nothing is left of a folder that was to be new."""

    exit_code = EXIT_FAILED


@contextmanager
def new_folder(path: Path, last: str) -> Iterator[Path]:
    """Yields a folder to fill. It becomes `path`, which is missing or empty, when all of it is on disk; `last` is the
    file without which it counts as nothing. Only its owner may read it. Raises FolderUnusable and WritingFailed."""
    path = path.absolute()
    _check_empty(path)
    is_mounted = path.is_mount()  # such a folder cannot be replaced, only be filled
    fresh: Path | None = None
    try:
        inside = path if is_mounted else path.parent
        inside.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.incomplete-", dir=inside))
        yield fresh
        _sync(fresh)
        _check_empty(path, fresh.name)
        if is_mounted:
            _move_into(path, fresh, last)
        else:
            fresh.rename(path)
        sync_folder(inside)
    except OSError as error:
        raise WritingFailed(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)


def check_space(path: Path, needed: int) -> None:
    """Raises WritingFailed where there is less space than needed for a folder at this path."""
    there = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise WritingFailed(f"{path} needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there")


def check_apart(path: Path, other: Path) -> None:
    """Raises FolderUnusable where `path` is `other` or within it."""
    if path.resolve().is_relative_to(other.resolve()):
        raise FolderUnusable(f"{path} is within {other}; choose a folder elsewhere")


def _check_empty(path: Path, *known: str) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise FolderUnusable(f"{path} is no folder; choose one that is missing or empty")
    if path.exists() and {file.name for file in path.iterdir()} - {_OF_THE_FILE_SYSTEM, *known}:
        raise FolderUnusable(f"{path} is not empty; choose a folder that is missing or empty")


def _move_into(path: Path, fresh: Path, last: str) -> None:
    names = sorted(file.name for file in fresh.iterdir() if file.name != last)
    for name in names:
        (fresh / name).rename(path / name)
    sync_folder(path)
    (fresh / last).rename(path / last)


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o700 if path.is_dir() else 0o600)
        sync_folder(path)
