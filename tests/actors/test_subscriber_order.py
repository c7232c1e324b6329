"""A subscriber of two logs handles each event after the event that caused it, however far it lags."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, Effects, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.service_store import MemoryServiceStore
from support.recording_subscriber import GrowingLog

STEPS = st.lists(st.sampled_from(["cause", "effect", "step", "restart"]), max_size=60)


class TwoLogSubscriber:
    """Subscribes to two logs. An event of the second one contains the position of the first one at that time."""

    def __init__(self) -> None:
        self.logs = [GrowingLog(), GrowingLog()]
        self.handled: list[list[str]] = [[], []]
        self._database = MemoryDatabase()
        self.restart()

    def restart(self) -> None:
        """End the process, and start it again."""
        cursors = [
            MemoryServiceStore(self._database).open_cursor(
                SubscriptionRequest("archivist", EVERY_EVENT), log, event_log
            )
            for log, event_log in zip((RESERVATIONS, BILLING), self.logs, strict=True)
        ]
        self._subscriber = Subscriber(cursors, self._handle, lambda: 0, batch_events=2)

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        def store() -> None:
            for _, record in entries:
                event = record.event
                assert isinstance(event, BookingPinned)
                log = 0 if record.hotel == "cause" else 1
                assert log == 0 or len(self.handled[0]) >= int(event.room), "handled before its cause"
                self.handled[log].append(record.id)

        return store

    def step(self) -> bool:
        """Handle the next batch."""
        return asyncio.run(self._subscriber.step())


@given(STEPS)
def test_an_event_is_handled_after_the_event_that_caused_it(steps: list[str]) -> None:
    subscriber = TwoLogSubscriber()
    first_log, second_log = subscriber.logs
    for name in steps:
        if name == "cause":
            first_log.append("cause", BookingPinned("b", "101"))
        elif name == "effect":
            second_log.append("effect", BookingPinned("b", str(first_log.position)))
        elif name == "restart":
            subscriber.restart()
        else:
            subscriber.step()
    while subscriber.step():
        pass
    assert subscriber.handled == [[record.id for _, record in event_log.entries] for event_log in subscriber.logs]


def test_a_busy_first_log_does_not_delay_the_second() -> None:
    subscriber = TwoLogSubscriber()
    first_log, second_log = subscriber.logs
    second_log.append("effect", BookingPinned("b", "0"))
    for _ in range(10):
        first_log.append("cause", BookingPinned("b", "101"))
        first_log.append("cause", BookingPinned("b", "101"))
        subscriber.step()
    assert len(subscriber.handled[1]) == 1
