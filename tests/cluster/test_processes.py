"""An installation of several processes: when one ends the others go on, and it is started again."""

import asyncio
import os
import pickle
import subprocess
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import ClientSession
from innkeeper.protocol.codec import frames
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import partition_of
from innkeeper.storage.data_directory import DataDirectory, DataUnusable
from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.gateway import stay_request
from support.installation import Installation, is_alive
from support.partitioned_hotels import HOTELS, PARTITIONS, open_hotels
from support.server_process import program_command, run_to_end
from support.waiting import wait_until

BACK_SECONDS_MAX = 120


def test_hotels_of_a_killed_partition_are_unavailable_and_the_others_go_on(installation: Installation) -> None:
    async def book(session: ClientSession, hotel: str) -> int:
        async with session.post(f"/v1/hotels/{hotel}/bookings", json=stay_request()) as response:
            return response.status

    async def check() -> None:
        await open_hotels(installation, rooms=1_000)  # enough to book one a round until the partition is back
        killed = partition_of(HOTELS[0], PARTITIONS)
        others = [hotel for hotel in HOTELS if partition_of(hotel, PARTITIONS) != killed]
        async with ClientSession(installation.url) as session:
            installation.kill(f"reservations-{killed}")
            start, statuses = monotonic(), list[int]()
            while (status := await book(session, HOTELS[0])) != 201:
                statuses.append(status)
                await asyncio.sleep(0.05)
                assert [await book(session, hotel) for hotel in others] == [201] * len(others)
                assert monotonic() - start < BACK_SECONDS_MAX
            assert set(statuses) <= {503}

    asyncio.run(check())


def test_a_hotels_events_are_found_whichever_partition_has_them(installation: Installation) -> None:
    async def check() -> None:
        await open_hotels(installation)
        async with ClientSession(installation.url) as session:
            for hotel in HOTELS:
                async with session.get(f"/v1/events?hotel={hotel}") as response:
                    found = (await response.json())["data"]
                assert [event["type"] for event in found][:2] == [
                    "innkeeper.hotel.opened.v1", "innkeeper.room_type.added.v1",
                ]  # fmt: skip
                assert {event["source"] for event in found} == {f"/hotels/{hotel}"}
            async with session.get("/v1/events") as response:
                assert (response.status, "reservations-0" in await response.text()) == (422, True)

    asyncio.run(check())


@pytest.mark.slow
def test_when_the_supervisor_is_killed_the_other_processes_finish_and_end(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", "--partitions", "2")
    pids = [installation.pid(part) for part in ("reservations-0", "reservations-1", "billing", "gateway-0")]
    installation.kill_supervisor()
    wait_until(lambda: not any(map(is_alive, pids)), BACK_SECONDS_MAX)
    again = Installation(tmp_path / "data", "--partitions", "2")
    assert again.stop() == 0
    wait_until(lambda: not processes_of(tmp_path), BACK_SECONDS_MAX)


def test_ctrl_c_ends_all_processes_in_order(installation: Installation, tmp_path: Path) -> None:
    asyncio.run(open_hotels(installation))
    start = monotonic()
    assert installation.interrupt() == 0
    assert monotonic() - start < limits.shutdown_seconds_max, "something had to be given up"
    wait_until(lambda: not processes_of(tmp_path), BACK_SECONDS_MAX)
    assert "Traceback" not in (tmp_path / "data.log").read_text()
    assert run_to_end("verify", "--data", installation.data).returncode == 0


def processes_of(folder: Path) -> list[str]:
    """The processes that have this folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [path.parent.name] if str(folder).encode() in path.read_bytes() else []
    return found


@pytest.mark.parametrize(
    ("created", "requested", "message"),
    [("2", "3", "was made with --partitions 2"), ("1", "4", "was made with --partitions 1")],
)
def test_another_number_of_partitions_is_refused(tmp_path: Path, created: str, requested: str, message: str) -> None:
    data = tmp_path / "data"
    Installation(data, "--partitions", created).close()
    for options in ([], ["--processes"]):
        refused = run_to_end("demo", "--port", "0", "--data", data, "--partitions", requested, *options)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


def test_the_maximum_of_partitions_runs_in_one_process_and_publishes(rabbitmq: str, tmp_path: Path) -> None:
    options = ("--partitions", limits.partitions_max, "--broker", rabbitmq, "--data", tmp_path / "data")
    command = program_command("reservations", *map(str, options))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert f"reservations-{limits.partitions_max - 1}: ready" in line
            wait_until((tmp_path / "data" / "publisher-reservations.db").exists, BACK_SECONDS_MAX)
        finally:
            process.terminate()
        assert process.wait(BACK_SECONDS_MAX) == 0


def test_a_missing_number_of_partitions_is_not_guessed(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    assert (data.installation(partitions=3).partitions, data.installation().partitions) == (3, 3)
    SqliteStorage(data).journal("reservations-1").close()
    (data.path / "installation.json").unlink()
    with pytest.raises(DataRefused, match="restore it"):
        data.installation()


def test_several_gateways_need_several_processes(tmp_path: Path) -> None:
    refused = run_to_end("demo", "--port", "0", "--data", tmp_path / "data", "--workers", "2")
    assert (refused.returncode, "--workers needs --processes" in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "data").exists()


def test_sockets_for_a_long_path_are_elsewhere_in_a_private_folder(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / ("long" * 30))
    socket_path = data.socket("billing")
    assert len(bytes(socket_path)) < 108
    assert socket_path.parent.stat().st_mode & 0o777 == 0o700
    if os.getuid() == 0:
        os.chown(socket_path.parent, 12345, -1)
        with pytest.raises(DataUnusable, match="belongs to another user"):
            data.socket("billing")
    socket_path.parent.rmdir()


def test_requests_on_a_socket_cannot_run_code(installation: Installation) -> None:
    async def send(sent: bytes, *, waits: bool) -> bytes:
        reader, writer = await asyncio.open_unix_connection(DataDirectory(installation.data).socket("billing"))
        writer.write(sent)
        async with asyncio.timeout(BACK_SECONDS_MAX):
            answer = await reader.read(65_536) if waits else b""
        writer.close()
        return answer

    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xc1", b"\x93\x01\xa3ask", pickle.dumps(print), b"\x92\x01\xa4take"):
        asyncio.run(send(data, waits=False))
    malformed = [
        ["ask"],
        ["ask", b"x", None, "", "", None],
        ["view", "__init__", {}],
        ["read", "x"],
        ["tell", "Exit", {}],
    ]
    for number, content in enumerate(malformed, start=1):
        answer = frames.frame_decoder()
        answer.feed(asyncio.run(send(frames.pack(number, *content), waits=True)))
        assert [frame[:2] for frame in answer] == [[number, frames.REFUSED]]
    pid = installation.pid("billing")
    asyncio.run(open_hotels(installation))
    assert installation.pid("billing") == pid


def test_an_installation_of_parts_shares_its_data_directory_with_no_other(installation: Installation) -> None:
    for command in (["demo", "--port", "0"], ["verify"], ["demo", "--port", "0", "--processes"]):
        refused = run_to_end(*command, "--data", installation.data)
        assert (refused.returncode, "in use by another Innkeeper" in refused.stderr) == (3, True), refused.stderr


def test_a_part_that_cannot_start_ends_all_with_its_message_and_exit_code(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.installation(partitions=2)
    SqliteStorage(data).locator_key()
    data.journal("reservations-1").write_bytes(b"this is no database" * 500)
    refused = run_to_end("demo", "--processes", "--port", "0", "--data", data.path)
    assert refused.returncode == 4, refused.stderr
    assert "reservations-1 could not start (exit code 4)" in refused.stderr
    wait_until(lambda: not processes_of(tmp_path), BACK_SECONDS_MAX)


@pytest.mark.parametrize(("part", "journal"), [("reservations-1", "partition-1.db"), ("billing", "billing-0.db")])
def test_a_part_that_ends_by_itself_is_started_again(installation: Installation, part: str, journal: str) -> None:
    asyncio.run(open_hotels(installation))
    before = installation.pid(part)
    SqliteJournal(installation.data / journal).close()  # another writer opened it: the part must stop

    async def ask_until_back() -> None:
        async with ClientSession(installation.url) as session, asyncio.timeout(BACK_SECONDS_MAX):
            while installation.pid_or_none(part) in (None, before):
                for hotel in HOTELS:
                    async with session.post(f"/v1/hotels/{hotel}/bookings", json=stay_request()) as response:
                        assert response.status in (201, 503)
                await asyncio.sleep(0.1)
            statuses = {503}
            while statuses != {200}:
                await asyncio.sleep(0.1)
                statuses = {(await session.get(f"/v1/hotels/{hotel}/ledger")).status for hotel in HOTELS}

    asyncio.run(ask_until_back())
