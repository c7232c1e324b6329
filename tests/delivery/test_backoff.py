"""The delay before a failed delivery is tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.delivery.backoff import delay_seconds, retry_after_seconds
from innkeeper.protocol.values.limits import retry_after_seconds_max, retry_seconds_first, retry_seconds_max

ATTEMPTS = st.integers(1, 10**9)
CHANCES = st.floats(0, 1, exclude_max=True)
NOW = datetime(2026, 11, 23, 13, 35, 27, tzinfo=UTC)


def test_delays_grow_from_seconds_to_hours() -> None:
    assert [delay_seconds(attempt, 0.5) for attempt in range(1, 11)] == [
        3.75, 11.25, 33.75, 101.25, 303.75, 911.25, 2_733.75, 8_201.25, 16_200, 16_200,
    ]  # fmt: skip


@given(ATTEMPTS, CHANCES)
def test_every_delay_is_within_its_limits(attempt: int, chance: float) -> None:
    assert retry_seconds_first / 2 <= delay_seconds(attempt, chance) <= retry_seconds_max


@given(ATTEMPTS, CHANCES, CHANCES)
def test_delays_do_not_shrink_until_the_longest_is_reached(attempt: int, chance: float, next_chance: float) -> None:
    delay, next_delay = delay_seconds(attempt, chance), delay_seconds(attempt + 1, next_chance)
    assert next_delay >= min(delay, retry_seconds_max / 2)


@given(ATTEMPTS)
def test_the_delay_after_one_attempt_varies_by_chance(attempt: int) -> None:
    soonest, latest = delay_seconds(attempt, 0), delay_seconds(attempt, 0.999)
    assert latest > soonest * 1.9


@given(ATTEMPTS, CHANCES, st.integers(0, 10**12))
def test_a_retry_after_lengthens_the_delay_up_to_a_limit(attempt: int, chance: float, asked: int) -> None:
    delay = delay_seconds(attempt, chance, asked)
    assert delay >= delay_seconds(attempt, chance)
    assert delay >= min(asked, retry_after_seconds_max)
    assert delay <= max(retry_seconds_max, retry_after_seconds_max)


@given(ATTEMPTS, CHANCES)
def test_a_retry_after_of_zero_does_not_shorten_the_delay(attempt: int, chance: float) -> None:
    assert delay_seconds(attempt, chance, 0) == delay_seconds(attempt, chance)


@pytest.mark.parametrize(("attempt", "chance"), [(0, 0.5), (-1, 0.5), (1, 1.0), (1, -0.1), (1, float("nan"))])
def test_an_attempt_or_chance_out_of_range_is_a_programming_error(attempt: int, chance: float) -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        delay_seconds(attempt, chance)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("9999999999", 9_999_999_999),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120),
        (format_datetime(NOW - timedelta(days=2), usegmt=True), 0),
        ("Mon Nov 23 13:36:27 2026", 60),  # obsolete formats, which must be accepted (RFC 9110, 5.6.7)
        ("Monday, 23-Nov-26 13:36:27 GMT", 60),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(value: str, seconds: int) -> None:
    assert retry_after_seconds(value, NOW.timestamp()) == seconds


@pytest.mark.parametrize(
    "value", ["", " ", "-1", "1.5", "soon", "1e3", "9" * 5_000, "١٢", "Mon, 99 Foo 2026", "Fri, 31 Dec 99999 1:1:1 GMT"]
)
def test_a_malformed_retry_after_is_ignored(value: str) -> None:
    assert retry_after_seconds(value, NOW.timestamp()) is None


@given(st.text())
def test_any_retry_after_is_ignored_or_gives_seconds(value: str) -> None:
    asked = retry_after_seconds(value, NOW.timestamp())
    assert asked is None or asked >= 0
