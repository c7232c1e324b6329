"""Waiting for a condition, with a limit."""

from collections.abc import Callable
from time import monotonic, sleep


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition is true; fails if it takes longer than this."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"it did not happen in {seconds} s"
        sleep(0.02)
