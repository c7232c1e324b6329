"""A background task reacts to every notification, and leaves time to other tasks."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from innkeeper.actors.subscriptions import background_task
from innkeeper.actors.subscriptions.background_task import BackgroundTask
from innkeeper.actors.subscriptions.load_meter import LoadMeter
from innkeeper.protocol.ports.journal import JournalDamaged, JournalUnavailable
from innkeeper.protocol.ports.subscriptions import Stalled

STEP_SECONDS = 0.002


class CountedTask(BackgroundTask):
    """A task with a number of steps, each of which takes some time; `during` is called in the middle of each."""

    def __init__(self, steps_left: int, busy: bool = False, meter: LoadMeter | None = None) -> None:
        self.meter = meter or LoadMeter(lambda: 0.0)
        if busy:
            self.meter.observe()
        super().__init__("digger", lambda: round(time.time() * 1e6), self.meter)
        self.steps_left = steps_left
        self.steps = 0
        self.during: Callable[[], None] = self.notify
        self.stalls = False

    async def step(self) -> bool:
        """Do one step."""
        self.steps += 1
        time.sleep(STEP_SECONDS)  # noqa: ASYNC251 it is work
        self.during()
        if self.stalls:
            raise Stalled("unavailable", retry_seconds=60)
        self.steps_left -= 1
        return self.steps_left >= 0

    def due_at(self) -> int | None:
        """Never."""
        return None


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until the condition is true, for so many seconds at most."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (it comes from another task)
            await asyncio.sleep(STEP_SECONDS)


def run_during(task: CountedTask, action: Callable[[], Awaitable[None]]) -> None:
    """Run the task during this action."""

    async def run() -> None:
        running = asyncio.create_task(task.run())
        await action()
        task.stop()
        async with asyncio.timeout(30):
            await running

    asyncio.run(run())


def test_a_task_rests_between_steps_while_others_are_busy() -> None:
    task = CountedTask(steps_left=10_000, busy=True)

    async def watch() -> None:
        await asyncio.sleep(20 * 30 * STEP_SECONDS)
        await until(lambda: task.steps >= 2)

    run_during(task, watch)
    assert task.steps <= 60  # 600 without a rest


def test_tasks_that_rest_share_what_commands_leave_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them take no more of the processor than one."""
    monkeypatch.setattr(background_task, "_PAUSE_FACTOR", 5)
    meter = LoadMeter(lambda: 0.0)
    meter.observe()
    tasks = [CountedTask(1_000, meter=meter) for _ in range(4)]

    async def run() -> None:
        running = [asyncio.create_task(task.run()) for task in tasks]
        await asyncio.sleep(1)
        for task in tasks:
            task.stop()
        await asyncio.gather(*running)

    asyncio.run(run())
    worked = sum(task.steps for task in tasks) * STEP_SECONDS
    assert all(task.steps > 1 for task in tasks)
    assert worked < 0.3, "alone each would have worked for a sixth of the time"
    assert meter.stepping_back == 0


def test_a_task_stops_resting_when_others_are_no_longer_busy() -> None:
    task = CountedTask(steps_left=3, busy=True)
    task.during = lambda: time.sleep(0.5)  # a rest after such a step would last ten seconds

    async def end_of_load() -> None:
        await until(lambda: task.steps >= 1)
        task.meter.is_under_load = lambda: False  # type: ignore[method-assign]
        await until(lambda: task.steps_left < 0, seconds=9)

    run_during(task, end_of_load)


def test_a_task_that_was_far_behind_for_long_rests_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_task, "_STEPS_BACK_SECONDS_MAX", 0.1)
    task, begun = CountedTask(steps_left=200, busy=True), time.perf_counter()
    run_during(task, lambda: until(lambda: task.steps_left < 0))
    assert time.perf_counter() - begun < 20 * 200 * STEP_SECONDS / 2  # with all rests, it would be twice as long


def test_commands_pause_for_a_task_that_is_behind_for_long_although_it_rests_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_task, "_STEPS_BACK_SECONDS_MAX", 0.0)
    monkeypatch.setattr(background_task, "_BEHIND_SECONDS_MAX", 0.1)
    task = CountedTask(steps_left=10_000, busy=True)
    assert not task.meter.pause_after_batch()
    run_during(task, lambda: until(lambda: task.meter.pause_after_batch() > 0))


def test_commands_do_not_pause_for_a_task_that_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_task, "_BEHIND_SECONDS_MAX", 0.0)
    task = CountedTask(steps_left=10_000, busy=True)
    task.stalls = True
    run_during(task, lambda: until(lambda: task.stalled != ""))
    assert not task.meter.pause_after_batch()


def test_a_stop_does_not_wait_for_a_task_that_gathers() -> None:
    task, begun = CountedTask(steps_left=0), time.perf_counter()
    task.gather_seconds = 60
    run_during(task, lambda: until(lambda: task.steps >= 1))
    assert time.perf_counter() - begun < 30


def test_a_task_yields_to_other_tasks_of_its_service() -> None:
    task, turns = CountedTask(steps_left=30), []

    async def take_turns() -> None:
        while task.steps_left > 0:
            turns.append(task.steps_left)
            await asyncio.sleep(0)

    run_during(task, take_turns)
    assert len(set(turns)) >= 25


def test_a_notification_during_a_step_is_not_lost() -> None:
    task = CountedTask(steps_left=0)
    notifications = iter((True, False, False))
    task.during = lambda: task.notify() if next(notifications) else None

    async def watch() -> None:
        await until(lambda: task.steps >= 2)
        await asyncio.sleep(20 * STEP_SECONDS)

    run_during(task, watch)
    assert task.steps == 2


def test_a_stalled_task_retries_after_its_delay_and_not_on_notifications() -> None:
    task = CountedTask(steps_left=5)
    task.stalls = True

    async def notify() -> None:
        for _ in range(10):
            await asyncio.sleep(STEP_SECONDS)
            task.notify()
        assert (task.steps, task.stalled) == (1, "unavailable")
        task.stalls = False
        task.wake()  # its cause is removed
        await until(lambda: task.steps_left < 0)

    run_during(task, notify)
    assert task.stalled == ""


def test_a_task_whose_log_is_damaged_says_so_once_and_retries(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("innkeeper.actors.subscriptions.background_task.subscriber_retry_seconds", 0.01)
    task = CountedTask(1)

    def fail() -> None:
        raise JournalDamaged("journal.db: event 2 cannot be decoded; restore the file from a backup")

    async def action() -> None:
        await until(lambda: task.steps > 2)

    task.during = fail
    run_during(task, action)
    assert "event 2 cannot be decoded" in task.stalled
    assert ["event 2" in record.getMessage() for record in caplog.records] == [True]
    assert "Traceback" not in caplog.text


def test_a_task_that_cannot_say_when_there_is_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its disk fails just after a step."""
    monkeypatch.setattr(background_task, "subscriber_retry_seconds", 0.001)
    task, stalled = CountedTask(0), list[str]()

    def due_at() -> int | None:
        stalled.append(task.stalled)
        if len(stalled) < 3:
            raise JournalUnavailable("mail.db cannot be read", "disk I/O error")
        return None

    monkeypatch.setattr(task, "due_at", due_at)
    task.during = lambda: None

    async def wait() -> None:
        await until(lambda: len(stalled) == 3 and not task.stalled)

    run_during(task, wait)
    assert stalled == ["", "mail.db cannot be read", "mail.db cannot be read"]


def test_a_task_that_has_caught_up_takes_the_next_step_when_it_is_notified() -> None:
    task = CountedTask(steps_left=10_000)

    def catch_up() -> None:
        task.has_caught_up = True

    async def watch() -> None:
        await until(lambda: task.steps == 1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert task.steps == 1
        task.notify()
        await until(lambda: task.steps == 2)

    task.during = catch_up
    run_during(task, watch)
