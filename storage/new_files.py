"""Gives new files their names, so that they are on disk as a whole or not at all."""

import os
from pathlib import Path


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
