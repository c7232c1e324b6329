"""Several members of one consumer group: each partition has one owner, and what one has taken no other takes again."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RemoteLog, log_entry
from support.installations import NAMES
from support.kafka_node import KafkaNode
from support.kafka_topics import publish
from support.waiting import until

HOTELS = 60


def entry_of_hotel(hotel: int, number: int) -> LogEntry:
    _, record = log_entry(1)
    position = hotel + HOTELS * (number - 1)
    return position, record.__class__(f"hotel-{hotel}", number, position, "ann", "", "", record.event)


class Member:
    """A member of the group of billing, with an inbox of its own."""

    def __init__(self, url: str, folder: Path, name: str) -> None:
        origin = RemoteLog(1_000_000)
        origin.reachable = False
        self.inbox = SqliteInbox(folder / f"{name}.db", {"billing": origin})
        self.taken: list[int] = []
        handle = self.inbox.handle

        def record(entries: Sequence[tuple[str, LogEntry]], places: Any) -> None:
            handle(entries, places)
            self.taken += [position for _, (position, _) in entries]

        self.inbox.handle = record  # type: ignore[method-assign]
        self._consumer = KafkaConsumer(url, NAMES, "billing", self.inbox, lambda _: "billing")
        self._task = asyncio.create_task(self._consumer.run())

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


@asynccontextmanager
async def members(url: str, folder: Path, *names: str) -> AsyncIterator[list[Member]]:
    joined = [Member(url, folder, name) for name in names]
    try:
        yield joined
    finally:
        for member in joined:
            await member.leave()
            await asyncio.to_thread(member.inbox.close)


def taken_by(all_members: list[Member]) -> list[int]:
    return sorted(position for member in all_members for position in member.taken)


async def publish_round(node: KafkaNode, number: int) -> None:
    """Publish one event of each hotel, in all partitions."""
    entries = [entry_of_hotel(hotel, number) for hotel in range(1, HOTELS + 1)]
    await asyncio.to_thread(publish, node.servers, entries)


def test_two_members_share_the_partitions_and_take_nothing_twice(real_kafka: KafkaNode, tmp_path: Path) -> None:
    async def check() -> None:
        async with members(real_kafka.url, tmp_path, "first", "second") as both:
            for number in range(1, 20):
                await publish_round(real_kafka, number)
                await until(lambda number=number: len({*taken_by(both)}) == number * HOTELS)  # type: ignore[misc]
                if all(member.taken for member in both):
                    break
            for member in both:
                member.taken.clear()
            await publish_round(real_kafka, 20)
            await until(lambda: len(taken_by(both)) >= HOTELS)
            assert taken_by(both) == [19 * HOTELS + hotel for hotel in range(1, HOTELS + 1)]
            assert all(member.taken for member in both)

    asyncio.run(check())


def test_a_member_that_leaves_or_joins_loses_nothing(real_kafka: KafkaNode, tmp_path: Path) -> None:
    async def check() -> None:
        async with members(real_kafka.url, tmp_path, "first") as (first,):
            await publish_round(real_kafka, 1)
            await until(lambda: len(first.taken) == HOTELS)
            async with members(real_kafka.url, tmp_path, "second") as (second,):
                number = 1
                while not second.taken:
                    number += 1
                    await publish_round(real_kafka, number)
                    await until(lambda: len({*taken_by([first, second])}) == number * HOTELS)  # noqa: B023
            await publish_round(real_kafka, number + 1)
            await until(lambda: len({*taken_by([first, second])}) == (number + 1) * HOTELS)
            assert len(taken_by([first, second])) == (number + 1) * HOTELS  # nothing twice

    asyncio.run(check())


@pytest.mark.slow
def test_the_partitions_of_a_member_that_hangs_are_taken_over_within_its_session(
    real_kafka: KafkaNode, tmp_path: Path
) -> None:
    async def check() -> None:
        async with members(real_kafka.url, tmp_path, "first") as (first,):
            with member_process(real_kafka.url, tmp_path / "other.db") as other:
                number = 0
                while not has_taken(tmp_path / "other.db"):
                    number += 1
                    await publish_round(real_kafka, number)
                    await asyncio.sleep(0.5)
                other.send_signal(signal.SIGSTOP)
                first.taken.clear()
                await publish_round(real_kafka, number + 1)
                began = monotonic()
                newest = {number * HOTELS + hotel for hotel in range(1, HOTELS + 1)}
                await until(lambda: newest <= {*first.taken})
                assert monotonic() - began < limits.consumer_session_seconds + MARGIN_SECONDS

    asyncio.run(check())


MARGIN_SECONDS = 20  # a machine may be slow
MEMBER = """
import asyncio, sys
from pathlib import Path
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RemoteLog
from support.installations import NAMES
origin = RemoteLog(1_000_000)
origin.reachable = False
inbox = SqliteInbox(Path(sys.argv[2]), {"billing": origin})
asyncio.run(KafkaConsumer(sys.argv[1], NAMES, "billing", inbox, lambda _: "billing").run())
"""


@contextmanager
def member_process(url: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A member of the group in a process of its own, with this inbox."""
    process = subprocess.Popen([sys.executable, "-c", MEMBER, url, str(path)], cwd=Path(__file__).parents[1])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def has_taken(path: Path) -> bool:
    """Whether an inbox has an event."""
    try:
        with closing(sqlite3.connect(path)) as db:
            return bool(db.execute("SELECT count(*) FROM entries").fetchone()[0])
    except sqlite3.OperationalError:  # it is not made yet
        return False
