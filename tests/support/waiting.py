"""Waiting for what happens beside the test, for so long and no longer."""

from collections.abc import Callable
from time import monotonic, sleep


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until it is so; fails when it takes too long."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"it did not happen in {seconds} s"
        sleep(0.02)
