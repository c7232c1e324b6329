"""The measure of load: many commands in a batch are load, and so are many events in a commit of another process."""

import asyncio
from itertools import count
from pathlib import Path

import pytest
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.subscriptions.load_meter import LoadMeter
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL_TYPE, NOON


def test_load_ends_a_tenth_of_a_second_after_the_last_large_batch() -> None:
    at = 0.0
    meter = LoadMeter(lambda: at)
    assert not meter.is_under_load()
    meter.observe()
    at = 0.09
    assert meter.is_under_load()
    at = 0.11
    assert not meter.is_under_load()


def test_pauses_of_commands_grow_while_somebody_is_behind_and_then_shrink_to_nothing() -> None:
    at = 0.0
    meter = LoadMeter(lambda: at, lambda: at)
    assert meter.pause_after_batch() == 0
    meter.report_behind()
    pauses = [meter.pause_after_batch() for _ in range(100)]
    assert pauses[0] == 0.001
    assert pauses == sorted(pauses)
    assert pauses[-1] == 0.25
    at = 1.1
    pauses = [meter.pause_after_batch() for _ in range(100)]
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[-1] == 0


@pytest.mark.parametrize(("busy_share", "is_paused"), [(0.5, False), (0.7, True)])
def test_commands_do_not_pause_for_those_who_wait_for_others(busy_share: float, is_paused: bool) -> None:
    """As for mail whose server is slow: the processor is not what they need."""
    at = 0.0
    meter = LoadMeter(lambda: at, lambda: at * busy_share)
    pauses = []
    for _ in range(10):
        at += 0.01
        meter.report_behind()
        pauses.append(meter.pause_after_batch())
    assert any(pauses) is is_paused


def test_a_large_batch_waits_for_those_who_are_behind(tmp_path: Path) -> None:
    async def pauses_after(commands: int) -> list[float]:
        ids = map(str, count())
        load = LoadMeter(lambda: 0.0)
        load.report_behind()
        pauses: list[float] = []
        load.pause_after_batch = lambda: pauses.append(0.001) or 0.001  # type: ignore[method-assign, func-returns-value]
        partition = Partition(
            lambda: Host(SqliteJournal(tmp_path / "journal.db"), lambda: NOON, lambda: next(ids), HOTEL_TYPE),
            lambda: NOON,
            load=load,
        )
        await partition.start()
        await asyncio.gather(*(partition.ask(Envelope(DescribeHotel("seaside"))) for _ in range(commands)))
        await partition.stop()
        return pauses

    assert not asyncio.run(pauses_after(23))
    assert asyncio.run(pauses_after(24))


@pytest.mark.parametrize(("commands", "is_load"), [(23, False), (24, True)])
def test_a_partition_is_under_load_when_many_commands_come_at_once(
    tmp_path: Path, commands: int, is_load: bool
) -> None:
    async def ask_at_once() -> bool:
        journal = tmp_path / "journal.db"
        ids = map(str, count())
        load = LoadMeter(lambda: 0.0)
        partition = Partition(
            lambda: Host(SqliteJournal(journal), lambda: NOON, lambda: next(ids), HOTEL_TYPE), lambda: NOON, load=load
        )
        await partition.start()
        await asyncio.gather(*(partition.ask(Envelope(DescribeHotel("seaside"))) for _ in range(commands)))
        await partition.stop()
        return load.is_under_load()

    assert asyncio.run(ask_at_once()) is is_load
