"""A subscriber of two logs hears what followed after what it followed from, however far it lags, and misses nothing."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.storage.sqlite.cursors import SqliteCursor, open_service
from support.recording_subscriber import InMemoryEventLog

STEPS = st.lists(st.sampled_from(["happen", "follow", "step", "restart"]), max_size=60)


class Archivist:
    """Takes in two logs. An event of the second one says how long the first one was when it happened."""

    def __init__(self, path: Path) -> None:
        self.stories = [InMemoryEventLog(), InMemoryEventLog()]
        self.told: list[list[str]] = [[], []]
        self._db = open_service(path)
        self.restart()

    def restart(self) -> None:
        """The process is gone, and back."""
        cursors = [
            SqliteCursor(self._db, SubscriptionRequest("archivist"), log, story)
            for log, story in zip((RESERVATIONS, BILLING), self.stories, strict=True)
        ]
        self._subscriber = Subscriber(cursors, self._take_in, lambda: 0, batch_events=2)

    async def _take_in(self, entries: Sequence[LogEntry]) -> Effects:
        def keep() -> None:
            for _, record in entries:
                event = record.event
                assert isinstance(event, BookingPinned)
                log = 0 if record.hotel == "cause" else 1
                assert log == 0 or len(self.told[0]) >= int(event.room), "told before what it followed from"
                self.told[log].append(record.id)

        return keep

    def step(self) -> bool:
        """The next portion."""
        return asyncio.run(self._subscriber.step())

    def close(self) -> None:
        """No more."""
        self._db.close()


@given(STEPS)
def test_what_followed_is_told_after_what_it_followed_from(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archivist = Archivist(Path(folder) / "cursors.db")
        causes, effects = archivist.stories
        for name in steps:
            if name == "happen":
                causes.append("cause", BookingPinned("b", "101"))
            elif name == "follow":
                effects.append("effect", BookingPinned("b", str(causes.position)))
            elif name == "restart":
                archivist.restart()
            else:
                archivist.step()
        while archivist.step():
            pass
        archivist.close()
        assert archivist.told == [[record.id for _, record in story.entries] for story in archivist.stories]


def test_a_log_before_it_that_never_rests_keeps_nobody_waiting(tmp_path: Path) -> None:
    archivist = Archivist(tmp_path / "cursors.db")
    causes, effects = archivist.stories
    effects.append("effect", BookingPinned("b", "0"))
    for _ in range(10):
        causes.append("cause", BookingPinned("b", "101"))
        causes.append("cause", BookingPinned("b", "101"))
        archivist.step()
    archivist.close()
    assert len(archivist.told[1]) == 1
