"""Services that get their events from a broker, and inboxes that fail."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.gateway import Gateway, gateway
from support.waiting import wait_until

BACK_SECONDS_MAX = 120


class Stumbling:
    """An inbox of a service that nothing was published for, which cannot fetch what is missing so many times."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.looks = 0

    def offset(self, name: str) -> int | None:
        return None

    def handle(self, entries: object, places: object) -> None:
        raise AssertionError("nothing was published")

    def fetch_missing(self) -> None:
        self.looks += 1
        if self.looks <= self.times:
            raise KeyError("nobody foresaw this")


class Failing(SqliteInbox):
    """An inbox that fails with this error so many times, and then takes in what comes."""

    def __init__(self, path: Path, error: BaseException, times: int = 3) -> None:
        origin = Origin(1_000_000)
        origin.reached = False
        super().__init__(path, {"billing": origin})
        self.error = error
        self.times = times

    def handle(self, entries: Any, places: Any) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        super().handle(entries, places)


def survives(
    feed: Callable[[SqliteInbox], Any], inbox: Failing, publish: Callable[[], None], log: Callable[[], str]
) -> None:
    """Let the feed run until all that is published has come, and check that it said once that it failed."""
    with closing(inbox):
        publish()
        fed(feed(inbox), lambda: inbox.times < 0 and inbox.logs["billing"].position == 30)
        assert inbox.logs["billing"].read(0, 100) == [entry(one) for one in range(1, 31)]
    assert log().count("Traceback (most recent call last)") == 1
    assert log().count("receives no events") == 1
    assert log().count("receives events again") == 1


def fed(feed: Any, until: Callable[[], bool], seconds: float = BACK_SECONDS_MAX) -> None:
    """Let it run until then, at most so long."""

    async def run() -> None:
        task = asyncio.create_task(feed.run())
        try:
            await asyncio.to_thread(wait_until, until, seconds)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(run())


FAILURES = [KeyError("unforeseen"), asyncio.CancelledError("of a future of the client library")]


def after(work: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """The same, and then this error."""

    async def fails(*arguments: Any) -> None:
        await work(*arguments)
        raise error

    return fails


def entry(position: int) -> LogEntry:
    event = BookingPinned(f"b-{position}", "101")
    return position, RecordedEvent(f"hotel-{position % 3}", (position + 2) // 3, position, "ann", "", "", event)


class Origin:
    """The log itself, which can be out of reach."""

    def __init__(self, size: int) -> None:
        self.position = size
        self.reached = True

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `Log`."""
        if not self.reached:
            raise Refused(Unavailable("away"))
        return [entry(one) for one in range(after + 1, min(after + limit, self.position) + 1)]


@contextmanager
def split(data: Path, broker: str) -> Iterator[Gateway]:
    """An inn whose parts are each alone and hear of each other through the broker."""
    with gateway(data, split=True, broker=broker) as front:
        yield front


def everything_is_there(front: Gateway, data: Path, hotel: str, bookings: list[dict[str, Any]]) -> None:
    """Each booking has its bill, and its letter once; each event is in the archive."""
    for booking in bookings:
        folio = f"{hotel}/bookings/{booking['id']}/folio"
        wait_until(lambda path=folio: front.get(path).status == 200, BACK_SECONDS_MAX)  # type: ignore[misc]
    events = front.everything()
    wait_until(lambda: len([*(data / "mail").glob("*.eml")]) >= len(bookings), BACK_SECONDS_MAX)
    wait_until(lambda: len(archived(data)) >= len(events), BACK_SECONDS_MAX)
    assert len([*(data / "mail").glob("*.eml")]) == len(bookings)
    assert archived(data) == sorted(event["id"] for event in events)


def archived(data: Path) -> list[str]:
    return sorted(path.stem for path in (data / "archive").rglob("*.json"))


def guest(number: int) -> dict[str, Any]:
    return {"guest": {"name": f"Guest {number}", "email": f"guest-{number}@example.com"}}


def books(front: Gateway, hotel: str, numbers: range) -> list[dict[str, Any]]:
    return [front.book(hotel, 1 + number, **guest(number)) for number in numbers]
