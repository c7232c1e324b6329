"""Checks of services that consume their events from a broker, and inboxes that fail."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.archive import archived_ids
from support.gateway import Gateway, gateway
from support.waiting import wait_until

RECOVERY_SECONDS_MAX = 120


class InboxWithFailingFetch:
    """An inbox without published events, whose `fetch_missing` fails so many times."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.fetch_attempts = 0

    @property
    def logs(self) -> dict[str, Any]:
        return {}

    def offset(self, name: str) -> int | None:
        return None

    def handle(self, entries: object, offsets: object) -> None:
        raise AssertionError("nothing was published")

    def fetch_missing(self) -> None:
        self.fetch_attempts += 1
        if self.fetch_attempts <= self.times:
            raise KeyError("nobody foresaw this")

    def check_again(self, log: str) -> None:
        raise AssertionError("there are no logs")


class FailingInbox(SqliteInbox):
    """An inbox that fails with this error so many times, and then stores events."""

    def __init__(self, path: Path, error: BaseException, times: int = 3) -> None:
        origin = RemoteLog(1_000_000)
        origin.reachable = False
        super().__init__(path, {"billing": origin})
        self.error = error
        self.times = times

    def handle(self, entries: Any, offsets: Any) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        super().handle(entries, offsets)


def check_recovery(
    consumer: Callable[[SqliteInbox], Any], inbox: FailingInbox, publish: Callable[[], None], log: Callable[[], str]
) -> None:
    """Run the consumer until all published events have arrived, and check that it logged the failure once."""
    with closing(inbox):
        publish()
        run_consumer(consumer(inbox), lambda: inbox.times < 0 and inbox.logs["billing"].position == 30)
        assert inbox.logs["billing"].read(0, 100) == [log_entry(one) for one in range(1, 31)]
    assert log().count("Traceback (most recent call last)") == 1
    assert log().count("receives no events") == 1
    assert log().count("receives events again") == 1


def run_consumer(consumer: Any, condition: Callable[[], bool], seconds: float = RECOVERY_SECONDS_MAX) -> None:
    """Run it until the condition is true, at most so long."""

    async def run() -> None:
        task = asyncio.create_task(consumer.run())
        try:
            await asyncio.to_thread(wait_until, condition, seconds)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(run())


FAILURES = [KeyError("unforeseen"), asyncio.CancelledError("of a future of the client library")]


def failing_after(function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """The same function, which raises this error at its end."""

    async def fails(*arguments: Any) -> None:
        await function(*arguments)
        raise error

    return fails


def log_entry(position: int) -> LogEntry:
    event = BookingPinned(f"b-{position}", "101")
    return position, RecordedEvent(f"hotel-{position % 3}", (position + 2) // 3, position, "ann", "", "", event)


class RemoteLog:
    """The log of the other service, which can be unreachable."""

    def __init__(self, size: int) -> None:
        self.position = size
        self.reachable = True

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        if not self.reachable:
            raise Refused(Unavailable("away"))
        return [log_entry(one) for one in range(after + 1, min(after + limit, self.position) + 1)]

    def hash_at(self, _: int) -> bytes | None:
        """See `EventLog`."""
        return None


@contextmanager
def split_gateway(data: Path, broker: str) -> Iterator[Gateway]:
    """An installation of separate parts that exchange events through the broker."""
    with gateway(data, split=True, broker=broker) as client:
        yield client


def assert_all_delivered(client: Gateway, data: Path, hotel: str, bookings: list[dict[str, Any]]) -> None:
    """Check that each booking has its folio and one letter, and that each event is in the archive."""
    for booking in bookings:
        folio = f"{hotel}/bookings/{booking['id']}/folio"
        wait_until(lambda path=folio: client.get(path).status == 200, RECOVERY_SECONDS_MAX)  # type: ignore[misc]
    events = client.all_events()
    wait_until(lambda: len([*(data / "mail").glob("*.eml")]) >= len(bookings), RECOVERY_SECONDS_MAX)
    wait_until(lambda: len(archived_ids(data / "archive")) >= len(events), RECOVERY_SECONDS_MAX)
    assert len([*(data / "mail").glob("*.eml")]) == len(bookings)
    assert archived_ids(data / "archive") == sorted(event["id"] for event in events)


def guest_fields(number: int) -> dict[str, Any]:
    return {"guest": {"name": f"Guest {number}", "email": f"guest-{number}@example.com"}}


def book_each(client: Gateway, hotel: str, numbers: range) -> list[dict[str, Any]]:
    return [client.book(hotel, 1 + number, **guest_fields(number)) for number in numbers]
