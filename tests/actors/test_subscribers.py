"""P5: every event reaches every subscriber in the order of its hotel and has its effects exactly once, despite lost or
repeated notifications, restarts and disk errors. An event that cannot be handled is parked, and blocks no other."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.protocol.ports.journal import JournalUnavailable
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import BookingCancelled, BookingPinned
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import RESERVATIONS
from support.recording_subscriber import SECOND, GrowingLog, RecordingSubscriber, append_events, event_ids
from support.storages import ENGINES

HOTELS = ("north", "south", "west")


def run_with_subscriber(storage: Storage, check: Callable[[RecordingSubscriber], Any], **more: Any) -> None:
    """Run a check with a new subscriber."""

    async def run() -> None:
        subscriber = RecordingSubscriber(storage, GrowingLog(), **more)
        try:
            await check(subscriber)
        finally:
            subscriber.close()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    while not condition():  # noqa: ASYNC110 (it comes from another task)
        await asyncio.sleep(0.005)


def test_events_appended_without_a_notification_are_handled(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.event_log.append("north", BookingPinned("b", "101"))
        subscriber.event_log.append("north", BookingPinned("b", "102"))
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:1", "north:2", "north:3"]

    run_with_subscriber(storage, check)


def test_only_subscribed_event_types_are_handled(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        append_events(subscriber, "north")
        subscriber.notify((subscriber.event_log.append("north", BookingCancelled("b"))[1],))
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:2"]
        assert subscriber.subscriber.state().lag == 0

    run_with_subscriber(storage, check, types=("innkeeper.booking.cancelled.*",))


def test_a_failing_event_blocks_only_its_own_hotel(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:2"] = 1_000
        append_events(subscriber, "north", "south", "north", "south", "north", "north", "south")
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:1"]
        assert subscriber.handled("south") == ["south:1", "south:2", "south:3"]
        (letter,) = subscriber.subscriber.dead_letters()
        assert (letter.subscriber, letter.hotel, letter.event, letter.attempts) == ("clerk", "north", "north:2", 1)
        assert letter.type == "innkeeper.booking.pinned.v1"
        assert "cannot read north:2" in letter.reason
        assert "_handle" in letter.trace
        assert subscriber.subscriber.state().parked == 1

    run_with_subscriber(storage, check)


def test_a_failing_event_is_retried_with_backoff_and_then_parked(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:1"] = 1_000
        append_events(subscriber, "north")
        attempts = []
        for second in range(40):
            subscriber.at = second * SECOND
            failures_left = subscriber.failures["north:1"]
            await subscriber.run_until_idle()
            if subscriber.failures["north:1"] < failures_left:
                attempts.append(second)
        assert attempts == [0, 1, 3, 7, 15]
        assert len(attempts) == limits.subscriber_attempts_max
        (letter,) = subscriber.subscriber.dead_letters()
        assert (letter.attempts, letter.since, letter.retry_at) == (limits.subscriber_attempts_max, 0, None)

    run_with_subscriber(storage, check)


def test_a_clock_set_back_does_not_delay_a_retry(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.at = 86_400 * SECOND
        subscriber.failures["north:1"] = 2
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        subscriber.at -= 3_600 * SECOND
        await subscriber.run_until_idle()
        await subscriber.run_until_idle()
        assert subscriber.failures["north:1"] == 0
        subscriber.at += 2 * SECOND
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:1"]

    run_with_subscriber(storage, check)


def test_a_hotel_that_caught_up_is_not_handled_again_after_a_restart(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:1"] = 1
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        append_events(subscriber, "north", "north")
        await subscriber.run_until_idle()
        subscriber.at += SECOND
        await subscriber.run_until_idle()
        subscriber.restart()
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:1", "north:2", "north:3"]

    run_with_subscriber(storage, check)


@pytest.mark.parametrize(("drop", "expected"), [(False, [1, 2, 3, 4]), (True, [1, 3, 4])])
def test_a_dead_letter_is_redriven_or_dropped_and_its_hotel_continues_in_order(
    storage: Storage, drop: bool, expected: list[int]
) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:2"] = 2  # in a batch, and alone
        append_events(subscriber, "north", "north", "north", "south", "north")
        await subscriber.run_until_idle()
        subscriber.restart()
        inner = subscriber.subscriber
        assert inner.redrive("north:3", drop) is None
        assert inner.redrive("west:1", drop) is None
        letter = inner.redrive("north:2", drop)
        assert letter is not None
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == [f"north:{number}" for number in expected]
        assert inner.dead_letters() == []
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        assert subscriber.handled("north")[-1] == "north:5"

    run_with_subscriber(storage, check)


@pytest.mark.parametrize("fails", [False, True])
def test_a_replay_that_is_asked_for_during_a_batch_is_not_undone_by_it(storage: Storage, fails: bool) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        append_events(subscriber, "north", "north")
        await subscriber.run_until_idle()
        append_events(subscriber, "north")
        subscriber.failures["north:3"] = int(fails)
        subscriber.meanwhile = lambda: subscriber.subscriber.seek({RESERVATIONS: 1})
        await subscriber.subscriber.step()
        subscriber.meanwhile = lambda: None
        await subscriber.run_until_idle()
        in_flight = [] if fails else ["north:3"]
        assert subscriber.handled("north") == ["north:1", "north:2", *in_flight, "north:2", "north:3"]
        assert subscriber.subscriber.dead_letters() == []

    run_with_subscriber(storage, check)


@pytest.mark.parametrize("action", ["drop", "seek"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_dead_letter_may_be_dropped_or_replayed_while_it_is_retried(
    storage: Storage, action: str, fails: bool
) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:1"] = 1
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        append_events(subscriber, "north", "south")
        await subscriber.run_until_idle()
        subscriber.failures["north:1"] = int(fails)
        inner = subscriber.subscriber
        actions = {"drop": lambda: inner.redrive("north:1", drop=True), "seek": lambda: inner.seek({RESERVATIONS: 0})}
        subscriber.meanwhile = actions[action]
        subscriber.at += SECOND
        await inner.step()
        subscriber.meanwhile = lambda: None
        await subscriber.run_until_idle()
        retried = [] if fails else ["north:1"]
        again = [] if action == "drop" else ["north:1"]
        assert subscriber.handled("north") == [*retried, *again, "north:2"]
        assert inner.dead_letters() == []

    run_with_subscriber(storage, check)


def test_a_dead_letter_that_is_dropped_changes_no_batch_of_other_hotels(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:1"] = 1_000
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        append_events(subscriber, "south")
        subscriber.meanwhile = lambda: subscriber.subscriber.redrive("north:1", drop=True)
        await subscriber.subscriber.step()
        subscriber.meanwhile = lambda: None
        await subscriber.run_until_idle()
        assert subscriber.handled("south") == ["south:1"]

    run_with_subscriber(storage, check)


def test_a_hotel_that_catches_up_continues_in_order(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.actors.subscriptions.subscriber.subscriber_batch_events_max", 1)

    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.failures["north:1"] = 1
        append_events(subscriber, "north")
        await subscriber.run_until_idle()
        append_events(subscriber, "south", "south", "south", "north")
        subscriber.at += SECOND
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:1", "north:2"]

    run_with_subscriber(storage, check)


def test_repeated_late_and_lost_notifications_are_handled_once(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        records = [subscriber.event_log.append("north", BookingPinned("b", "101"))[1] for _ in range(6)]
        subscriber.log.append(2, records[:2])
        subscriber.log.append(2, records[:2])
        await subscriber.run_until_idle()
        subscriber.log.append(5, records[4:5])
        subscriber.log.append(4, records[1:4])
        await subscriber.run_until_idle()
        subscriber.log.append(6, records[1:])
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == event_ids(subscriber.event_log, "north")

    run_with_subscriber(storage, check)


def test_a_pause_survives_a_restart_and_loses_no_event(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.subscriber.pause(True)
        append_events(subscriber, "north", "south")
        await subscriber.run_until_idle()
        subscriber.restart()
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == []
        state = subscriber.subscriber.state()
        assert (state.paused, state.lag) == (True, 2)
        subscriber.subscriber.pause(False)
        await subscriber.run_until_idle()
        assert (subscriber.handled("north"), subscriber.handled("south")) == (["north:1"], ["south:1"])

    run_with_subscriber(storage, check)


def test_a_full_disk_or_an_unavailable_destination_stalls_without_effects(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        append_events(subscriber, "north")
        for fault in ("unavailable", "store_unreadable", "disk_full"):
            setattr(subscriber, fault, True)
            with pytest.raises((Stalled, JournalUnavailable, OSError)):
                await subscriber.run_until_idle()
            setattr(subscriber, fault, False)
            assert subscriber.handled("north") == []
            assert subscriber.subscriber.dead_letters() == []
        await subscriber.run_until_idle()
        assert subscriber.handled("north") == ["north:1"]

    run_with_subscriber(storage, check)


def test_a_running_subscriber_recovers_from_a_stall(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.actors.subscriptions.background_task.subscriber_retry_seconds", 0.01)

    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.unavailable = True
        append_events(subscriber, "north")
        running = asyncio.create_task(subscriber.subscriber.run())
        await until(lambda: bool(subscriber.subscriber.state().stalled))
        assert subscriber.subscriber.state().stalled == "the destination is away"
        subscriber.unavailable = False
        await until(lambda: len(subscriber.handled("north")) == 1)
        append_events(subscriber, "north")
        await until(lambda: len(subscriber.handled("north")) == 2)
        assert subscriber.subscriber.state().stalled == ""
        subscriber.subscriber.stop()
        await running

    async def check_in_time(subscriber: RecordingSubscriber) -> None:
        async with asyncio.timeout(20):
            await check(subscriber)

    run_with_subscriber(storage, check_in_time)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from(HOTELS), st.sampled_from(("once", "lost", "twice", "stale"))),
        st.tuples(st.just("fail"), st.sampled_from(HOTELS), st.integers(1, 8)),
        st.tuples(st.sampled_from(("step", "restart", "unavailable", "disk_full", "wait", "redrive", "drop"))),
    ),
    max_size=60,
)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=150, deadline=None)
@given(steps=STEPS, batch=st.integers(1, 5), inbox=st.integers(1, 8))
def test_each_event_has_its_effects_once_and_in_order_after_any_sequence(
    engine: str, steps: list[tuple[Any, ...]], batch: int, inbox: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("innkeeper.actors.subscriptions.subscriber.subscriber_batch_events_max", batch)
        patch.setattr("innkeeper.protocol.values.limits.recent_events_max", inbox)
        asyncio.run(_run_steps(steps, ENGINES[engine](Path(folder))))


async def _run_steps(steps: list[tuple[Any, ...]], storage: Storage) -> None:
    subscriber = RecordingSubscriber(storage, GrowingLog())
    try:
        dropped: set[str] = set()
        for name, *more in steps:
            await _take_step(subscriber, dropped, name, *more)
            for hotel in HOTELS:
                expected = [event for event in event_ids(subscriber.event_log, hotel) if event not in dropped]
                assert subscriber.handled(hotel) == expected[: len(subscriber.handled(hotel))]
        subscriber.failures.clear()
        subscriber.notify(())
        for letter in subscriber.subscriber.dead_letters():
            subscriber.subscriber.redrive(letter.event)
        await subscriber.run_until_idle()
        for hotel in HOTELS:
            assert subscriber.handled(hotel) == [
                event for event in event_ids(subscriber.event_log, hotel) if event not in dropped
            ]
        state = subscriber.subscriber.state()
        assert (state.lag, state.parked) == (0, 0)
    finally:
        subscriber.close()


async def _take_step(subscriber: RecordingSubscriber, dropped: set[str], name: str, *more: Any) -> None:
    inner = subscriber.subscriber
    match name:
        case "append":
            hotel, delivery = more
            record = subscriber.event_log.append(hotel, BookingPinned("b", "101"))[1]
            times_notified = {"once": 1, "twice": 2}.get(delivery, 0)
            for _ in range(times_notified):
                subscriber.notify((record,))
            if delivery == "stale":
                subscriber.log.append(1, (subscriber.event_log.entries[0][1],))
        case "fail":
            hotel, times = more
            subscriber.failures[f"{hotel}:{len(event_ids(subscriber.event_log, hotel)) + 1}"] = times
        case "step":
            await subscriber.subscriber.step()
        case "restart":
            subscriber.restart()
        case "unavailable" | "disk_full":
            setattr(subscriber, name, True)
            try:
                await subscriber.subscriber.step()
            except (Stalled, OSError):
                pass
            finally:
                setattr(subscriber, name, False)
        case "wait":
            subscriber.at += 3 * SECOND
        case _:
            for letter in inner.dead_letters()[:1]:
                inner.redrive(letter.event, drop=name == "drop")
                if name == "drop":
                    dropped.add(letter.event)


def test_a_log_that_could_not_be_read_is_read_again_without_a_notification(storage: Storage) -> None:
    async def check(subscriber: RecordingSubscriber) -> None:
        subscriber.event_log.refusals_left = 1
        subscriber.event_log.append("north", BookingPinned("b", "101"))
        subscriber.notify(())  # the position without the event
        running = asyncio.create_task(subscriber.subscriber.run())
        async with asyncio.timeout(30):
            await until(lambda: subscriber.handled("north") == ["north:1"])
            subscriber.subscriber.stop()
            await running

    run_with_subscriber(storage, check)
