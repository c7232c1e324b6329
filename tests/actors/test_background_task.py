"""A worker is always there for news, and never in the way of others."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from innkeeper.actors.subscriptions.task import BackgroundTask
from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState

STEP_SECONDS = 0.002


class Digger(BackgroundTask):
    """Has as many steps to do as it is told, each of which takes its time; `during` happens in the middle of one."""

    def __init__(self, todo: int, busy: bool = False) -> None:
        super().__init__("digger", lambda: round(time.time() * 1e6), lambda: busy)
        self.todo = todo
        self.steps = 0
        self.during: Callable[[], None] = self.notify
        self.stalls = False

    async def step(self) -> bool:
        """Dig."""
        self.steps += 1
        time.sleep(STEP_SECONDS)  # noqa: ASYNC251 it is work
        self.during()
        if self.stalls:
            raise Stalled("a rock", retry_seconds=60)
        self.todo -= 1
        return self.todo >= 0

    def due_at(self) -> int | None:
        """Never."""
        return None

    def state(self) -> SubscriberState:
        """As far as it has come."""
        return SubscriberState(self.name, (), {}, max(self.todo, 0), False, 0, self.stalled)

    def pause(self, paused: bool) -> None:
        """It cannot."""

    def dead_letters(self) -> list[DeadLetter]:
        """None."""
        return []

    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """Nothing."""
        return None


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until this is so, for so long at most."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (it comes from another task)
            await asyncio.sleep(STEP_SECONDS)


def live(digger: Digger, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Let it work while something else happens."""

    async def run() -> None:
        life = asyncio.create_task(digger.run())
        await meanwhile()
        digger.stop()
        async with asyncio.timeout(30):
            await life

    asyncio.run(run())


def test_while_others_are_busy_it_rests_whatever_news_there_is() -> None:
    digger = Digger(todo=10_000, busy=True)

    async def watch() -> None:
        await asyncio.sleep(20 * 30 * STEP_SECONDS)
        await until(lambda: digger.steps >= 2)

    live(digger, watch)
    assert digger.steps <= 60  # 600 without a rest


def test_it_rests_no_longer_than_others_are_busy() -> None:
    digger = Digger(todo=3)
    digger.during = lambda: time.sleep(0.5)  # so long a step that it would rest for ten seconds
    others = iter((True, True, True))
    digger.is_under_load = lambda: next(others, False)
    live(digger, lambda: until(lambda: digger.todo < 0, seconds=9))


def test_while_it_works_others_in_its_service_get_their_turn() -> None:
    digger, turns = Digger(todo=30), []

    async def take_turns() -> None:
        while digger.todo > 0:
            turns.append(digger.todo)
            await asyncio.sleep(0)

    live(digger, take_turns)
    assert len(set(turns)) >= 25


def test_news_that_comes_while_it_looks_is_not_lost() -> None:
    digger = Digger(todo=0)
    news = iter((True, False, False))
    digger.during = lambda: digger.notify() if next(news) else None

    async def watch() -> None:
        await until(lambda: digger.steps >= 2)
        await asyncio.sleep(20 * STEP_SECONDS)

    live(digger, watch)
    assert digger.steps == 2


def test_what_stalls_it_is_tried_again_in_time_and_not_with_each_news() -> None:
    digger = Digger(todo=5)
    digger.stalls = True

    async def tell() -> None:
        for _ in range(10):
            await asyncio.sleep(STEP_SECONDS)
            digger.notify()
        assert (digger.steps, digger.state().stalled) == (1, "a rock")
        digger.stalls = False
        digger.wake()  # somebody has seen to it
        await until(lambda: digger.todo < 0)

    live(digger, tell)
    assert (digger.state().lag, digger.stalled) == (0, "")
