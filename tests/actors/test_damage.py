"""A partition does not believe its snapshots unchecked, checks the whole journal behind its start, and stops where it
is damaged. It forgets old replies."""

import asyncio
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.actors.partition import housekeeping
from innkeeper.actors.partition import partition as partition_module
from innkeeper.actors.partition.opening import open_host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.service import check_snapshots
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.journal import JournalDamaged
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.reservations.commands import BookRoom
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.replies import BookingReply, HotelReply
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.limits import idempotency_hours
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.partition_fixture import HOTEL, HOTEL_TYPE, NOON, PartitionFixture, host_ports, partition_fixture, request

HOUR = 3_600_000_000


def change(path: Path, statement: str, values: tuple[object, ...] = ()) -> None:
    """Change the file."""
    with sqlite3.connect(path) as db:
        assert db.execute(statement, values).rowcount
    db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of two hotels, whose snapshots have all but the last event."""
    path = tmp_path / "journal.db"
    with partition_fixture(path) as partition:
        for hotel in (HOTEL, "lakeside"):
            partition.open_hotel(hotel=hotel)
            partition.book(hotel=hotel)
        assert partition.host.save_snapshots(after_events=1, at_most=9) == 2
        partition.book()
    return path


def states(partition: PartitionFixture) -> list[bytes]:
    """The hotels' states."""
    return [wire.encode(partition.host.describe(hotel)) for hotel in (HOTEL, "lakeside")]


def test_only_events_after_the_snapshots_are_read_at_the_start(path: Path) -> None:
    journal = SqliteJournal(path)
    partition = PartitionFixture(journal)
    assert partition.host.recover() == 1
    partition.load_all()
    while partition.host.save_snapshots(after_events=1):
        pass
    assert partition.host.recover() == 0
    partition.host.close()


SNAPSHOT_DAMAGE = (
    "UPDATE snapshots SET state = CAST(substr(state, 1, 40) || x'00' || state AS BLOB) WHERE hotel = 'seaside'",
    "UPDATE snapshots SET hotel = 'seasidf' WHERE hotel = 'seaside'",
    "UPDATE snapshots SET sequence = sequence + 1 WHERE hotel = 'seaside'",
    "DELETE FROM snapshots WHERE hotel = 'lakeside'",
)


@pytest.mark.parametrize("damage", SNAPSHOT_DAMAGE)
def test_a_damaged_snapshot_is_ignored_with_one_message_and_replaced(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with partition_fixture(path) as partition:
        undamaged = states(partition)
    change(path, damage)
    journal = SqliteJournal(path)
    assert re.search("snapshots? .*(is|are) ignored", check_snapshots(journal)[0])
    journal.close()
    caplog.clear()
    with partition_fixture(path) as partition:
        assert states(partition) == undamaged
        assert len(caplog.records) == 1
        assert re.search("snapshots? .*(is|are) ignored", caplog.text)
        while partition.host.save_snapshots(after_events=1):
            pass
    caplog.clear()
    with partition_fixture(path) as partition:
        assert states(partition) == undamaged
        assert partition.host.recover() == 0
    assert not caplog.records


def test_a_snapshot_of_another_version_is_ignored_with_one_message(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with partition_fixture(path) as partition:
        undamaged = states(partition)
        with monkeypatch.context() as patched:
            patched.setattr(wire, "encode_kept", lambda _: wire._encode(("state of the future", 1, b"")))
            assert partition.host.save_snapshots(after_events=1) == 1
    with partition_fixture(path) as partition:
        assert states(partition) == undamaged
        assert len(caplog.records) == 1
        assert "the snapshot of seaside is ignored" in caplog.text


def test_a_hotel_with_few_events_does_not_make_the_start_read_all_of_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with partition_fixture(path) as partition:
        booked_at_the_seaside = partition.host.journal.position()
        partition.load_all()
        partition.open_hotel({"DBL": 60}, "hillside")
        assert partition.host.save_snapshots(after_events=60) == 1  # hillside
        assert partition.host.journal.snapshot_set().until == booked_at_the_seaside - 1
        monkeypatch.setattr(housekeeping, "snapshot_behind_events_max", 40)
        assert partition.host.save_snapshots(after_events=60) == 1  # seaside, one of whose events is so far behind
        assert partition.host.journal.snapshot_set().until == partition.host.journal.position()


def run_partition(path: Path, bookings: int = 0, seconds: float = 0.5) -> None:
    """Run a partition for so long, or until it stops; raises what stops it."""

    async def run() -> None:
        ports = host_ports(path)
        partition = Partition(lambda: open_host(ports, HOTEL_TYPE), lambda: NOON)
        await partition.start()
        try:
            for number in range(bookings):
                result = await partition.ask(Envelope(BookRoom("hillside", request(2 + number)), f"{number}"))
                assert isinstance(result.response, BookingReply)
            await asyncio.wait_for(partition.ended(), seconds)
        except TimeoutError:
            pass
        finally:
            await partition.stop()

    asyncio.run(run())


def test_a_partition_stops_when_an_old_event_is_found_damaged_after_its_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(partition_module, "_CHECK_ROWS", 50)
    with partition_fixture(path) as partition:
        partition.open_hotel({"DBL": 1_200}, "hillside")
        while partition.host.save_snapshots(after_events=1):
            pass
    run_partition(path, bookings=20)
    assert not caplog.records
    change(path, "UPDATE events SET by = 'eve' WHERE position = 120")
    with pytest.raises(JournalDamaged, match=r"journal.db: event 120 is not what was written") as stopped:
        run_partition(path, seconds=60)
    assert stopped.value.exit_code == 4
    assert "the partition stops" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_partition_stops_when_a_kept_reply_is_found_damaged(path: Path) -> None:
    with partition_fixture(path) as partition:
        partition.execute(BookRoom(HOTEL, request(3)), "key")
        change(path, "UPDATE replies SET reply = x'00'")
        with pytest.raises(JournalDamaged, match="kept reply"):
            partition.execute(BookRoom(HOTEL, request(3)), "key")


def test_a_key_is_valid_for_a_day(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_REPLIES_PER_STEP", 2)
    partition = PartitionFixture(storage.journal(RESERVATIONS))
    partition.open_hotel({"DBL": 9})
    command = BookRoom(HOTEL, request(3))
    first = [partition.execute(command, f"key {number}") for number in range(3)]
    partition.at += (idempotency_hours - 1) * HOUR
    later = partition.execute(command, "later")
    remove_old_replies(partition)
    partition.at += HOUR
    assert [partition.result(command, f"key {number}") for number in range(3)] == [Result(r, True) for r in first]
    partition.at += HOUR
    remove_old_replies(partition)
    assert partition.result(command, "later") == Result(later, True)
    assert not partition.result(command, "key 0").replayed
    partition.host.close()
    again = PartitionFixture(storage.journal(RESERVATIONS), partition.at)
    assert again.result(command, "key 0").replayed
    again.host.close()


def remove_old_replies(partition: PartitionFixture) -> None:
    """Remove all that are too old, as in an hour without commands."""
    while partition.host.tidy_journal():
        pass


def test_a_reply_of_another_version_is_not_given_and_disturbs_no_other_command(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with partition_fixture(path) as partition:
        partition.execute(BookRoom(HOTEL, request(3)), "key")
        decode = wire.decode

        def unknown(body: bytes) -> object:
            raise wire.UnknownMessageType("a newer Innkeeper wrote it")

        repeated, other = Envelope(BookRoom(HOTEL, request(3)), "key"), Envelope(BookRoom(HOTEL, request(4)), "other")
        monkeypatch.setattr(wire, "decode", unknown)
        results = partition.host.handle([repeated, other])
        monkeypatch.setattr(wire, "decode", decode)
        assert isinstance(results[0].response, Unavailable)
        assert isinstance(results[1].response, BookingReply)


def test_a_partition_removes_old_replies_while_it_has_nothing_else_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(partition_module, "_IDLE_SECONDS", 0.02)
    with partition_fixture(path) as partition:
        partition.at -= 25 * HOUR
        partition.host._last_at = 0
        partition.execute(BookRoom(HOTEL, request(3)), "old")
    caplog.set_level(logging.WARNING)
    for _ in range(20):  # each for half a second: a busy machine needs longer
        run_partition(path)
        with closing(SqliteJournal(path)) as journal:
            if not journal.replies(["old"]):
                break
    else:
        pytest.fail("the old reply is still there")


def test_snapshots_are_saved_and_old_replies_removed_although_queries_never_cease(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_module, "_IDLE_SECONDS", 600.0)
    monkeypatch.setattr(partition_module, "tidying_seconds_max", 0.05)
    monkeypatch.setattr(housekeeping, "snapshot_behind_events_max", 0)
    with partition_fixture(path) as partition:
        partition.at -= 25 * HOUR
        partition.host._last_at = 0
        partition.execute_batch([BookRoom(HOTEL, request(4)), BookRoom(HOTEL, request(5))])
        partition.execute(BookRoom(HOTEL, request(3)), "old")
        end = partition.host.journal.position()

    async def run() -> None:
        partition = Partition(lambda: open_host(host_ports(path), HOTEL_TYPE), lambda: NOON)
        await partition.start()
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
                state = "SELECT (SELECT count(*) FROM replies), (SELECT max(position) FROM snapshots)"
                async with asyncio.timeout(30):
                    while db.execute(state).fetchone() != (0, end):
                        reply = (await partition.ask(Envelope(DescribeHotel(HOTEL)))).response
                        assert isinstance(reply, HotelReply)
        finally:
            await partition.stop()

    asyncio.run(run())
