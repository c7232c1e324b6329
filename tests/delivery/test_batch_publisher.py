"""A publisher tells which events of a batch are confirmed, and sends a large one alone."""

import asyncio
from collections.abc import Sequence

import pytest
from innkeeper.delivery.brokers.publishing import BatchPublisher, Confirmation
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import EventRefused, Stalled
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values import limits

LARGE = 2 * limits.broker_small_event_bytes_max


def entries(*sizes: int) -> list[LogEntry]:
    """Events of these sizes."""
    return [
        (number, RecordedEvent("north", number, 0, "", "", "", BookingPinned("b", "1" * size)))
        for number, size in enumerate(sizes, start=1)
    ]


class Refusal(ConnectionError):
    """The broker refuses an event."""


class ScriptedPublisher(BatchPublisher):
    """Publishes to a broker that confirms all events but those of `answers`, by their positions: it raises the error,
    or does not answer where there is None. `sent` has each position with the number of unconfirmed ones before it."""

    lost = (ConnectionError, TimeoutError)

    def __init__(self, answers: dict[int, Exception | None]) -> None:
        self._answers = answers
        self.sent: list[tuple[int, int]] = []
        self.discarded = 0
        self._waiting = 0

    async def _open(self) -> None:
        pass

    async def _send(self, entry: LogEntry, body: bytes) -> Confirmation:
        self.sent.append((entry[0], self._waiting))
        self._waiting += 1
        return asyncio.ensure_future(self._confirm(entry[0]))

    async def _confirm(self, position: int) -> None:
        await asyncio.sleep(0)
        self._waiting -= 1
        if position in self._answers:
            error = self._answers[position]
            if error is None:
                await asyncio.Event().wait()
            else:
                raise error

    def _refusal(self, error: Exception) -> str:
        return "too large" if isinstance(error, Refusal) else ""

    async def _reason(self, error: Exception) -> str:
        return repr(error)

    async def _discard(self) -> None:
        self.discarded += 1


def publish(answers: dict[int, Exception | None], sizes: Sequence[int]) -> ScriptedPublisher:
    publisher = ScriptedPublisher(answers)

    async def run() -> None:
        await publisher.handle(entries(*sizes))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    return publisher


def test_small_events_are_sent_together_and_a_large_one_alone() -> None:
    assert publish({}, [3, 3, 3]).sent == [(1, 0), (2, 1), (3, 2)]
    assert publish({}, [3, 3, LARGE, 3, 3]).sent == [(1, 0), (2, 1), (3, 0), (4, 0), (5, 1)]
    assert publish({}, [LARGE, LARGE]).sent == [(1, 0), (2, 0)]


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [3, LARGE, LARGE, 3]])
def test_a_refusal_says_how_many_events_before_it_are_confirmed(sizes: list[int]) -> None:
    with pytest.raises(EventRefused, match="too large") as refused:
        publish({3: Refusal()}, sizes)
    assert refused.value.handled == 2


def test_no_event_is_sent_behind_a_large_one_that_is_refused() -> None:
    publisher = ScriptedPublisher({2: Refusal()})
    with pytest.raises(EventRefused):
        asyncio.run(publisher.handle(entries(3, LARGE, 3)))
    assert [position for position, _ in publisher.sent] == [1, 2]
    assert publisher.discarded == 1


@pytest.mark.parametrize("answer", [None, ConnectionError("lost")])
def test_a_stall_says_how_many_events_are_confirmed(answer: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 0.2)
    with pytest.raises(Stalled) as stalled:
        publish({2: answer, 4: answer}, [3, 3, 3, 3])
    assert stalled.value.handled == 1
