"""What every inbox does: whatever a broker delivers twice, late or never, it is a log without gaps."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.inbox import InboxConflict
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import EventLog
from support.consumer_checks import RemoteLog, log_entry
from support.storages import ENGINES


@pytest.mark.parametrize("engine", ENGINES)
@given(st.lists(st.lists(st.integers(1, 12), max_size=5), max_size=12), st.sets(st.integers(0, 11)))
def test_an_inbox_holds_each_event_of_its_log_once_and_in_order(
    engine: str, batches: list[list[int]], restarts: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_inbox(ENGINES[engine](Path(folder)), batches, restarts)


def check_inbox(storage: Storage, batches: list[list[int]], restarts: set[int]) -> None:
    """Handle the batches, with a restart before some of them; check the log after each."""
    origin = RemoteLog(12)
    inbox = storage.inbox("billing", {"billing": origin})
    received: set[int] = set()
    for number, batch in enumerate(batches):
        if number in restarts:
            inbox.close()
            inbox = storage.inbox("billing", {"billing": origin})
        log = inbox.logs["billing"]
        inbox.handle([("billing", log_entry(one)) for one in batch] + [("other", log_entry(99))], {"topic:0": number})
        received |= set(batch)
        end = next(one for one in range(14) if one + 1 not in received)
        assert log.position == end
        assert log.read(0, 100) == [log_entry(one) for one in range(1, end + 1)]
        of_hotel = [found for found in log.read(0, 100) if found[1].hotel == "hotel-1"]
        assert log.read(0, 100, "hotel-1", 1) == of_hotel[1:]
        assert log.read(1, 2) == log.read(0, 100)[1:3]
        assert (inbox.offset("topic:0"), inbox.offset("topic:1")) == (number, None)
    origin.reachable = False
    inbox.fetch_missing()
    origin.reachable = True
    inbox.fetch_missing()
    assert inbox.logs["billing"].read(0, 100) == [log_entry(one) for one in range(1, 13)]
    inbox.close()


def test_events_are_announced_once_they_are_readable(storage: Storage) -> None:
    with closing(storage.inbox("billing", {"billing": RemoteLog(9)})) as inbox:
        announced: list[Any] = []
        inbox.logs["billing"].subscribe(
            lambda position, records: announced.append((position, [one.hotel_seq for one in records]))
        )
        for batch in ([2], [1], [3, 4], [4]):
            inbox.handle([("billing", log_entry(one)) for one in batch], {})
        assert announced == [(2, [1, 1]), (4, [1, 2])]


def test_each_service_has_an_inbox_of_its_own(storage: Storage) -> None:
    for name in ("billing", "notifications"):
        with closing(storage.inbox(name, {"reservations": RemoteLog(9)})) as inbox:
            assert inbox.logs["reservations"].position == 0
            inbox.handle([("reservations", log_entry(1))], {"queue": 5})
            assert (inbox.logs["reservations"].position, inbox.offset("queue")) == (1, 5)


def other_entry(position: int) -> LogEntry:
    """Another event at this position, with the same number of the same hotel."""
    _, record = log_entry(position)
    return position, msgspec.structs.replace(record, by="eve")


def moved_entry(position: int, to: int) -> LogEntry:
    """An event at another position than its own."""
    return to, log_entry(position)[1]


@pytest.mark.parametrize("wrong", [other_entry(2), moved_entry(2, 7), moved_entry(7, 2)])
def test_an_event_that_differs_from_the_stored_one_is_refused_and_stored_nowhere(
    wrong: LogEntry, storage: Storage
) -> None:
    origin = RemoteLog(9)
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        log = inbox.logs["billing"]
        inbox.handle([("billing", log_entry(one)) for one in (1, 2)], {"queue": 2})
        woken: list[int] = []
        log.subscribe(lambda position, _: woken.append(position))
        batch = [("billing", entry) for entry in (log_entry(1), log_entry(3), wrong)]
        with pytest.raises(InboxConflict, match="got another event") as conflict:
            inbox.handle(batch, {"queue": 5})
        assert conflict.value.entries == [("billing", wrong)]
        assert (log.read(0, 9), inbox.offset("queue"), woken) == ([log_entry(1), log_entry(2)], 2, [2])
        inbox.handle(batch[:2], {"queue": 5})
        assert log.read(0, 9) == [log_entry(1), log_entry(2), log_entry(3)]
        assert inbox.fault == str(conflict.value)
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        assert inbox.fault == str(conflict.value)


def test_two_different_events_in_one_batch_are_a_conflict(storage: Storage) -> None:
    with closing(storage.inbox("billing", {"billing": RemoteLog(9)})) as inbox:
        with pytest.raises(InboxConflict):
            inbox.handle([("billing", log_entry(1)), ("billing", other_entry(1))], {})
        assert inbox.logs["billing"].position == 0


def test_events_that_were_fetched_are_compared_too(storage: Storage) -> None:
    with closing(storage.inbox("billing", {"billing": RemoteLog(9)})) as inbox:
        inbox.handle([("billing", other_entry(5))], {})
        with pytest.raises(InboxConflict, match="position 5"):
            inbox.fetch_missing()
        assert inbox.fault


def test_an_origin_that_was_rolled_back_is_noticed(storage: Storage) -> None:
    origin = RemoteLog(2)
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        inbox.handle([("billing", log_entry(one)) for one in (1, 2, 3)], {})
        origin.reachable = False
        inbox.fetch_missing()
        assert not inbox.fault
        origin.reachable = True
        with pytest.raises(InboxConflict, match="has seen event 3 of billing, which ends at event 2 now"):
            inbox.fetch_missing()
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        assert "has seen event 3" in inbox.fault


def test_an_origin_that_was_rolled_back_later_is_noticed_when_it_is_compared_again(storage: Storage) -> None:
    origin = RemoteLog(3)
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        inbox.fetch_missing()
        origin.position = 2
        inbox.fetch_missing()
        assert not inbox.fault
        inbox.check_again("billing")
        with pytest.raises(InboxConflict, match="has seen event 3 of billing"):
            inbox.fetch_missing()
        assert inbox.fault


def test_an_origin_with_another_history_is_noticed(storage: Storage) -> None:
    with closing(storage.inbox("billing", {"billing": RemoteLog(9)})) as inbox:
        inbox.handle([("billing", log_entry(1)), ("billing", other_entry(2))], {})
        with pytest.raises(InboxConflict, match="another event"):
            inbox.fetch_missing()
        assert inbox.fault


def test_old_events_are_removed_and_then_read_from_their_own_log(storage: Storage) -> None:
    origin = RemoteLog(12)
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        inbox.handle([("billing", log_entry(one)) for one in range(1, 11)], {})
        assert inbox.trim({"billing": 6}, before=4) == 3  # the event at position n was recorded at n
        assert inbox.trim({"billing": 6}, before=100) == 3
        assert inbox.trim({"billing": 6}, before=100) == 0
    with closing(storage.inbox("billing", {"billing": origin})) as inbox:
        log = inbox.logs["billing"]
        assert log.position == 10
        origin.reachable = False
        assert log.read(6, 9) == [log_entry(one) for one in range(7, 11)]
        assert [one[0] for one in log.read(0, 9, "hotel-1", 2)] == [7, 10]
        with pytest.raises(Refused):
            log.read(5, 9)
        inbox.handle([("billing", log_entry(one)) for one in (2, 9, 11)], {})  # a repetition of a removed one, too
        assert (log.position, log.read(10, 9)) == (11, [log_entry(11)])
        assert inbox.trim({"billing": 99}, before=100) == 5
        assert (log.position, log.read(11, 9)) == (11, [])
        origin.reachable = True
        assert read_all(log) == [log_entry(one) for one in range(1, 12)]
        inbox.handle([("billing", log_entry(12))], {})
        assert read_all(log) == [log_entry(one) for one in range(1, 13)]
        assert inbox.trim({"billing": 0}, before=100) == 0


def test_many_events_are_removed_a_step_at_a_time(storage: Storage) -> None:
    with closing(storage.inbox("billing", {"billing": RemoteLog(2_500)})) as inbox:
        inbox.handle([("billing", log_entry(one)) for one in range(1, 2_501)], {})
        assert inbox.trim({"billing": 2_400}, before=10_000) == 2_400
        assert inbox.logs["billing"].read(2_399, 9, None) == [log_entry(2_400)]


def read_all(log: EventLog) -> list[LogEntry]:
    """The log, as somebody reads it who follows it from its beginning."""
    found: list[LogEntry] = []
    while entries := log.read(found[-1][0] if found else 0, 4):
        found += entries
    return found
