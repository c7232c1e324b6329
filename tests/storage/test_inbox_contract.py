"""What every inbox does: whatever a broker delivers twice, late or never, it is a log without gaps."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.protocol.ports.storage import Storage
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
