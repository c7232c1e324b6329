"""The measure of load: eight commands in a batch are load, and so are eight events in a commit of another process."""

import asyncio
from pathlib import Path

import pytest
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.load_meter import LoadMeter
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.router import HOTEL as HOTEL_TYPE
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import NOON


@pytest.mark.parametrize(("size", "is_load"), [(0, False), (7, False), (8, True), (500, True)])
def test_eight_at_once_are_load(size: int, is_load: bool) -> None:
    meter = LoadMeter(lambda: 0.0)
    meter.observe(size)
    assert meter.is_under_load() is is_load


def test_load_ends_a_tenth_of_a_second_after_the_last_large_batch() -> None:
    at = 0.0
    meter = LoadMeter(lambda: at)
    meter.observe(8)
    at = 0.09
    meter.observe(1)
    assert meter.is_under_load()
    at = 0.11
    assert not meter.is_under_load()


@pytest.mark.parametrize(("commands", "is_load"), [(7, False), (8, True)])
def test_a_partition_is_under_load_when_eight_commands_come_at_once(
    tmp_path: Path, commands: int, is_load: bool
) -> None:
    async def ask_at_once() -> bool:
        journal = tmp_path / "journal.db"
        partition = Partition(
            lambda: Host(SqliteJournal(journal), lambda: NOON, lambda: "id", HOTEL_TYPE), lambda: NOON
        )
        partition.load = LoadMeter(lambda: 0.0)
        await partition.start()
        await asyncio.gather(*(partition.ask(Envelope(DescribeHotel("seaside"))) for _ in range(commands)))
        await partition.stop()
        return partition.load.is_under_load()

    assert asyncio.run(ask_at_once()) is is_load
