"""How a service consumes events from a broker, the same for every kind of broker: connect, consume, and connect again
after whatever failure, until cancelled.

What the broker left out is fetched beside that, from the log in which it happened: neither waits for the other.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from innkeeper.protocol.ports.inbox import Inbox
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)


class Connection(Protocol):
    """A connection to a broker, for one attempt: it is opened once and closed once."""

    async def open(self) -> None:
        """Connect, and begin where the inbox says."""

    async def consume(self) -> None:
        """Take in what arrives within `feed_look_seconds`. Raises where nothing can come this way any more."""

    async def close(self) -> None:
        """Disconnect. May raise, and may be called when `open` has failed."""


class _Reporter:
    """Logs the first of several failures in a row, and that it works again after them."""

    def __init__(self, failing: str, working: str, expected: tuple[type[BaseException], ...]) -> None:
        self._failing = failing
        self._working = working
        self._expected = expected
        self._failed = False

    def failed(self, error: BaseException) -> None:
        """An attempt failed."""
        if not self._failed:
            unexpected = not isinstance(error, (*self._expected, Stalled, TimeoutError))
            logger.warning("%s: %s", self._failing, reason_of(error), exc_info=error if unexpected else None)
        self._failed = True

    def worked(self) -> None:
        """An attempt succeeded."""
        if self._failed:
            logger.warning("%s", self._working)
        self._failed = False


async def consume(
    name: str, connect: Callable[[], Connection], inbox: Inbox, expected: tuple[type[BaseException], ...]
) -> None:
    """Consume for the service of this name until cancelled. Failures that are `expected` are logged without their
    traceback."""
    consuming = _Reporter(f"{name} gets no events now", f"{name} is fed again", expected)
    fetching = _Reporter(f"{name} cannot fetch what the broker left out", f"{name} fetches again", expected)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_consume(connect, consuming))
        tasks.create_task(_fetch_missing(inbox, fetching))


async def _consume(connect: Callable[[], Connection], report: _Reporter) -> None:
    while True:
        try:
            connection = connect()
            try:
                async with asyncio.timeout(limits.broker_seconds_max):
                    await connection.open()
                while True:
                    await connection.consume()
                    report.worked()
            finally:
                await _close(connection)
        except (Exception, asyncio.CancelledError) as error:  # nobody else would notice that a service is fed no more
            _unless_cancelled(error)
            report.failed(error)
        await asyncio.sleep(limits.feed_retry_seconds)


async def _fetch_missing(inbox: Inbox, report: _Reporter) -> None:
    while True:
        try:
            await asyncio.to_thread(inbox.fetch_missing)
            report.worked()
        except (Exception, asyncio.CancelledError) as error:
            _unless_cancelled(error)
            report.failed(error)
        await asyncio.sleep(limits.feed_look_seconds)


async def _close(connection: Connection) -> None:
    """What goes wrong here changes nothing: the connection is given up."""
    try:
        async with asyncio.timeout(limits.broker_goodbye_seconds_max):  # a broker that has died does not answer
            await connection.close()
    except (Exception, asyncio.CancelledError) as error:
        _unless_cancelled(error)
        logger.debug("a connection to the broker was not closed in order", exc_info=error)


def _unless_cancelled(error: BaseException) -> None:
    """Raise it where it is the cancellation of this task: a client library can also raise a `CancelledError` of its
    own, when a future that it awaits is cancelled."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


def reason_of(error: BaseException) -> str:
    """What to say of an error that may have no text."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer in {limits.broker_seconds_max} s"
    return str(error) or type(error).__name__
