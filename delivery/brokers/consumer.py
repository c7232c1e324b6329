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
    """Logs the first of several consecutive failures, and the first success after them. `fault` is the reason of the
    last failure, empty after a success."""

    def __init__(self, failing: str, working: str, expected: tuple[type[BaseException], ...]) -> None:
        self._failing = failing
        self._working = working
        self._expected = expected
        self.fault = ""

    def failed(self, error: BaseException, reason: str) -> None:
        """An attempt failed."""
        if not self.fault:
            unexpected = not isinstance(error, (*self._expected, Stalled, TimeoutError))
            logger.warning("%s: %s", self._failing, reason, exc_info=error if unexpected else None)
        self.fault = reason

    def worked(self) -> None:
        """An attempt succeeded."""
        if self.fault:
            logger.warning("%s", self._working)
        self.fault = ""


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
        failing, working = f"{self.name} receives no events", f"{self.name} receives events again"
        self._consuming = _Reporter(failing, working, self.expected)

    @property
    def fault(self) -> str:
        """See `protocol.ports.inbox.BrokerConsumer`."""
        return self._consuming.fault

    @abstractmethod
    async def reason(self, error: BaseException) -> str:
        """What a failure means, in one line that says what to do, without the password."""

    @abstractmethod
    def connect(self) -> BrokerConnection:
        """Makes a connection for the next attempt."""

    async def run(self) -> None:
        """See `protocol.ports.inbox.BrokerConsumer`."""
        failing, working = f"{self.name} cannot fetch missing events", f"{self.name} fetches missing events again"
        fetching = _Reporter(failing, working, self.expected)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consume())
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

        async def refuse(message: M, error: Exception) -> None:
            reason = reason_of(error)
            logger.warning("%s cannot handle a message: %s", self.name, reason)
            async with asyncio.timeout(limits.broker_seconds_max):
                await send_to_dead_letters(message, reason)

        found: list[tuple[M, tuple[str, LogEntry]]] = []
        for message in messages:
            try:
                found.append((message, self._entry_of(content_of(message))))
            except ValueError as error:
                await refuse(message, error)
        try:
            await asyncio.to_thread(self.inbox.handle, [entry for _, entry in found], places)
        except InboxConflict as conflict:
            for message, entry in found:
                if entry in conflict.entries:
                    await refuse(message, conflict)
            others = [entry for _, entry in found if entry not in conflict.entries]
            await asyncio.to_thread(self.inbox.handle, others, places)

    async def _consume(self) -> None:
        while True:
            try:
                await self._consume_until_failure()
            except (Exception, asyncio.CancelledError) as error:  # nothing else detects that the service gets no events
                _raise_if_cancelled(error)
                self._consuming.failed(error, await self.reason(error))
            await asyncio.sleep(limits.consumer_retry_seconds)

    async def _consume_until_failure(self) -> None:
        connection = self.connect()
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                await connection.open()
            while True:
                await connection.consume()
                self._consuming.worked()
        finally:
            await _close(connection)

    def _entry_of(self, content: MessageContent) -> tuple[str, LogEntry]:
        """The event of a message, with the name of its log. Raises ValueError with the reason where there is none."""
        if refusal := self.names.refusal(content.installation, content.timeline):
            raise ValueError(refusal)
        entry = entry_of(content.body)
        return self._log_of(entry[1]), entry


async def _fetch_missing(inbox: Inbox, report: _Reporter) -> None:
    while True:
        try:
            await asyncio.to_thread(inbox.fetch_missing)
            report.worked()
        except (Exception, asyncio.CancelledError) as error:
            _raise_if_cancelled(error)
            report.failed(error, reason_of(error))
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
    """The text of an error in one line, cut where it is long, or a description where it has none."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer in {limits.broker_seconds_max} s"
    text = " ".join(str(error).split()) or type(error).__name__
    return text[: limits.broker_reason_characters_max]
