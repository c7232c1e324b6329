"""The system clock and unique ids, for the code that composes a partition; rules and tests are given others."""

import os
import threading
import time
from collections.abc import Iterator

_ID_BYTES = 10
_POOL_IDS = 512


def clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def _random_hexadecimals() -> Iterator[str]:
    """Yields random bytes as hexadecimal, enough for one id; reads many ids at once, as each read is a system call."""
    while True:
        pool = os.urandom(_ID_BYTES * _POOL_IDS).hex()
        for start in range(0, len(pool), 2 * _ID_BYTES):
            yield pool[start : start + 2 * _ID_BYTES]


class _ThreadRandoms(threading.local):
    """One pool for each thread, because two threads must not read from one generator at once."""

    def __init__(self) -> None:
        self.randoms = _random_hexadecimals()


_thread = _ThreadRandoms()


def uuid7() -> str:
    """A new UUID of version 7 (RFC 9562): unique, and ordered by time."""
    timestamp = f"{time.time_ns() // 1_000_000:012x}"
    random = next(_thread.randoms)
    variant = "89ab"[int(random[3], 16) & 3]
    return f"{timestamp[:8]}-{timestamp[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"
