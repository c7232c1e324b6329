"""The real clock and the real ids, for whoever composes a partition; rules and tests get others."""

import os
import time


def clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def uuid7() -> str:
    """A fresh UUID of version 7 (RFC 9562): unique, and in the order of time."""
    moment = f"{time.time_ns() // 1_000_000:012x}"
    chance = os.urandom(10).hex()
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{moment[:8]}-{moment[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
