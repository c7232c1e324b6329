"""Consumes events from a broker of any kind for a service: connects, consumes, and reconnects after any failure, until
cancelled. A message that is not an event of this installation goes to the dead letters of the broker.

A second task fetches the events that the broker left out from the log in which they were recorded. Neither task waits
for the other.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from innkeeper.protocol.codec.cloud_event import entry_of
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.inbox import Inbox, InboxConflict, LogOf
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

M = TypeVar("M")


class MessageContent(NamedTuple):
    """What a broker delivers: the body, and the ids in the headers of the installation and its timeline (empty where
    there are none)."""

    body: bytes
    installation: str
    timeline: str


class BrokerConnection(Protocol):
    """A connection to a broker, for one attempt: opened once and closed once."""

    async def open(self) -> None:
        """Connects, and starts at the position in the inbox."""

    async def consume(self) -> None:
        """Writes what arrives within `consumer_poll_seconds` to the inbox. Raises when the connection is lost."""

    async def close(self) -> None:
        """Disconnects. May raise, and may be called after `open` has failed."""


class _Reporter:
    """Logs the first of several consecutive failures, and the first success after them."""

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


class LogConsumer(ABC):
    """A `protocol.ports.inbox.BrokerConsumer`. Failures that are `expected` are logged without a traceback."""

    expected: ClassVar[tuple[type[BaseException], ...]]

    def __init__(self, url: str, names: BrokerNames, service: str, inbox: Inbox, log_of: LogOf) -> None:
        """`name` is that of the service's queue, or of its consumer group."""
        self.url = url
        self.names = names
        self.name = names.consumer(service)
        self.inbox = inbox
        self._log_of = log_of

    @abstractmethod
    def connect(self) -> BrokerConnection:
        """Makes a connection for the next attempt."""

    async def run(self) -> None:
        """See `protocol.ports.inbox.BrokerConsumer`."""
        name, expected = self.name, self.expected
        consuming = _Reporter(f"{name} receives no events", f"{name} receives events again", expected)
        fetching = _Reporter(f"{name} cannot fetch missing events", f"{name} fetches missing events again", expected)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_consume(self.connect, consuming))
            tasks.create_task(_fetch_missing(self.inbox, fetching))

    async def handle(
        self,
        messages: Sequence[M],
        content_of: Callable[[M], MessageContent],
        send_to_dead_letters: Callable[[M, str], Awaitable[None]],
        places: Mapping[str, int],
    ) -> None:
        """Stores the events of these messages in the inbox, and the offsets at which to resume. Sends each message that
        is not an event of this installation, or is another event than the inbox has, to the dead letters, with the
        reason."""

        async def refuse(message: M, reason: str) -> None:
            logger.warning("%s cannot handle a message: %s", self.name, reason)
            async with asyncio.timeout(limits.broker_seconds_max):
                await send_to_dead_letters(message, reason)

        found: list[tuple[M, tuple[str, LogEntry]]] = []
        for message in messages:
            try:
                found.append((message, self._entry_of(content_of(message))))
            except ValueError as error:
                await refuse(message, str(error))
        try:
            await asyncio.to_thread(self.inbox.handle, [entry for _, entry in found], places)
        except InboxConflict as conflict:
            for message, entry in found:
                if entry in conflict.entries:
                    await refuse(message, str(conflict))
            others = [entry for _, entry in found if entry not in conflict.entries]
            await asyncio.to_thread(self.inbox.handle, others, places)

    def _entry_of(self, content: MessageContent) -> tuple[str, LogEntry]:
        """The event of a message, with the name of its log. Raises ValueError with the reason where there is none."""
        if refusal := self.names.refusal(content.installation, content.timeline):
            raise ValueError(refusal)
        entry = entry_of(content.body)
        return self._log_of(entry[1]), entry


async def _consume(connect: Callable[[], BrokerConnection], report: _Reporter) -> None:
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
        except (Exception, asyncio.CancelledError) as error:  # nothing else detects that the service gets no events
            _raise_if_cancelled(error)
            report.failed(error)
        await asyncio.sleep(limits.consumer_retry_seconds)


async def _fetch_missing(inbox: Inbox, report: _Reporter) -> None:
    while True:
        try:
            await asyncio.to_thread(inbox.fetch_missing)
            report.worked()
        except (Exception, asyncio.CancelledError) as error:
            _raise_if_cancelled(error)
            report.failed(error)
        await asyncio.sleep(limits.consumer_poll_seconds)


async def _close(connection: BrokerConnection) -> None:
    """Failures are ignored: the connection is discarded anyway."""
    try:
        async with asyncio.timeout(limits.broker_close_seconds_max):  # a dead broker does not answer
            await connection.close()
    except (Exception, asyncio.CancelledError) as error:
        _raise_if_cancelled(error)
        logger.debug("a connection to the broker was not closed cleanly", exc_info=error)


def _raise_if_cancelled(error: BaseException) -> None:
    """Raises the error where it is the cancellation of this task. A client library can raise a `CancelledError` of its
    own when a future that it awaits is cancelled."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


def reason_of(error: BaseException) -> str:
    """The text of an error, or a description where it has none."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer in {limits.broker_seconds_max} s"
    return str(error) or type(error).__name__
