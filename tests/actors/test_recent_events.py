"""The newest events of a log: exactly those that the log has after a position, or None where they reach less far."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values import limits
from support.recording_subscriber import GrowingLog

COMMITS = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), max_size=20)


def log_of(events: int) -> GrowingLog:
    """A log with so many events."""
    log = GrowingLog()
    for number in range(events):
        log.append("north", BookingPinned("b", str(number)))
    return log


def entries_of(log: GrowingLog) -> list[LogEntry]:
    """All entries of a log."""
    return log.read(0, 1_000)


def append(recent: RecentEvents, log: GrowingLog, first: int, end: int) -> None:
    """Announce the events of the log at the positions from `first` to `end`."""
    recent.append(end, [record for _, record in entries_of(log)[first - 1 : end]])


@given(COMMITS, st.integers(0, 5), st.integers(1, 6), st.integers(1, 4))
def test_the_newest_events_are_those_of_the_log_whatever_comes_twice_or_never(
    commits: list[tuple[int, int]], position: int, kept: int, limit: int
) -> None:
    log = log_of(200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "recent_events_max", kept)
        recent = RecentEvents(log_of(position))
        for jump, size in commits:
            first = max(recent.position + 1 + jump, 1)
            is_new = first + size - 1 > recent.position
            append(recent, log, first, first + size - 1)
            position = max(position, first + size - 1)
            assert recent.position == position
            for after in range(position + 3):
                assert recent.recent(after, limit) in (entries_of(log)[after:position][:limit], None)
            if size and is_new:
                assert recent.recent(position - 1, limit) == [entries_of(log)[position - 1]]


def test_events_that_are_no_longer_kept_are_read_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "recent_events_max", 3)
    log = log_of(5)
    recent = RecentEvents(GrowingLog())
    append(recent, log, 1, 5)
    assert recent.recent(1, 9) is None
    assert recent.recent(2, 9) == entries_of(log)[2:]
    assert recent.recent(5, 9) == []
    assert RecentEvents(log).read(1, 2) == entries_of(log)[1:3]


def test_what_was_not_heard_of_yet_is_read_from_the_log() -> None:
    log = log_of(0)
    recent = RecentEvents(log)
    for number in range(3):
        log.append("north", BookingPinned("b", str(number)))
    assert recent.read(1, 9) == entries_of(log)[1:]
    assert recent.read(0, 9) == []  # what is heard of comes later


def test_a_gap_drops_what_was_before_it() -> None:
    log = log_of(5)
    recent = RecentEvents(GrowingLog())
    append(recent, log, 1, 2)
    append(recent, log, 5, 5)
    assert recent.recent(1, 9) is None
    assert recent.recent(4, 9) == entries_of(log)[4:]


class UndecodableEvents(list[Any]):
    """Events of another process, whose first cannot be decoded."""

    def __getitem__(self, place: Any) -> Any:
        if place == 0:
            raise ValueError("it is of a newer version")
        return super().__getitem__(place)


def test_an_event_that_cannot_be_decoded_stops_its_readers_and_hides_no_other() -> None:
    log = log_of(5)
    recent = RecentEvents(GrowingLog())
    append(recent, log, 1, 3)
    recent.append(5, UndecodableEvents([record for _, record in entries_of(log)[3:]]))
    assert recent.recent(0, 3) == entries_of(log)[:3]
    assert recent.recent(4, 9) == entries_of(log)[4:]
    with pytest.raises(ValueError, match="newer version"):
        recent.recent(2, 9)
