"""API keys: which clients have access, and the name of each in the events.

A file has a line `name:key` for each client. A key is sent as `Authorization: Bearer …`, or as the password of HTTP
Basic with the name as the user, so that a browser asks for it. Keys are compared by digest, in constant time.
"""

import base64
import hmac
from hashlib import sha256
from pathlib import Path

from aiohttp import web
from innkeeper.http.api.parsing import RequestRejected
from innkeeper.http.commands.command_line import CannotRun
from innkeeper.http.problem_codes import KEY_REQUIRED

BY: web.RequestKey[str] = web.RequestKey("by", str)

_KEY_CHARACTERS_MIN = 20
_OPEN_PATHS = ("/health/", "/v1/payment-providers/")  # providers sign what they send


class InvalidKeysFile(ValueError):
    """The file of keys cannot be used; the message says why."""


def read_keys(path: Path | None) -> "ApiKeys | None":
    """Reads the keys from a file, for a command that requires one; None where it requires none. Raises CannotRun."""
    if path is None:
        return None
    try:
        return ApiKeys.read(path)
    except (OSError, InvalidKeysFile, UnicodeDecodeError) as error:
        raise CannotRun(f"a file of API keys is required (--keys): {error}") from None


class ApiKeys:
    """The known keys and the names of their clients."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = {sha256(key.encode()).digest(): name for name, key in names.items()}

    @classmethod
    def read(cls, path: Path) -> "ApiKeys":
        """Reads a file. Raises InvalidKeysFile where it has no keys, a malformed line or a short key."""
        names: dict[str, str] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, key = (part.strip() for part in line.partition(":"))
            if not colon or not name or len(key) < _KEY_CHARACTERS_MIN:
                raise InvalidKeysFile(
                    f"{path}, line {number}: expected name:key, with a key of at least {_KEY_CHARACTERS_MIN} characters"
                )
            if name in names or key in names.values():
                raise InvalidKeysFile(f"{path}, line {number}: the name or the key is repeated; each must be unique")
            names[name] = key
        if not names:
            raise InvalidKeysFile(f"{path} has no keys")
        return cls(names)

    def client(self, request: web.Request) -> str:
        """The name of the client that makes this request. Raises RequestRejected where its key is not known."""
        if request.path.startswith(_OPEN_PATHS):
            return ""
        name = self.name(request.headers.get("Authorization", ""))
        if name is None:
            raise RequestRejected(KEY_REQUIRED, "a known API key is required: Authorization: Bearer …")
        return name

    def name(self, authorization: str) -> str | None:
        """The name of the client with this `Authorization` header; None where its key is not known."""
        scheme, _, value = authorization.partition(" ")
        key = value.strip()
        if scheme.lower() == "basic":
            try:
                key = base64.b64decode(key, validate=True).decode().partition(":")[2]
            except ValueError:
                return None
        elif scheme.lower() != "bearer":
            return None
        digest = sha256(key.encode(errors="surrogateescape")).digest()
        return next((name for known, name in self._names.items() if hmac.compare_digest(known, digest)), None)
