"""Key files: each holds one secret key with a checksum, is its owner's alone, and is made once."""

import secrets
from hashlib import blake2b
from pathlib import Path

from innkeeper.protocol.ports.journal import JournalError, JournalUnavailable
from innkeeper.storage.new_files import write_once

KEY_BYTES = 32
_CHECKSUM_BYTES = 8


def read_key(path: Path, installation: str = "") -> bytes:
    """Returns the key in this file, which was made for this installation, if one is named. Raises JournalError where
    there is none, and where it is another one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(f"the key {path} cannot be read ({error.strerror}); restore it from the backup") from None
    key = content[:KEY_BYTES]
    if content != _with_checksum(key, installation):
        raise JournalError(
            f"the key {path} is damaged, or another installation's (its checksum is wrong); restore it from the backup"
        )
    return key


def _with_checksum(key: bytes, installation: str) -> bytes:
    """The content of a key's file."""
    return key + blake2b(key, key=installation.encode(), digest_size=_CHECKSUM_BYTES).digest()


def create_key(path: Path, installation: str = "") -> None:
    """Creates the file with a random key for this installation, unless another process has just created it. When this
    returns, the file is on disk. Raises JournalUnavailable."""
    try:
        write_once(path, _with_checksum(secrets.token_bytes(KEY_BYTES), installation))
    except OSError as error:
        reason = error.strerror or str(error)
        raise JournalUnavailable(f"the key {path} cannot be written now ({reason})", reason) from error
