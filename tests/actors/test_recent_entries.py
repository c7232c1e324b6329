"""The newest entries of a log: exactly those that the log has after a position, or None where they reach less far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.protocol.ports.recent_entries import RecentEntries
from innkeeper.protocol.values import limits

COMMITS = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), max_size=20)


@given(COMMITS, st.integers(-1, 5), st.integers(1, 6), st.integers(1, 4))
def test_the_newest_entries_are_those_of_the_log_whatever_comes_twice_or_never(
    commits: list[tuple[int, int]], position: int, kept: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "recent_events_max", kept)
        recent: RecentEntries[int] = RecentEntries(position)
        for jump, size in commits:
            first = max(recent.position + 1 + jump, 1)
            is_new = first + size - 1 > recent.position
            recent.append(first + size - 1, range(first, first + size))
            position = max(position, first + size - 1)
            assert recent.position == position
            for after in range(position + 3):
                expected = [*range(after + 1, position + 1)][:limit]
                assert recent.read(after, limit) in (expected, None)
            if size and is_new:
                assert recent.read(position - 1, limit) == [position]


def test_entries_that_are_no_longer_kept_are_to_be_read_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "recent_events_max", 3)
    recent: RecentEntries[str] = RecentEntries(0)
    recent.append(5, "abcde")
    assert recent.read(1, 9) is None
    assert recent.read(2, 9) == ["c", "d", "e"]
    assert recent.read(5, 9) == []


def test_a_gap_drops_what_was_before_it() -> None:
    recent: RecentEntries[str] = RecentEntries(0)
    recent.append(2, "ab")
    recent.append(5, "e")
    assert recent.read(1, 9) is None
    assert recent.read(4, 9) == ["e"]
