"""The real clock and the real ids, for whoever composes a partition; rules and tests get others."""

import os
import threading
import time
from collections.abc import Iterator

_ID_BYTES = 10
_POOL_IDS = 512


def clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def _chances() -> Iterator[str]:
    """Random bytes as hexadecimal, enough for one id each; fetched for many at once, as each fetch is a system call."""
    while True:
        pool = os.urandom(_ID_BYTES * _POOL_IDS).hex()
        for start in range(0, len(pool), 2 * _ID_BYTES):
            yield pool[start : start + 2 * _ID_BYTES]


class _OfThisThread(threading.local):
    """Two threads must not draw from one pool at once."""

    def __init__(self) -> None:
        self.chances = _chances()


_thread = _OfThisThread()


def uuid7() -> str:
    """A fresh UUID of version 7 (RFC 9562): unique, and in the order of time."""
    moment = f"{time.time_ns() // 1_000_000:012x}"
    chance = next(_thread.chances)
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{moment[:8]}-{moment[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
