"""Commits wake all who follow them once for a moment, which lasts longer while there are many."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from innkeeper.actors.subscriptions.commit_signal import CommitSignal

SECONDS = 0.05


def run_with(check: Callable[[CommitSignal, list[float]], Awaitable[None]]) -> None:
    """Run a check with a signal, and the instants at which it wakes."""

    async def run() -> None:
        signal, woken = CommitSignal(SECONDS), list[float]()
        for _ in range(2):
            signal.call(lambda: woken.append(asyncio.get_running_loop().time()))
        await check(signal, woken)

    asyncio.run(run())


def test_all_are_woken_once_for_the_commits_of_a_moment() -> None:
    async def check(signal: CommitSignal, woken: list[float]) -> None:
        begun = asyncio.get_running_loop().time()
        for position in range(9):
            signal.on_commit(position, ())
        await asyncio.sleep(4 * SECONDS)
        assert len(woken) == 2
        assert woken[0] - begun >= 0.99 * SECONDS
        signal.on_commit(9, ())
        await asyncio.sleep(4 * SECONDS)
        assert len(woken) == 4

    run_with(check)


def test_after_many_commits_the_next_moment_lasts_longer() -> None:
    async def check(signal: CommitSignal, woken: list[float]) -> None:
        for commits, waits_longer in ((1, False), (9, False), (1, True), (1, False)):
            begun = asyncio.get_running_loop().time()
            for position in range(commits):
                signal.on_commit(position, ())
            while not woken:  # noqa: ASYNC110 (a timer wakes)
                await asyncio.sleep(SECONDS / 50)
            assert (woken[0] - begun >= 2 * SECONDS) is waits_longer
            woken.clear()

    run_with(check)


def test_a_commit_in_another_thread_wakes_too_and_does_no_harm_after_the_end() -> None:
    signals = list[CommitSignal]()

    async def check(signal: CommitSignal, woken: list[float]) -> None:
        signals.append(signal)
        thread = threading.Thread(target=signal.on_commit_elsewhere, args=(1, ()))
        thread.start()
        await asyncio.sleep(4 * SECONDS)
        thread.join()
        assert len(woken) == 2

    run_with(check)
    signals[0].on_commit_elsewhere(2, ())
