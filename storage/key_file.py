"""Key files: each holds one secret key, is its owner's alone, and is made once."""

import os
import secrets
from pathlib import Path

from innkeeper.protocol.ports.journal import JournalError, JournalUnavailable
from innkeeper.storage.new_files import publish_once

KEY_BYTES = 32


def read_key(path: Path) -> bytes:
    """Returns the key in this file. Raises JournalError where there is none."""
    try:
        key = path.read_bytes()
    except OSError as error:
        raise JournalError(f"the key {path} cannot be read ({error.strerror}); restore it from the backup") from None
    if len(key) != KEY_BYTES:
        found = f"it has {len(key)} bytes instead of {KEY_BYTES}"
        raise JournalError(f"the key {path} cannot be read ({found}); restore it from the backup")
    return key


def create_key(path: Path) -> None:
    """Creates the file with a random key, unless another process has just created it. When this returns, the file is
    on disk. Raises JournalUnavailable."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        publish_once(fresh, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise JournalUnavailable(f"the key {path} cannot be written now ({reason})", reason) from error
