"""The measure of load: eight commands in a batch are load, and so are eight events in a commit of another process."""

import asyncio
from itertools import count
from pathlib import Path

import pytest
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.load_meter import LoadMeter
from innkeeper.actors.partition.partition import Partition
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL_TYPE, NOON


def test_load_ends_a_tenth_of_a_second_after_the_last_large_batch() -> None:
    at = 0.0
    meter = LoadMeter(lambda: at, lambda: at)
    at = 0.2
    assert not meter.is_under_load()
    meter.observe()
    at = 0.29
    assert meter.is_under_load()
    at = 0.31
    assert not meter.is_under_load()


def test_a_thread_that_has_time_left_is_not_under_load() -> None:
    at = worked = 0.0
    meter = LoadMeter(lambda: at, lambda: worked)
    for step, share in enumerate((0.5, 0.9, 1.0, 0.8, 0.9, 0.0), 1):
        at = 0.2 * step
        worked += 0.2 * share
        meter.observe()
        assert meter.is_under_load() is (share > 0.85)
        at += 0.05  # too early to measure again
        assert meter.is_under_load() is (share > 0.85)


@pytest.mark.parametrize(("commands", "is_load"), [(7, False), (8, True)])
def test_a_partition_is_under_load_when_eight_commands_come_at_once(
    tmp_path: Path, commands: int, is_load: bool
) -> None:
    async def ask_at_once() -> bool:
        journal = tmp_path / "journal.db"
        ids = map(str, count())
        load = LoadMeter(lambda: 0.0, lambda: 0.0)
        load._is_busy = True
        partition = Partition(
            lambda: Host(SqliteJournal(journal), lambda: NOON, lambda: next(ids), HOTEL_TYPE), lambda: NOON, load=load
        )
        await partition.start()
        await asyncio.gather(*(partition.ask(Envelope(DescribeHotel("seaside"))) for _ in range(commands)))
        await partition.stop()
        return load.is_under_load()

    assert asyncio.run(ask_at_once()) is is_load
