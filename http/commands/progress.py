"""Progress bars on a terminal, and what a command waits for."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from innkeeper.protocol.messages.recorded_event import LogEntry
from tqdm import tqdm

_POLL_SECONDS = 0.1


@contextmanager
def recovery_progress() -> Iterator[Callable[[int], None]]:
    """A bar for the events of a recovery; called with how many were read so far."""
    with tqdm(unit=" events", desc="recovering", disable=not sys.stderr.isatty(), leave=False) as bar:
        yield lambda events: bar.update(events - bar.n) and None


def verification_progress(entries: Iterable[LogEntry], total: int) -> Iterable[LogEntry]:
    """Passes the entries on, with a bar for so many."""
    bar: Iterable[LogEntry] = tqdm(entries, total=total, unit=" events", disable=not sys.stderr.isatty())
    return bar


ShowBytes = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a display of a step over so many bytes; see `byte_progress`."""


@contextmanager
def byte_progress(step: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for a step over so many bytes; called with the bytes that are done since its last call."""
    with tqdm(total=total, unit="B", unit_scale=True, desc=step, disable=not sys.stderr.isatty(), leave=False) as bar:
        yield lambda size: bar.update(size) and None


async def waited_for(what: str, is_there: Callable[[], bool]) -> None:
    """Waits until it is there, and prints that where it is not there yet."""
    if not is_there():
        print(f"Waiting for {what} …", file=sys.stderr)
    while not is_there():  # noqa: ASYNC110 (another process makes it)
        await asyncio.sleep(_POLL_SECONDS)
