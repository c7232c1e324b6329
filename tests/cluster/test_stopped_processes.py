"""Each process of an installation stands still for a moment under load (SIGSTOP), and goes on: requests to it wait or
are refused, and no acknowledged booking and no event is lost or doubled."""

import asyncio
import os
import random
import signal

import pytest
from aiohttp import ClientSession, ClientTimeout
from cluster.test_killed_processes import (
    PARTS,
    client,
    compare_with_records,
    event_ids_once_caught_up,
    open_hotels,
)
from support.acknowledged_bookings import ClientRecords
from support.installation import Installation
from support.server_process import run_to_end

CLIENTS = 8
STOPPED_SECONDS = 1.0
ANSWER_SECONDS_MAX = 60


async def run_clients_while_stopping(installation: Installation, records: ClientRecords, chance: random.Random) -> None:
    """Run all clients at once, while one process after the other stands still."""
    done = asyncio.Event()
    async with ClientSession(installation.url, timeout=ClientTimeout(ANSWER_SECONDS_MAX)) as session:
        clients = [
            asyncio.create_task(client(session, records, random.Random(chance.random()), f"client-{number}", done))
            for number in range(CLIENTS)
        ]
        for part in PARTS:
            pid = installation.pid(part)
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(STOPPED_SECONDS)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.1)
            assert installation.pid(part) == pid, "it went on, and was not started again"
        done.set()
        await asyncio.gather(*clients)


@pytest.mark.slow
def test_processes_that_stand_still_lose_nothing(installation: Installation) -> None:
    chance, records = random.Random(6), ClientRecords()
    asyncio.run(open_hotels(installation, rooms=200))
    asyncio.run(run_clients_while_stopping(installation, records, chance))
    assert len(records.bookings) > 2 * len(PARTS)
    asyncio.run(compare_with_records(installation, records))
    ids = asyncio.run(event_ids_once_caught_up(installation))
    assert len(set(ids)) == len(ids)
    assert installation.stop() == 0
    verified = run_to_end("verify", "--data", installation.data)
    assert verified.returncode == 0, verified.stdout + verified.stderr
