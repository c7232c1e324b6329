"""Writes files so that under their names they are on disk as a whole, also after a full disk or a loss of power."""

import os
from pathlib import Path


def write_once(file: Path, content: bytes) -> None:
    """Writes the file, unless there is one already. Returns when it is on disk. Raises OSError."""
    publish_once(_written_beside(file, content), file)


def replace_file(file: Path, content: bytes) -> None:
    """Writes the file, or replaces it: whatever happens, it has its old content or this one. That its name leads to
    this one is on disk after `sync_folder`. Raises OSError; then the file is as it was."""
    _written_beside(file, content).replace(file)


def publish_once(fresh: Path, file: Path) -> None:
    """Gives a synced file its final name, unless there is a file of that name already. Returns when this is on disk."""
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass  # another process was first
    finally:
        fresh.unlink()
    sync_folder(file.parent)


def sync_folder(path: Path) -> None:
    """Returns when the names of the files in this folder are on disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _written_beside(file: Path, content: bytes) -> Path:
    """Writes a file of this process beside the other one, syncs it, and returns its path. Only its owner may read it.
    Nothing of it is left where this fails."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as new_file:
            new_file.write(content)
            new_file.flush()
            os.fsync(new_file.fileno())  # without it, a loss of power could leave an empty file
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh
