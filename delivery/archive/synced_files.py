"""Writes files of the archive so that they are on disk, as a whole, when the call returns."""

import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SYNCS_AT_ONCE = 8
_UNFINISHED = ".part"


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are missing, and syncs their names. Raises OSError."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def write_files(files: Mapping[str, bytes]) -> None:
    """Writes new files, by their paths, or replaces them: a reader sees only complete ones. Their folders are made, but
    not synced, which would cost more than the files. Raises OSError."""
    for path, body in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + _UNFINISHED, "wb") as file:
            file.write(body)
        os.replace(path + _UNFINISHED, path)
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as threads:  # concurrent syncs share the file system's commits
        deque(threads.map(sync, files), maxlen=0)


def write_whole(path: Path, body: bytes) -> None:
    """Writes a file, or replaces it; under its name it is complete, also after a loss of power. Raises OSError."""
    unfinished = Path(str(path) + _UNFINISHED)
    descriptor = os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with open(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(descriptor)
    os.replace(unfinished, path)
    sync(path.parent)


def create(path: Path) -> None:
    """Creates an empty file. Raises FileExistsError where there is one, and OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    sync(path.parent)


def cut(path: Path, size: int) -> None:
    """Cuts a file to so many bytes, and syncs it also where it has no more. Raises OSError."""
    with path.open("r+b") as file:
        if os.fstat(file.fileno()).st_size > size:
            file.truncate(size)
        os.fsync(file.fileno())


def sync(path: Path | str) -> None:
    """Returns when the content of a file, or the names in a folder, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
