"""Seals what holds secrets before it is written to a database: AES-256-GCM, with a key in a file beside the database.

A copy of the database alone does not reveal the secrets. Whoever can read both files can.
"""

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from innkeeper.protocol.ports.journal import JournalError
from innkeeper.storage.key_file import create_key, read_key

_NONCE_BYTES = 12


class Seal:
    """The key of one database. It is made when something is sealed for the first time, and is its owner's alone."""

    def __init__(self, path: Path) -> None:
        """`path` is the file of the key."""
        self.path = path
        self._cipher: AESGCM | None = None

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Returns the sealed bytes, which can be opened only for the same place."""
        if self._cipher is None and not self.path.exists():
            create_key(self.path)  # it is on disk before anything that it seals
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._known().encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Returns what was sealed for this place. Raises JournalError where the key is missing or another one."""
        try:
            return self._known().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
        except InvalidTag:
            raise JournalError(
                f"{self.path} is not the key of what is sealed beside it; restore both from the same backup"
            ) from None

    def check(self) -> None:
        """Raises JournalError where the key is missing."""
        self._known()

    def _known(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(read_key(self.path))
        return self._cipher
