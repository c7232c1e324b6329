"""What a subscriber does while it waits: for the log of another process, for a locked database, for the next events."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import JournalLocked
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Cursor, Effects, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from support.recording_subscriber import GrowingLog, RecordingSubscriber, append_events
from support.waiting import until

SECONDS_MAX = 30


class End:
    """The end of a log of another process."""

    position, age_seconds, losses = 9, 0.0, 0


class SlowLog(GrowingLog):
    """A log of another process, which answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()
        self.answers = threading.Event()

    def read(self, *after: int, **of_hotel: Any) -> list[LogEntry]:
        if self.entries and threading.current_thread() is not threading.main_thread():
            self.reading.set()
            assert self.answers.wait(SECONDS_MAX)
        return super().read(*after, **of_hotel)


class Clerk:
    """A subscriber of a log of another process, in whose database each change fails so often because it is locked."""

    def __init__(self, cursor: Cursor, locks_left: int = 0) -> None:
        self.handled: list[str] = []
        self.stored: list[str] = []
        self.stalled: set[str] = set()
        self.locks_left = locks_left
        self.subscriber = Subscriber([cursor], self._handle, lambda: 0, ends={RESERVATIONS: End()})

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        self.handled += [record.id for _, record in entries]
        return lambda: self._store(entries)

    def _store(self, entries: Sequence[LogEntry]) -> None:
        self.stalled.add(self.subscriber.stalled)
        if self.locks_left:
            self.locks_left -= 1
            raise JournalLocked("billing.db is locked by another process", "locked by another process")
        self.stored += [record.id for _, record in entries]


def test_the_event_loop_goes_on_while_the_log_of_another_process_does_not_answer(storage: Storage) -> None:
    async def check(cursor: Cursor, log: SlowLog) -> None:
        clerk = Clerk(cursor)
        step = asyncio.create_task(clerk.subscriber.step())
        await asyncio.to_thread(log.reading.wait)
        assert not clerk.handled
        log.answers.set()
        assert await step
        assert clerk.stored == ["north:1"]

    run(storage, check)


@pytest.mark.parametrize("change", ["seek", "pause"])
def test_a_batch_that_was_read_while_somebody_changed_the_subscriber_is_not_handled(
    storage: Storage, change: str
) -> None:
    async def check(cursor: Cursor, log: SlowLog) -> None:
        clerk = Clerk(cursor)
        step = asyncio.create_task(clerk.subscriber.step())
        await asyncio.to_thread(log.reading.wait)
        if change == "seek":
            clerk.subscriber.seek({RESERVATIONS: 1})
        else:
            clerk.subscriber.pause(True)
        log.answers.set()
        assert await step
        assert not await clerk.subscriber.step()
        assert not clerk.handled

    run(storage, check)


def test_a_batch_is_handled_once_although_its_effects_cannot_be_stored_at_first(storage: Storage) -> None:
    async def check(cursor: Cursor, log: SlowLog) -> None:
        log.answers.set()
        clerk = Clerk(cursor, locks_left=3)
        assert await clerk.subscriber.step()
        assert (clerk.handled, clerk.stored) == (["north:1"], ["north:1"])
        assert clerk.stalled == {"", "billing.db is locked by another process"}

    run(storage, check)


def run(storage: Storage, check: Any) -> None:
    """Runs a check with the cursor of a subscriber in a log that has one event."""

    async def run_check() -> None:
        log = SlowLog()
        log.append("north", BookingPinned("b", "101"))
        with storage.service_store("billing") as store:
            cursor = store.open_cursor(SubscriptionRequest("clerk", EVERY_EVENT), RESERVATIONS, log)
            async with asyncio.timeout(SECONDS_MAX):
                await check(cursor, log)

    asyncio.run(run_check())


def test_what_is_committed_while_a_batch_is_handled_waits_for_its_announcement_and_is_not_lost(
    storage: Storage,
) -> None:
    async def run() -> None:
        subscriber = RecordingSubscriber(storage, GrowingLog())
        task, is_announced = subscriber.subscriber, False

        def commit_one_more() -> None:
            subscriber.meanwhile = lambda: None
            append_events(subscriber, "north")
            if is_announced:
                task.notify_of_events()

        with closing(subscriber):
            append_events(subscriber, "north", "north")
            subscriber.meanwhile = commit_one_more
            assert await task.step()
            assert task.has_caught_up
            assert subscriber.handled("north") == ["north:1", "north:2"]
            is_announced, subscriber.meanwhile = True, commit_one_more
            running = asyncio.create_task(task.run())
            await until(lambda: subscriber.handled("north") == [f"north:{number}" for number in range(1, 5)])
            task.stop()
            await running

    asyncio.run(run())
