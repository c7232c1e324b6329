"""P5: every event reaches every subscriber in its hotel's order and has its effects exactly once, whatever happens to
what is heard, to the subscriber, and to its disk. What it cannot take in waits, and holds up no other hotel.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import BookingCancelled, BookingPinned
from innkeeper.protocol.values import limits
from support.recording_subscriber import SECOND, GrowingLog, RecordingSubscriber, happen, told

HOTELS = ("north", "south", "west")


def in_town(path: Path, act: Callable[[RecordingSubscriber], Any], **more: Any) -> None:
    """Let a clerk live through something."""

    async def live() -> None:
        clerk = RecordingSubscriber(path / "clerk.db", GrowingLog(), **more)
        try:
            await act(clerk)
        finally:
            clerk.close()

    asyncio.run(live())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    while not condition():  # noqa: ASYNC110 (it comes from another task)
        await asyncio.sleep(0.005)


def test_what_happened_while_nobody_listened_is_not_missed(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.story.happen("north", BookingPinned("b", "101"))
        clerk.story.happen("north", BookingPinned("b", "102"))
        happen(clerk, "north")
        await clerk.work()
        assert clerk.book("north") == ["north:1", "north:2", "north:3"]

    in_town(tmp_path, act)


def test_only_what_was_subscribed_to_is_taken_in(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        happen(clerk, "north")
        clerk.subscribe((clerk.story.happen("north", BookingCancelled("b"))[1],))
        happen(clerk, "north")
        await clerk.work()
        assert clerk.book("north") == ["north:2"]
        assert clerk.subscriber.state().lag == 0

    in_town(tmp_path, act, types=("innkeeper.booking.cancelled.*",))


def test_an_event_that_cannot_be_taken_in_holds_up_its_own_hotel_only(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.poison["north:2"] = 1_000
        happen(clerk, "north", "south", "north", "south", "north", "north", "south")
        await clerk.work()
        assert clerk.book("north") == ["north:1"]
        assert clerk.book("south") == ["south:1", "south:2", "south:3"]
        (letter,) = clerk.subscriber.dead_letters()
        assert (letter.subscriber, letter.hotel, letter.event, letter.attempts) == ("clerk", "north", "north:2", 1)
        assert letter.type == "innkeeper.booking.pinned.v1"
        assert "cannot read north:2" in letter.reason
        assert "_take_in" in letter.trace
        assert clerk.subscriber.state().parked == 1

    in_town(tmp_path, act)


def test_it_is_tried_again_after_longer_and_longer_pauses_and_then_waits_for_a_person(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.poison["north:1"] = 1_000
        happen(clerk, "north")
        tried = []
        for second in range(40):
            clerk.at = second * SECOND
            left = clerk.poison["north:1"]
            await clerk.work()
            if clerk.poison["north:1"] < left:
                tried.append(second)
        assert tried == [0, 1, 3, 7, 15]
        assert len(tried) == limits.subscriber_attempts_max
        (letter,) = clerk.subscriber.dead_letters()
        assert (letter.attempts, letter.since, letter.retry_at) == (limits.subscriber_attempts_max, 0, None)

    in_town(tmp_path, act)


def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_longer(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.at = 86_400 * SECOND
        clerk.poison["north:1"] = 2
        happen(clerk, "north")
        await clerk.work()
        clerk.at -= 3_600 * SECOND
        await clerk.work()
        await clerk.work()
        assert clerk.poison["north:1"] == 0
        clerk.at += 2 * SECOND
        await clerk.work()
        assert clerk.book("north") == ["north:1"]

    in_town(tmp_path, act)


def test_a_hotel_that_caught_up_before_a_crash_does_not_begin_again_after_it(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.poison["north:1"] = 1
        happen(clerk, "north")
        await clerk.work()
        happen(clerk, "north", "north")
        await clerk.work()
        clerk.at += SECOND
        await clerk.work()
        clerk.restart()
        await clerk.work()
        assert clerk.book("north") == ["north:1", "north:2", "north:3"]

    in_town(tmp_path, act)


@pytest.mark.parametrize(("drop", "expected"), [(False, [1, 2, 3, 4]), (True, [1, 3, 4])])
def test_a_dead_letter_is_redriven_or_dropped_and_its_hotel_goes_on_in_order(
    tmp_path: Path, drop: bool, expected: list[int]
) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.poison["north:2"] = 2  # among others, and alone
        happen(clerk, "north", "north", "north", "south", "north")
        await clerk.work()
        clerk.restart()
        cursor = clerk.subscriber
        assert cursor.redrive("north:3", drop) is None
        assert cursor.redrive("west:1", drop) is None
        letter = cursor.redrive("north:2", drop)
        assert letter is not None
        await clerk.work()
        assert clerk.book("north") == [f"north:{number}" for number in expected]
        assert cursor.dead_letters() == []
        happen(clerk, "north")
        await clerk.work()
        assert clerk.book("north")[-1] == "north:5"

    in_town(tmp_path, act)


def test_a_hotel_that_catches_up_does_not_overtake_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.actors.subscriptions.subscriber.subscriber_batch_events_max", 1)

    async def act(clerk: RecordingSubscriber) -> None:
        clerk.poison["north:1"] = 1
        happen(clerk, "north")
        await clerk.work()
        happen(clerk, "south", "south", "south", "north")
        clerk.at += SECOND
        await clerk.work()
        assert clerk.book("north") == ["north:1", "north:2"]

    in_town(tmp_path, act)


def test_what_is_told_twice_or_late_or_not_at_all_is_taken_in_once(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        records = [clerk.story.happen("north", BookingPinned("b", "101"))[1] for _ in range(6)]
        clerk.log.append(2, records[:2])
        clerk.log.append(2, records[:2])
        await clerk.work()
        clerk.log.append(5, records[4:5])
        clerk.log.append(4, records[1:4])
        await clerk.work()
        clerk.log.append(6, records[1:])
        await clerk.work()
        assert clerk.book("north") == told(clerk.story, "north")

    in_town(tmp_path, act)


def test_a_pause_lasts_over_a_restart_and_nothing_is_missing_after_it(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.subscriber.pause(True)
        happen(clerk, "north", "south")
        await clerk.work()
        clerk.restart()
        await clerk.work()
        assert clerk.book("north") == []
        state = clerk.subscriber.state()
        assert (state.paused, state.lag) == (True, 2)
        clerk.subscriber.pause(False)
        await clerk.work()
        assert (clerk.book("north"), clerk.book("south")) == (["north:1"], ["south:1"])

    in_town(tmp_path, act)


def test_a_full_disk_or_a_lost_destination_stalls_and_changes_nothing(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        happen(clerk, "north")
        for fault in ("away", "disk_full"):
            setattr(clerk, fault, True)
            with pytest.raises((Stalled, sqlite3.OperationalError)):
                await clerk.work()
            setattr(clerk, fault, False)
            assert clerk.book("north") == []
            assert clerk.subscriber.dead_letters() == []
        await clerk.work()
        assert clerk.book("north") == ["north:1"]

    in_town(tmp_path, act)


def test_whoever_lives_gets_over_a_stall_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.actors.subscriptions.task.subscriber_retry_seconds", 0.01)

    async def act(clerk: RecordingSubscriber) -> None:
        clerk.away = True
        happen(clerk, "north")
        living = asyncio.create_task(clerk.subscriber.run())
        await until(lambda: bool(clerk.subscriber.state().stalled))
        assert clerk.subscriber.state().stalled == "the destination is away"
        clerk.away = False
        await until(lambda: len(clerk.book("north")) == 1)
        happen(clerk, "north")
        await until(lambda: len(clerk.book("north")) == 2)
        assert clerk.subscriber.state().stalled == ""
        clerk.subscriber.stop()
        await living

    async def soon(clerk: RecordingSubscriber) -> None:
        async with asyncio.timeout(20):
            await act(clerk)

    in_town(tmp_path, soon)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("happen"), st.sampled_from(HOTELS), st.sampled_from(("heard", "lost", "twice", "stale"))),
        st.tuples(st.just("poison"), st.sampled_from(HOTELS), st.integers(1, 8)),
        st.tuples(st.sampled_from(("step", "restart", "away", "disk_full", "wait", "redrive", "drop"))),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, batch=st.integers(1, 5), inbox=st.integers(1, 8))
def test_whatever_happens_each_event_has_its_effects_once_and_in_order(
    steps: list[tuple[Any, ...]], batch: int, inbox: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("innkeeper.actors.subscriptions.subscriber.subscriber_batch_events_max", batch)
        patch.setattr("innkeeper.protocol.values.limits.recent_events_max", inbox)
        asyncio.run(_live(steps, Path(folder)))


async def _live(steps: list[tuple[Any, ...]], folder: Path) -> None:
    clerk = RecordingSubscriber(folder / "clerk.db", GrowingLog())
    try:
        dropped: set[str] = set()
        for name, *more in steps:
            await _take_step(clerk, dropped, name, *more)
            for hotel in HOTELS:
                expected = [event for event in told(clerk.story, hotel) if event not in dropped]
                assert clerk.book(hotel) == expected[: len(clerk.book(hotel))]
        clerk.poison.clear()
        clerk.subscribe(())
        for letter in clerk.subscriber.dead_letters():
            clerk.subscriber.redrive(letter.event)
        await clerk.work()
        for hotel in HOTELS:
            assert clerk.book(hotel) == [event for event in told(clerk.story, hotel) if event not in dropped]
        state = clerk.subscriber.state()
        assert (state.lag, state.parked) == (0, 0)
    finally:
        clerk.close()


async def _take_step(clerk: RecordingSubscriber, dropped: set[str], name: str, *more: Any) -> None:
    cursor = clerk.subscriber
    match name:
        case "happen":
            hotel, how = more
            record = clerk.story.happen(hotel, BookingPinned("b", "101"))[1]
            heard = {"heard": 1, "twice": 2}.get(how, 0)
            for _ in range(heard):
                clerk.subscribe((record,))
            if how == "stale":
                clerk.log.append(1, (clerk.story.entries[0][1],))
        case "poison":
            hotel, times = more
            clerk.poison[f"{hotel}:{len(told(clerk.story, hotel)) + 1}"] = times
        case "step":
            await clerk.subscriber.step()
        case "restart":
            clerk.restart()
        case "away" | "disk_full":
            setattr(clerk, name, True)
            try:
                await clerk.subscriber.step()
            except (Stalled, sqlite3.OperationalError):
                pass
            finally:
                setattr(clerk, name, False)
        case "wait":
            clerk.at += 3 * SECOND
        case _:
            for letter in cursor.dead_letters()[:1]:
                cursor.redrive(letter.event, drop=name == "drop")
                if name == "drop":
                    dropped.add(letter.event)


def test_a_log_that_could_not_be_read_is_looked_at_again_without_any_news(tmp_path: Path) -> None:
    async def act(clerk: RecordingSubscriber) -> None:
        clerk.story.refusals = 1
        clerk.story.happen("north", BookingPinned("b", "101"))
        clerk.subscribe(())  # how far it has come, and not what happened
        life = asyncio.create_task(clerk.subscriber.run())
        async with asyncio.timeout(10):
            await until(lambda: clerk.book("north") == ["north:1"])
            clerk.subscriber.stop()
            await life

    in_town(tmp_path, act)
